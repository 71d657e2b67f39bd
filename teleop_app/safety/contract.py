"""What the supervisor needs of kinematics and followers; both are given to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from teleop_app.core.geometry import Array


class Solution(Protocol):
    """What the supervisor reads of one step of inverse kinematics."""

    @property
    def q(self) -> Array:
        """Joint positions [rad] of all arms."""
        ...

    @property
    def position_error_m(self) -> Array:
        """Distance left to each arm's target, shape (arms,)."""
        ...

    @property
    def solved(self) -> bool:
        """Whether a solution was found."""
        ...


class Kinematics(Protocol):
    """Forward and inverse kinematics of the cell; vectors are all joints, grippers left out."""

    def poses(self, q: Array) -> Array:
        """`world_T_tcp` of every arm, shape (arms, 7)."""
        ...

    def solve(self, q: Array, targets: Sequence[Array | None]) -> Solution:
        """One tick from `q` towards the targets."""
        ...

    def set_posture_weight(self, weight: float) -> None:
        """How hard spare freedom is drawn to the home posture."""
        ...


class Nearness(Protocol):
    """Distances between the shapes of the cell at one posture."""

    @property
    def distance_m(self) -> Array:
        """Of every watched pair, shape (pairs,)."""
        ...

    @property
    def near(self) -> NDArray[np.intp]:
        """Indices of the pairs that are near, shape (k,)."""
        ...

    @property
    def gradient(self) -> Array:
        """Change of the near pairs' distances with each joint [m/rad], shape (k, joints)."""
        ...


class Shapes(Protocol):
    """The shapes of the cell that must not touch."""

    @property
    def names(self) -> tuple[tuple[str, str], ...]:
        """Bodies of every watched pair."""
        ...

    @property
    def home_m(self) -> Array:
        """Distance of every pair at home, shape (pairs,)."""
        ...

    @property
    def joints_of(self) -> Array:
        """Whether a joint moves a pair's bodies against each other, shape (pairs, joints), 0 or 1."""
        ...

    def at(self, q: Array) -> Nearness:
        """Distances and gradients for the joints of all arms."""
        ...

    def too_near(self, places: Array, within_m: float) -> Sequence[tuple[int, NDArray[np.intp], Array]]:
        """Which of some postures, shape (k, joints), bring which pairs nearer, and to what distances."""
        ...


class ArmSingularity(Protocol):
    """How far an arm is from a singularity."""

    @property
    def smallest(self) -> float:
        """Smallest singular value of its translational Jacobian [m/rad]."""
        ...

    @property
    def gradient(self) -> Array:
        """Its change with each joint of the arm, shape (n,)."""
        ...


class Singularities(Protocol):
    """Singularities of the cell's arms."""

    def at(self, q: Array, arms: Sequence[int], below: float) -> Sequence[ArmSingularity]:
        """The arms of these indices; gradients only for those whose value is smaller than `below`."""
        ...


class FollowerReading(Protocol):
    """What the supervisor reads of a follower's state (see `devices.protocols.FollowerState`)."""

    @property
    def position(self) -> Array:
        """Joint vector."""
        ...

    @property
    def velocity(self) -> Array:
        """Its velocity."""
        ...

    @property
    def effort(self) -> Array:
        """Its effort."""
        ...

    @property
    def capture_ns(self) -> int:
        """When it was so."""
        ...


class CommandedFollower(Protocol):
    """What the supervisor needs of a follower (a part of `devices.protocols.Follower`)."""

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of its joint vector."""
        ...

    def read(self) -> FollowerReading | None:
        """The newest state."""
        ...

    def send(self, target: Array) -> None:
        """Give joint targets to the device."""
        ...
