"""A follower that lives in another process: joint targets and states through shared-memory rings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from devices.followers.rings import VectorReader, VectorWriter, command_ring, state_ring, unpack_state
from devices.protocols import Array, FollowerState, Verification
from teleop_app.core.clock import Clock
from teleop_app.core.errors import DeviceError


def follower_link(arm: str) -> str:
    """Name of the rings of an arm's follower process."""
    return f"follower.{arm}"


class LinkedFollower:
    """Implements `devices.protocols.Follower`. No call blocks, whatever the other process does.

    A process that hangs or dies leaves its last state in the ring, whose age control judges.

    Args:
        rings: Folder of the rings.
        link: Their name.
        title: Of the follower, to begin a sentence with.
        joint_names: Joint vector.
        clock: Stamps the commands.
        verification: Of the driver behind the link.
    """

    def __init__(
        self,
        rings: Path,
        link: str,
        title: str,
        joint_names: Sequence[str],
        clock: Clock,
        verification: Verification,
    ) -> None:
        self._rings = rings
        self._link = link
        self._title = title
        self._names = tuple(joint_names)
        self._clock = clock
        self._verification = verification
        self._states: VectorReader | None = None
        self._commands: VectorWriter | None = None
        self._sent = 0

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the joint vector, grippers included."""
        return self._names

    @property
    def verification(self) -> Verification:
        """Of the driver behind the link."""
        return self._verification

    def connect(self) -> None:
        """Open the rings; the other process may start later.

        Raises:
            DeviceError: The folder cannot be written.
        """
        if self._commands is not None:
            return
        try:
            self._rings.mkdir(parents=True, exist_ok=True)
            self._commands = VectorWriter(self._rings, command_ring(self._link), len(self._names))
        except OSError as error:
            raise DeviceError(f"{self._title} cannot be commanded", why=str(error)) from error
        self._states = VectorReader(self._rings, state_ring(self._link))

    def read(self) -> FollowerState | None:
        """The newest state, None before the first.

        Raises:
            DeviceError: The state does not fit the joint vector.
        """
        newest = self._states.latest() if self._states is not None else None
        if newest is None:
            return None
        state = unpack_state(*newest)
        if state.position.shape != (len(self._names),):
            raise DeviceError(
                f"{self._title}: {state.position.size} joint values reported, not {len(self._names)}",
                next_step="Restart the station: its processes are of different versions",
            )
        return FollowerState(state.position, state.velocity, state.effort, state.capture_ns)

    def send(self, target: Array) -> None:
        """Put joint targets, shape (n,), into the command ring.

        Raises:
            DeviceError: Not connected, wrong shape, or not finite.
        """
        if self._commands is None:
            raise DeviceError(f"{self._title}: not connected")
        if target.shape != (len(self._names),) or not np.isfinite(target).all():
            raise DeviceError(
                f"{self._title}: refused a target of shape {target.shape}",
                why=f"{len(self._names)} finite values are taken",
            )
        self._sent += 1
        self._commands.write(target, self._clock.now_ns(), self._sent)

    def disconnect(self) -> None:
        """Close the rings; the follower holds when commands stop."""
        if self._commands is not None:
            self._commands.close()
            self._commands = None
        if self._states is not None:
            self._states.close()
            self._states = None
