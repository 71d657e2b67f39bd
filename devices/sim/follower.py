"""The simulated arms as a follower: joint targets and states through shared-memory rings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from devices.protocols import Array, FollowerState, Verification
from devices.sim.link import COMMAND_RING, STATE_RING, VectorReader, VectorWriter, unpack_state
from teleop_app.core.clock import Clock
from teleop_app.core.errors import DeviceError


class SimFollower:
    """Implements `devices.protocols.Follower`. No call blocks.

    Args:
        rings: Folder of the rings.
        joint_names: Joint vector of the cell.
        clock: Stamps the commands.
    """

    def __init__(self, rings: Path, joint_names: Sequence[str], clock: Clock) -> None:
        self._rings = rings
        self._names = tuple(joint_names)
        self._clock = clock
        self._states: VectorReader | None = None
        self._commands: VectorWriter | None = None
        self._sent = 0

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the joint vector, grippers included."""
        return self._names

    @property
    def verification(self) -> Verification:
        """A simulated robot."""
        return Verification.SIMULATED

    def connect(self) -> None:
        """Open the rings; the simulation may start later.

        Raises:
            DeviceError: The folder cannot be written.
        """
        if self._commands is not None:
            return
        try:
            self._rings.mkdir(parents=True, exist_ok=True)
            self._commands = VectorWriter(self._rings, COMMAND_RING, len(self._names))
        except OSError as error:
            raise DeviceError("The simulated arms cannot be commanded", why=str(error)) from error
        self._states = VectorReader(self._rings, STATE_RING)

    def read(self) -> FollowerState | None:
        """The newest state, None before the simulation's first.

        Raises:
            DeviceError: The state does not fit the joint vector.
        """
        newest = self._states.latest() if self._states is not None else None
        if newest is None:
            return None
        state = unpack_state(*newest)
        if state.position.shape != (len(self._names),):
            raise DeviceError(
                f"The simulation reports {state.position.size} joint values, not {len(self._names)}",
                next_step="Restart the station: its processes are of different versions",
            )
        return FollowerState(state.position, state.velocity, state.effort, state.capture_ns)

    def send(self, target: Array) -> None:
        """Put joint targets, shape (n,), into the command ring.

        Raises:
            DeviceError: Not connected, wrong shape, or not finite.
        """
        if self._commands is None:
            raise DeviceError("The simulated arms are not connected")
        if target.shape != (len(self._names),) or not np.isfinite(target).all():
            raise DeviceError(
                f"The simulated arms refused a target of shape {target.shape}",
                why=f"they take {len(self._names)} finite values",
            )
        self._sent += 1
        self._commands.write(target, self._clock.now_ns(), self._sent)

    def disconnect(self) -> None:
        """Close the rings; the arms hold their last target."""
        if self._commands is not None:
            self._commands.close()
            self._commands = None
        if self._states is not None:
            self._states.close()
            self._states = None
