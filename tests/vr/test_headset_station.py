"""The whole way: an emulated Quest in a real browser drives the simulated arms of a real station."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser
from typer.testing import CliRunner

from benchmarks.emulated_quest import EmulatedQuest, new_window
from recorders.reader import EpisodeReader
from teleop_app.cli import app
from teleop_app.core.bus import Subscriber
from teleop_app.core.config import CameraSection, InputDeviceSection, StationConfig, station_text
from teleop_app.core.errors import BusError, TeleopError
from teleop_app.core.paths import DataDir
from teleop_app.core.types import ControlTick, InputSample, RecorderStatus, StreamBatch, StreamSetup
from teleop_app.station.client import StationClient
from teleop_app.station.launch import StationProcess

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

SOURCE = "headset"
PROCESS = f"input-{SOURCE}"
PATIENCE_S = 20.0
JUMP_M = 0.3


class Cell:
    """A running station and what it publishes."""

    def __init__(self, client: StationClient, heard: Subscriber) -> None:
        self.client = client
        self._heard = heard

    def next(self, kind: type, accept: Callable[[Any], bool], what: str) -> Any:
        """The next message of a kind for which `accept` holds."""
        deadline = time.monotonic() + PATIENCE_S
        last = None
        while time.monotonic() < deadline:
            self._heard.wait(0.1)
            for _, value in self._heard.drain():
                if isinstance(value, kind):
                    last = value
                    if accept(value):
                        return value
        pytest.fail(f"waited in vain for {what}; last: {last}")

    def ticks(self, seconds: float) -> list[ControlTick]:
        """Ticks of a while; at least one."""
        found: list[ControlTick] = []
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline or not found:
            self._heard.wait(0.05)
            found += [value for _, value in self._heard.drain() if isinstance(value, ControlTick)]
        return found

    def pairing(self) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self.client.call(PROCESS, "pairing", timeout_s=2.0)
            except (BusError, TeleopError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    config = StationConfig()
    config.simulation.look = "primitive"
    config.cameras = [CameraSection(name="overhead", width=160, height=120, fps=10)]
    config.inputs.gamepad = False
    config.control.realtime_priority = 0
    # A busy machine stalls a browser that draws in software longer than a headset may be silent.
    config.safety.follower_stale_ms = 2000.0
    config.safety.stale_release_ms, config.safety.stale_hold_ms = 10_000.0, 1000.0
    options = {"host": "127.0.0.1", "port": 0, "asleep_s": 5.0}
    config.inputs.devices = [InputDeviceSection(name=SOURCE, driver="webxr", options=options)]
    data = DataDir(tmp_path_factory.mktemp("headset")).create()
    data.station_file.write_text(station_text(config))
    with StationProcess(data) as process:
        client = process.wait_ready()
        heard = client.subscribe(("tick", "input", "recorder", "batch/headset", "stream"))
        yield Cell(client, heard)
        heard.close()
        client.close()


@pytest.fixture(scope="module")
def quest(cell: Cell, chromium: Browser) -> Iterator[EmulatedQuest]:
    card = cell.pairing()
    context, found = new_window(chromium)
    found.pair(card["url"], card["pin"])
    found.enter()
    yield found
    context.close()


def engage(cell: Cell, quest: EmulatedQuest) -> ControlTick:
    quest.press("right", "squeeze", 0.0)
    while any(cell.ticks(0.1)[-1].engaged):
        pass
    quest.press("right", "squeeze", 1.0)
    return cell.next(
        ControlTick, lambda tick: tick.source == SOURCE and tick.engaged[1], "an arm that is held"
    )


def test_the_tool_follows_the_hand_away_and_up(cell: Cell, quest: EmulatedQuest) -> None:
    quest.place("right", (0.2, 1.2, -0.4))
    start = engage(cell, quest)
    home = start.operator_pose[1, :3]
    for step in range(1, 9):
        quest.place("right", (0.2, 1.2 + 0.005 * step, -0.4 - 0.01 * step))
    wanted = home + np.array([0.0, 0.08, 0.04])
    reached = cell.next(
        ControlTick,
        lambda tick: tick.engaged[1] and np.linalg.norm(tick.operator_pose[1, :3] - wanted) < 2e-3,
        "the tool away and up",
    )
    assert np.abs(reached.sent[7:13] - start.sent[7:13]).max() > 0.02, "the robot moved"
    assert np.abs(reached.sent[:7] - start.sent[:7]).max() < 1e-6, "and the other arm did not"
    settled = cell.ticks(1.0)[-1]
    assert np.abs(settled.sent[7:13] - settled.measured[7:13]).max() < 0.05
    quest.press("right", "squeeze", 0.0)
    cell.next(ControlTick, lambda tick: not tick.engaged[1], "an arm that is let go of")


def test_recentring_by_30_cm_moves_nothing(cell: Cell, quest: EmulatedQuest) -> None:
    engage(cell, quest)
    before = cell.ticks(0.5)[-1]
    quest.do(f"quest.position.x = {JUMP_M}; quest.recenter()")
    ticks = cell.ticks(1.0)
    assert not ticks[-1].engaged[1], "the arm has to be engaged anew"
    assert max(np.abs(tick.sent - before.sent).max() for tick in ticks) < 0.02
    again = engage(cell, quest)
    assert np.abs(again.sent - before.sent).max() < 0.02
    quest.press("right", "squeeze", 0.0)


def test_a_page_that_goes_away_lets_go_and_comes_back_paired(cell: Cell, quest: EmulatedQuest) -> None:
    engage(cell, quest)
    before = cell.ticks(0.3)[-1]
    assert before.engaged[1]
    quest.page.goto("about:blank")
    cell.next(ControlTick, lambda tick: not tick.engaged[1], "an arm that holds")
    status = cell.client.call(PROCESS, "status")
    assert status["state"] == "lost" and "while it drove" in status["text"]
    quest.page.goto(cell.pairing()["url"])
    quest.wait_view("monitor")
    quest.enter()
    quest.wait_text("#badge", "You drive")
    again = engage(cell, quest)
    assert np.abs(again.sent - before.sent).max() < 0.02
    quest.press("right", "squeeze", 0.0)


def test_the_command_line_shows_how_to_pair(cell: Cell, quest: EmulatedQuest) -> None:
    shown = CliRunner().invoke(app, ["headset", "--data-dir", str(cell.client.data.root)]).output
    assert f"type the PIN {cell.pairing()['pin']}, or scan the code." in shown
    assert "Linux, connected" in shown or "Quest" in shown


def test_buttons_record_save_and_stop(cell: Cell, quest: EmulatedQuest) -> None:
    cell.client.call("recorder", "open_session", operator="tester", task="pick-place", timeout_s=20.0)

    def click(hand: str, button: str) -> None:
        quest.press(hand, button, 1.0)
        quest.press(hand, button, 0.0)

    click("right", "a-button")
    cell.next(RecorderStatus, lambda status: status.state.value == "recording", "a recording")
    quest.page.wait_for_selector("#recording:has-text(' recording')", state="attached")
    engage(cell, quest)
    time.sleep(0.5)
    quest.press("right", "squeeze", 0.0)
    click("right", "a-button")
    cell.next(RecorderStatus, lambda status: status.state.value == "review", "a stored episode")
    click("right", "b-button")
    saved = cell.next(RecorderStatus, lambda status: status.saved == 1, "a saved episode")
    with EpisodeReader(cell.client.data.episodes / f"{saved.last_saved}.mcap") as episode:
        head = episode.stream(f"{SOURCE}/head")
        assert len(head.capture_ns) > 10, "where the operator's head was is recorded"
    click("left", "y-button")
    cell.next(ControlTick, lambda tick: tick.state.value == "estop", "the emergency stop")
    quest.wait_text("#robot", "pressed on 'headset'")
    cell.client.call("control", "reset_estop")
    kinds = {pulse[2] for pulse in quest.do("pulses")}
    assert {40, 140, 250} <= kinds, "clutch, recording and stop were felt"


def test_the_process_says_how_the_headset_does_and_streams_the_head(cell: Cell, quest: EmulatedQuest) -> None:
    setup = cell.next(StreamSetup, lambda stream: stream.name == f"{SOURCE}/head", "the head's stream")
    batch = cell.next(StreamBatch, lambda batch: batch.stream == setup.name, "the head")
    assert batch.values.shape[1] == 7 and abs(batch.values[0, 2] - 1.6) < 0.01
    sample = cell.next(InputSample, lambda sample: sample.source == SOURCE and sample.device_ns, "a sample")
    assert abs(time.monotonic_ns() - sample.capture_ns) < 2e9
    status = cell.client.call(PROCESS, "status")
    assert status["driver"] == "webxr" and status["state"] == "driving" and status["text"] == ""
    assert {"rate_hz", "age_ms", "lost", "clients", "latency_ms"} <= set(status)
    assert status["values"]["right.valid"] == 1.0 and status["rate_hz"] > 20
