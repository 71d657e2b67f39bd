"""The headset page against the suite that drivers of third parties must pass; a program is the browser."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import tempfile
import threading
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from devices.driver import DeviceContext
from devices.testing import InputContract
from devices.vr.protocol import Controller, XrFrame, encode_frame
from devices.vr.webxr import DRIVER, WebXrHeadset
from teleop_app.core.calibration import CalibrationStore
from teleop_app.core.clock import MonotonicClock
from teleop_app.core.config import StationConfig

POSE = np.array([0.1, 0.4, 1.2, 1.0, 0.0, 0.0, 0.0])


class Browser:
    """A headset's browser, paired and driving, in a thread of its own."""

    def __init__(self, headset: WebXrHeadset) -> None:
        self._headset = headset
        self.url = str(headset.pairing()["url"])
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._frames = 0
        self._call(self._drive())

    def _call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10.0)

    async def _drive(self) -> None:
        told = self._headset.pairing()
        url = self.url.rstrip("/")
        trust = ssl.create_default_context()
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
        connector = aiohttp.TCPConnector(ssl=trust)
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.CookieJar(unsafe=True), connector=connector, headers={"Origin": url}
        )
        await self._session.post(url + "/pair", json={"type": "pair", "pin": told["pin"]})
        self._socket = await self._session.ws_connect(url + "/ws", origin=url)
        await self._socket.send_str('{"type": "drive"}')
        while not (await self._socket.receive_json()).get("drives"):
            pass

    def send(self) -> None:
        seq = self._frames
        self._frames += 1
        right = Controller("right", POSE, POSE, None, 0.0, float(seq > 0), (0.0, 0.0), frozenset())
        frame = XrFrame(seq, 0, (seq + 1) * 10_000_000, 0, True, POSE, {"right": right})
        self._call(self._socket.send_bytes(encode_frame(frame)))

    def close(self) -> None:
        self._call(self._leave())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _leave(self) -> None:
        await self._session.close()
        await asyncio.sleep(0.05)  # aiohttp's connections say good-bye


class TestWebXr(InputContract):
    driver = DRIVER
    options: dict[str, Any] = {"host": "127.0.0.1", "port": 0}  # noqa: RUF012

    def setup_method(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.browser: Browser | None = None
        self.device: WebXrHeadset | None = None

    def teardown_method(self) -> None:
        self._leave()
        if self.device is not None:
            self.device.stop()
        shutil.rmtree(self.folder)

    def _leave(self) -> None:
        if self.browser is not None:
            self.browser.close()
            self.browser = None

    def context(self) -> DeviceContext:
        store = CalibrationStore(self.folder / "calibrations")
        return DeviceContext("contract", self.arms, StationConfig(), store, MonotonicClock())

    def make(self) -> WebXrHeadset:
        self.device = super().make()
        return self.device

    def move(self) -> None:
        assert self.device is not None
        if self.browser is not None and self.browser.url != self.device.pairing()["url"]:
            self._leave()  # the page was served anew
        if self.browser is None:
            self.browser = Browser(self.device)
        else:
            self.browser.send()
