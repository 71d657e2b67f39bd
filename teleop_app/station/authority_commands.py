"""Commands of the control process that say who drives; see docs of each for what they refuse."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from teleop_app.control.loop import ControlLoop
from teleop_app.core.clock import Clock
from teleop_app.core.errors import StationError
from teleop_app.core.types import AuthorityMode


class AuthorityDesk:
    """Takes what comes over the wire apart and hands it to the loop.

    Args:
        loop: The control loop.
        clock: The station's clock.
    """

    def __init__(self, loop: ControlLoop, clock: Clock) -> None:
        self._loop = loop
        self._clock = clock

    @property
    def commands(self) -> Mapping[str, Callable[..., dict[str, Any]]]:
        """By name; each answers with the authority's status."""
        return {
            "authority": self.authority,
            "resume": self.resume,
            "pause": self.pause,
            "rewind": self.rewind,
            "set_blend": self.set_blend,
            "set_policy_speed": self.set_policy_speed,
            "takeover_reason": self.takeover_reason,
            "mark_phase": self.mark_phase,
        }

    def authority(self, mode: str) -> dict[str, Any]:
        """What a policy may do: `manual`, `supervised`, `blended`, `corrective`, `paused`.

        Raises:
            StationError: There is no such mode, or the robot cannot be moved now.
        """
        try:
            wanted = AuthorityMode(mode)
        except ValueError as error:
            known = ", ".join(each.value for each in AuthorityMode)
            raise StationError(f"There is no mode {mode!r}", next_step=f"Choose one of: {known}") from error
        self._loop.authority.set_mode(wanted, self._clock.now_ns())
        return self.status()

    def resume(self) -> dict[str, Any]:
        """The policy goes on; whoever is engaged lets go.

        Raises:
            StationError: The mode is manual, or the robot cannot be moved now.
        """
        self._loop.authority.resume(self._clock.now_ns())
        return self.status()

    def pause(self) -> dict[str, Any]:
        """The arms hold until the policy is resumed or somebody engages.

        Raises:
            StationError: The mode is manual.
        """
        self._loop.authority.pause(self._clock.now_ns())
        return self.status()

    def rewind(self, seconds: float | None = None) -> dict[str, Any]:
        """Go back along the path that the robot came, for as much as the station file says without `seconds`.

        Raises:
            StationError: An input drives, something else moves the arms, or there is no path.
        """
        wanted = None if seconds is None else _number("seconds", seconds)
        self._loop.authority.rewind(wanted, self._clock.now_ns())
        return self.status()

    def set_blend(self, alpha: float) -> dict[str, Any]:
        """Weight of the policy in blended mode, 0..1.

        Raises:
            StationError: It is out of range.
        """
        self._loop.policy.set_blend(_number("alpha", alpha))
        return self.status()

    def set_policy_speed(self, speed: float) -> dict[str, Any]:
        """Share of full speed at which the policy drives, 0.05..1.

        Raises:
            StationError: It is out of range.
        """
        self._loop.policy.set_speed(_number("speed", speed))
        return self.status()

    def takeover_reason(self, reason: str, takeover: int = 0) -> dict[str, Any]:
        """Note why a person took over; 0 for the last time.

        Raises:
            StationError: There is no such reason or takeover.
        """
        number = int(_number("takeover", takeover))
        self._loop.policy.explain(str(reason), number, self._clock.now_ns())
        return self.status()

    def mark_phase(self, phase: str) -> dict[str, Any]:
        """Say whether the person who took over recovers or corrects from now on: `recover`, `correct`.

        Raises:
            StationError: There is no such phase, or nobody has taken over.
        """
        self._loop.policy.mark(str(phase), self._clock.now_ns())
        return self.status()

    def status(self) -> dict[str, Any]:
        """`mode`, `phase`, `takeover`, `speed`, `blend` and, while the arms hold, why."""
        return dict(self._loop.policy.status())


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise StationError(f"{name} must be a number, not {value!r:.60}")
    return float(value)
