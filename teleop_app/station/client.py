"""How windows and scripts talk to a running station: commands, messages, input samples."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from teleop_app.core.bus import CommandClient, Endpoints, Publisher, Subscriber
from teleop_app.core.errors import StationError
from teleop_app.core.paths import DataDir, shared_memory_dir
from teleop_app.core.ring import RingReader
from teleop_app.core.types import InputSample, StationStatus

PUBLISHERS = ("station", "control", "simulation", "cameras", "recorder", "policy", "operator", "gamepad")
"""Processes that many stations have; one that a station does not have is simply silent."""
_CARD = "station.json"


@dataclass(frozen=True, slots=True)
class StationCard:
    """What a running station leaves in its run directory so that clients find it.

    Attributes:
        pid: Of the supervisor.
        name: Station name.
        data_dir: Its store.
        station_file: Its station file.
        ready: Every process runs.
        processes: Names of all of its processes.
    """

    pid: int
    name: str
    data_dir: str
    station_file: str
    ready: bool
    processes: tuple[str, ...] = ()

    def write(self, run_dir: Path) -> None:
        """Replace the card in `run_dir`."""
        temporary = run_dir / f"{_CARD}.new"
        temporary.write_text(json.dumps(asdict(self)))
        temporary.replace(run_dir / _CARD)

    @classmethod
    def read(cls, run_dir: Path) -> StationCard | None:
        """The card of a live station, None when there is none."""
        try:
            card = cls(**json.loads((run_dir / _CARD).read_text()))
        except (OSError, ValueError, TypeError):
            return None
        return card if _alive(card.pid) else None


class StationClient:
    """A client of one station. `call` and `send_input` may be used from any thread."""

    def __init__(self, data: DataDir) -> None:
        self.data = data
        self._run_dir = data.run_dir()
        self.endpoints = Endpoints(self._run_dir)
        self._clients: dict[str, CommandClient] = {}
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._inputs: Publisher | None = None

    @classmethod
    def attach(cls, data: DataDir, timeout_s: float = 0.0) -> StationClient:
        """Client of the station that runs on `data`, waiting up to `timeout_s` for it to be ready.

        Raises:
            StationError: None runs there, or it is not ready in time.
        """
        client = cls(data)
        deadline = time.monotonic() + timeout_s
        while True:
            card = client.card()
            if card is not None and card.ready:
                return client
            if time.monotonic() >= deadline:
                break
            time.sleep(0.05)
        if card is None:
            raise StationError(
                f"No station runs on {data.root}", next_step="Start one with `teleop` or `teleop station run`"
            )
        raise StationError(
            f"The station {card.name!r} is not ready after {timeout_s:g} s",
            next_step=f"See the logs in {data.logs}",
        )

    def card(self) -> StationCard | None:
        """The station's card, None when no station runs."""
        return StationCard.read(self._run_dir)

    def call(self, process: str, command: str, /, *, timeout_s: float = 5.0, **args: Any) -> dict[str, Any]:
        """Send a command to a process and wait for its answer.

        Raises:
            TeleopError: The process refused, with its own sentence.
            BusError: No answer in time.
        """
        with self._lock:
            lock = self._locks.setdefault(process, threading.Lock())
        with lock:
            client = self._clients.get(process)
            if client is None:
                client = self._clients[process] = CommandClient(self.endpoints.command(process), process)
            return client.call(command, timeout_s=timeout_s, **args)

    def subscribe(self, topics: Iterable[str] = ("",), processes: Iterable[str] | None = None) -> Subscriber:
        """Messages of the station's processes, by default of all that it has.

        One that takes the topic `station` hears later ones too. The caller owns and closes it.
        """
        if processes is not None:
            return Subscriber([self.endpoints.publish(name) for name in processes], topics)
        card = self.card()
        known = dict.fromkeys((*PUBLISHERS, *(card.processes if card else ())))
        return _StationSubscriber(self.endpoints, known, topics)

    def send_input(self, sample: InputSample) -> None:
        """Give one operator sample to the control process."""
        with self._lock:
            if self._inputs is None:
                self._inputs = Publisher(self.endpoints.inputs(), connect=True, queue=20)
            self._inputs.send("input", sample)

    def open_ring(self, name: str) -> RingReader:
        """A reader of a shared-memory ring, e.g. `camera.overhead`."""
        return RingReader(shared_memory_dir(self._run_dir) / name)

    def close(self) -> None:
        """Close every socket."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        if self._inputs is not None:
            self._inputs.close()
            self._inputs = None


class _StationSubscriber(Subscriber):
    """Listens to every process that the station's status names, also to those not known when it was made."""

    def __init__(self, endpoints: Endpoints, processes: Iterable[str], topics: Iterable[str]) -> None:
        super().__init__([endpoints.publish(name) for name in processes], topics)
        self._endpoints = endpoints

    def read(self, parts: list[bytes]) -> tuple[str, Any] | None:
        """As `Subscriber.read`."""
        item = super().read(parts)
        if item is not None and isinstance(item[1], StationStatus):
            for process in item[1].processes:
                self.connect(self._endpoints.publish(process.process))
        return item


def wait_for(
    subscriber: Subscriber, accept: Callable[[str, Any], bool], timeout_s: float, what: str
) -> tuple[str, Any]:
    """The first message for which `accept(topic, value)` holds.

    Raises:
        StationError: It did not come within `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    while (remaining := deadline - time.monotonic()) > 0:
        if not subscriber.wait(min(remaining, 0.5)):
            continue
        for topic, value in subscriber.drain():
            if accept(topic, value):
                return topic, value
    raise StationError(
        f"Waited {timeout_s:g} s in vain for {what}", next_step="See `teleop doctor` and the logs"
    )


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
