"""The lanes of a policy at work: what is kept of the last 20 seconds, and how it looks."""

import math
from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtGui import QImage

from teleop_app.core.types import (
    Actor,
    AuthorityMode,
    AutonomyPhase,
    AutonomyTick,
    PolicyChunk,
    PolicyState,
    PolicyStatus,
)
from ui import theme
from ui.viewmodels.supervision_history import ACTORS, BINS, PHASES, SPAN_S, SupervisionHistory
from ui.widgets.autonomy_strips import AutonomyStrips

SECOND = 1_000_000_000
START_NS = 10 * SECOND
PROPOSAL = np.zeros(14)


@pytest.fixture
def tick(make_tick):
    def make(at_s, phase=AutonomyPhase.POLICY, actor=Actor.POLICY, proposal=PROPOSAL):
        autonomy = AutonomyTick(AuthorityMode.SUPERVISED, phase, 0, 1.0, 1, 0.0, int(at_s * SECOND))
        return replace(
            make_tick(0, actor=actor),
            tick_ns=START_NS + int(at_s * SECOND),
            policy=proposal,
            autonomy=autonomy,
        )

    return make


def status(at_s: float, help_score: float = math.nan, uncertainty: float = math.nan) -> PolicyStatus:
    at_ns = START_NS + int(at_s * SECOND)
    return PolicyStatus(PolicyState.RUNNING, at_ns, help=help_score, uncertainty=uncertainty)


def answer(at_s: float, latency_s: float, steps: int = 50) -> PolicyChunk:
    at_ns = START_NS + int(at_s * SECOND)
    return PolicyChunk(
        "p",
        "v",
        1,
        0,
        at_ns,
        0,
        SECOND // 50,
        np.zeros((steps, 14)),
        ("left",),
        latency_ns=int(latency_s * SECOND),
    )


def test_who_drove_moves_to_the_left_and_out(tick):
    history = SupervisionHistory()
    history.add_tick(tick(0.0, AutonomyPhase.CORRECT, Actor.HUMAN))
    history.add_tick(tick(5.0))
    assert ACTORS[history.actor[-1]] is Actor.POLICY
    index = BINS - 1 - round(5.0 / SPAN_S * BINS)
    assert ACTORS[history.actor[index]] is Actor.HUMAN
    assert PHASES[history.phase[index]] is AutonomyPhase.CORRECT
    history.add_tick(tick(26.0))
    assert Actor.HUMAN not in {ACTORS[each] for each in history.actor}


def test_starvation_is_a_hold_that_began_without_a_proposal(tick):
    history = SupervisionHistory()
    history.add_tick(tick(0.0))
    for at_s in (0.1, 0.2, 0.3):
        history.add_tick(tick(at_s, AutonomyPhase.HOLD, Actor.NONE, None))
    assert history.starved.sum() == 3
    history.add_tick(tick(0.4))
    assert history.starved.sum() == 3


def test_waiting_for_a_person_is_no_starvation(tick):
    history = SupervisionHistory()
    history.add_tick(tick(0.0))
    history.add_tick(tick(0.1, AutonomyPhase.HOLD, Actor.NONE))  # it asked for help, and could go on
    history.add_tick(tick(0.2, AutonomyPhase.HOLD, Actor.NONE, None))
    history.add_tick(tick(0.3, AutonomyPhase.CORRECT, Actor.HUMAN, None))
    history.add_tick(tick(0.4, AutonomyPhase.HOLD, Actor.NONE, None))
    history.add_tick(tick(0.5, AutonomyPhase.RETURN, Actor.NONE, None))
    assert history.starved.sum() == 0


def test_a_score_that_stays_high_is_one_call_for_help(tick):
    history = SupervisionHistory()
    history.add_tick(tick(0.0))
    for step, score in enumerate((0.4, 1.1, 1.3, 1.2, 0.5, math.nan)):
        history.add_status(status(0.2 * step, score))
    assert history.help.sum() == 1
    history.add_help(START_NS + int(0.3 * SECOND))  # the same one as an event
    assert history.help.sum() == 1
    history.add_status(status(3.0, 1.5))
    assert history.help.sum() == 2


def test_within_a_bin_the_greatest_doubt_is_kept():
    history = SupervisionHistory()
    history.add_status(status(0.0, 0.9, 0.02))
    history.add_status(status(0.01, 0.2, math.nan))
    assert history.doubt[-1] == 0.9 and history.uncertainty[-1] == 0.02


def test_an_answer_that_takes_longer_than_it_lasts_is_late(tick):
    history = SupervisionHistory()
    history.add_chunk(answer(0.0, 0.1))
    history.add_chunk(answer(0.5, 1.2))
    history.add_chunk(answer(0.6, 0.1, steps=0))
    history.add_tick(tick(1.0))
    assert [each.late for each in history.answers] == [False, True]
    history.add_tick(tick(20.2))
    assert len(history.answers) == 1


def test_a_station_with_another_clock_begins_anew(tick):
    history = SupervisionHistory()
    history.add_tick(tick(100.0))
    history.add_tick(replace(tick(0.0), tick_ns=START_NS))
    assert history.now_ns == START_NS and ACTORS[history.actor[-1]] is Actor.POLICY


@pytest.fixture
def strips(qtbot):
    strips = AutonomyStrips()
    qtbot.addWidget(strips)
    strips.resize(900, strips.height())
    return strips


def colors_of(strips, top: int, bottom: int) -> set[str]:
    image = strips.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    pixels = np.frombuffer(bits, np.uint32).reshape(image.height(), -1)[top:bottom, 70 : image.width() - 150]
    return {f"#{value & 0xFFFFFF:06X}" for value in np.unique(pixels).tolist()}


def test_each_driver_has_its_colour(strips, tick):
    t = theme.tokens()
    strips.add_tick(tick(0.0))
    lane = (7, 25)
    assert t.human.upper() not in colors_of(strips, *lane)
    strips.history.actor[100:200] = ACTORS.index(Actor.HUMAN)
    strips.history.actor[200:300] = ACTORS.index(Actor.POLICY)
    assert {t.human.upper(), t.policy.upper()} <= colors_of(strips, *lane)


def test_doubt_above_the_line_is_red_and_said(strips, tick):
    fault = theme.tokens().fault.upper()
    lane = (31, 38)  # above the line
    strips.add_tick(tick(0.0))
    strips.set_status(status(0.0, 0.6))
    strips.add_tick(tick(5.0))
    assert fault not in colors_of(strips, *lane)
    strips.set_status(status(5.0, 1.3))
    strips.add_tick(tick(9.0))
    assert fault in colors_of(strips, *lane)


def test_starvation_and_late_answers_are_red(strips, tick):
    fault = theme.tokens().fault.upper()
    strips.add_tick(tick(0.0))
    strips.add_chunk(answer(0.0, 0.1))
    strips.add_tick(tick(5.0))
    assert fault not in colors_of(strips, 68, strips.height() - 1)
    strips.add_tick(tick(5.1, AutonomyPhase.HOLD, Actor.NONE, None))
    strips.add_tick(tick(8.0))
    assert fault in colors_of(strips, 104, strips.height() - 1)
    assert fault not in colors_of(strips, 68, 98)
    strips.add_chunk(answer(8.0, 1.5))
    strips.add_tick(tick(10.0))
    assert fault in colors_of(strips, 68, 98)


def test_it_draws_only_while_it_is_seen_and_says_what_will_be_here(strips, tick, qtbot):
    assert not strips.running
    empty = strips.grab().toImage()
    strips.show()
    qtbot.waitUntil(strips.isVisible)
    assert strips.running
    strips.hide()
    assert not strips.running
    strips.add_tick(tick(0.0))
    assert strips.grab().toImage() != empty
    strips.clear()
    assert strips.grab().toImage() == empty


def test_without_a_judge_of_help_the_raw_spread_is_drawn(strips, tick):
    strips.add_tick(tick(0.0))
    plain = strips.grab().toImage()
    strips.set_status(status(0.0, math.nan, 0.03))
    strips.add_tick(tick(4.0))
    assert strips.grab().toImage() != plain
