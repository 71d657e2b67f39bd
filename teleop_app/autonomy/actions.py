"""Turns what a policy answers into joint vectors of the station, and back.

An answer is untrusted: what comes out is finite, near the joint limits and within reach, or it is refused
with a sentence (`action_checks`). How fast an arm may get there is control's matter and the supervisor's.
"""

from __future__ import annotations

import numpy as np

from teleop_app.autonomy.action_checks import (
    check_joints,
    check_near,
    check_reached,
    checked_answer,
    gripper_strokes,
)
from teleop_app.autonomy.end_effectors import Bases, motion, moved, read_pose, write_pose
from teleop_app.autonomy.normalise import Normaliser
from teleop_app.autonomy.parts import PartPlace, places, width_of
from teleop_app.autonomy.policy_file import PolicyFile
from teleop_app.autonomy.policy_sections import Convention
from teleop_app.autonomy.view import ArmKinematics, CellLayout, StationView
from teleop_app.core.errors import PolicyError
from teleop_app.core.geometry import Array

POSITION_TOLERANCE_M = 0.03
ROTATION_TOLERANCE_RAD = 0.5


class ActionDecoder:
    """Reads and writes chunks as a policy file says. One thread.

    Args:
        policy: Its file.
        layout: Of the station.
        kinematics: For tool poses; None where the station has none.
        position_tolerance_m: Farther from the asked pose than this is out of reach.
        rotation_tolerance_rad: Likewise.

    Raises:
        PolicyError: The station lacks an arm, or a robot model for poses, or the statistics do not fit.
    """

    def __init__(
        self,
        policy: PolicyFile,
        layout: CellLayout,
        kinematics: ArmKinematics | None,
        *,
        position_tolerance_m: float = POSITION_TOLERANCE_M,
        rotation_tolerance_rad: float = ROTATION_TOLERANCE_RAD,
    ) -> None:
        action = policy.action
        self._action = action
        self._layout = layout
        self._horizon = policy.horizon
        self._places = places(action, layout)
        self._poses = [place for place in self._places if place.what == "ee"]
        self._kinematics = kinematics
        if self._poses and kinematics is None:
            raise PolicyError(
                "The policy asks for tool poses, but this station has no robot model to reach them"
            )
        self._normaliser = Normaliser(action.statistics)
        self._used = width_of(action, layout)
        self._width = action.width or self._used
        self._bases = Bases(layout.base_poses)
        self._based = action.frame == "base"
        self._own_axes = action.frame == "tool"
        self._position_m = position_tolerance_m
        self._rotation_rad = rotation_tolerance_rad
        self._arms = tuple(arm for arm in layout.arms if any(place.arm == arm for place in self._places))

    @property
    def arms(self) -> tuple[str, ...]:
        """That the policy drives, in the station's order."""
        return self._arms

    @property
    def width(self) -> int:
        """Channels of an action, padding included (K)."""
        return self._width

    def decode(self, raw: object, view: StationView) -> Array:
        """Joint vectors of a chunk.

        Args:
            raw: What the policy answered: an array of numbers, shape (H, K). Nothing about it is trusted.
            view: The view that its observation was built from.

        Returns:
            Shape (H, n). Arms that the policy does not drive hold their measured values; what it leaves out
            of an arm that it drives holds what was last sent, so that a closed gripper keeps its grip.

        Raises:
            PolicyError: It is of another shape or type, has values that are no numbers or too large, or asks
                for joints far beyond their limits or poses out of reach.
        """
        answer = checked_answer(raw, horizon=self._horizon, width=self._width, used=self._used)
        values = self._normaliser.undo(answer)
        vectors = np.tile(self._resting(view), (len(values), 1))
        for place in self._places:
            given = values[:, place.columns]
            if place.what == "gripper":
                closed, opened = self._action.closed, self._action.opened
                vectors[:, place.place] = gripper_strokes(given, place.arm, closed, opened)
            elif place.what == "joints":
                asked = self._joints(given, view.measured[place.place])
                names = self._layout.joint_names[place.place]
                check_joints(asked, names, self._layout.lower[place.place], self._layout.upper[place.place])
                vectors[:, place.place] = asked
        if self._poses and self._kinematics is not None:
            self._follow(self._kinematics, vectors, values, view)
        if not np.isfinite(vectors).all():
            raise PolicyError("The policy's answer leads to joint positions that are not numbers")
        return vectors

    def encode(self, vectors: Array, view: StationView) -> Array:
        """What a policy would have answered at `view` to mean these joint vectors: `decode`'s inverse.

        Args:
            vectors: Shape (k, n), of the station.
            view: That relative conventions count from.

        Returns:
            Shape (k, K): normalised, padded with zeros.
        """
        out = np.zeros((len(vectors), self._used))
        for place in self._places:
            columns = vectors[:, place.place]
            if place.what == "gripper":
                closed, opened = self._action.closed, self._action.opened
                out[:, place.columns] = closed + columns * (opened - closed)
            elif place.what == "joints":
                out[:, place.columns] = self._relative_joints(columns, view.measured[place.place])
        if self._poses and self._kinematics is not None:
            before = self._kinematics.poses(view.measured)
            for row, vector in zip(out, vectors, strict=True):
                now = self._kinematics.poses(vector)
                for place in self._poses:
                    row[place.columns] = self._written(place, before[place.row], now[place.row])
                if self._action.convention is Convention.DELTA:
                    before = now
        padded = np.zeros((len(vectors), self._width))
        padded[:, : self._used] = self._normaliser.apply(out)
        return padded

    def _resting(self, view: StationView) -> Array:
        vector = view.measured.copy()
        for arm in self._arms:
            for place in (self._layout.joints_of[arm], self._layout.gripper_of[arm]):
                vector[place] = view.sent[place]
        return vector

    def _joints(self, values: Array, measured: Array) -> Array:
        match self._action.convention:
            case Convention.ABSOLUTE:
                return values
            case Convention.DELTA:
                return measured + np.cumsum(values, axis=0)
            case Convention.CHUNK_DELTA:
                return measured + values

    def _relative_joints(self, joints: Array, measured: Array) -> Array:
        match self._action.convention:
            case Convention.ABSOLUTE:
                return joints
            case Convention.DELTA:
                return np.diff(joints, axis=0, prepend=measured[None])
            case Convention.CHUNK_DELTA:
                return joints - measured

    def _follow(self, kinematics: ArmKinematics, vectors: Array, values: Array, view: StationView) -> None:
        """Put the joints of arms that are asked for poses into `vectors`, each step from the one before."""
        start = kinematics.poses(view.measured)
        before = start
        posture = view.measured
        for step, (vector, row) in enumerate(zip(vectors, values, strict=True)):
            targets: list[Array | None] = [None] * len(self._layout.arms)
            asked = before.copy()
            for place in self._poses:
                target = self._read(place, row[place.columns], before[place.row], step)
                check_near(target, start[place.row], place.arm, step)
                targets[place.row] = asked[place.row] = target
                vector[place.place] = posture[place.place]
            posture, _ = kinematics.reach(vector.copy(), targets)
            reached = kinematics.poses(posture)
            for place in self._poses:
                check_reached(
                    asked[place.row],
                    reached[place.row],
                    place.arm,
                    step,
                    position_m=self._position_m,
                    rotation_rad=self._rotation_rad,
                )
                vector[place.place] = posture[place.place]
            if self._action.convention is Convention.DELTA:
                before = asked

    def _read(self, place: PartPlace, values: Array, before: Array, step: int) -> Array:
        """`world_T_ee` that an action asks for; `before` is what relative ones count from."""
        try:
            given = read_pose(values, self._action.rotation)
        except ValueError as error:
            what = f"The policy's action {step} makes no pose of arm {place.arm!r}"
            raise PolicyError(what, why=str(error)) from error
        if self._action.convention is not Convention.ABSOLUTE:
            given = moved(self._framed(place, before), given, own_axes=self._own_axes)
        return self._bases.to_world(place.row, given) if self._based else given

    def _written(self, place: PartPlace, before: Array, now: Array) -> Array:
        """Channels that mean the pose `now`, `world_T_ee`; the inverse of `_read`."""
        pose = self._framed(place, now)
        if self._action.convention is not Convention.ABSOLUTE:
            pose = motion(self._framed(place, before), pose, own_axes=self._own_axes)
        return write_pose(pose, self._action.rotation)

    def _framed(self, place: PartPlace, world_T_ee: Array) -> Array:
        return self._bases.to_base(place.row, world_T_ee) if self._based else world_T_ee
