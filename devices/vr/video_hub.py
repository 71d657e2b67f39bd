"""The cameras' video on the headset page: the packets that the cameras encode anyway, over a WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import WSCloseCode, WSMsgType, web

from devices.vr.connection import RateLimit
from devices.vr.protocol import ProtocolError
from devices.vr.video_viewer import VideoViewer
from devices.vr.video_wire import MOST_CAMERAS, AskTime, Got, Show, decode_request, encode_packet
from teleop_app.core.clock import NS_PER_MS, Clock, MonotonicClock
from teleop_app.core.types import CameraSetup, VideoPacket

_TEXTS_A_SECOND: Final = 400
_MOST_REFUSED: Final = 2000
_LONGEST_GROUP: Final = 60
_REASON_BYTES: Final = 120


class _Client:
    """A page that watches."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.socket = socket
        self.viewer = VideoViewer()
        self.wake = asyncio.Event()
        self.limit = RateLimit(_TEXTS_A_SECOND)
        self.refused = 0
        self.told: list[dict[str, Any]] | None = None


class VideoHub:
    """Hands the cameras' packets on to every page that shows them.

    `offer` and `introduce` are for the thread that polls, `serve` runs in the server's loop.

    Args:
        clock: The station's clock.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or MonotonicClock()
        self._lock = threading.Lock()
        self._cameras: dict[str, dict[str, Any]] = {}
        self._groups: dict[str, list[VideoPacket]] = {}
        self._clients: list[_Client] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._gone_sent = self._gone_dropped = self._malformed = 0

    # The thread that polls.

    def offer(self, packet: VideoPacket) -> None:
        """Take a packet of a camera. Does not block."""
        with self._lock:
            if not self._known(packet.camera, packet.width, packet.height):
                return
            group = self._groups.setdefault(packet.camera, [])
            if packet.keyframe or len(group) >= _LONGEST_GROUP:
                group.clear()
            if packet.keyframe or group:
                group.append(packet)
        self._post(packet)

    def introduce(self, setup: CameraSetup) -> None:
        """Take what a camera says of itself. Does not block."""
        with self._lock:
            self._known(setup.name, setup.width, setup.height, setup.fps)

    @property
    def metrics(self) -> Mapping[str, float]:
        """Pages that watch, packets sent and dropped for them, and messages of theirs that were refused."""
        clients = tuple(self._clients)
        return {
            "video_clients": float(len(clients)),
            "video_sent": float(self._gone_sent + sum(each.viewer.sent for each in clients)),
            "video_dropped": float(self._gone_dropped + sum(each.viewer.dropped for each in clients)),
            "video_malformed": float(self._malformed),
        }

    # The server's loop.

    async def serve(self, websocket: web.WebSocketResponse) -> None:
        """Send video until the socket is closed."""
        client = _Client(websocket)
        self._loop = asyncio.get_running_loop()
        self._clients.append(client)
        self._catch_up(client, None)
        sending = asyncio.create_task(self._send(client))
        try:
            async for message in websocket:
                if message.type is not WSMsgType.TEXT:
                    await self._refuse(client, "the video socket takes text only")
                elif client.limit.take(self._clock.now_ns()):
                    await self._take(client, message.data)
                else:
                    client.refused += 1
                    if client.refused > _MOST_REFUSED:
                        await self._refuse(client, "too many messages")
        finally:
            self._clients.remove(client)
            self._gone_sent += client.viewer.sent
            self._gone_dropped += client.viewer.dropped
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending

    async def _take(self, client: _Client, text: str) -> None:
        try:
            request = decode_request(text)
        except ProtocolError as error:
            await self._refuse(client, str(error))
            return
        match request:
            case Got(number):
                client.viewer.acknowledge(number)
            case Show(cameras):
                before = client.viewer
                new = frozenset(name for name in self._cameras if not before.shows(name))
                client.viewer.show(cameras)
                self._catch_up(client, new)
            case AskTime(page_ms):
                host_ms = self._clock.now_ns() / NS_PER_MS
                with contextlib.suppress(ConnectionError):
                    await client.socket.send_str(
                        json.dumps({"type": "clock", "page_ms": page_ms, "host_ms": host_ms})
                    )
        client.wake.set()

    async def _refuse(self, client: _Client, why: str) -> None:
        self._malformed += 1
        cut = why.encode()[:_REASON_BYTES].decode(errors="ignore").encode()
        with contextlib.suppress(ConnectionError, RuntimeError):
            await client.socket.close(code=WSCloseCode.POLICY_VIOLATION, message=cut)

    async def _send(self, client: _Client) -> None:
        with contextlib.suppress(ConnectionError):
            while not client.socket.closed:
                with self._lock:
                    cameras = [dict(each) for each in self._cameras.values()]
                if cameras != client.told:
                    client.told = cameras
                    await client.socket.send_str(json.dumps({"type": "cameras", "cameras": cameras}))
                now_ns = self._clock.now_ns()
                if (taken := client.viewer.take(now_ns)) is None:
                    client.wake.clear()
                    await client.wake.wait()
                    continue
                packet, number = taken
                place = self._cameras[packet.camera]["id"]
                await client.socket.send_bytes(encode_packet(packet, place, number, now_ns))

    def _spread(self, packet: VideoPacket) -> None:
        now_ns = self._clock.now_ns()
        for client in self._clients:
            client.viewer.offer(packet, now_ns)
            client.wake.set()

    def _catch_up(self, client: _Client, cameras: frozenset[str] | None) -> None:
        """Give what there is since the last keyframes of these cameras, or of all."""
        with self._lock:
            kept = [
                packet
                for camera, group in self._groups.items()
                if cameras is None or camera in cameras
                for packet in group
            ]
        client.viewer.start(kept, self._clock.now_ns())

    def _post(self, packet: VideoPacket) -> None:
        loop = self._loop
        if loop is not None and self._clients:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._spread, packet)

    def _known(self, name: str, width: int, height: int, fps: int = 0) -> bool:
        """Note a camera; whether there is room for it. Under the lock."""
        found = self._cameras.get(name)
        if found is None:
            if len(self._cameras) >= MOST_CAMERAS:
                return False
            found = self._cameras[name] = {"id": len(self._cameras), "name": name, "fps": 0}
        found.update(width=width, height=height, fps=fps or found["fps"])
        return True
