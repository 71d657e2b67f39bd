"""A WebSocket connection to a policy server: one question at a time, in its time; made again if lost."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Any

from pydantic import Field, field_validator
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.uri import parse_uri

from teleop_app.autonomy import wire
from teleop_app.autonomy.clients.answers import last_line
from teleop_app.core.clock import NS_PER_S, Clock
from teleop_app.core.errors import PolicyError
from teleop_app.core.policy import PolicyFacts, PolicyOptions

MAX_METADATA_BYTES = 1024 * 1024
_CLOSE_S = 0.5
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 8.0


class WebSocketOptions(PolicyOptions):
    """Where a WebSocket server is.

    Attributes:
        host: Name or address.
        port: TCP.
        url: Instead of both: `ws://...` or `wss://...` (TLS).
        api_key_env: Environment variable with the key that the server wants; empty: it wants none.
        timeout_s: Longest wait for an answer.
        open_timeout_s: Longest wait for a connection and the server's metadata.
    """

    host: str = Field(default="127.0.0.1", min_length=1, max_length=253)
    port: int = Field(default=8000, ge=1, le=65535)
    url: str = Field(default="", max_length=1000)
    api_key_env: str = Field(default="", max_length=200)
    timeout_s: float = Field(default=5.0, gt=0.0, le=120.0)
    open_timeout_s: float = Field(default=10.0, gt=0.0, le=120.0)

    @field_validator("url")
    @classmethod
    def _is_web_socket(cls, url: str) -> str:
        if url:
            try:
                parse_uri(url)
            except WebSocketException as error:
                raise ValueError(f"not an address such as ws://127.0.0.1:8000: {error}") from error
        return url

    @property
    def address(self) -> str:
        """The URL, however it is given."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.url or f"ws://{host}:{self.port}"


class WebSocketChannel:
    """Asks and answers in openpi's codec, after a first message in which the server tells of itself.

    One thread opens and asks; `close` may come from any.

    Args:
        options: Where the server is.
        read_facts: Makes facts of the server's first message, and checks it.
        clock: Paces connecting again.
    """

    def __init__(
        self, options: WebSocketOptions, read_facts: Callable[[Any], PolicyFacts], clock: Clock
    ) -> None:
        self._options = options
        self._read_facts = read_facts
        self._clock = clock
        self._facts: PolicyFacts | None = None
        self._connection: ClientConnection | None = None
        self._ends = ExitStack()
        self._pause_s = 0.0
        self._next_try_ns = 0
        self._lock = threading.Lock()  # of the three below, for `close`
        self._socket: socket.socket | None = None
        self._busy = False
        self._closed = True

    @property
    def server(self) -> str:
        """Its address, for sentences."""
        return self._options.address

    def open(self) -> PolicyFacts:
        """Connect, and read what the server tells of itself.

        Raises:
            PolicyError: It is not there, refuses the key, or tells nonsense.
        """
        with self._lock:
            self._closed = False
        with self._working():
            self._drop()
            self._pause_s, self._next_try_ns = 0.0, 0
            _, self._facts = self._connect()
            return self._facts

    def ask(self, question: Any) -> Any:
        """The answer to a question; a lost connection is made again first.

        Raises:
            PolicyError: No answer within the time, an error instead of one, or a malformed one.
        """
        with self._working():
            try:
                message = wire.pack(question)
            except wire.WireError as error:
                raise PolicyError(
                    f"The observation cannot be sent to the policy server {self.server}", why=str(error)
                ) from error
            answer = self._answer(self._connection or self._connected_again(), message)
            if isinstance(answer, str):
                self._drop()
                raise PolicyError(
                    f"The policy server {self.server} answered with an error", why=last_line(answer)
                )
            return self._read(answer, "answer")

    def close(self) -> None:
        """Disconnect; a question that waits for its answer ends with an error."""
        with self._lock:
            self._closed = True
            if self._busy:  # whoever works ends now, and lets the connection go
                _cut(self._socket)
                return
        self._drop(in_order=True)

    @contextmanager
    def _working(self) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise self._is_closed()
            self._busy = True
        try:
            yield
        finally:
            with self._lock:
                self._busy = False
                closed = self._closed
            if closed:
                self._drop()

    def _answer(self, connection: ClientConnection, message: bytes) -> str | bytes:
        deadline = time.monotonic() + self._options.timeout_s
        try:
            if not _silent(connection):
                self._drop()
                raise PolicyError(f"The policy server {self.server} sent a message that nobody asked for")
            connection.send(message)
            return connection.recv(timeout=max(0.0, deadline - time.monotonic()))
        except TimeoutError as error:
            # Dropped: an answer that is still to come shall not be taken for that to the next question.
            self._drop()
            raise PolicyError(
                f"The policy server {self.server} did not answer within {self._options.timeout_s:g} s",
                next_step="Look at its log, or raise timeout_s in the policy file",
            ) from error
        except (ConnectionClosed, OSError) as error:
            self._drop()
            raise self._lost(error) from error

    def _connected_again(self) -> ClientConnection:
        known = self._facts
        if known is None:
            raise self._is_closed()
        wait_s = (self._next_try_ns - self._clock.now_ns()) / NS_PER_S
        if wait_s > 0.0:
            raise PolicyError(
                f"The policy server {self.server} is gone", why=f"it is tried again in {wait_s:.1f} s"
            )
        try:
            connection, facts = self._connect()
        except PolicyError as error:
            self._pause_s = min(max(2.0 * self._pause_s, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
            self._next_try_ns = self._clock.now_ns() + round(self._pause_s * NS_PER_S)
            raise PolicyError(
                error.what, why=error.why, next_step=f"It is tried again in {self._pause_s:g} s"
            ) from error
        if replace(facts, metadata={}) != replace(known, metadata={}):
            self._drop()
            raise PolicyError(
                f"The policy server {self.server} came back as another one",
                why=f"it was {_named(known)} and is {_named(facts)}",
                next_step="Choose the policy again",
            )
        self._pause_s = 0.0
        return connection

    def _connect(self) -> tuple[ClientConnection, PolicyFacts]:
        headers = self._headers()
        try:
            connection, greeting = self._greeted(headers)
            if isinstance(greeting, str):
                raise PolicyError(
                    f"The policy server {self.server} began with an error", why=last_line(greeting)
                )
            if len(greeting) > MAX_METADATA_BYTES:
                raise PolicyError(f"The metadata of the policy server {self.server} is {len(greeting)} bytes")
            return connection, self._read_facts(self._read(greeting, "metadata"))
        except (OSError, WebSocketException, ValueError) as error:
            self._drop()
            raise self._not_connected(error) from error
        except PolicyError:
            self._drop()
            raise

    def _greeted(self, headers: dict[str, str]) -> tuple[ClientConnection, str | bytes]:
        """A new connection, and the server's first message."""
        limit_s = self._options.open_timeout_s
        deadline = time.monotonic() + limit_s
        uri = parse_uri(self._options.address)
        plain = socket.create_connection((uri.host, uri.port), timeout=limit_s)
        self._ends.callback(plain.close)
        self._hold(plain)
        self._connection = self._ends.enter_context(
            connect(
                self._options.address,
                sock=plain,
                compression=None,
                additional_headers=headers,
                max_size=wire.MAX_MESSAGE_BYTES,
                open_timeout=max(0.0, deadline - time.monotonic()),
                close_timeout=_CLOSE_S,
                # A server that infers answers no ping; each question has its own time limit instead.
                ping_interval=None,
                proxy=None,
            )
        )
        # Bounds sending. What receives waits for data before it reads, so it has no use of it.
        self._connection.socket.settimeout(self._options.timeout_s)
        self._hold(self._connection.socket)
        return self._connection, self._connection.recv(timeout=max(0.0, deadline - time.monotonic()))

    def _hold(self, held: socket.socket) -> None:
        """Let `close` cut this socket from now on."""
        with self._lock:
            if self._closed:
                raise self._is_closed()
            self._socket = held

    def _headers(self) -> dict[str, str]:
        name = self._options.api_key_env
        if not name:
            return {}
        key = os.environ.get(name, "")
        if not key:
            raise PolicyError(
                f"There is no key for the policy server {self.server}",
                why=f"the environment variable {name} is not set",
                next_step="Set it where the station is started, or remove api_key_env from the policy file",
            )
        return {"Authorization": f"Api-Key {key}"}

    def _read(self, message: bytes, what: str) -> Any:
        try:
            return wire.unpack(message)
        except wire.WireError as error:
            self._drop()
            raise PolicyError(
                f"The {what} of the policy server {self.server} cannot be read", why=str(error)
            ) from error

    def _drop(self, *, in_order: bool = False) -> None:
        """Let the connection go, with the closing handshake or at once."""
        with self._lock:
            ends, self._ends, self._connection = self._ends, ExitStack(), None
            if not in_order:
                _cut(self._socket)
            self._socket = None
        with suppress(OSError, WebSocketException):
            ends.close()

    def _is_closed(self) -> PolicyError:
        return PolicyError(f"The connection with the policy server {self.server} is closed")

    def _lost(self, error: Exception) -> PolicyError:
        if self._closed:
            return self._is_closed()
        return PolicyError(
            f"The connection with the policy server {self.server} broke",
            why=str(error.__cause__ or error)[:300],
            next_step="The next question connects again",
        )

    def _not_connected(self, error: Exception) -> PolicyError:
        if self._closed:
            return self._is_closed()
        if isinstance(error, InvalidStatus) and error.response.status_code in (401, 403):
            return PolicyError(
                f"The policy server {self.server} refuses the key",
                why=f"status {error.response.status_code}",
                next_step="Name the environment variable that holds it as api_key_env in the policy file",
            )
        if isinstance(error, TimeoutError):
            why = f"no answer within {self._options.open_timeout_s:g} s"
        else:
            why = (getattr(error, "strerror", "") or str(error))[:300]
        return PolicyError(
            f"The policy server {self.server} cannot be reached",
            why=why,
            next_step="Start the server, or correct its address",
        )


def _silent(connection: ClientConnection) -> bool:
    """Whether nothing has come that was not asked for."""
    try:
        connection.recv(timeout=0)
    except TimeoutError:
        return True
    return False


def _cut(held: socket.socket | None) -> None:
    """End whatever waits on a socket, in whichever thread."""
    if held is not None:
        with suppress(OSError):
            held.shutdown(socket.SHUT_RDWR)


def _named(facts: PolicyFacts) -> str:
    return f"{facts.name or 'a policy'} {facts.version or 'without a version'}"
