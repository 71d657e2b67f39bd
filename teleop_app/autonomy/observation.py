"""Builds what a policy is given from what the station sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from teleop_app.autonomy.end_effectors import Bases, write_pose
from teleop_app.autonomy.normalise import Normaliser
from teleop_app.autonomy.parts import PartPlace, places, width_of
from teleop_app.autonomy.pictures import fitted
from teleop_app.autonomy.policy_file import PolicyFile
from teleop_app.autonomy.policy_sections import StateInput
from teleop_app.autonomy.view import ArmKinematics, CellLayout, StationView
from teleop_app.core.clock import NS_PER_MS
from teleop_app.core.errors import PolicyError
from teleop_app.core.geometry import Array

MAX_PICTURE_AGE_MS = 1000.0
"""A picture that lies further behind the newest thing seen is of another situation."""


class ObservationBuilder:
    """Lays out observations as a policy file asks. One thread.

    Args:
        policy: Its file.
        layout: Of the station.
        kinematics: For end-effector poses; None where the station has none.
        max_picture_age_ms: Older pictures are refused.

    Raises:
        PolicyError: The station lacks an arm, a camera or what a pose needs.
    """

    def __init__(
        self,
        policy: PolicyFile,
        layout: CellLayout,
        kinematics: ArmKinematics | None,
        *,
        max_picture_age_ms: float = MAX_PICTURE_AGE_MS,
    ) -> None:
        wanted = policy.observation
        for image in wanted.images:
            if image.camera not in layout.cameras:
                raise PolicyError(
                    f"The policy file asks for camera {image.camera!r}, which this station does not have",
                    next_step=f"Its cameras are {', '.join(layout.cameras) or 'none'}",
                )
        self._section = wanted
        self._max_age_ns = int(max_picture_age_ms * NS_PER_MS)
        self._states = [_State(state, layout, kinematics) for state in wanted.states]
        self._poses = (
            kinematics.poses if any(state.has_poses for state in self._states) and kinematics else None
        )
        fields = {
            "embodiment": layout.embodiment,
            "rate_hz": f"{policy.rate_hz:g}",
            "horizon": policy.horizon,
        }
        self._prompt: Callable[[str], str] = lambda instruction: wanted.template.format(
            instruction=instruction, **fields
        )

    def build(self, view: StationView, now_ns: int | None = None) -> dict[str, Any]:
        """The observation: arrays and strings by key, in maps in maps if the file says so.

        Args:
            view: What the station sees.
            now_ns: That pictures' ages are counted from; None for the newest thing in the view.

        Raises:
            PolicyError: A picture or the truth is missing, a picture too old, or a measured value no number.
        """
        flat: dict[str, Any] = {}
        self._check_pictures(view, now_ns)
        for image in self._section.images:
            flat[image.key] = fitted(view.cameras[image.camera].picture, image)
        if self._states and not (
            np.isfinite(view.measured).all() and np.isfinite(view.measured_velocity).all()
        ):
            raise PolicyError("The robot reports joint positions or velocities that are not numbers")
        poses = None if self._poses is None else self._poses(view.measured)
        for state in self._states:
            flat[state.key] = state.values(view, poses)
        if self._section.prompt:
            flat[self._section.prompt] = self._prompt(view.instruction)
        if self._section.task:
            flat[self._section.task] = view.task
        if self._section.truth:
            if not view.truth:
                raise PolicyError(
                    "The policy cannot be told where the objects are",
                    why="the simulation has not said so yet",
                    next_step="Wait a moment; if it stays so, prepare the scene again",
                )
            flat[self._section.truth] = {
                name: np.array(pose, dtype=np.float64) for name, pose in view.truth.items()
            }
        return _nested(flat) if self._section.nested else flat

    def oldest_ns(self, view: StationView) -> int:
        """Capture time of the oldest part that the policy is given, host clock; missing pictures left out."""
        used = {image.camera for image in self._section.images}
        return min([view.capture_ns, *(view.cameras[name].capture_ns for name in used & view.cameras.keys())])

    def _check_pictures(self, view: StationView, now_ns: int | None) -> None:
        if now_ns is None:
            now_ns = max([view.capture_ns, *(camera.capture_ns for camera in view.cameras.values())])
        for image in self._section.images:
            seen = view.cameras.get(image.camera)
            if seen is None:
                raise PolicyError(
                    f"Camera {image.camera!r} has given no picture yet",
                    why=f"the policy needs it as {image.key}",
                    next_step="Check the camera on the Devices page",
                )
            age_ns = now_ns - seen.capture_ns
            if age_ns > self._max_age_ns:
                raise PolicyError(
                    f"The newest picture of camera {image.camera!r} is {age_ns / NS_PER_MS:.0f} ms old "
                    f"(limit {self._max_age_ns / NS_PER_MS:.0f} ms)",
                    next_step="Check the camera on the Devices page",
                )


class _State:
    """One array of numbers of an observation."""

    def __init__(self, state: StateInput, layout: CellLayout, kinematics: ArmKinematics | None) -> None:
        self.key = state.key
        self._state = state
        self._places = places(state, layout)
        self._normaliser = Normaliser(state.statistics)
        self._used = width_of(state, layout)
        self._width = state.width or self._used
        self._bases = Bases(layout.base_poses)
        self.has_poses = any(place.what == "ee" for place in self._places)
        if self.has_poses and kinematics is None:
            raise PolicyError("The policy sees tool poses, but this station has no robot model to tell them")

    def values(self, view: StationView, poses: Array | None) -> np.ndarray:
        """Float32, shape (width,)."""
        out = np.zeros(self._width)
        for place in self._places:
            out[place.columns] = self._part(place, view, poses)
        out[: self._used] = self._normaliser.apply(out[: self._used])
        return out.astype(np.float32)

    def _part(self, place: PartPlace, view: StationView, poses: Array | None) -> Array:
        if place.what == "ee" and poses is not None:
            pose = poses[place.row]
            if self._state.frame == "base":
                pose = self._bases.to_base(place.row, pose)
            return write_pose(pose, self._state.rotation)
        if place.what == "velocity":
            return view.measured_velocity[place.place]
        values = view.measured[place.place]
        if place.what == "gripper":
            return self._state.closed + values * (self._state.opened - self._state.closed)
        return values


def _nested(flat: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in flat.items():
        *levels, last = key.split("/")
        at = out
        for level in levels:
            at = at.setdefault(level, {})
        at[last] = value
    return out
