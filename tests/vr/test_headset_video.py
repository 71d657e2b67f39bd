"""The cameras on the page: real packets, decoded by a real browser, read back from its pixels."""

import base64
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext

from benchmarks.camera_feed import CameraFeed
from benchmarks.emulated_quest import EmulatedQuest, new_window
from devices.cameras.source import CameraFormat, Image
from devices.cameras.time_mark import MARK_WRAP_US, read_time_mark
from devices.sim.barcode import barcode_box

pytestmark = pytest.mark.timeout(120)

CAMERAS = ("overhead", "wrist_left", "wrist_right")
SIZE = CameraFormat(320, 240, 10, "")
NARROW = CameraFormat(240, 160, 10, "")
CANVAS = "document.querySelector('canvas[data-camera={}]')"


class Feeds:
    """What the cameras send; another size can take their place."""

    def __init__(self, page: Any) -> None:
        self._page = page
        self.now = self._start(SIZE)

    def resize(self, size: CameraFormat) -> None:
        self.now.stop()
        self.now = self._start(size)

    def _start(self, size: CameraFormat) -> CameraFeed:
        feed = CameraFeed(dict.fromkeys(CAMERAS, size), self._page.device.observe)
        feed.start()
        return feed


@pytest.fixture(scope="module")
def feeds(page: Any) -> Iterator[Feeds]:
    found = Feeds(page)
    yield found
    found.now.stop()


@pytest.fixture(scope="module")
def monitor(chromium: Browser, page: Any, feeds: Feeds) -> Iterator[EmulatedQuest]:
    context, found = new_window(chromium, headset=False)
    found.pair(page.url, page.pin)
    yield found
    context.close()


@pytest.fixture(autouse=True)
def every_camera_is_there(monitor: EmulatedQuest, feeds: Feeds) -> None:
    feeds.now.silent = set()
    for camera in CAMERAS:
        words(monitor, camera, "fps")


def words(monitor: EmulatedQuest, camera: str, text: str) -> str:
    """What stands below a camera's picture, once it holds this text."""
    found = f"figure:has(canvas[data-camera={camera}]) figcaption span"
    monitor.wait_text(found, text)
    return str(monitor.page.text_content(found))


def drawn(monitor: EmulatedQuest, camera: str) -> tuple[Image, float, float]:
    """What is on a camera's canvas, the time that the page says of it, and its age when it was drawn [ms]."""
    url, capture_ms, age_ms = monitor.do(
        f"(() => {{ const c = {CANVAS.format(camera)};"
        " return [c.toDataURL('image/png'), Number(c.dataset.captureMs), Number(c.dataset.ageMs)]; })()"
    )
    return pixels(base64.b64decode(url.partition(",")[2])), capture_ms, age_ms


def pixels(png: bytes) -> Image:
    """RGB of a PNG."""
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def test_what_is_drawn_is_what_was_taken_and_its_time_is_true(monitor: EmulatedQuest, feeds: Feeds) -> None:
    for camera in CAMERAS:
        image, capture_ms, age_ms = drawn(monitor, camera)
        assert image.shape == (SIZE.height, SIZE.width, 3)
        mark_us = read_time_mark(image)
        assert mark_us is not None, "the barcode of the time is readable"
        assert (round(capture_ms * 1e3) - mark_us + 1) % MARK_WRAP_US <= 2, "the time shown is the picture's"
        assert -20.0 < age_ms < 5000.0
    left, top, width, height = barcode_box(SIZE.height, SIZE.width)
    image, taken = drawn(monitor, "overhead")[0].astype(int), feeds.now.last["overhead"].astype(int)
    image[top : top + height, left : left + width] = taken[top : top + height, left : left + width] = 0
    ball = (taken[..., 0] > 200) | (image[..., 0] > 200)
    assert np.abs(image - taken)[~ball].mean() < 6.0, "the background's colours arrive"
    assert 300 < (image[..., 0] > 200).sum() < 3000, "and the ball"


def test_a_camera_that_stops_never_looks_alive(monitor: EmulatedQuest, feeds: Feeds) -> None:
    feeds.now.silent = {"wrist_left"}
    said = words(monitor, "wrist_left", "no picture since")
    assert len(said.rpartition(" ")[2].split(":")) == 3
    assert monitor.do(f"{CANVAS.format('wrist_left')}.parentElement.classList.contains('stale')")
    assert not monitor.do(f"{CANVAS.format('overhead')}.parentElement.classList.contains('stale')")


def test_only_what_is_shown_is_sent_and_one_is_large(monitor: EmulatedQuest, page: Any) -> None:
    hub = page.device._video
    monitor.page.click("#cameras .choice button:has-text('wrist_right')")
    page.until(lambda: not hub._clients[0].viewer.shows("wrist_right"), "the choice")
    monitor.page.wait_for_selector("canvas[data-camera=wrist_right]", state="detached")
    monitor.page.click("#cameras .choice button:has-text('wrist_right')")
    words(monitor, "wrist_right", "fps")
    monitor.page.click("canvas[data-camera=wrist_left]")
    monitor.page.wait_for_selector("figure.large canvas[data-camera=wrist_left]")
    monitor.page.click("canvas[data-camera=overhead]")
    monitor.page.wait_for_selector("figure.large canvas[data-camera=overhead]")


def test_another_size_is_followed(monitor: EmulatedQuest, feeds: Feeds) -> None:
    feeds.resize(NARROW)
    monitor.page.wait_for_selector(f"canvas[data-camera=overhead][width='{NARROW.width}']")
    image, capture_ms, _ = drawn(monitor, "overhead")
    assert image.shape == (NARROW.height, NARROW.width, 3)
    mark_us = read_time_mark(image)
    assert mark_us is not None and (round(capture_ms * 1e3) - mark_us + 1) % MARK_WRAP_US <= 2
    feeds.resize(SIZE)
    monitor.page.wait_for_selector(f"canvas[data-camera=overhead][width='{SIZE.width}']")


def test_a_broken_connection_is_seen_and_mended(monitor: EmulatedQuest, page: Any) -> None:
    server = page.device._server
    before = [client.socket for client in page.device._video._clients]
    server.call(lambda: server._end_video(None, "the network went away"))
    page.until(
        lambda: page.device._video._clients and page.device._video._clients[0].socket not in before,
        "a new connection",
    )
    words(monitor, "overhead", "fps")
    assert read_time_mark(drawn(monitor, "overhead")[0]) is not None


def test_a_client_that_is_unpaired_sees_nothing_more(page: Any, feeds: Feeds, chromium: Browser) -> None:
    context, other = new_window(chromium, headset=False)
    other.pair(page.url, page.pin)
    words(other, "overhead", "fps")
    watching = len(page.device._video._clients)
    page.device.revoke(page.device.pairing()["clients"][-1]["id"])
    page.until(lambda: len(page.device._video._clients) == watching - 1, "a video that ends")
    other.wait_view("pair")
    context.close()


def test_a_browser_without_a_decoder_says_so(page: Any, chromium: Browser) -> None:
    context, old = new_window(chromium, headset=False)
    context.add_init_script("delete window.VideoDecoder")
    old.pair(page.url, page.pin)
    old.wait_text("#cameras", "This browser cannot decode video (no WebCodecs)")
    context.close()


@pytest.fixture
def window(chromium: Browser) -> Iterator[tuple[BrowserContext, EmulatedQuest]]:
    context, found = new_window(chromium, hz=20.0, size=(960, 540))
    yield context, found
    context.close()


def test_the_headset_shows_the_cameras_before_the_eyes_and_the_stick_changes_the_large_one(
    page: Any, feeds: Feeds, window: tuple[BrowserContext, EmulatedQuest]
) -> None:
    quest = window[1]
    problems: list[str] = []
    quest.page.on("pageerror", lambda error: problems.append(str(error)))
    quest.pair(page.url, page.pin)
    words(quest, "overhead", "fps")
    quest.do("quest.controllers.left.position.set(-0.9, 0.8, 0)")
    quest.do("quest.controllers.right.position.set(0.9, 0.8, 0)")
    quest.enter()
    feeds.now.silent = {"wrist_left"}
    orange = (0, 0)
    for _ in range(40):
        quest.frames()
        seen = pixels(quest.page.screenshot()).astype(int)
        ball = (seen[..., 0] > 180) & (seen[..., 2] < 90) & (seen[..., 1] > 90)
        middle = ball[:, seen.shape[1] // 3 : 2 * seen.shape[1] // 3].sum()
        orange = (int(middle), int(ball.sum() - middle))
        if orange[0] > 1.8 * orange[1] > 0:
            break
    assert orange[0] > 1.8 * orange[1] > 0, f"a large picture ahead, a small one beside: {orange}"
    quest.do("quest.controllers.left.updateAxes('thumbstick', -1, 0)")
    quest.frames()
    quest.do("quest.controllers.left.updateAxes('thumbstick', 0, 0)")
    quest.frames()
    quest.do("quest.recenter()")
    quest.frames()
    quest.do("quest.activeSession.end()")
    quest.wait_view("monitor")
    quest.page.wait_for_selector("figure.large canvas[data-camera=wrist_right]")
    assert not problems
