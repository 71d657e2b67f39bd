"""ZMQ between the processes of a station: published messages, and commands with an answer.

Each process binds `<name>.pub` (messages, topic first) and `<name>.cmd` (commands) in the station's
run directory; the control process also binds `control.in`, to which every input source connects.
"""

from __future__ import annotations

import inspect
import json
import logging
import os
import sys
import time
import typing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zmq

from teleop_app.core.codec import MAX_MESSAGE_BYTES, decode, encode
from teleop_app.core.errors import BusError, TeleopError

logger = logging.getLogger(__name__)
_HAS_IPC = sys.platform != "win32"
_PORTS_FILE = "ports.json"
_MALFORMED_TOLD = 10
"""Malformed messages logged one by one; then every thousandth, lest the log costs more than they do."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Addresses of a station's sockets: `ipc://` in the run directory, loopback TCP where that is absent."""

    run_dir: Path

    def publish(self, process: str) -> str:
        """Where `process` publishes."""
        return self._address(f"{process}.pub")

    def command(self, process: str) -> str:
        """Where `process` takes commands."""
        return self._address(f"{process}.cmd")

    def inputs(self) -> str:
        """Where the control process takes input samples from every source."""
        return self._address("control.in")

    def _address(self, name: str) -> str:
        if _HAS_IPC:
            return f"ipc://{self.run_dir / name}"
        return f"tcp://127.0.0.1:{self._port(name)}"

    def _port(self, name: str) -> int:
        """The port kept for `name` in the run directory, drawn from the free ones at first use."""
        import socket

        file = self.run_dir / _PORTS_FILE
        ports: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
        if name not in ports:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                ports[name] = probe.getsockname()[1]
            temporary = file.with_suffix(f".{os.getpid()}")
            temporary.write_text(json.dumps(ports))
            temporary.replace(file)
        return ports[name]


class Publisher:
    """A PUB socket that never blocks.

    A subscriber that does not keep up loses messages and sees the gap in their sequence numbers.
    """

    def __init__(self, address: str, *, connect: bool = False, queue: int = 2000) -> None:
        self._socket = zmq.Context.instance().socket(zmq.PUB)
        self._socket.set(zmq.LINGER, 200)
        self._socket.set(zmq.SNDHWM, queue)
        self._socket.connect(address) if connect else _bind(self._socket, address)

    def send(self, topic: str, value: Any) -> None:
        """Publish a registered message (or plain structure) under `topic`."""
        self._socket.send_multipart((topic.encode(), encode(value)), copy=False)

    def send_encoded(self, topic: bytes, payload: bytes) -> None:
        """Publish bytes that `encode` made (relays)."""
        self._socket.send_multipart((topic, payload), copy=False)

    def close(self) -> None:
        """Close the socket after at most 200 ms for what is still queued."""
        self._socket.close()


class Subscriber:
    """A SUB socket on any number of publishers. Topics match by prefix; none means all.

    Attributes:
        malformed: Messages dropped because they could not be decoded.
    """

    def __init__(
        self,
        addresses: Iterable[str],
        topics: Iterable[str] = ("",),
        *,
        bind: bool = False,
        queue: int = 2000,
    ) -> None:
        self._socket = zmq.Context.instance().socket(zmq.SUB)
        self._socket.set(zmq.LINGER, 0)
        self._socket.set(zmq.RCVHWM, queue)
        self._socket.set(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        self._socket.set(zmq.RECONNECT_IVL, 20)
        self._socket.set(zmq.RECONNECT_IVL_MAX, 200)
        for topic in topics:
            self._socket.subscribe(topic.encode())
        self._connected: set[str] = set()
        for address in addresses:
            _bind(self._socket, address) if bind else self.connect(address)
        self.malformed = 0

    @property
    def socket(self) -> zmq.Socket[bytes]:
        """For a poller that waits on several sockets."""
        return self._socket

    def connect(self, address: str) -> None:
        """Listen to one more publisher, which may start later; once is enough."""
        if address not in self._connected:
            self._connected.add(address)
            self._socket.connect(address)

    def wait(self, timeout_s: float) -> bool:
        """Block until a message is there or `timeout_s` has passed."""
        return bool(self._socket.poll(max(0, round(timeout_s * 1000))))

    def receive(self) -> tuple[str, Any] | None:
        """The next waiting message as (topic, value), or None. Never blocks."""
        while (parts := self._waiting()) is not None:
            item = self.read(parts)
            if item is not None:
                return item
        return None

    def drain(self, limit: int = 10_000) -> Iterator[tuple[str, Any]]:
        """All waiting messages, oldest first; at most `limit` are taken, malformed ones included."""
        for _ in range(limit):
            parts = self._waiting()
            if parts is None:
                return
            item = self.read(parts)
            if item is not None:
                yield item

    def _waiting(self) -> list[bytes] | None:
        try:
            return self._socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return None

    def drain_encoded(self, limit: int = 10_000) -> Iterator[list[bytes]]:
        """The parts of all waiting messages, oldest first, not looked at; `read` decodes them."""
        for _ in range(limit):
            parts = self._waiting()
            if parts is None:
                return
            yield parts

    def read(self, parts: list[bytes]) -> tuple[str, Any] | None:
        """Decode a message as (topic, value); None, counted and logged, when it is malformed."""
        try:
            if len(parts) != 2:
                raise BusError(f"A message of {len(parts)} parts was dropped")
            return parts[0].decode(), decode(parts[1])
        except (BusError, UnicodeDecodeError) as error:
            self.malformed += 1
            if self.malformed <= _MALFORMED_TOLD or self.malformed % 1000 == 0:
                logger.warning("%s (%d so far)", error, self.malformed)
            return None

    def close(self) -> None:
        """Close the socket at once."""
        self._socket.close()


class CommandServer:
    """Answers commands, polled from the process's own loop (no thread).

    Args:
        address: Where to bind.
        handlers: By command name; keyword arguments in, a plain map (or None) out. A `TeleopError`
            travels back to the caller as it is.
    """

    def __init__(self, address: str, handlers: dict[str, Callable[..., dict[str, Any] | None]]) -> None:
        self._socket = zmq.Context.instance().socket(zmq.ROUTER)
        self._socket.set(zmq.LINGER, 200)
        self._socket.set(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        _bind(self._socket, address)
        self._handlers = handlers

    @property
    def socket(self) -> zmq.Socket[bytes]:
        """For a poller that waits on several sockets."""
        return self._socket

    def serve(self) -> int:
        """Answer every waiting command; returns how many there were. Never blocks."""
        served = 0
        while True:
            try:
                parts = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return served
            served += 1
            try:
                self._socket.send_multipart([*parts[:-1], encode(self._answer(parts[-1]))], zmq.NOBLOCK)
            except zmq.ZMQError as error:
                logger.warning("an answer could not be delivered: %s", error)

    def _answer(self, payload: bytes) -> dict[str, Any]:
        try:
            request = decode(payload)
            if not isinstance(request, dict) or not isinstance(request.get("args"), dict):
                raise BusError("A malformed command was refused")
            handler = self._handlers.get(str(request.get("command")))
            if handler is None:
                known = ", ".join(sorted(self._handlers))
                raise BusError(f"Unknown command {request.get('command')!r}", next_step=f"Known are: {known}")
            try:
                inspect.signature(handler).bind(**request["args"])
            except TypeError as error:
                raise BusError(f"Command {request['command']!r} was refused", why=str(error)) from error
            return {"ok": handler(**request["args"]) or {}}
        except TeleopError as error:
            return {"error": type(error).__name__, "parts": [error.what, error.why, error.next_step]}
        except Exception as error:
            logger.exception("a command failed")
            return {"error": "BusError", "parts": ["An internal error happened", repr(error), "See the log"]}

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class CommandClient:
    """Calls commands of one process. One thread at a time."""

    def __init__(self, address: str, process: str) -> None:
        self._address = address
        self._process = process
        self._socket: zmq.Socket[bytes] | None = None

    def call(self, command: str, /, *, timeout_s: float = 5.0, **args: Any) -> dict[str, Any]:
        """Send a command and wait for its answer.

        Raises:
            TeleopError: The handler's own error.
            BusError: No answer within `timeout_s`.
        """
        socket = self._connected()
        ticket = os.urandom(8)
        socket.send_multipart([ticket, encode({"command": command, "args": args})])
        deadline = time.monotonic() + timeout_s
        while (remaining := deadline - time.monotonic()) > 0:
            if not socket.poll(round(remaining * 1000) or 1):
                continue
            answered, payload = socket.recv_multipart()
            if answered == ticket:  # an older ticket is the late answer to a call that timed out
                return _unpack_answer(decode(payload))
        self.close()
        raise BusError(
            f"The {self._process} process did not answer {command!r} within {timeout_s:g} s",
            next_step="See the station's status",
        )

    def _connected(self) -> zmq.Socket[bytes]:
        if self._socket is None:
            self._socket = typing.cast("zmq.Socket[bytes]", zmq.Context.instance().socket(zmq.DEALER))
            self._socket.set(zmq.LINGER, 0)
            self._socket.set(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
            self._socket.connect(self._address)
        return self._socket

    def close(self) -> None:
        """Close the socket; the next call opens it anew."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _unpack_answer(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise BusError("A malformed answer was dropped")
    if "ok" in answer:
        return answer["ok"]
    from teleop_app.core import errors

    kind = getattr(errors, str(answer.get("error")), BusError)
    what, why, next_step = answer["parts"]
    raise kind(what, why=why, next_step=next_step)


def _bind(socket: zmq.Socket[bytes], address: str) -> None:
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        socket.close(linger=0)
        raise BusError(f"The address {address} cannot be opened", why=str(error)) from error
