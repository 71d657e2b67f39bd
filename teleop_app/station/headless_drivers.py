"""Who drives when nobody sits at the window: the scripted operator, or a policy."""

from __future__ import annotations

import time
from typing import Final, Protocol

from teleop_app.core.errors import PolicyError
from teleop_app.core.types import AuthorityMode, PolicyState
from teleop_app.station.client import StationClient

_CHOOSE_TIMEOUT_S: Final = 60.0
_POLL_S: Final = 0.1


class HeadlessDriver(Protocol):
    """Drives the attempts of a collection."""

    def open(self) -> None:
        """Get ready, once, before the first attempt. Blocks.

        Raises:
            TeleopError: It cannot drive this station.
        """
        ...

    def arm(self) -> None:
        """The next recording is about to start."""
        ...

    def go(self) -> None:
        """The recording runs: drive."""
        ...

    def carry_on(self) -> None:
        """It waits for somebody to help it, and nobody will."""
        ...

    def halt(self) -> None:
        """Let go of the robot. May be called twice."""
        ...


class HeadlessScript:
    """The scripted operator of the simulated cell.

    Args:
        client: Of the station.
    """

    def __init__(self, client: StationClient) -> None:
        self._client = client

    def open(self) -> None:
        """Nothing to do."""

    def arm(self) -> None:
        """It starts with the recording by itself."""
        self._client.call("operator", "go")

    def go(self) -> None:
        """It has started."""

    def carry_on(self) -> None:
        """It never waits."""

    def halt(self) -> None:
        """Let go."""
        self._client.call("operator", "halt")


class HeadlessPolicy:
    """A policy under nobody's supervision.

    Args:
        client: Of the station.
        policy: Name of its policy file.
    """

    def __init__(self, client: StationClient, policy: str) -> None:
        self._client = client
        self._policy = policy

    def open(self) -> None:
        """Choose the policy and wait until it is connected and checked.

        Raises:
            PolicyError: It cannot be reached, or does not fit the station.
        """
        self._client.call("policy", "choose", name=self._policy, timeout_s=10.0)
        deadline = time.monotonic() + _CHOOSE_TIMEOUT_S
        while time.monotonic() < deadline:
            status = self._client.call("policy", "status", timeout_s=10.0)
            state = PolicyState(str(status["state"]))
            wrong = [str(check["text"]) for check in status["checks"] if check["level"] == "mismatch"]
            if wrong:
                raise PolicyError(
                    f"The policy {self._policy!r} does not fit this station", why=" ".join(wrong)
                )
            if state is PolicyState.FAULT:
                raise PolicyError(
                    f"The policy {self._policy!r} cannot be used", why=str(status.get("text", ""))
                )
            if state in (PolicyState.READY, PolicyState.RUNNING):
                return
            time.sleep(_POLL_S)
        raise PolicyError(
            f"The policy {self._policy!r} was not ready within {_CHOOSE_TIMEOUT_S:g} s",
            next_step="See whether its server runs, with: teleop policy check",
        )

    def arm(self) -> None:
        """It is given the robot when the recording runs."""

    def go(self) -> None:
        """Give it the robot.

        Raises:
            StationError: Control refuses.
        """
        self._client.call("control", "authority", mode=AuthorityMode.SUPERVISED.value)

    def carry_on(self) -> None:
        """Give it the robot again.

        Raises:
            StationError: Control refuses.
        """
        self._client.call("control", "resume")

    def halt(self) -> None:
        """Take the robot from it."""
        self._client.call("control", "authority", mode=AuthorityMode.MANUAL.value)
