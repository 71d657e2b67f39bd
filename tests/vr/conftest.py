"""One browser, one headset page: what the tests of this folder share."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from benchmarks.emulated_quest import EmulatedQuest, browser, new_window
from devices.driver import DeviceContext
from devices.vr.options import WebXrOptions
from devices.vr.webxr import WebXrHeadset
from teleop_app.core.calibration import CalibrationStore
from teleop_app.core.clock import MonotonicClock
from teleop_app.core.config import StationConfig
from teleop_app.core.types import ArmInput, InputSample

PATIENCE_S = 10.0
PORT_FREE = 0


class Page:
    """The real headset device, polled as its process would.

    Attributes:
        samples: All so far.
    """

    def __init__(self, store: Path, **options: object) -> None:
        settings = WebXrOptions(host="127.0.0.1", port=PORT_FREE, lease_s=1.0, **options)  # type: ignore[arg-type]
        calibrations = CalibrationStore(store / "calibrations")
        context = DeviceContext("headset", ("left", "right"), StationConfig(), calibrations, MonotonicClock())
        self.device = WebXrHeadset(context, settings)
        self.samples: list[InputSample] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._poll)
        self.device.start()
        self._thread.start()

    def close(self) -> None:
        self.device.stop()
        self._done.set()
        self._thread.join()

    @property
    def url(self) -> str:
        return str(self.device.pairing()["url"])

    @property
    def pin(self) -> str:
        return str(self.device.pairing()["pin"])

    def next(self, accept: Callable[[InputSample], bool], what: str, since: int | None = None) -> InputSample:
        """The first sample from now on, or since there were so many, for which `accept` holds."""
        place, deadline = len(self.samples) if since is None else since, time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            for sample in self.samples[place:]:
                if accept(sample):
                    return sample
            time.sleep(0.005)
        pytest.fail(f"waited in vain for {what}; the last sample is {self.samples[-1:]}")

    def arm(self, name: str, accept: Callable[[ArmInput], bool], what: str) -> ArmInput:
        """Likewise, of one arm."""
        return self.next(lambda sample: name in sample.arms and accept(sample.arms[name]), what).arms[name]

    def until(self, holds: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            if time.monotonic() > deadline:
                pytest.fail(f"waited in vain for {what}")
            time.sleep(0.005)

    def _poll(self) -> None:
        while not self._done.is_set():
            self.device.wait(0.01)
            while (sample := self.device.poll()) is not None:
                self.samples.append(sample)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    found = Page(tmp_path_factory.mktemp("store"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def quest(chromium: Browser, page: Page) -> Iterator[EmulatedQuest]:
    """A paired headset that drives."""
    context, found = new_window(chromium)
    found.pair(page.url, page.pin)
    found.enter()
    yield found
    context.close()
