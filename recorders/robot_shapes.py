"""The shapes of a robot's links for viewers: the primitive collision geometry of its MJCF."""

from __future__ import annotations

import foxglove.messages as foxglove
import mujoco
import numpy as np
from numpy.typing import NDArray

from recorders.robot_kinematics import RobotKinematics
from teleop_app.core.clock import NS_PER_S

Array = NDArray[np.float64]


def robot_shapes(kinematics: RobotKinematics, utc_ns: int) -> bytes:
    """foxglove.SceneUpdate with the collision shapes of each link, fixed to the link's frame."""
    stamp = foxglove.Timestamp(*divmod(utc_ns, NS_PER_S))
    entities = []
    for body, link in zip(kinematics.bodies, kinematics.links, strict=True):
        cubes, spheres, cylinders = _primitives(kinematics.model, body)
        if cubes or spheres or cylinders:
            entity = foxglove.SceneEntity(
                timestamp=stamp,
                frame_id=link,
                id=link,
                frame_locked=True,
                cubes=cubes,
                spheres=spheres,
                cylinders=cylinders,
            )
            entities.append(entity)
    return foxglove.SceneUpdate(entities=entities).encode()


_Primitives = tuple[
    list[foxglove.CubePrimitive], list[foxglove.SpherePrimitive], list[foxglove.CylinderPrimitive]
]


def _primitives(model: mujoco.MjModel, body: int) -> _Primitives:
    cubes: list[foxglove.CubePrimitive] = []
    spheres: list[foxglove.SpherePrimitive] = []
    cylinders: list[foxglove.CylinderPrimitive] = []
    first = int(model.body_geomadr[body])
    for geom in range(first, first + int(model.body_geomnum[body])):
        if not model.geom_contype[geom] and not model.geom_conaffinity[geom]:
            continue
        pose, color = _pose(model.geom_pos[geom], model.geom_quat[geom]), _color(model, geom)
        x, y, z = model.geom_size[geom].tolist()
        match mujoco.mjtGeom(int(model.geom_type[geom])):
            case mujoco.mjtGeom.mjGEOM_BOX:
                size = foxglove.Vector3(x=2 * x, y=2 * y, z=2 * z)
                cubes.append(foxglove.CubePrimitive(pose=pose, size=size, color=color))
            case mujoco.mjtGeom.mjGEOM_ELLIPSOID:
                size = foxglove.Vector3(x=2 * x, y=2 * y, z=2 * z)
                spheres.append(foxglove.SpherePrimitive(pose=pose, size=size, color=color))
            case mujoco.mjtGeom.mjGEOM_SPHERE:
                size = foxglove.Vector3(x=2 * x, y=2 * x, z=2 * x)
                spheres.append(foxglove.SpherePrimitive(pose=pose, size=size, color=color))
            case mujoco.mjtGeom.mjGEOM_CYLINDER | mujoco.mjtGeom.mjGEOM_CAPSULE:
                size = foxglove.Vector3(x=2 * x, y=2 * x, z=2 * y)
                cylinders.append(
                    foxglove.CylinderPrimitive(
                        pose=pose, size=size, bottom_scale=1.0, top_scale=1.0, color=color
                    )
                )
            case _:
                pass  # meshes belong to third parties and stay out of the file
    return cubes, spheres, cylinders


def _pose(position: Array, quat_wxyz: Array) -> foxglove.Pose:
    x, y, z = position.tolist()
    w, i, j, k = quat_wxyz.tolist()
    return foxglove.Pose(
        position=foxglove.Vector3(x=x, y=y, z=z), orientation=foxglove.Quaternion(x=i, y=j, z=k, w=w)
    )


def _color(model: mujoco.MjModel, geom: int) -> foxglove.Color:
    material = int(model.geom_matid[geom])
    rgba = model.mat_rgba[material] if material >= 0 else model.geom_rgba[geom]
    r, g, b, a = rgba.tolist()
    return foxglove.Color(r=r, g=g, b=b, a=a)
