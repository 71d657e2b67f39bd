"""The robot as a URDF made of boxes, cylinders and spheres: the form in which viewers take a robot."""

from __future__ import annotations

import math
import struct
from xml.etree import ElementTree

import mujoco
import numpy as np
from numpy.typing import NDArray

from recorders.robot_kinematics import RobotKinematics
from recorders.robot_shapes import Shape, ShapeKind, link_shapes

Array = NDArray[np.float64]
Element = ElementTree.Element
_HINGE, _SLIDE = int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE)


def robot_description(kinematics: RobotKinematics) -> bytes:
    """std_msgs/msg/String that holds the URDF, in CDR."""
    text = robot_urdf(kinematics).encode() + b"\0"
    return b"\x00\x01\x00\x00" + struct.pack("<I", len(text)) + text


def robot_urdf(kinematics: RobotKinematics) -> str:
    """Links named as their frames, with the shapes that can collide, and the joints between them."""
    robot = Element("robot", name="robot")
    for root in sorted(set(kinematics.parents) - set(kinematics.links)):
        ElementTree.SubElement(robot, "link", name=root)
    for body, link, parent in zip(kinematics.bodies, kinematics.links, kinematics.parents, strict=True):
        element = ElementTree.SubElement(robot, "link", name=link)
        _add_inertial(element, kinematics.model, body)
        for number, shape in enumerate(link_shapes(kinematics.model, body)):
            _add_visual(element, f"{link} {number}", shape)
        _add_joint(robot, kinematics.model, body, link, parent)
    return ElementTree.tostring(robot, "unicode")


def _add_inertial(link: Element, model: mujoco.MjModel, body: int) -> None:
    if not model.body_mass[body]:
        return
    inertial = ElementTree.SubElement(link, "inertial")
    _add_origin(inertial, model.body_ipos[body], model.body_iquat[body])
    ElementTree.SubElement(inertial, "mass", value=f"{model.body_mass[body]:.6g}")
    xx, yy, zz = (f"{value:.6g}" for value in model.body_inertia[body].tolist())
    ElementTree.SubElement(inertial, "inertia", ixx=xx, ixy="0", ixz="0", iyy=yy, iyz="0", izz=zz)


def _add_visual(link: Element, name: str, shape: Shape) -> None:
    visual = ElementTree.SubElement(link, "visual", name=name)
    _add_origin(visual, np.array(shape.position), np.array(shape.quat_wxyz))
    geometry = ElementTree.SubElement(visual, "geometry")
    x, _, z = shape.size
    match shape.kind:
        case ShapeKind.BOX:
            ElementTree.SubElement(geometry, "box", size=_text(shape.size))
        case ShapeKind.CYLINDER:
            ElementTree.SubElement(geometry, "cylinder", radius=f"{x / 2:.6g}", length=f"{z:.6g}")
        case ShapeKind.ELLIPSOID:
            ElementTree.SubElement(geometry, "sphere", radius=f"{max(shape.size) / 2:.6g}")
    material = ElementTree.SubElement(visual, "material", name=f"{name} colour")
    ElementTree.SubElement(material, "color", rgba=_text(shape.rgba))


def _add_joint(robot: Element, model: mujoco.MjModel, body: int, link: str, parent: str) -> None:
    """The joint that carries a link: what URDF cannot say, and what rests elsewhere than at 0, is fixed."""
    joint = int(model.body_jntadr[body])
    kind = "fixed"
    if model.body_jntnum[body] == 1 and not model.jnt_pos[joint].any():
        at_zero = not model.qpos0[model.jnt_qposadr[joint]]
        if at_zero and int(model.jnt_type[joint]) == _HINGE:
            kind = "revolute" if model.jnt_limited[joint] else "continuous"
        elif at_zero and int(model.jnt_type[joint]) == _SLIDE and model.jnt_limited[joint]:
            kind = "prismatic"
    name = model.joint(joint).name if kind != "fixed" else f"{link} mount"
    element = ElementTree.SubElement(robot, "joint", name=name, type=kind)
    ElementTree.SubElement(element, "parent", link=parent)
    ElementTree.SubElement(element, "child", link=link)
    _add_origin(element, model.body_pos[body], model.body_quat[body])
    if kind != "fixed":
        ElementTree.SubElement(element, "axis", xyz=_text(model.jnt_axis[joint].tolist()))
        low, high = (f"{value:.6g}" for value in model.jnt_range[joint].tolist())
        ElementTree.SubElement(element, "limit", lower=low, upper=high, effort="0", velocity="0")


def _add_origin(element: Element, position: Array, quat_wxyz: Array) -> None:
    ElementTree.SubElement(element, "origin", xyz=_text(position.tolist()), rpy=_text(_rpy(quat_wxyz)))


def _rpy(quat_wxyz: Array) -> tuple[float, float, float]:
    """Roll, pitch and yaw about fixed axes [rad]."""
    w, x, y, z = quat_wxyz.tolist()
    pitch = math.asin(max(-1.0, min(1.0, 2 * (w * y - z * x))))
    if abs(abs(pitch) - math.pi / 2) < 1e-6:  # roll and yaw turn about the same axis
        return 0.0, pitch, -2 * math.copysign(1.0, pitch) * math.atan2(x, w)
    roll = math.atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    return roll, pitch, math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))


def _text(values: list[float] | tuple[float, ...]) -> str:
    return " ".join(f"{value:.6g}" for value in values)
