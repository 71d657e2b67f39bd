"""The shapes of a robot's links for viewers: the primitive collision geometry of its MJCF."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import foxglove.messages as foxglove
import mujoco

from recorders.robot_kinematics import RobotKinematics
from teleop_app.core.clock import NS_PER_S


class ShapeKind(Enum):
    """What a shape is; a capsule counts as the cylinder without its ends."""

    BOX = "box"
    CYLINDER = "cylinder"
    ELLIPSOID = "ellipsoid"


@dataclass(frozen=True, slots=True)
class Shape:
    """A shape in the frame of its link.

    Attributes:
        kind: Which.
        size: Extent along its axes [m]; a cylinder's axis is z.
        position: x y z [m].
        quat_wxyz: Orientation.
        rgba: Colour, 0..1.
    """

    kind: ShapeKind
    size: tuple[float, float, float]
    position: tuple[float, float, float]
    quat_wxyz: tuple[float, float, float, float]
    rgba: tuple[float, float, float, float]


def link_shapes(model: mujoco.MjModel, body: int) -> list[Shape]:
    """The shapes of a body that can collide. Meshes belong to third parties and are left out."""
    first = int(model.body_geomadr[body])
    geoms = range(first, first + int(model.body_geomnum[body]))
    shapes = (_shape(model, geom) for geom in geoms)
    return [shape for shape in shapes if shape is not None]


def _shape(model: mujoco.MjModel, geom: int) -> Shape | None:
    if not model.geom_contype[geom] and not model.geom_conaffinity[geom]:
        return None
    x, y, z = (2.0 * value for value in model.geom_size[geom].tolist())
    match mujoco.mjtGeom(int(model.geom_type[geom])):
        case mujoco.mjtGeom.mjGEOM_BOX:
            kind, size = ShapeKind.BOX, (x, y, z)
        case mujoco.mjtGeom.mjGEOM_ELLIPSOID:
            kind, size = ShapeKind.ELLIPSOID, (x, y, z)
        case mujoco.mjtGeom.mjGEOM_SPHERE:
            kind, size = ShapeKind.ELLIPSOID, (x, x, x)
        case mujoco.mjtGeom.mjGEOM_CYLINDER | mujoco.mjtGeom.mjGEOM_CAPSULE:
            kind, size = ShapeKind.CYLINDER, (x, x, y)
        case _:
            return None
    material = int(model.geom_matid[geom])
    rgba = model.mat_rgba[material] if material >= 0 else model.geom_rgba[geom]
    position, quaternion = model.geom_pos[geom].tolist(), model.geom_quat[geom].tolist()
    return Shape(kind, size, tuple(position), tuple(quaternion), tuple(rgba.tolist()))


def scene_update(kinematics: RobotKinematics, utc_ns: int) -> bytes:
    """foxglove.SceneUpdate with the shapes of each link, fixed to the link's frame."""
    stamp = foxglove.Timestamp(*divmod(utc_ns, NS_PER_S))
    entities = []
    for body, link in zip(kinematics.bodies, kinematics.links, strict=True):
        if shapes := link_shapes(kinematics.model, body):
            entity = foxglove.SceneEntity(
                timestamp=stamp,
                frame_id=link,
                id=link,
                frame_locked=True,
                cubes=[_cube(shape) for shape in shapes if shape.kind is ShapeKind.BOX],
                spheres=[_sphere(shape) for shape in shapes if shape.kind is ShapeKind.ELLIPSOID],
                cylinders=[_cylinder(shape) for shape in shapes if shape.kind is ShapeKind.CYLINDER],
            )
            entities.append(entity)
    return foxglove.SceneUpdate(entities=entities).encode()


def _cube(shape: Shape) -> foxglove.CubePrimitive:
    return foxglove.CubePrimitive(pose=_pose(shape), size=_size(shape), color=_color(shape))


def _sphere(shape: Shape) -> foxglove.SpherePrimitive:
    return foxglove.SpherePrimitive(pose=_pose(shape), size=_size(shape), color=_color(shape))


def _cylinder(shape: Shape) -> foxglove.CylinderPrimitive:
    return foxglove.CylinderPrimitive(
        pose=_pose(shape), size=_size(shape), bottom_scale=1.0, top_scale=1.0, color=_color(shape)
    )


def _pose(shape: Shape) -> foxglove.Pose:
    (x, y, z), (w, i, j, k) = shape.position, shape.quat_wxyz
    return foxglove.Pose(
        position=foxglove.Vector3(x=x, y=y, z=z), orientation=foxglove.Quaternion(x=i, y=j, z=k, w=w)
    )


def _size(shape: Shape) -> foxglove.Vector3:
    x, y, z = shape.size
    return foxglove.Vector3(x=x, y=y, z=z)


def _color(shape: Shape) -> foxglove.Color:
    r, g, b, a = shape.rgba
    return foxglove.Color(r=r, g=g, b=b, a=a)
