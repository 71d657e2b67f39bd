"""A recorder that does not keep up says what that cost, stream by stream."""

from __future__ import annotations

from collections import Counter
from typing import cast

from recorders.ledger import NEVER_ARRIVED, Ledger
from teleop_app.core.clock import NS_PER_S
from teleop_app.station.recorder_feed import SampleFeed
from teleop_app.station.recorder_losses import DISK_TOO_SLOW, NO_ROOM, STALL_NS, STOOD_STILL, LossWatch

VIDEO = "/camera/overhead/video"


class FakeFeed:
    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()
        self.waiting = 0


def made() -> tuple[LossWatch, Ledger, FakeFeed]:
    ledger, feed = Ledger(), FakeFeed()
    return LossWatch(ledger, cast("SampleFeed", feed), 0), ledger, feed


def arrive(ledger: Ledger, *numbers: int, topic: str = VIDEO) -> None:
    for number in numbers:
        ledger.sequence(topic, number)


def test_gaps_after_a_standstill_are_put_down_to_it() -> None:
    watch, ledger, feed = made()
    arrive(ledger, 0, 1, 4)
    assert watch.observe(1) == ""
    feed.waiting = 100
    said = watch.observe(2 + 5 * NS_PER_S)
    assert said.startswith("The recorder stood still for 5.0 s because the machine was busy.")
    arrive(ledger, 5, 40)
    assert watch.observe(3 + 5 * NS_PER_S) == ""
    assert ledger.lost_by_reason()[VIDEO] == {NEVER_ARRIVED: 36}, "not known before all has been taken"
    feed.waiting = 0
    watch.observe(4 + 5 * NS_PER_S)
    assert ledger.lost_by_reason()[VIDEO] == {STOOD_STILL: 34, NEVER_ARRIVED: 2}
    arrive(ledger, 43)
    watch.observe(5 + 5 * NS_PER_S)
    assert ledger.lost_by_reason()[VIDEO] == {STOOD_STILL: 34, NEVER_ARRIVED: 4}


def test_turns_that_are_only_slow_are_no_standstill() -> None:
    watch, ledger, _ = made()
    for turn in range(1, 20):
        assert watch.observe(turn * STALL_NS) == ""
    arrive(ledger, 0, 3)
    watch.observe(20 * STALL_NS)
    assert ledger.lost_by_reason()[VIDEO] == {NEVER_ARRIVED: 2}


def test_what_found_no_room_is_told_while_it_goes_on() -> None:
    watch, ledger, feed = made()
    feed.waiting = 10
    feed.dropped.update({"video/overhead": 7, "force": 1, "event": 2})
    arrive(ledger, 0, 8)
    ledger.sequence("/force/left", 0, step=5)
    ledger.sequence("/force/left", 15, step=5)
    arrive(ledger, 0, 2, topic="/control/tick")
    watch.observe(NS_PER_S // 2)
    watch.observe(NS_PER_S + 1)
    found = ledger.lost_by_reason()
    assert found[VIDEO] == {NO_ROOM: 7}
    assert found["/force/left"] == {NO_ROOM: 10}
    assert found["/control/tick"] == {NEVER_ARRIVED: 1}
    assert sum(found["/events"].values()) == 2


def test_what_found_no_room_while_the_disk_stood_still_is_put_down_to_the_disk() -> None:
    watch, ledger, feed = made()
    arrive(ledger, 0)
    assert watch.see_disk(0.9, full=False) == ""
    assert watch.see_disk(1.1, full=True).startswith("The disk has taken nothing for 1.1 s.")
    assert watch.see_disk(2.0, full=True) == "", "said once"
    feed.waiting = 10
    feed.dropped.update({"video/overhead": 7})
    watch.observe(NS_PER_S // 2)
    assert watch.see_disk(0.0, full=False) == ""
    arrive(ledger, 8)
    feed.waiting = 0
    watch.observe(NS_PER_S)
    assert ledger.lost_by_reason()[VIDEO] == {DISK_TOO_SLOW: 7}
    feed.waiting = 10
    feed.dropped.update({"video/overhead": 2})
    watch.observe(NS_PER_S + 1)
    arrive(ledger, 11)
    feed.waiting = 0
    watch.observe(NS_PER_S + 2)
    assert ledger.lost_by_reason()[VIDEO] == {DISK_TOO_SLOW: 7, NO_ROOM: 2}
    assert watch.see_disk(1.5, full=False), "the next time is said again"
