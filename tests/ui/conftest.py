"""A station in memory for window tests: messages go in, commands and input samples come out."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pytest

from teleop_app.core.errors import TeleopError
from teleop_app.core.ring import RingRecord
from teleop_app.core.types import Actor, ControlState, ControlTick, InputSample


class FakeRing:
    """A ring with at most one new frame."""

    def __init__(self) -> None:
        self.record: RingRecord | None = None

    def next_new(self) -> RingRecord | None:
        record, self.record = self.record, None
        return record

    def close(self) -> None:
        self.record = None


class FakeBatches:
    """The second subscription, to numeric streams."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []

    def drain(self, limit: int = 10_000) -> Iterator[tuple[str, Any]]:
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return iter([("", message) for message in taken])

    def close(self) -> None:
        self.waiting.clear()


class FakeStation:
    """Stands in for the station's client and for its subscription."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []
        self.batches = FakeBatches()
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.samples: list[InputSample] = []
        self.answers: dict[str, Any] = {}
        self.rings: dict[str, FakeRing] = {}
        self.closed = False

    def put(self, *messages: Any) -> None:
        self.waiting += messages

    def subscribe(
        self, topics: Iterable[str] = ("",), processes: Iterable[str] | None = None
    ) -> "FakeStation | FakeBatches":
        return self if processes is None else self.batches

    def drain(self, limit: int = 10_000) -> Iterator[tuple[str, Any]]:
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return iter([("", message) for message in taken])

    def call(self, process: str, command: str, /, *, timeout_s: float = 5.0, **args: Any) -> dict[str, Any]:
        self.calls.append((process, command, args))
        answer = self.answers.get(command, {})
        if isinstance(answer, TeleopError):
            raise answer
        return answer

    def send_input(self, sample: InputSample) -> None:
        self.samples.append(sample)

    def open_ring(self, name: str) -> FakeRing:
        return self.rings.setdefault(name, FakeRing())

    def close(self) -> None:
        self.closed = True


class DirectPort:
    """Commands answered at once, for view-models without an event loop."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.samples: list[InputSample] = []
        self.errors: dict[str, TeleopError] = {}

    def call(self, process: str, command: str, /, done: Any = None, failed: Any = None, **args: Any) -> None:
        self.calls.append((process, command, args))
        if command in self.errors:
            failed(self.errors[command])
        elif done is not None:
            done({})

    def send_input(self, sample: InputSample) -> None:
        self.samples.append(sample)

    @property
    def commands(self) -> list[str]:
        return [command for _, command, _ in self.calls]


@pytest.fixture
def fake_station() -> FakeStation:
    return FakeStation()


@pytest.fixture
def direct_port() -> DirectPort:
    return DirectPort()


@pytest.fixture
def make_tick() -> Callable[..., ControlTick]:
    def make(
        seq: int = 0,
        *,
        state: ControlState = ControlState.IDLE,
        actor: Actor = Actor.NONE,
        engaged: tuple[bool, ...] = (False, False),
        reason: str = "",
        late_ns: int = 100_000,
        gripper: tuple[float, float] = (1.0, 1.0),
        source: str = "",
    ) -> ControlTick:
        now_ns = 10_000_000_000 + seq * 5_000_000
        joints = np.zeros(14)
        joints[6], joints[13] = gripper
        nobody = np.full((2, 7), np.nan)
        return ControlTick(
            seq, now_ns, now_ns - late_ns, state, actor, source, engaged, 0, nobody, np.full(2, np.nan),
            None, joints, joints, now_ns, joints, joints, joints, now_ns, 0, reason,
        )  # fmt: skip

    return make
