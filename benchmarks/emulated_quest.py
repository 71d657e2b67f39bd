"""An emulated Quest 3 (npm `iwer`) in a real headless Chromium: for tests and measurements of the headset page."""

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
_INSTALL: Final = """
(() => {
  const HZ = %(hz)f;
  // IWER takes its frames from the page's clock, which stands at 60 Hz; a headset's is faster.
  let due = performance.now();
  const waiting = new Map();
  let next = 1;
  const channel = new MessageChannel();
  const turn = () => {
    const now = performance.now();
    if (now < due) return now < due - 4 ? setTimeout(turn, due - now - 3) : channel.port2.postMessage(0);
    due = Math.max(due + 1000 / HZ, now - 1000 / HZ);
    const calls = [...waiting.values()];
    waiting.clear();
    for (const call of calls) call(now);
    if (waiting.size) setTimeout(turn, 0);
  };
  channel.port1.onmessage = turn;
  window.requestAnimationFrame = (call) => {
    if (!waiting.size) setTimeout(turn, 0);
    waiting.set(next, call);
    return next++;
  };
  window.cancelAnimationFrame = (handle) => waiting.delete(handle);
  const quest = new IWER.XRDevice(IWER.metaQuest3);
  quest.installRuntime({ forceInstall: true });
  window.quest = quest;
  quest.position.set(0, 1.6, 0);
  for (const [hand, x] of [['left', -0.2], ['right', 0.2]]) {
    quest.controllers[hand].position.set(x, 1.2, -0.4);
    quest.controllers[hand].quaternion.set(0, 0, 0, 1);
  }
  // A hand that the cameras do not see: its position is guessed. (IWER 2.5 says so of every controller.)
  window.unseen = new Set();
  const getPose = XRFrame.prototype.getPose;
  XRFrame.prototype.getPose = function (space, base) {
    const pose = getPose.call(this, space, base);
    const source = [...quest.inputSources].find((each) => [each.gripSpace, each.targetRaySpace].includes(space));
    return source ? { transform: pose.transform, emulatedPosition: window.unseen.has(source.handedness) } : pose;
  };
  window.pulses = [];
  const note = (hand) => (strength, ms) => { window.pulses.push([hand, strength, ms]); return Promise.resolve(true); };
  for (const hand of ['left', 'right']) {
    for (const actuator of quest.controllers[hand].inputSource.gamepad.hapticActuators) actuator.pulse = note(hand);
  }
})();
"""


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

    def enter(self) -> None:
        """Enter VR."""
        self.page.click("#enter")
        self.wait_view("xr")

    def place(self, hand: str, position: Sequence[float]) -> None:
        """Put a controller somewhere [m], OpenXR axes."""
        self.do(f"quest.controllers.{hand}.position.set({', '.join(map(str, position))})")

    def press(self, hand: str, button: str, value: float) -> None:
        """Press `squeeze`, `trigger`, `thumbstick`, `a-button`, ... as far as `value`."""
        self.do(f"quest.controllers.{hand}.updateButtonValue('{button}', {value})")

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
    chromium: Browser, hz: float = 72.0, *, headset: bool = True
) -> tuple[BrowserContext, EmulatedQuest]:
    """A window with a profile of its own.

    Args:
        chromium: The browser.
        hz: Frame rate of the headset.
        headset: Whether it has one.
    """
    context = chromium.new_context(ignore_https_errors=True, viewport={"width": 1100, "height": 760})
    if headset:
        context.add_init_script(path=IWER)
        context.add_init_script(_INSTALL % {"hz": hz})
    return context, EmulatedQuest(context.new_page())
