"""Collect episodes without a window: the script or a policy drives through the same station processes."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass

from teleop_app.core.bus import Subscriber
from teleop_app.core.errors import ConfigError, StationError, TeleopError
from teleop_app.core.types import Event, TaskStatus
from teleop_app.station.client import StationClient
from teleop_app.station.headless_drivers import HeadlessDriver

SETTLE_S = 0.5
"""Recorded after the task succeeded, so that the episode shows the end."""
PREPARE_TIMEOUT_S = 40.0
PREPARE_ATTEMPTS = 3
FIRST_FRAME_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class CollectionPlan:
    """What to collect.

    Attributes:
        task: Task name.
        episodes: Wanted number of saved episodes.
        seed: Scene seed of the first attempt; each next attempt adds one.
        operator: Person's name in the catalog.
        timeout_s: An attempt that has not succeeded by then is stopped and discarded.
        keep_failures: Save unsuccessful attempts too, marked as failures.
        max_attempts: Give up after this many attempts.
    """

    task: str
    episodes: int
    seed: int
    operator: str = "scripted operator"
    timeout_s: float = 40.0
    keep_failures: bool = False
    max_attempts: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """One thing that happened; a JSON object a line in `teleop record --json`.

    Attributes:
        event: `started`, `saved`, `discarded` or `fault`.
        episode: UUID.
        task: Task name.
        seed: Scene seed.
        index: Attempt number, from 0.
        outcome: `success`, `failure` or `unknown`.
        duration_s: Of the recording.
        stop_to_durable_ms: From the stop to the episode being safe on disk.
        path: Of the episode file.
        text: A sentence.
    """

    event: str
    episode: str
    task: str
    seed: int
    index: int
    outcome: str | None = None
    duration_s: float | None = None
    stop_to_durable_ms: float | None = None
    path: str | None = None
    text: str | None = None

    def as_dict(self) -> dict[str, object]:
        """The fields that this event has, for JSON."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def collect(client: StationClient, plan: CollectionPlan, driver: HeadlessDriver) -> Iterator[Progress]:
    """Record until enough episodes are saved; yields each thing as it happens.

    Args:
        client: Of the station.
        plan: What to collect.
        driver: Who drives.

    Raises:
        PolicyError: The policy that should drive cannot.
        ConfigError: The simulated cell has no such task.
        StationError: The station fails in a way that ends the collection, or attempts run out.
    """
    feed = client.subscribe(["event", "task"])
    saved = 0
    attempts = plan.max_attempts or 3 * plan.episodes + 3
    try:
        _check_task(client, plan.task)
        driver.open()
        client.call("recorder", "open_session", operator=plan.operator, task=plan.task, timeout_s=20.0)
        for index in range(attempts):
            if saved >= plan.episodes:
                return
            seed = plan.seed + index
            _prepare(client, seed)
            driver.arm()
            for _ in feed.drain():
                pass
            episode = _record(client)
            yield Progress("started", episode, plan.task, seed, index)
            driver.go()
            outcome, text = yield from _watch(feed, driver, plan, episode, seed, index)
            driver.halt()
            done = client.call("recorder", "stop", outcome=outcome, timeout_s=30.0)
            keep = outcome == "success" or plan.keep_failures
            client.call("recorder", "save" if keep else "discard", timeout_s=10.0)
            saved += keep
            yield Progress(
                "saved" if keep else "discarded",
                episode,
                plan.task,
                seed,
                index,
                outcome,
                float(done.get("duration_s", 0.0)),
                float(done.get("stop_to_durable_ms", 0.0)),
                str(done.get("path", "")),
                text or None,
            )
        if saved < plan.episodes:
            raise StationError(
                f"Only {saved} of {plan.episodes} episodes succeeded in {attempts} attempts",
                next_step="See the discarded ones with `teleop episodes list --state discarded`",
            )
    finally:
        feed.close()
        _leave(client, driver)


def _watch(
    feed: Subscriber, driver: HeadlessDriver, plan: CollectionPlan, episode: str, seed: int, index: int
) -> Generator[Progress, None, tuple[str, str]]:
    """Follow one recording to its end; yields faults, returns (outcome, sentence)."""
    deadline = time.monotonic() + plan.timeout_s
    stop_at: float | None = None
    while True:
        now = time.monotonic()
        if stop_at is not None and now >= stop_at:
            return "success", ""
        if now >= deadline:
            return "failure", f"The task was not done within {plan.timeout_s:g} s."
        feed.wait(0.05)
        for _, value in feed.drain():
            if isinstance(value, TaskStatus):
                if value.success and stop_at is None:
                    stop_at = time.monotonic() + SETTLE_S
                elif value.failed and stop_at is None:
                    return "failure", "The task can no longer be solved."
            elif isinstance(value, Event) and value.kind in ("recorder.fault", "process.died"):
                yield Progress("fault", episode, plan.task, seed, index, text=value.text)
                if value.kind == "recorder.fault":
                    raise StationError(value.text or "The recorder failed")
            elif isinstance(value, Event) and value.kind == "autonomy.hold":
                driver.carry_on()
            elif isinstance(value, Event) and value.kind == "autonomy.paused" and stop_at is None:
                return "failure", value.text


def _check_task(client: StationClient, task: str) -> None:
    card = client.card()
    if card is not None and card.processes and "simulation" not in card.processes:
        raise ConfigError(
            f"Nobody can drive the station {card.name!r} without a window",
            why="only the simulated cell tells whether a task is done, and these arms are real",
            next_step="Drive or supervise them in the window",
        )
    known = [str(each["name"]) for each in client.call("simulation", "tasks")["tasks"]]
    if task not in known:
        raise ConfigError(
            f"The simulated cell has no task {task!r}", next_step=f"Choose one of: {', '.join(known)}"
        )


def _prepare(client: StationClient, seed: int) -> None:
    """Send the arms home and set up a scene; again when a passing fault stopped the arms on their way.

    Never again after an e-stop: its reset alone must not move anything.
    """
    for attempts_left in reversed(range(PREPARE_ATTEMPTS)):
        try:
            client.call("recorder", "prepare", seed=seed, timeout_s=PREPARE_TIMEOUT_S)
        except StationError:
            if attempts_left == 0 or client.call("control", "status")["estopped"]:
                raise
            time.sleep(1.0)
        else:
            return


def _record(client: StationClient) -> str:
    """Start a recording; the UUID. A station that has just started may not have heard each camera yet."""
    deadline = time.monotonic() + FIRST_FRAME_TIMEOUT_S
    while True:
        try:
            return str(client.call("recorder", "record", timeout_s=10.0)["episode"])
        except StationError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _leave(client: StationClient, driver: HeadlessDriver) -> None:
    for leave in (driver.halt, lambda: client.call("recorder", "close_session", timeout_s=5.0)):
        try:
            leave()
        except TeleopError:
            continue  # it is gone; the episodes it closed are safe
