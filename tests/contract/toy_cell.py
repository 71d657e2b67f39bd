"""Two gantry arms whose kinematics are plain formulas, for what policies see and ask for.

An arm's first six joints are the place [m] and the rotation vector [rad] of its tool in its base; the right
arm has a seventh that moves nothing. Each arm's gripper comes last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from teleop_app.autonomy.view import CameraView, CellLayout, StationView
from teleop_app.core.geometry import (
    Array,
    make_pose,
    pose_compose,
    pose_inverse,
    quat_from_rotvec,
    quat_to_rotvec,
)

ARMS = ("left", "right")
JOINTS = {"left": slice(0, 6), "right": slice(7, 14)}
GRIPPERS = {"left": 6, "right": 14}
SIZE = 15
_LOWER_ARM, _UPPER_ARM = [-1.0] * 3 + [-math.pi] * 3, [1.0] * 3 + [math.pi] * 3
LOWER = np.array([*_LOWER_ARM, 0.0, *_LOWER_ARM, -1.0, 0.0])
UPPER = np.array([*_UPPER_ARM, 1.0, *_UPPER_ARM, 1.0, 1.0])
BASES = np.array(
    [
        [-0.4, 0.1, 0.2, 1.0, 0.0, 0.0, 0.0],
        [0.5, -0.1, 0.0, *quat_from_rotvec(np.array([0.2, -0.3, 2.0]))],
    ]
)


class ToyKinematics:
    """Exact, and stops at the joint limits."""

    def __init__(self) -> None:
        self.starts: list[Array] = []

    def poses(self, vector: Array) -> Array:
        return np.array(
            [
                pose_compose(base, make_pose(q[:3], quat_from_rotvec(q[3:6])))
                for base, q in zip(BASES, (vector[JOINTS[arm]] for arm in ARMS), strict=True)
            ]
        )

    def reach(self, start: Array, poses: Sequence[Array | None]) -> tuple[Array, Array]:
        self.starts.append(start.copy())
        vector = start.copy()
        left = np.zeros(2)
        for row, (arm, pose) in enumerate(zip(ARMS, poses, strict=True)):
            if pose is None:
                continue
            tool = pose_compose(pose_inverse(BASES[row]), pose)
            first = JOINTS[arm].start
            joints = slice(first, first + 6)
            wanted = np.concatenate([tool[:3], quat_to_rotvec(tool[3:])])
            vector[joints] = np.clip(wanted, LOWER[joints], UPPER[joints])
            left[row] = float(np.linalg.norm(wanted[:3] - vector[joints][:3]))
        return vector, left


def layout(
    *, simulated: bool = True, embodiment: str = "Two gantries.", rate_hz: float = 200.0
) -> CellLayout:
    names = [
        f"{arm}/{name}"
        for arm in ARMS
        for name in (*(f"j{i}" for i in range(JOINTS[arm].stop - JOINTS[arm].start)), "gripper")
    ]
    return CellLayout(
        arms=ARMS,
        joint_names=tuple(names),
        joints_of=JOINTS,
        gripper_of=GRIPPERS,
        lower=LOWER,
        upper=UPPER,
        base_poses=BASES,
        cameras={"top": (640, 480), "left_wrist": (320, 240)},
        control_rate_hz=rate_hz,
        embodiment=embodiment,
        simulated=simulated,
    )


def view(measured: Array | None = None, sent: Array | None = None) -> StationView:
    """At 1 s; the picture of `top` is 20 ms old, that of `left_wrist` 50 ms."""
    measured = np.linspace(0.05, 0.4, SIZE) if measured is None else measured
    top = np.zeros((480, 640, 3), np.uint8)
    top[:, :320], top[:, 320:] = (255, 0, 0), (0, 0, 255)
    return StationView(
        capture_ns=1_000_000_000,
        policy_ns=5,
        measured=measured,
        measured_velocity=np.linspace(-1.0, 1.0, SIZE),
        sent=measured if sent is None else sent,
        cameras={
            "top": CameraView(top, 980_000_000),
            "left_wrist": CameraView(np.full((240, 320, 3), 128, np.uint8), 950_000_000),
        },
        instruction="put the {cube} away",
        task="pick-place",
        truth={"target": [0.1, 0.2, 0.3, 1.0, 0.0, 0.0, 0.0]},
    )
