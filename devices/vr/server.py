"""The HTTPS server of the headset page: pairing, files, WebSockets. Runs in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from devices.vr.certificate import Certificate
from devices.vr.connection import Connection
from devices.vr.hall import Hall
from devices.vr.pairing import PairedClient, Pairing, PairingRefusedError
from devices.vr.protocol import MAX_MESSAGE_BYTES, ProtocolError, decode_text, short_text
from teleop_app.core.clock import Clock
from teleop_app.core.errors import DeviceError, StorageError
from teleop_app.core.types import CameraSetup, VideoPacket

logger = logging.getLogger(__name__)

COOKIE: Final = "__Host-teleop"
WEB: Final = Path(__file__).parent / "web"
_TYPES: Final = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Permissions-Policy": "xr-spatial-tracking=(self)",
}
_HEARTBEAT_S: Final = 4.0
_START_S: Final = 15.0
_ABORTED_S: Final = 0.05
_BODY_BYTES: Final = 2048
T = TypeVar("T")


class VideoService(Protocol):
    """What serves the cameras' video to browsers (devices/vr/video_hub.py)."""

    def offer(self, packet: VideoPacket) -> None:
        """Take a packet of a camera. From the thread that polls; must not block."""
        ...

    def introduce(self, setup: CameraSetup) -> None:
        """Take what a camera says of itself. Likewise."""
        ...

    async def serve(self, websocket: web.WebSocketResponse) -> None:
        """Send video until the socket is closed. Runs in the server's loop."""
        ...

    @property
    def metrics(self) -> Mapping[str, float]:
        """What was sent and dropped."""
        ...


class HeadsetServer:
    """Serves the page and its WebSockets.

    `start`, `stop`, `call` and `post` are for other threads.

    Args:
        hall: The clients; touched only in the server's loop.
        pairing: Likewise.
        certificate: Of this store.
        names: Host names and addresses that browsers may use.
        clock: The station's clock.
        welcome: What a client is told first.
        video: Serves `/video`; None: there is none.
    """

    def __init__(
        self,
        hall: Hall,
        pairing: Pairing,
        certificate: Certificate,
        names: Sequence[str],
        clock: Clock,
        welcome: Mapping[str, Any],
        video: VideoService | None = None,
    ) -> None:
        self._hall = hall
        self._pairing = pairing
        self._certificate = certificate
        self._names = {name.lower() for name in names}
        self._clock = clock
        self._welcome = dict(welcome)
        self._video = video
        self._watching: dict[web.WebSocketResponse, str] = {}
        self._numbers = itertools.count(1)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._started = threading.Event()
        self._failure: OSError | None = None
        self._thread: threading.Thread | None = None
        self.port = 0

    # Other threads.

    def start(self, host: str, port: int) -> None:
        """Listen; returns when browsers can connect.

        Raises:
            DeviceError: The port or address cannot be used.
        """
        self._loop = loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._run, args=(loop, host, port), name="headset-server", daemon=True
        )
        self._thread.start()
        if not self._started.wait(_START_S):
            raise DeviceError("The headset page did not start", why=f"after {_START_S:.0f} s")
        if self._failure is not None:
            self._thread.join()
            raise _cannot_listen(host, port, self._failure)

    def stop(self) -> None:
        """Close all connections and end the thread. May be called twice."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self.post(self._stopping.set)
            thread.join(10.0)

    def post(self, work: Callable[[], None]) -> None:
        """Do something in the server's loop, without waiting for it."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            if self._loop is not None:
                self._loop.call_soon_threadsafe(work)

    def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do something in the server's loop and wait for its result.

        Raises:
            DeviceError: The server does not answer.
        """
        if self._loop is None or self._loop.is_closed():
            raise DeviceError("The headset page does not run")

        async def run() -> T:
            return await work()

        try:
            return asyncio.run_coroutine_threadsafe(run(), self._loop).result(2.0)
        except TimeoutError as error:
            raise DeviceError("The headset page does not answer") from error

    # The server's thread.

    def _run(self, loop: asyncio.AbstractEventLoop, host: str, port: int) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(self._serve(host, port))
        except OSError as error:
            self._failure = error
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
            self._started.set()

    async def _serve(self, host: str, port: int) -> None:
        runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, host or None, port, ssl_context=self._certificate.context())
            await site.start()
            self.port = int(runner.addresses[0][1])
            ticking = asyncio.create_task(self._tick())
            self._started.set()
            await self._stopping.wait()
            ticking.cancel()
            leaving = [
                each.close("the station stopped", WSCloseCode.GOING_AWAY) for each in self._hall.connections
            ]
            await asyncio.gather(*leaving, self._end_video(None, "the station stopped"))
        finally:
            # Closing waits for the browsers' good-bye over TLS; the thread does not. Aborting comes first:
            # early releases of Python 3.11 cannot abort what was closed twice.
            for connection in runner.server.connections if runner.server else ():
                if connection.transport is not None:
                    with contextlib.suppress(AttributeError):
                        connection.transport.abort()
            await asyncio.sleep(_ABORTED_S)
            await runner.cleanup()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            self._hall.tick()

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=_BODY_BYTES, middlewares=[self._guard])
        app.router.add_get("/", self._file(WEB / "index.html"))
        for file in sorted(WEB.iterdir()):
            if file.suffix in _TYPES:
                app.router.add_get(f"/{file.name}", self._file(file))
        app.router.add_get("/me", self._me)
        app.router.add_post("/pair", self._pair)
        app.router.add_post("/unpair", self._unpair)
        app.router.add_get("/ws", self._control_socket)
        app.router.add_get("/video", self._video_socket)
        return app

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Only by a name of this host (against DNS rebinding); what changes something only from our page."""
        host = request.url.host or ""
        if host.lower() not in self._names:
            self._hall.counters.refused += 1
            text = f"This station is not called {host[:80]}. Add the name to the headset's options (names)."
            return web.Response(status=421, text=text)
        own = f"https://{request.host}"
        guarded = request.method != "GET" or request.path in ("/ws", "/video")
        if guarded and request.headers.get("Origin") != own:
            self._hall.counters.refused += 1
            return web.Response(status=403, text="Only the station's own page may do this.")
        return await handler(request)

    def _file(self, path: Path) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            policy = (
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
                f"connect-src 'self' wss://{request.host}; media-src blob:; worker-src 'self'; "
                "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            )
            return web.Response(
                body=path.read_bytes(),
                content_type=_TYPES[path.suffix],
                charset="utf-8",
                headers={**_HEADERS, "Content-Security-Policy": policy},
            )

        return answer

    def _client(self, request: web.Request) -> PairedClient | None:
        secret = request.cookies.get(COOKIE, "")
        return self._pairing.who(secret, time.time()) if secret else None

    async def _me(self, request: web.Request) -> web.StreamResponse:
        client = self._client(request)
        return web.json_response(
            {"paired": client is not None, "title": client.title if client else ""}, headers=_HEADERS
        )

    async def _pair(self, request: web.Request) -> web.StreamResponse:
        try:
            asked = decode_text(await request.text())
            title, pin, token = (short_text(asked, name) for name in ("title", "pin", "token"))
        except (ProtocolError, UnicodeDecodeError):
            self._hall.counters.malformed += 1
            return web.json_response({"error": "This is not a pairing request."}, status=400)
        try:
            if token:
                client, secret = self._pairing.by_token(token, title, time.time())
            else:
                client, secret = self._pairing.by_pin(pin, title, time.time())
        except PairingRefusedError as error:
            self._hall.counters.refused += 1
            logger.warning("pairing refused for %s: %s", request.remote, error)
            return web.json_response({"error": str(error), "wait_s": error.wait_s}, status=403)
        except StorageError as error:
            return web.json_response({"error": error.sentence}, status=500)
        logger.info("paired with %s at %s", client.title, request.remote)
        answer = web.json_response({"title": client.title})
        answer.set_cookie(
            COOKIE,
            secret,
            max_age=int(self._pairing.remember_s),
            path="/",
            secure=True,
            httponly=True,
            samesite="Strict",
        )
        return answer

    async def _unpair(self, request: web.Request) -> web.StreamResponse:
        client = self._client(request)
        if client is not None:
            await self.revoke(client.id)
        answer = web.json_response({})
        answer.del_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="Strict")
        return answer

    async def revoke(self, client_id: str) -> int:
        """Unpair a client, or all, and close their connections; how many. In the server's loop."""
        gone = self._pairing.revoke(client_id)
        self._hall.forget(gone)
        for connection in self._hall.connections:
            if connection.client.id in gone:
                await connection.close("the pairing was revoked")
        await self._end_video(gone, "the pairing was revoked")
        return len(gone)

    async def _control_socket(self, request: web.Request) -> web.StreamResponse:
        client = self._client(request)
        if client is None:
            return web.Response(status=401, text="Pair this browser first.")
        socket = web.WebSocketResponse(heartbeat=_HEARTBEAT_S, max_msg_size=MAX_MESSAGE_BYTES, compress=False)
        await socket.prepare(request)
        connection = Connection(next(self._numbers), client, socket)
        sending = asyncio.create_task(connection.drain())
        connection.send({"type": "welcome", "title": client.title, **self._welcome})
        self._hall.enter(connection)
        try:
            async for message in socket:
                if not await self._take(connection, message):
                    break
        finally:
            self._hall.leave(connection)
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending
        return socket

    async def _take(self, connection: Connection, message: WSMessage) -> bool:
        """Take a message; whether the connection goes on."""
        counters = self._hall.counters
        if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
            counters.malformed += 1  # too long, or not WebSocket at all; aiohttp closes it and says so
            return False
        frame = message.type is WSMsgType.BINARY
        if not connection.admits(frame=frame, now_ns=self._clock.now_ns()):
            counters.flooded += 1
            if connection.floods:
                await connection.close("too many messages")
                return False
            return True
        try:
            if frame:
                self._hall.frame(connection, message.data)
            else:
                self._hall.text(connection, message.data)
        except ProtocolError as error:
            counters.malformed += 1
            logger.warning("a message of %s was refused: %s", connection.client.title, error)
            await connection.close(str(error))
            return False
        return True

    async def _end_video(self, clients: Collection[str] | None, why: str) -> None:
        """Close the video of these clients, or of all."""
        for socket, client in list(self._watching.items()):
            if clients is None or client in clients:
                with contextlib.suppress(ConnectionError, RuntimeError):
                    await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=why.encode())

    async def _video_socket(self, request: web.Request) -> web.StreamResponse:
        client = self._client(request)
        if client is None:
            return web.Response(status=401, text="Pair this browser first.")
        if self._video is None:
            return web.Response(status=404, text="This station shows no video.")
        socket = web.WebSocketResponse(heartbeat=_HEARTBEAT_S, max_msg_size=MAX_MESSAGE_BYTES, compress=False)
        await socket.prepare(request)
        self._watching[socket] = client.id
        try:
            await self._video.serve(socket)
        finally:
            del self._watching[socket]
        return socket


def _cannot_listen(host: str, port: int, error: OSError) -> DeviceError:
    where = f"{host}:{port}" if host else f"port {port}"
    if error.errno == errno.EADDRINUSE:
        return DeviceError(
            f"The headset page cannot listen on {where}",
            why="another program uses it",
            next_step="End that program, or choose another port in the options of the input",
        )
    return DeviceError(f"The headset page cannot listen on {where}", why=error.strerror or str(error))
