"""One browser's WebSocket: what it may send, how much of it, and what waits to be sent to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import WSCloseCode, web

from devices.vr.pairing import PairedClient
from teleop_app.core.clock import NS_PER_MS, NS_PER_S

FRAMES_A_SECOND: Final = 250
TEXTS_A_SECOND: Final = 40
_MOST_REFUSED: Final = 5000
_QUEUE: Final = 64
_REASON_BYTES: Final = 120
"""A close frame holds 123 bytes of reason (RFC 6455, section 5.5)."""


@dataclass(slots=True)
class Counters:
    """What went wrong since the start, over all clients."""

    malformed: int = 0
    flooded: int = 0
    refused: int = 0


class RateLimit:
    """A rate limit that allows bursts of a second."""

    def __init__(self, per_second: float) -> None:
        self._rate = per_second
        self._level = per_second
        self._last_ns = 0

    def take(self, now_ns: int) -> bool:
        """Whether one more is within the rate now."""
        gained = (now_ns - self._last_ns) / NS_PER_S * self._rate if self._last_ns else 0.0
        self._level, self._last_ns = min(self._rate, self._level + gained), now_ns
        if self._level < 1.0:
            return False
        self._level -= 1.0
        return True


class Connection:
    """A paired browser. Used in the server's loop.

    Attributes:
        number: Unique in this process, from 1.
        client: Its pairing.
        asks_since_ns: Since when it waits to drive, 0 when it does not.
        latency_ms: Half of the last round trip, negative while unknown.
    """

    def __init__(self, number: int, client: PairedClient, socket: web.WebSocketResponse) -> None:
        self.number = number
        self.client = client
        self.asks_since_ns = 0
        self.latency_ms = -1.0
        self._socket = socket
        self._outbox: asyncio.Queue[str] = asyncio.Queue(_QUEUE)
        self._frames = RateLimit(FRAMES_A_SECOND)
        self._texts = RateLimit(TEXTS_A_SECOND)
        self._refused = 0
        self._pings: dict[int, int] = {}

    def admits(self, *, frame: bool, now_ns: int) -> bool:
        """Whether a message that came now is still within the rate; what is beyond is dropped."""
        if (self._frames if frame else self._texts).take(now_ns):
            return True
        self._refused += 1
        return False

    @property
    def floods(self) -> bool:
        """So much came too fast that the connection should end."""
        return self._refused > _MOST_REFUSED

    def send(self, message: Mapping[str, Any]) -> None:
        """Queue a message; a client that does not read loses it."""
        with contextlib.suppress(asyncio.QueueFull):
            self._outbox.put_nowait(json.dumps(message))

    async def drain(self) -> None:
        """Send what is queued, until cancelled or the connection breaks."""
        with contextlib.suppress(ConnectionError):
            while not self._socket.closed:
                await self._socket.send_str(await self._outbox.get())

    def ping(self, now_ns: int) -> None:
        """Ask for an answer, to measure the round trip."""
        number = max(self._pings, default=0) + 1
        self._pings = {number: now_ns, **dict(list(self._pings.items())[:3])}
        self.send({"type": "ping", "id": number})

    def pong(self, number: int, now_ns: int) -> None:
        """The answer to a ping came."""
        sent_ns = self._pings.pop(number, None)
        if sent_ns is not None:
            self.latency_ms = (now_ns - sent_ns) / 2 / NS_PER_MS

    async def close(self, reason: str, code: int = WSCloseCode.POLICY_VIOLATION) -> None:
        """End the connection and say why."""
        cut = reason.encode()[:_REASON_BYTES].decode(errors="ignore").encode()
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self._socket.close(code=code, message=cut)
