"""The sample pump: a busy window keeps the robot, a frozen one stops it, a release is never overtaken."""

import threading

import numpy as np
import pytest

from teleop_app.core.clock import NS_PER_MS, FakeClock
from teleop_app.core.errors import BusError
from teleop_app.core.types import Actor, ArmInput, InputSample
from ui.sample_pump import ALIVE_NS, PERIOD_NS, SamplePump


def sample(clutch: bool, seq: int = 1) -> InputSample:
    arm = ArmInput(clutch=clutch, twist=np.array([0.1, 0, 0, 0, 0, 0]) if clutch else None)
    return InputSample("keyboard", Actor.HUMAN, seq, 0, {"left": arm})


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def sent():
    return []


@pytest.fixture
def pump(sent, clock):
    return SamplePump(sent.append, clock)


def run(pump, clock, seconds):
    """Let the pump's thread live for a while, on the fake clock."""
    end_ns = clock.now_ns() + round(seconds * 1e9)
    while (wait_s := pump.turn()) is not None and clock.now_ns() < end_ns:
        clock.advance(wait_s)
    clock.sleep_until(end_ns)


def test_a_busy_window_goes_on_driving_at_60_hz_with_fresh_stamps(pump, sent, clock):
    pump.offer(sample(clutch=True))
    run(pump, clock, 0.15)
    assert len(sent) == pytest.approx(10, abs=1)
    assert [s.seq for s in sent] == list(range(1, len(sent) + 1))
    gaps_ns = np.diff([s.capture_ns for s in sent])
    assert gaps_ns.min() >= PERIOD_NS
    assert gaps_ns.max() < 20 * NS_PER_MS
    assert all(np.array_equal(s.arms["left"].twist, sent[0].arms["left"].twist) for s in sent)


def test_a_frozen_window_sends_nothing_after_300_ms(pump, sent, clock):
    offered_ns = clock.now_ns()
    pump.offer(sample(clutch=True))
    run(pump, clock, 2.0)
    assert sent[-1].capture_ns - offered_ns <= ALIVE_NS
    assert sent[-1].capture_ns - offered_ns > ALIVE_NS - 2 * PERIOD_NS
    assert pump.turn() is None


def test_a_window_that_comes_back_drives_on(pump, sent, clock):
    pump.offer(sample(clutch=True))
    run(pump, clock, 1.0)
    before = len(sent)
    pump.offer(sample(clutch=True, seq=2))
    run(pump, clock, 0.1)
    assert len(sent) > before + 4
    assert [s.seq for s in sent] == list(range(1, len(sent) + 1))


def test_a_release_goes_out_at_once_and_is_the_last_word(pump, sent, clock):
    pump.offer(sample(clutch=True))
    run(pump, clock, 0.05)
    pump.offer(sample(clutch=False))
    assert not sent[-1].arms["left"].clutch
    before = len(sent)
    run(pump, clock, 1.0)
    assert len(sent) == before


def test_a_window_that_offers_in_time_needs_no_repeats(pump, sent, clock):
    for _ in range(20):
        pump.offer(sample(clutch=True))
        clock.advance(PERIOD_NS / 2e9)
        assert pump.turn() is not None
        clock.advance(PERIOD_NS / 4e9)
    assert pump.repeats == 0
    assert len(sent) == 20


def test_what_cannot_be_sent_is_told_to_whoever_offers(clock):
    def refuse(_sample):
        raise BusError("The input cannot be sent")

    with pytest.raises(BusError):
        SamplePump(refuse, clock).offer(sample(clutch=True))


def test_the_thread_repeats_by_itself_and_ends(clock):
    repeated, sent = threading.Event(), []

    def take(value):
        sent.append(value)
        clock.advance(0.02)
        if len(sent) >= 3:
            repeated.set()

    pump = SamplePump(take, clock)
    pump.start()
    pump.offer(sample(clutch=True))
    assert repeated.wait(5.0)
    pump.stop()
    assert not any(thread.name == "sample-pump" for thread in threading.enumerate())
    before = len(sent)
    assert pump.turn() is None
    assert len(sent) == before
