"""An emulated Quest 3 (npm `iwer`) in a real headless Chromium, for tests and measurements."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from teleop_app.core.errors import DeviceError

ROOT: Final = Path(__file__).parents[1]
IWER: Final = ROOT / "tests" / "vr" / "node_modules" / "iwer" / "build" / "iwer.min.js"
QUEST: Final = ROOT / "tests" / "vr" / "quest.js"
CHROMIUM: Final = "TELEOP_CHROMIUM"
_FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class EmulatedQuest:
    """A browser window with an emulated headset.

    Args:
        page: The window.
    """

    def __init__(self, page: Page) -> None:
        self.page = page

    def pair(self, url: str, pin: str) -> None:
        """Open the headset page and type the PIN."""
        self.page.goto(url)
        self.page.fill("#pin", pin)
        self.page.click("#pin-form button")
        self.wait_view("monitor")

    def wait_view(self, view: str, timeout_s: float = 10.0) -> None:
        """Wait until the page shows `pair`, `monitor`, `xr` or `reconnecting`."""
        self.page.wait_for_selector(f"body[data-view={view}]", timeout=timeout_s * 1e3)

    def wait_text(self, selector: str, text: str) -> None:
        """Wait until an element shows this text, or more."""
        self.page.wait_for_selector(f'{selector}:has-text("{text}")', state="attached", timeout=10_000)

    def enter(self) -> None:
        """Enter VR."""
        self.page.click("#enter")
        self.wait_view("xr")

    def place(self, hand: str, position: Sequence[float]) -> None:
        """Put a controller somewhere [m], OpenXR axes; returns once it was sent."""
        self.do(f"quest.controllers.{hand}.position.set({', '.join(map(str, position))})")
        self.frames()

    def press(self, hand: str, button: str, value: float) -> None:
        """Press `squeeze`, `trigger`, `thumbstick`, `a-button`, ... so far; returns once it was sent."""
        self.do(f"quest.controllers.{hand}.updateButtonValue('{button}', {value})")
        self.frames()

    def frames(self) -> None:
        """Wait until the page has sent what was changed."""
        self.do("(async () => { for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame); })()")

    def do(self, script: str) -> Any:
        """Run JavaScript in the page; `quest` is the emulated device."""
        return self.page.evaluate(script)


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless Chromium.

    Raises:
        DeviceError: Chromium or the emulated headset is not installed.
    """
    program = os.environ.get(CHROMIUM) or shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        raise DeviceError("There is no Chromium", next_step=f"Install it, or name one in {CHROMIUM}")
    if not IWER.exists():
        raise DeviceError(
            "The emulated headset (iwer) is not installed", next_step="Run bootstrap/setup test"
        )
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=list(_FLAGS))
        try:
            yield chromium
        finally:
            chromium.close()


def new_window(
    chromium: Browser,
    hz: float = 72.0,
    *,
    headset: bool = True,
    cameras: bool = True,
    size: tuple[int, int] = (480, 360),
) -> tuple[BrowserContext, EmulatedQuest]:
    """A window with a profile of its own.

    Args:
        chromium: The browser.
        hz: Frame rate of the headset.
        headset: Whether it has one.
        cameras: Whether it can decode video.
        size: Of the window [px]; a large one costs processor time, since it is drawn in software.
    """
    context = chromium.new_context(ignore_https_errors=True, viewport={"width": size[0], "height": size[1]})
    if not cameras:
        context.add_init_script("delete window.VideoDecoder")
    if headset:
        context.add_init_script(path=IWER)
        context.add_init_script(f"window.questHz = {float(hz)}")
        context.add_init_script(path=QUEST)
    return context, EmulatedQuest(context.new_page())
