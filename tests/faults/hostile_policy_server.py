"""Emulated policy servers of three protocols that answer as they should, or in one of many wrong ways.

They speak bytes that `policy_bytes` makes, so that no mistake of our own codecs can hide here.
"""

from __future__ import annotations

import pickle
import socket
import threading
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import numpy as np
import zmq
from policy_bytes import groot_array, groot_modalities, groot_read, openpi_array, openpi_read, packed
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.sync.server import Server, ServerConnection, serve

HUGE_BYTES = 65 * 1024 * 1024
WAIT_S = 60.0


class Wrong(StrEnum):
    """Ways to answer."""

    NOT = "as it should"
    RANK = "a row instead of a chunk"
    CHANNELS = "one channel too many"
    LONG = "more actions than it told"
    EMPTY = "no action at all"
    NAN = "values that are no numbers"
    INFINITE = "infinite values"
    TEXTS = "texts for actions"
    MISSING = "no actions"
    OBJECTS = "pickled objects"
    SHAPE = "an array larger than its data"
    GARBAGE = "bytes that are no message"
    DEEP = "lists in lists without end"
    HUGE = "more than fits"
    ERROR = "an error"
    TEXT = "a text for bytes"
    LATE = "too late"
    SILENT = "nothing"
    HANGS_UP = "half a message"
    TWICE = "two answers"


class BadPickle:
    """Tells when somebody unpickles it."""

    opened = False

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return (_opened, ())


def _opened() -> None:
    BadPickle.opened = True


def actions_of(wrong: Wrong, number: int, horizon: int = 16, channels: int = 6) -> np.ndarray:
    """A chunk whose every value tells the question's number, made wrong as wanted."""
    chunk = np.full((horizon, channels), float(number), np.float32)
    if wrong is Wrong.RANK:
        return chunk[0]
    if wrong is Wrong.CHANNELS:
        return np.zeros((horizon, channels + 1), np.float32)
    if wrong is Wrong.LONG:
        return np.zeros((horizon + 1, channels), np.float32)
    if wrong is Wrong.EMPTY:
        return chunk[:0]
    if wrong is Wrong.NAN:
        chunk[3, 2] = np.nan
    if wrong is Wrong.INFINITE:
        chunk[0, 0] = -np.inf
    return chunk.astype(str) if wrong is Wrong.TEXTS else chunk


class WebSocketServer:
    """An emulated server of openpi, or of StarVLA.

    Attributes:
        wrong: How the next questions are answered.
        metadata: First message of each connection; bytes and texts as they are, None for none.
        asked: Questions that came.
        headers: Of the handshakes.
    """

    def __init__(self, *, starvla: bool = False) -> None:
        self.wrong = Wrong.NOT
        self.metadata: Any = (
            {"env": "emulated", "action_chunk_size": 16}
            if starvla
            else {"teleop": {"horizon": 16, "action_dim": 6, "version": "1"}}
        )
        self.asked: list[Any] = []
        self.headers: list[Any] = []
        self._starvla = starvla
        self._ended = threading.Event()
        self._server: Server | None = None
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen, again where it did before."""
        self._ended.clear()
        self._server = serve(self._serve, "127.0.0.1", self._port, compression=None, max_size=None)
        self._port = self._server.socket.getsockname()[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._ended.set()
        if self._server is not None:
            self._server.shutdown()
        self._server = None

    def _serve(self, connection: ServerConnection) -> None:
        self.headers.append(connection.request.headers if connection.request else None)
        try:
            if self.metadata is None:
                self._ended.wait(WAIT_S)
                return
            raw = isinstance(self.metadata, bytes | str)
            connection.send(self.metadata if raw else packed(self.metadata))
            while True:
                self.asked.append(openpi_read(connection.recv(decode=False)))
                self._answer(connection, self.wrong, len(self.asked))
        except ConnectionClosed:
            pass

    def _answer(self, connection: ServerConnection, wrong: Wrong, number: int) -> None:
        good = self._content(openpi_array(actions_of(wrong, number)))
        if wrong is Wrong.SILENT:
            self._ended.wait(WAIT_S)
        elif wrong is Wrong.LATE:
            # Answered with what comes next: who takes it for the next answer has been misled.
            connection.recv()
            connection.send(good)
        elif wrong is Wrong.HANGS_UP:
            frame = Frame(Opcode.BINARY, good).serialize(mask=False)
            connection.socket.sendall(frame[: len(frame) // 2])
            connection.socket.shutdown(socket.SHUT_RDWR)
        elif wrong is Wrong.TWICE:
            connection.send(good)
            connection.send(good)
        elif wrong is Wrong.TEXT:
            connection.send("Traceback (most recent call last):\n  File 'x'\nValueError: it hurts\n")
        else:
            connection.send(self._bytes(wrong, good))

    def _bytes(self, wrong: Wrong, good: bytes) -> bytes:
        if wrong is Wrong.MISSING:
            return packed({"ok": True, "data": {"joints": 1}} if self._starvla else {"joints": 1})
        if wrong is Wrong.ERROR:
            return packed({"ok": False, "status": "error", "error": {"message": "it hurts"}})
        if wrong is Wrong.OBJECTS:
            body = pickle.dumps([BadPickle()])
            return self._content({b"__ndarray__": True, b"data": body, b"dtype": "|O", b"shape": (1,)})
        if wrong is Wrong.SHAPE:
            array = openpi_array(np.zeros((16, 6), np.float32)) | {b"shape": (2**30, 2**30)}
            return self._content(array)
        return _raw(wrong) or good

    def _content(self, actions: Any) -> bytes:
        if not self._starvla:
            return packed({"actions": actions, "server_timing": {"infer_ms": 1.5}})
        number = str(self.asked[-1].get("request_id"))
        return packed(
            {"ok": True, "status": "ok", "request_id": number, "data": {"actions": _batch(actions)}}
        )


class GrootServer:
    """An emulated server of Isaac-GR00T; the attributes are those of `WebSocketServer`.

    Args:
        old: N1.5 instead of N1.6.
        token: That it wants.
    """

    def __init__(self, *, old: bool = False, token: str = "") -> None:
        self.wrong = Wrong.NOT
        self.modalities: Any = groot_modalities(old=old)
        self.asked: list[Any] = []
        self.port = 0
        self._old = old
        self._token = token
        self.start()

    def start(self) -> None:
        """Listen, again where it did before."""
        self._ended = threading.Event()
        made = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(made,), daemon=True)
        self._thread.start()
        assert made.wait(WAIT_S)

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self, made: threading.Event) -> None:
        with zmq.Context.instance().socket(zmq.ROUTER) as router:
            router.set(zmq.LINGER, 0)
            if self.port:
                router.bind(f"tcp://127.0.0.1:{self.port}")
            else:
                self.port = router.bind_to_random_port("tcp://127.0.0.1")
            made.set()
            held: list[list[bytes]] = []
            while not self._ended.is_set():
                if not router.poll(20):
                    continue
                *envelope, question = router.recv_multipart()
                request = groot_read(question)
                wrong = self.wrong if request["endpoint"] == "get_action" else Wrong.NOT
                answer = self._answer(request, wrong)
                if wrong is Wrong.SILENT:
                    continue
                if wrong is Wrong.LATE:
                    held.append([*envelope, answer])
                    continue
                for late in held:
                    router.send_multipart(late)
                held.clear()
                router.send_multipart([*envelope, answer])
                if wrong is Wrong.TWICE:
                    router.send_multipart([*envelope, answer])

    def _answer(self, request: dict[str, Any], wrong: Wrong) -> bytes:
        self.asked.append(request)
        if self._token and request.get("api_token") != self._token:
            return packed({"error": "Unauthorized: Invalid API token"})
        endpoint = request["endpoint"]
        if endpoint == "ping":
            return packed({"status": "ok", "message": "Server is running"})
        if endpoint == "get_modality_config":
            return packed(self.modalities)
        if endpoint == "reset":
            return packed({})
        return self._action_bytes(wrong)

    def _action_bytes(self, wrong: Wrong) -> bytes:
        number = sum(request["endpoint"] == "get_action" for request in self.asked)
        if wrong is Wrong.ERROR:
            return packed({"error": ""})
        if wrong is Wrong.TEXT:
            return b"ERROR"
        raw = _raw(wrong)
        if raw:
            return raw
        whole = actions_of(wrong, number)
        if wrong is Wrong.RANK:
            return self._content({"single_arm": groot_array(whole), "gripper": groot_array(whole)})
        parts = {"single_arm": whole[:, 1:], "gripper": whole[:, :1]}
        if self._old:
            parts["gripper"] = parts["gripper"][:, 0]  # one channel is squeezed away
        else:
            parts = {name: part[None] for name, part in parts.items()}
        content = {name: groot_array(part) for name, part in parts.items()}
        if wrong is Wrong.MISSING:
            del content["gripper"]
        if wrong is Wrong.OBJECTS:
            content["gripper"] = groot_array(np.array([BadPickle()], object))
        if wrong is Wrong.SHAPE:
            body = content["gripper"]["as_npy"]
            content["gripper"]["as_npy"] = body.replace(b"16", b"96", 1)
        return self._content(content)

    def _content(self, actions: dict[str, Any]) -> bytes:
        if self._old:
            return packed({f"action.{name}": part for name, part in actions.items()})
        return packed([actions, {}])


def _raw(wrong: Wrong) -> bytes:
    """Messages that are wrong in themselves."""
    if wrong is Wrong.GARBAGE:
        return b"\xc1\xff\x00 not a message"
    if wrong is Wrong.DEEP:
        return b"\xdc\x10\x00" * 5000
    return packed(b"\0" * HUGE_BYTES) if wrong is Wrong.HUGE else b""


def _batch(actions: dict[bytes, Any]) -> dict[bytes, Any]:
    """A batch of one of an array on the wire."""
    return actions | {b"shape": (1, *actions[b"shape"])}
