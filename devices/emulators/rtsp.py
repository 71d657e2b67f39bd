"""A network camera by its bytes: RTSP (RFC 2326) with RTP over the same TCP connection, H.264 by RFC 6184."""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import struct
import threading
import time
from collections.abc import Sequence
from typing import BinaryIO, Final

_LARGEST_PAYLOAD: Final = 1200
_CLOCK_HZ: Final = 90_000
_PAYLOAD_TYPE: Final = 96
_FIRST_STAMP: Final = 0xFFFF0000
"""Not 0, which FFmpeg takes for unset; wraps soon."""
_SSRC: Final = 0x7E1E0B5E
_FU_A: Final = 28
_SESSION: Final = "17112026"
_START_CODE = re.compile(rb"\x00\x00\x00?\x01")


class RtspServer:
    """Plays access units in a loop to everyone who asks. Serves from threads; close it.

    Args:
        units: Annex B access units, the first one a keyframe with its parameter sets.
        fps: How many a second.
        login: `user:password` that it wants, empty: none.
        port: 0: any.
    """

    def __init__(self, units: Sequence[bytes], fps: float, login: str = "", port: int = 0) -> None:
        self._units = [[nal for nal in _START_CODE.split(unit) if nal] for unit in units]
        self._fps = fps
        self._login = base64.b64encode(login.encode()).decode() if login else ""
        self._stop = threading.Event()
        self._sockets: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"rtsp://127.0.0.1:{self.port}/cam"
        self.muted = threading.Event()
        self.requests: list[str] = []
        self.sent_ns: dict[int, int] = {}
        """When each access unit went out, by its number in the stream that was played last."""
        threading.Thread(target=self._accept, name="rtsp", daemon=True).start()

    def hang_up(self) -> None:
        """Close every connection, as a camera that loses power does."""
        for each in list(self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop. May be called twice."""
        self._stop.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), name="rtsp-client", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        self._sockets.add(connection)
        gone = threading.Event()
        try:
            with connection, connection.makefile("rb") as reader:
                while (request := _request(reader)) is not None:
                    method, headers = request
                    self.requests.append(method)
                    connection.sendall(self._answer(method, headers))
                    if method == "PLAY":
                        threading.Thread(target=self._play, args=(connection, gone), daemon=True).start()
                    if method == "TEARDOWN":
                        return
        except OSError:
            return
        finally:
            gone.set()
            self._sockets.discard(connection)

    def _answer(self, method: str, headers: dict[str, str]) -> bytes:
        def reply(status: str, *lines: str, body: str = "") -> bytes:
            head = [f"RTSP/1.0 {status}", f"CSeq: {headers.get('cseq', '0')}", *lines]
            if body:
                head.append(f"Content-Length: {len(body)}")
            return ("\r\n".join(head) + "\r\n\r\n" + body).encode()

        if self._login and method != "OPTIONS" and headers.get("authorization") != f"Basic {self._login}":
            return reply("401 Unauthorized", 'WWW-Authenticate: Basic realm="camera"')
        if method == "OPTIONS":
            return reply("200 OK", "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER")
        if method == "DESCRIBE":
            return reply(
                "200 OK", f"Content-Base: {self.url}/", "Content-Type: application/sdp", body=self._sdp()
            )
        if method == "SETUP":
            if "interleaved" not in headers.get("transport", ""):
                return reply("461 Unsupported Transport")
            transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"
            return reply("200 OK", transport, f"Session: {_SESSION};timeout=60")
        if method in ("PLAY", "GET_PARAMETER", "TEARDOWN", "SET_PARAMETER"):
            return reply("200 OK", f"Session: {_SESSION}")
        return reply("501 Not Implemented")

    def _sdp(self) -> str:
        sets = ",".join(base64.b64encode(nal).decode() for nal in self._units[0] if nal[0] & 31 in (7, 8))
        lines = (
            "v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=camera", "c=IN IP4 0.0.0.0", "t=0 0",
            f"m=video 0 RTP/AVP {_PAYLOAD_TYPE}", f"a=rtpmap:{_PAYLOAD_TYPE} H264/{_CLOCK_HZ}",
            f"a=fmtp:{_PAYLOAD_TYPE} packetization-mode=1;sprop-parameter-sets={sets}",
            f"a=framerate:{self._fps:g}", "a=control:track1",
        )  # fmt: skip
        return "\r\n".join(lines) + "\r\n"

    def _play(self, connection: socket.socket, gone: threading.Event) -> None:
        sequence, number = 0, 0
        with contextlib.suppress(OSError):
            while not gone.wait(1.0 / self._fps) and not self._stop.is_set():
                if self.muted.is_set():
                    continue
                stamp = (_FIRST_STAMP + round(number * _CLOCK_HZ / self._fps)) & 0xFFFFFFFF
                packets = _packets(self._units[number % len(self._units)])
                for payload, last in packets:
                    kind = _PAYLOAD_TYPE | (0x80 if last else 0)
                    rtp = struct.pack(">BBHII", 0x80, kind, sequence & 0xFFFF, stamp, _SSRC) + payload
                    connection.sendall(struct.pack(">cBH", b"$", 0, len(rtp)) + rtp)
                    sequence += 1
                self.sent_ns[number] = time.monotonic_ns()
                number += 1


def _request(reader: BinaryIO) -> tuple[str, dict[str, str]] | None:
    """The next request; RTCP reports between requests are passed over. None at the end."""
    while (first := reader.read(1)) == b"$":
        _, size = struct.unpack(">BH", reader.read(3))
        reader.read(size)
    if not first:
        return None
    method = (first + reader.readline()).decode("latin-1").split(" ")[0]
    headers: dict[str, str] = {}
    while line := reader.readline().strip().decode("latin-1"):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    reader.read(int(headers.get("content-length", "0")))
    return method, headers


def _packets(nals: Sequence[bytes]) -> list[tuple[bytes, bool]]:
    """RTP payloads of an access unit, and whether each is its last: single NAL units and FU-A fragments."""
    packets: list[bytes] = []
    for nal in nals:
        if len(nal) <= _LARGEST_PAYLOAD:
            packets.append(nal)
            continue
        indicator, kind, body = nal[0] & 0xE0 | _FU_A, nal[0] & 31, nal[1:]
        parts = [body[at : at + _LARGEST_PAYLOAD] for at in range(0, len(body), _LARGEST_PAYLOAD)]
        for index, part in enumerate(parts):
            edge = (0x80 if index == 0 else 0) | (0x40 if index == len(parts) - 1 else 0)
            packets.append(bytes([indicator, edge | kind]) + part)
    return [(packet, index == len(packets) - 1) for index, packet in enumerate(packets)]
