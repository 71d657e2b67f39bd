"""Why arms are held, in sentences that also say how to go on."""

from __future__ import annotations

from teleop_app.core.config import SafetySection
from teleop_app.core.types import SafetyFlag
from teleop_app.safety.input_guard import ArmGuard
from teleop_app.safety.outcome import Intervention


class Holds:
    """Arms without good input: paused ones of this tick, and lost ones until somebody lets go.

    Args:
        safety: Section of the station file.
    """

    def __init__(self, safety: SafetySection) -> None:
        self._hold_ms = safety.stale_hold_ms
        self._release_ms = safety.stale_release_ms
        self._paused: list[str] = []
        self._lost: list[str] = []
        self._lost_text = ""
        self._lost_by: ArmGuard | None = None
        self._disabled = False

    def begin_tick(self) -> None:
        """Pauses are found anew every tick; a loss ends when its engage control is seen released."""
        self._paused = []
        if self._lost_by is not None and self._lost_by.released:
            self.forget()

    def pause(self, arm: str, source: str, age_ms: float) -> Intervention:
        """The arm's input is too old, but may come back."""
        left_s = max(0.0, self._release_ms - age_ms) / 1000.0
        self._paused.append(
            f"Arm '{arm}' is held: no good input from '{source}' since {age_ms:.0f} ms. "
            f"It goes on by itself if input returns within {left_s:.1f} s."
        )
        return self._stale(arm, source, age_ms)

    def lose(self, arm: str, source: str, age_ms: float, guard: ArmGuard) -> Intervention:
        """The arm's input stayed away; its clutch was released."""
        self._lost = list(dict.fromkeys([*self._lost, arm]))
        self._lost_by = guard
        self._lost_text = (
            f"{_arms(self._lost)} held: input from '{source}' was lost. "
            "Let go of the clutch, then engage again to resume."
        )
        return self._stale(arm, source, age_ms)

    def refuse(self, arm: str, why: str, guard: ArmGuard) -> None:
        """The arm's input does not fit the arm; its clutch was released."""
        self._lost_by = guard
        self._lost_text = f"Arm '{arm}' is held: {why}. Correct the input, then engage anew."

    def disable(self, why: str, source: str, guard: ArmGuard) -> None:
        """No person may move the robot now; the clutch that was held was released."""
        self._lost_by = guard
        self._disabled = True
        self._lost_text = (
            f"The arms are held: {why}. Hold it, then let go of the clutch of '{source}' and engage again."
        )

    def forget(self) -> None:
        """Somebody engaged, released, or the robot was stopped for another reason."""
        self._lost, self._lost_text, self._lost_by = [], "", None
        self._disabled = False

    @property
    def disabled(self) -> bool:
        """Whether the enabling device is why."""
        return self._disabled

    @property
    def lost(self) -> str:
        """Why a clutch was released for its person, as a sentence; empty when none was."""
        return self._lost_text

    @property
    def reason(self) -> str:
        """Sentences, empty when nothing is held."""
        return " ".join(self._paused) or self._lost_text

    def _stale(self, arm: str, source: str, age_ms: float) -> Intervention:
        text = f"No good input of '{source}' for arm '{arm}' since {age_ms:.0f} ms."
        return Intervention(SafetyFlag.STALE_INPUT, arm, text, (age_ms,), (self._hold_ms,))


def _arms(names: list[str]) -> str:
    quoted = " and ".join(f"'{name}'" for name in names)
    return f"Arm {quoted} is" if len(names) == 1 else f"Arms {quoted} are"
