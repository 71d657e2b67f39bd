"""What a robot model says of one arm, and how one is built from its kinematic chain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import mujoco
import numpy as np

from teleop_app.core.geometry import Array

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]

GRIPPER: Final = "gripper"
"""Name of the gripper in every joint vector, after the joints."""
TCP: Final = "tcp"
"""Site of the tool centre point: x out of the gripper, y its opening direction."""
FLANGE: Final = "flange"
"""Site of the frame that the maker's kinematics ends in, where the tool is screwed on."""

_LIGHT: Final = (0.78, 0.80, 0.82, 1.0)
_DARK: Final = (0.25, 0.27, 0.30, 1.0)
_POINT_M: Final = 2e-3


@dataclass(frozen=True, slots=True)
class Link:
    """A joint and the link that it moves. The joint turns about z of its frame.

    Attributes:
        joint: Name of the joint.
        position: Origin of its frame in the frame of the link before [m].
        turn: Orientation of its frame there at zero, (w, x, y, z).
        lower: Lower joint limit [rad].
        upper: Upper joint limit [rad].
        velocity: Speed limit [rad/s].
        mass: Of the link [kg].
        radius: Of the capsule that stands for the link [m].
        path: Centre line of the link in its frame [m]; empty: straight to the next joint.
        axis: That the joint turns about, if not z.
    """

    joint: str
    position: Vector
    turn: Quaternion
    lower: float
    upper: float
    velocity: float
    mass: float
    radius: float
    path: tuple[Vector, ...] = ()
    axis: Vector = (0.0, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Tool:
    """What is at the end of an arm.

    Attributes:
        position: Flange in the frame of the last link [m].
        turn: Likewise, (w, x, y, z).
        tcp: Tool centre point in the flange frame [m].
        tcp_turn: Likewise; x out of the gripper, y its opening direction.
        mass: Of the gripper [kg].
        stroke_m: Way of each finger from closed to open.
    """

    position: Vector
    turn: Quaternion
    tcp: Vector
    tcp_turn: Quaternion
    mass: float
    stroke_m: float


@dataclass(frozen=True, slots=True)
class RobotModel:
    """An arm with its gripper.

    Attributes:
        name: As in the station file.
        title: For people.
        joint_names: Base to wrist, without the arm's name.
        home: Home posture [rad], shape (n,).
        lower: Lower joint limits [rad].
        upper: Upper joint limits [rad].
        velocity: Speed limits [rad/s].
        build: A fresh MJCF description. Its base stands at the origin, x ahead and z up; sites `tcp` and, if
            known, `flange`; the gripper is the actuator `gripper` on a tendon, 0 closed to 1 open over its
            range.
    """

    name: str
    title: str
    joint_names: tuple[str, ...]
    home: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    velocity: tuple[float, ...]
    build: Callable[[], mujoco.MjSpec]


def chain_model(
    name: str,
    title: str,
    links: tuple[Link, ...],
    tool: Tool,
    home: tuple[float, ...],
    *,
    base_mass: float,
    base_turn: Quaternion = (1.0, 0.0, 0.0, 0.0),
) -> RobotModel:
    """The model of a chain of links.

    Masses are spread evenly over the capsules, which is enough for views and distances; drivers that need
    the robot's dynamics ask the robot.

    Args:
        name: As in the station file.
        title: For people.
        links: Base to wrist.
        tool: At the last link.
        home: Home posture [rad].
        base_mass: Of what does not move [kg].
        base_turn: Of the maker's base frame against ours, whose x points ahead, (w, x, y, z).
    """
    return RobotModel(
        name=name,
        title=title,
        joint_names=tuple(link.joint for link in links),
        home=home,
        lower=tuple(link.lower for link in links),
        upper=tuple(link.upper for link in links),
        velocity=tuple(link.velocity for link in links),
        build=lambda: _build(name, links, tool, base_mass, base_turn),
    )


def _build(
    name: str, links: tuple[Link, ...], tool: Tool, base_mass: float, base_turn: Quaternion
) -> mujoco.MjSpec:
    spec = mujoco.MjSpec()
    spec.modelname = name
    spec.compiler.degree = False
    base = spec.worldbody.add_body(name="base_link", quat=list(base_turn))
    _shape(base, (0.0, 0.0, 0.0), links[0].position, links[0].radius * 1.1, base_mass, _DARK)
    body = base
    for number, link in enumerate(links):
        body = body.add_body(name=f"{link.joint}_link", pos=list(link.position), quat=list(link.turn))
        body.add_joint(
            name=link.joint,
            type=mujoco.mjtJoint.mjJNT_HINGE,
            axis=list(link.axis),
            range=[link.lower, link.upper],
            limited=mujoco.mjtLimited.mjLIMITED_TRUE,
            damping=[0.5, 0.0, 0.0],
            armature=0.05,
        )
        after = links[number + 1].position if number + 1 < len(links) else tool.position
        points = link.path or ((0.0, 0.0, 0.0), after)
        share = link.mass / (len(points) - 1)
        for start, end in pairwise(points):
            _shape(body, start, end, link.radius, share, _LIGHT)
    _add_tool(spec, body, tool)
    keep_masses(spec)
    return spec


def keep_masses(spec: mujoco.MjSpec) -> None:
    """Write the masses that follow from the shapes to the bodies, for models that leave the shapes out."""
    model = spec.compile()
    for body in spec.bodies[1:]:
        number = model.body(body.name).id
        if body.explicitinertial or model.body_mass[number] <= 0.0:
            continue
        body.mass = float(model.body_mass[number])
        body.ipos, body.iquat = model.body_ipos[number].tolist(), model.body_iquat[number].tolist()
        body.inertia = model.body_inertia[number].tolist()
        body.explicitinertial = True


def _add_tool(spec: mujoco.MjSpec, body: mujoco.MjsBody, tool: Tool) -> None:
    flange = body.add_body(name="gripper_link", pos=list(tool.position), quat=list(tool.turn))
    flange.add_site(name=FLANGE, size=[0.004] * 3, rgba=[0, 0, 0, 0])
    flange.add_site(
        name=TCP, pos=list(tool.tcp), quat=list(tool.tcp_turn), size=[0.004] * 3, rgba=[0, 0, 0, 0]
    )
    turn = np.empty(9)
    mujoco.mju_quat2Mat(turn, np.array(tool.tcp_turn))
    out, opening = turn.reshape(3, 3)[:, 0], turn.reshape(3, 3)[:, 1]
    tip = np.array(tool.tcp)
    palm = tip - out * min(0.06, 0.7 * float(np.linalg.norm(tip)))
    _shape(flange, (0.0, 0.0, 0.0), tuple(palm.tolist()), 0.03, tool.mass * 0.8, _DARK)
    tendon = spec.add_tendon(name=GRIPPER)
    for side, sign in (("left_finger", 1.0), ("right_finger", -1.0)):
        finger = flange.add_body(name=side, pos=palm.tolist())
        finger.add_joint(
            name=side,
            type=mujoco.mjtJoint.mjJNT_SLIDE,
            axis=(opening * sign).tolist(),
            range=[0.0, tool.stroke_m],
            limited=mujoco.mjtLimited.mjLIMITED_TRUE,
            damping=[2.0, 0.0, 0.0],
            armature=0.05,
        )
        beam = tuple((opening * sign * 0.008).tolist()), tuple((opening * sign * 0.008 + tip - palm).tolist())
        _shape(finger, *beam, 0.007, tool.mass * 0.1, _DARK)
        tendon.wrap_joint(side, 0.5)
    spec.add_actuator(
        name=GRIPPER,
        trntype=mujoco.mjtTrn.mjTRN_TENDON,
        target=GRIPPER,
        ctrlrange=[0.0, tool.stroke_m],
        ctrllimited=mujoco.mjtLimited.mjLIMITED_TRUE,
    )


def _shape(
    body: mujoco.MjsBody,
    start: Vector,
    end: Vector,
    radius: float,
    mass: float,
    rgba: tuple[float, float, float, float],
) -> None:
    """A capsule from point to point; a sphere where they coincide."""
    length = float(np.linalg.norm(np.subtract(end, start)))
    if length < _POINT_M:
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_SPHERE,
            pos=list(start),
            size=[radius, 0.0, 0.0],
            mass=mass,
            rgba=list(rgba),
        )
        return
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CAPSULE,
        fromto=[*start, *end],
        size=[radius, 0.0, 0.0],
        mass=mass,
        rgba=list(rgba),
    )


def about_x(angle: float) -> Quaternion:
    """The turn about x by an angle [rad]."""
    return (float(np.cos(angle / 2)), float(np.sin(angle / 2)), 0.0, 0.0)


def about_z(angle: float) -> Quaternion:
    """The turn about z by an angle [rad]."""
    return (float(np.cos(angle / 2)), 0.0, 0.0, float(np.sin(angle / 2)))


def by_rpy(roll: float, pitch: float, yaw: float) -> Quaternion:
    """The turn of a URDF origin: about the fixed axes x, then y, then z [rad]."""
    product, each = np.array([1.0, 0.0, 0.0, 0.0]), np.empty(4)
    for axis, angle in (((0, 0, 1), yaw), ((0, 1, 0), pitch), ((1, 0, 0), roll)):
        mujoco.mju_axisAngle2Quat(each, np.array(axis, float), angle)
        out: Array = np.empty(4)
        mujoco.mju_mulQuat(out, product, each)
        product = out
    w, x, y, z = (float(value) for value in product)
    return (w, x, y, z)


OUT_ALONG_Z: Final[Quaternion] = (0.7071067811865476, 0.0, -0.7071067811865476, 0.0)
"""A tool that points along z of its flange: x of its TCP is z of the flange."""
