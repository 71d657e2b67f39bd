"""Calls of a GR00T server's endpoints over ZMQ, each within its time."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any

import zmq

from teleop_app.autonomy import wire_groot
from teleop_app.autonomy.clients.answers import last_line
from teleop_app.autonomy.wire import MAX_MESSAGE_BYTES, WireError
from teleop_app.core.errors import PolicyError

_SLICE_MS = 50
_LEGACY_ERROR = b"ERROR"
"""What N1.5 says when it cannot even read a question."""


class Requester:
    """A REQ socket. One thread opens and calls; `close` may come from any, and ends a call that waits.

    ZMQ connects by itself: a server that is gone is one that does not answer. After a failure the next call
    takes a new socket: ZMQ does not connect again to one that sent what it refuses (too large a message).

    Args:
        server: Address.
    """

    def __init__(self, server: str) -> None:
        self.server = server
        self._token = ""
        self._socket: zmq.Socket[bytes] | None = None
        self._lock = threading.Lock()  # the socket belongs to whoever holds it
        self._closed = threading.Event()
        self._closed.set()

    def open(self, token: str) -> None:
        """Take calls; whether there is a server shows at the first one.

        Args:
            token: Sent with each call; empty: none.
        """
        with self._lock:
            self._end()
            self._token = token
            self._closed.clear()

    def call(self, endpoint: str, data: Any = None, *, timeout_s: float) -> Any:
        """What an endpoint answers.

        Raises:
            PolicyError: No answer within the time, an error instead of one, or a malformed one.
        """
        question = {"endpoint": endpoint}
        if data is not None:
            question["data"] = data
        if self._token:
            question["api_token"] = self._token
        try:
            message = wire_groot.pack(question)
        except WireError as error:
            raise PolicyError(
                f"The observation cannot be sent to the policy server {self.server}", why=str(error)
            ) from error
        with self._lock:
            try:
                answer = self._exchanged(message, timeout_s)
            except PolicyError:
                self._end()
                raise
            finally:
                if self._closed.is_set():
                    self._end()
        if answer == _LEGACY_ERROR:
            raise self._error("it could not read the question")
        try:
            found = wire_groot.unpack(answer)
        except WireError as error:
            raise PolicyError(
                f"The answer of the policy server {self.server} cannot be read", why=str(error)
            ) from error
        if isinstance(found, dict) and "error" in found:
            raise self._error(last_line(str(found["error"])))
        return found

    def close(self) -> None:
        """Let the socket go; whoever waits for an answer gets an error within 50 ms."""
        self._closed.set()
        with self._lock:
            self._end()

    def _exchanged(self, message: bytes, timeout_s: float) -> bytes:
        deadline = time.monotonic() + timeout_s
        try:
            if self._socket is None and not self._closed.is_set():
                self._socket = self._connected()
            self._wait(zmq.POLLOUT, deadline, timeout_s).send(message, zmq.DONTWAIT)
            while True:
                with suppress(zmq.Again):  # readable, but by an answer to another question
                    return self._wait(zmq.POLLIN, deadline, timeout_s).recv(zmq.DONTWAIT)
        except zmq.ZMQError as error:
            raise PolicyError(
                f"The connection with the policy server {self.server} broke", why=str(error)
            ) from error

    def _connected(self) -> zmq.Socket[bytes]:
        made = zmq.Context.instance().socket(zmq.REQ)
        made.set(zmq.LINGER, 0)
        made.set(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        made.set(zmq.REQ_CORRELATE, 1)  # a second answer to one question is thrown away
        made.set(zmq.IPV6, int("[" in self.server))
        made.set(zmq.RECONNECT_IVL, 50)
        made.set(zmq.RECONNECT_IVL_MAX, 1000)
        try:
            made.connect(self.server)
        except zmq.ZMQError:
            made.close()
            raise
        return made

    def _wait(self, event: int, deadline: float, timeout_s: float) -> zmq.Socket[bytes]:
        """The socket, once it can send or receive."""
        while self._socket is not None and not self._closed.is_set():
            left_ms = (deadline - time.monotonic()) * 1000.0
            if self._socket.poll(max(0, min(_SLICE_MS, int(left_ms) + 1)), event):
                return self._socket
            if left_ms <= 0.0:
                raise PolicyError(
                    f"The policy server {self.server} did not answer within {timeout_s:g} s",
                    next_step="Look whether it runs, and at its log, or raise timeout_s in the policy file",
                )
        raise PolicyError(f"The connection with the policy server {self.server} is closed")

    def _end(self) -> None:
        if self._socket is not None:
            self._socket.close(linger=0)
            self._socket = None

    def _error(self, why: str) -> PolicyError:
        return PolicyError(f"The policy server {self.server} answered with an error", why=why)
