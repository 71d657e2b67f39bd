"""A pedal as the clutch of a leader arm."""

import numpy as np

from devices.leaders.pedal_clutch import PedalClutch
from devices.leaders.servo_leader import ServoLeader
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.types import Actor, ControlState, ControlTick, InputSample

MS = NS_PER_S // 1000


def sample(at_ms: int, *buttons: str, source: str = "foot") -> InputSample:
    return InputSample(source, Actor.HUMAN, at_ms, at_ms * MS, {}, buttons)


def test_edges_are_told_once_and_by_arm() -> None:
    pedals = PedalClutch()
    assert pedals.see(sample(0), 0) == []
    assert pedals.see(sample(1, "engage", "record"), 1) == [(True, "")]
    assert pedals.see(sample(2, "engage", "engage:left"), 2) == [(True, "left")]
    assert pedals.see(sample(3, "engage:left"), 3) == [(False, "")]
    assert pedals.see(sample(4), 4) == [(False, "left")]


def test_a_pedal_that_falls_silent_has_let_go() -> None:
    pedals = PedalClutch()
    pedals.see(sample(0, "engage"), 0)
    assert pedals.expire(400 * MS) == []
    assert pedals.expire(600 * MS) == [(False, "")]
    assert pedals.expire(900 * MS) == []


def test_two_pedals_do_not_mix() -> None:
    pedals = PedalClutch()
    pedals.see(sample(0, "engage:left"), 0)
    assert pedals.see(sample(0, "engage:right", source="other"), 0) == [(True, "right")]
    assert pedals.see(sample(1), 1 * MS) == [(False, "left")]


class _Place:
    def __init__(self, arm: str) -> None:
        self.arm = arm


class _Arm:
    """FAKE: an arm that notes what its clutch was told."""

    def __init__(self, name: str) -> None:
        self.place = _Place(name)
        self.told: list[bool] = []

    def observe(self, tick: ControlTick) -> None: ...

    def engage(self, on: bool) -> None:
        self.told.append(on)


def test_a_leader_obeys_the_pedal_not_itself() -> None:
    left, right = _Arm("left"), _Arm("right")
    leader = ServoLeader("lead", [left, right], None)  # type: ignore[arg-type,list-item]
    assert set(leader.topics) == {"tick", "input"}
    leader.observe(sample(0, "engage:left"))
    leader.observe(sample(1, "engage", source="lead"))
    assert (left.told, right.told) == ([True], [])
    leader.observe(sample(2))
    assert left.told == [True, False]
    leader.observe(sample(3, "engage"))
    none = np.zeros(0)
    leader.observe(
        ControlTick(
            0,
            2 * NS_PER_S,
            0,
            ControlState.IDLE,
            Actor.NONE,
            "",
            (),
            0,
            none,
            none,
            None,
            none,
            none,
            0,
            none,
            none,
            none,
            0,
            0,
        )
    )
    assert (left.told, right.told) == ([True, False, True, False], [True, False])
