"""What the supervisor needs of kinematics and followers; both are given to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

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
