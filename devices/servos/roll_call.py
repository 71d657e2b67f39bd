"""Who is asked, in which order, and how often again, so that a silent servo does not hold up the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from devices.servos.packets import Status
from teleop_app.core.clock import NS_PER_MS, Clock

QUESTIONS = 3
PARDON_NS = 500 * NS_PER_MS


class RollCall:
    """Asks servos for their states, at most `QUESTIONS` times a cycle.

    In a sync read each servo answers after the one before it. Where one is silent, those behind it are silent
    too or not, depending on maker and firmware; either way the host waits one time-out. So whoever was the
    first not to answer is asked last in the next question of the cycle, and the others get their say. A
    servo that stays silent through a cycle is left out for half a second, then asked again, last. A packet
    that is damaged on its way is thereby asked for again at once.
    """

    def __init__(self, clock: Clock) -> None:
        self.silences = 0
        self._clock = clock
        self._silent_until: dict[int, int] = {}

    def forget(self) -> None:
        """Hold nothing against anybody."""
        self._silent_until.clear()

    def call(
        self, servos: Sequence[int], ask: Callable[[Sequence[int]], Mapping[int, Status]]
    ) -> dict[int, Status]:
        """States of those who answer."""
        now_ns = self._clock.now_ns()
        out = {servo for servo in servos if self._silent_until.get(servo, 0) > now_ns}
        suspects = [servo for servo in servos if servo in self._silent_until and servo not in out]
        order = [servo for servo in servos if servo not in self._silent_until] + suspects
        if not order:
            order = list(servos)
        answers: dict[int, Status] = {}
        accused: set[int] = set(suspects)
        for question in range(QUESTIONS):
            answers.update(ask(order))
            order = [servo for servo in order if servo not in answers]
            if not order or (question and set(order) <= accused) or (answers and order == suspects):
                break
            accused.add(order[0])
            order = [*order[1:], order[0]]
        for servo in order:
            if servo in accused:
                self.silences += 1
                self._silent_until[servo] = self._clock.now_ns() + PARDON_NS
        for servo in answers:
            self._silent_until.pop(servo, None)
        return answers
