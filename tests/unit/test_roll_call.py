from __future__ import annotations

from collections.abc import Sequence

import pytest

from devices.servos.packets import Status
from devices.servos.roll_call import RollCall
from teleop_app.core.clock import FakeClock

ALL = (1, 2, 3, 4, 5)
OK = Status(0, b"")


class Line:
    """Servos of which some are silent, and what they were asked."""

    def __init__(self, *, chained: bool) -> None:
        self.silent: set[int] = set()
        self.chained = chained
        self.damaged = 0
        self.damage_next: set[int] = set()
        self.asked: list[list[int]] = []
        self.clock = FakeClock()
        self.roll = RollCall(self.clock, lambda: self.damaged)

    def ask(self, servos: Sequence[int], number: int) -> dict[int, Status]:
        self.asked.append(list(servos))
        found: dict[int, Status] = {}
        for servo in servos:
            if servo in self.silent:
                if self.chained:
                    break
            elif servo in self.damage_next:
                self.damage_next.discard(servo)
                self.damaged += 1
            else:
                found[servo] = OK
        return found

    def cycle(self) -> tuple[set[int], int]:
        """Who did not answer, and how many questions it took."""
        before = len(self.asked)
        return set(ALL) - set(self.roll.call(ALL, self.ask)), len(self.asked) - before


@pytest.mark.parametrize("chained", [False, True])
@pytest.mark.parametrize("silent", ALL)
def test_one_silent_servo_costs_nobody_else_an_answer(chained: bool, silent: int) -> None:
    line = Line(chained=chained)
    assert line.cycle() == (set(), 1)
    line.silent = {silent}
    missing, questions = line.cycle()
    assert missing == {silent}
    assert questions <= 2
    assert line.cycle() == ({silent}, 1)
    assert silent not in line.asked[-1]


@pytest.mark.parametrize("chained", [False, True])
def test_all_others_are_heard_beside_two_silent_ones_from_the_second_cycle_on(chained: bool) -> None:
    line = Line(chained=chained)
    line.silent = {2, 4}
    missing, questions = line.cycle()
    assert missing == {2, 4}
    assert questions <= 3
    line.cycle()
    assert line.cycle() == ({2, 4}, 1)


def test_a_silent_servo_is_asked_again_alone_and_less_and_less_often_until_it_answers() -> None:
    line = Line(chained=True)
    line.silent = {3}
    line.cycle()
    visits = []
    for tick in range(1, 801):
        line.clock.advance(0.01)
        line.cycle()
        if line.asked[-1] == [3]:
            visits.append(tick)
    assert visits == [50, 150, 350, 550, 750]
    line.silent.clear()
    for _ in range(200):
        line.clock.advance(0.01)
        missing, _ = line.cycle()
    assert not missing


def test_a_damaged_answer_is_asked_for_at_once_and_held_against_nobody() -> None:
    line = Line(chained=False)
    line.damage_next = {2}
    assert line.cycle() == (set(), 2)
    assert line.asked == [list(ALL), [2]]
    assert line.cycle() == (set(), 1)
    assert line.roll.silences == 0


def test_when_everybody_is_silent_everybody_is_asked_again_each_cycle() -> None:
    line = Line(chained=True)
    line.silent = set(ALL)
    for _ in range(3):
        missing, questions = line.cycle()
        assert missing == set(ALL)
        assert questions <= 4
    line.silent.clear()
    line.cycle()
    line.clock.advance(3.0)
    for _ in range(5):
        missing, _ = line.cycle()
    assert not missing
