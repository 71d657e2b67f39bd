"""Who is asked, in which order, and how often again, so that a silent servo does not hold up the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from devices.servos.packets import Status
from teleop_app.core.clock import NS_PER_MS, Clock

QUESTIONS = 3
FIRST_PAUSE_NS = 500 * NS_PER_MS
LONGEST_PAUSE_NS = 4 * FIRST_PAUSE_NS

Ask = Callable[[Sequence[int], int], Mapping[int, Status]]


class RollCall:
    """Asks servos for their states: at most `QUESTIONS` questions a cycle and one more for a silent servo.

    In a sync read each servo answers after the one before it. Where one is silent, those behind it are silent
    too or not, depending on maker and firmware; either way the host waits one time-out. So whoever was the
    first not to answer is asked last in the next question of the cycle, and the others get their say. Who
    stays silent is left out for half a second, then asked alone at the end of a cycle, and after each vain
    try left out twice as long, up to two seconds. An answer that came damaged is asked for again at once and
    held against nobody.

    Args:
        clock: The station's clock.
        damaged: How many damaged answers there were so far.
    """

    def __init__(self, clock: Clock, damaged: Callable[[], int]) -> None:
        self.silences = 0
        self._clock = clock
        self._damaged = damaged
        self._out: dict[int, tuple[int, int]] = {}

    def forget(self) -> None:
        """Hold nothing against anybody."""
        self._out.clear()

    def call(self, servos: Sequence[int], ask: Ask) -> dict[int, Status]:
        """States of those who answer.

        Args:
            servos: Who is wanted.
            ask: Puts a question to some of them; gets its number within the cycle.
        """
        order = [servo for servo in servos if servo not in self._out]
        if not order:
            self._out.clear()
            order = list(servos)
        answers, silent = self._question(order, ask)
        for servo in silent:
            self._leave_out(servo, FIRST_PAUSE_NS)
        self._visit(servos, ask, answers)
        return answers

    def _question(self, order: list[int], ask: Ask) -> tuple[dict[int, Status], set[int]]:
        answers: dict[int, Status] = {}
        silent: set[int] = set()
        for number in range(QUESTIONS):
            damaged = self._damaged()
            answers.update(ask(order, number))
            order = [servo for servo in order if servo not in answers]
            if order and self._damaged() == damaged:
                silent.add(order[0])
            if set(order) <= silent:
                break
            order = [*order[1:], order[0]]
        return answers, silent.intersection(order)

    def _visit(self, servos: Sequence[int], ask: Ask, answers: dict[int, Status]) -> None:
        now_ns = self._clock.now_ns()
        due = [servo for servo in servos if servo in self._out and self._out[servo][0] <= now_ns]
        if not due:
            return
        servo = min(due, key=lambda one: self._out[one][0])
        found = ask([servo], QUESTIONS)
        if servo in found:
            answers[servo] = found[servo]
            del self._out[servo]
        else:
            self._leave_out(servo, min(2 * self._out[servo][1], LONGEST_PAUSE_NS))

    def _leave_out(self, servo: int, pause_ns: int) -> None:
        self.silences += 1
        self._out[servo] = (self._clock.now_ns() + pause_ns, pause_ns)
