"""Commands that say who drives: modes, resume, pause, rewind."""

from __future__ import annotations

from typing import Protocol

from teleop_app.control.executed_path import KEPT_S, ExecutedPath
from teleop_app.control.motions import Motions
from teleop_app.control.policy_drive import PolicyDrive
from teleop_app.core.config import AutonomySection
from teleop_app.core.errors import StationError
from teleop_app.core.types import AuthorityMode


class Inputs(Protocol):
    """What these commands need to know of, and do to, the inputs."""

    @property
    def is_driven(self) -> bool:
        """Whether an input drives."""
        ...

    def refuse_unless_ready(self, refusal: str) -> None:
        """Nothing may be moved while the e-stop is latched or a follower is lost.

        Raises:
            StationError: It is so; `refusal` is its beginning.
        """
        ...

    def let_go(self, now_ns: int, why: str) -> None:
        """Whoever is engaged lets go, and motions by command end."""
        ...


class AuthorityCommands:
    """See the module. Called between ticks.

    Args:
        path: That the robot came.
        motions: By command.
        policy: At the loop.
        inputs: Of people.
        config: Section of the station file.
    """

    def __init__(
        self,
        path: ExecutedPath,
        motions: Motions,
        policy: PolicyDrive,
        inputs: Inputs,
        config: AutonomySection,
    ) -> None:
        self._path = path
        self._motions = motions
        self._policy = policy
        self._inputs = inputs
        self._config = config

    def set_mode(self, mode: AuthorityMode, now_ns: int) -> None:
        """Say what a policy may do. At a change whoever is engaged lets go, and motions by command end.

        Raises:
            StationError: A policy shall drive while the e-stop is latched or a follower is lost.
        """
        if mode is self._policy.mode:
            return
        if mode not in (AuthorityMode.MANUAL, AuthorityMode.PAUSED):
            self._inputs.refuse_unless_ready("A policy cannot drive now")
        self._inputs.let_go(now_ns, "the mode was changed")
        self._policy.set_mode(mode, now_ns)

    def resume(self, now_ns: int) -> None:
        """The policy goes on; whoever is engaged lets go.

        Raises:
            StationError: The mode is manual, the e-stop is latched, or a follower is lost.
        """
        self._inputs.refuse_unless_ready("The policy cannot go on now")
        if self._policy.mode is not AuthorityMode.MANUAL:
            self._inputs.let_go(now_ns, "the policy goes on")
        self._policy.resume(now_ns)

    def pause(self, now_ns: int) -> None:
        """The arms hold until the policy is resumed or somebody engages.

        Raises:
            StationError: The mode is manual.
        """
        if self._policy.mode is AuthorityMode.MANUAL:
            raise StationError("There is no policy to pause", why="the mode is manual")
        self.set_mode(AuthorityMode.PAUSED, now_ns)

    def rewind(self, seconds: float | None, now_ns: int) -> None:
        """Go back along the path that the robot came.

        Args:
            seconds: How much of its motion; None for what the station file says.
            now_ns: Now.

        Raises:
            StationError: A person drives, the arms move by another command, or there is no path.
        """
        refusal = "The robot cannot go back now"
        self._inputs.refuse_unless_ready(refusal)
        if self._inputs.is_driven:
            raise StationError(refusal, why="an input drives it", next_step="Release it first")
        if self._motions.name:
            raise StationError(refusal, why=f"the motion '{self._motions.name}' goes on")
        wanted = self._config.rewind_s if seconds is None else seconds
        if not 0.0 < wanted <= KEPT_S:
            raise StationError(refusal, why=f"{wanted:g} s is not between 0 and {KEPT_S:g} s")
        if not self._path.seconds:
            raise StationError(refusal, why="it has not moved since it was started or stopped")
        self._motions.start_rewind(self._path, wanted, self._config, now_ns)
        self._policy.begin_rewind(min(wanted, self._path.seconds), now_ns)
