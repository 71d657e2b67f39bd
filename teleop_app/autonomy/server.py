"""Serves a Python policy by openpi's protocol, so that any of its clients can ask it."""

from __future__ import annotations

import hmac
import http
import ipaddress
import logging
import threading
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.sync.server import Server, ServerConnection, serve

from teleop_app.autonomy import wire
from teleop_app.autonomy.clients.answers import MOST_SAMPLES, TeleopBlock, checked_chunk, checked_samples
from teleop_app.core.errors import PolicyError
from teleop_app.core.policy import Policy, PolicyAnswer, PolicyFacts, PolicyRequest, Prefix

logger = logging.getLogger(__name__)

_MOST_CLIENTS = 16
_SEND_S = 10.0
_OPEN_S = 5.0
_CLOSE_S = 1.0
_EXTRAS = "teleop/"


class PolicyServer:
    """A WebSocket server around a policy: several clients, one inference at a time.

    Args:
        policy: Opened by `start`, closed by `stop`; asked from the clients' threads, one at a time.
        host: Where to listen; beyond this machine only with a key.
        port: TCP; 0 lets the system choose.
        api_key: What clients must show; empty: nothing.

    Raises:
        PolicyError: It would be open to the network without a key.
    """

    def __init__(self, policy: Policy, host: str = "127.0.0.1", port: int = 8000, api_key: str = "") -> None:
        if not api_key and not _is_loopback(host):
            raise PolicyError(
                f"A policy is not served on {host} without a key",
                why="anybody who reaches it could use it",
                next_step="Give a key, or serve it on 127.0.0.1",
            )
        self._policy = policy
        self._host = host
        self._port = port
        self._header = f"Api-Key {api_key}".encode() if api_key else b""
        self._facts = PolicyFacts()
        self._metadata = b""
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self._inferring = threading.Lock()
        self._places = threading.BoundedSemaphore(_MOST_CLIENTS)
        self._stopping = False

    @property
    def url(self) -> str:
        """Where clients connect, once it is started."""
        host, port = self._server.socket.getsockname()[:2] if self._server else (self._host, self._port)
        return f"ws://[{host}]:{port}" if ":" in host else f"ws://{host}:{port}"

    @property
    def facts(self) -> PolicyFacts:
        """What the policy told of itself, once it is started."""
        return self._facts

    def start(self) -> None:
        """Open the policy and listen; returns when clients can connect.

        Raises:
            PolicyError: The policy does not open, or the port is taken.
        """
        self._stopping = False
        self._facts = self._policy.open()
        try:
            self._metadata = wire.pack(_metadata(self._facts))
            self._server = serve(
                self._serve_client,
                self._host,
                self._port,
                compression=None,
                max_size=wire.MAX_MESSAGE_BYTES,
                process_request=self._admit,
                origins=[None],  # no page in a browser of this machine may ask
                open_timeout=_OPEN_S,
                close_timeout=_CLOSE_S,
            )
        except (OSError, wire.WireError) as error:
            self._policy.close()
            raise PolicyError(
                f"The policy cannot be served on {self._host}:{self._port}",
                why=getattr(error, "strerror", "") or str(error),
                next_step="Choose another port",
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="policy-server", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Hang up on all clients and close the policy; may be called twice."""
        self._stopping = True
        self._policy.close()
        if self._server is not None and self._thread is not None:
            self._server.shutdown(code=CloseCode.GOING_AWAY, reason="The server ends.")
            self._thread.join()
        self._server = self._thread = None

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Before the connection: health to anybody, the rest to who has the key."""
        if request.path == "/healthz":
            return connection.respond(http.HTTPStatus.OK, "OK\n")
        shown = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if self._header and not hmac.compare_digest(shown, self._header):
            return connection.respond(http.HTTPStatus.UNAUTHORIZED, "The key is missing or wrong.\n")
        return None

    def _serve_client(self, connection: ServerConnection) -> None:
        if not self._places.acquire(blocking=False):
            connection.close(CloseCode.TRY_AGAIN_LATER, "Too many clients.")
            return
        connection.socket.settimeout(_SEND_S)  # a client that takes nothing shall not keep its thread
        try:
            connection.send(self._metadata)
            previous_ms: float | None = None
            while True:
                message = connection.recv()
                began = time.monotonic()
                connection.send(self._answered(connection, message, previous_ms))
                previous_ms = (time.monotonic() - began) * 1000.0
        except ConnectionClosed:
            logger.debug("a client of the policy has gone")
        except Exception as error:
            # Whatever the policy raises is the answer to this client, and ends nothing but its connection.
            logger.info("the policy could not answer", exc_info=not isinstance(error, PolicyError))
            with suppress(ConnectionClosed):
                connection.send(traceback.format_exc())
                connection.close(CloseCode.INTERNAL_ERROR, "The error is in the message before this one.")
        finally:
            self._places.release()

    def _answered(
        self, connection: ServerConnection, message: str | bytes, previous_ms: float | None
    ) -> bytes:
        """The answer to one message.

        Raises:
            PolicyError: It is no observation, or the policy fails.
        """
        if isinstance(message, str):
            raise PolicyError("A question to a policy is a binary message, not a text")
        try:
            observation = wire.unpack(message)
            if not isinstance(observation, dict) or not all(isinstance(key, str) for key in observation):
                raise wire.WireError("it is not a map with text keys")
            extras = {key: observation.pop(key) for key in list(observation) if key.startswith(_EXTRAS)}
            request = _request(observation, extras, self._facts)
        except wire.WireError as error:
            raise PolicyError("The observation cannot be read", why=str(error)) from error
        with self._inferring:
            if self._stopping or connection.state is not State.OPEN:  # nobody waits for this answer
                raise PolicyError("The policy server ends, or its client has gone")
            began_ns = time.monotonic_ns()
            if extras.get("teleop/reset") is True:
                self._policy.reset()
            answer = self._policy.infer(request)
            infer_ms = (time.monotonic_ns() - began_ns) / 1e6
        timing = {"infer_ms": infer_ms}
        if previous_ms is not None:
            timing["prev_total_ms"] = previous_ms
        return wire.pack(_content(answer, self._facts) | {"server_timing": timing})


def _metadata(facts: PolicyFacts) -> dict[str, Any]:
    block = TeleopBlock(
        name=facts.name[:120],
        version=facts.version[:120],
        horizon=facts.horizon,
        action_dim=facts.action_dim,
        rate_hz=facts.rate_hz,
        observation_keys=facts.observation_keys,
        prefix=facts.prefix,
        samples=facts.samples,
        reset=True,
    )
    told = block.model_dump()
    if block.observation_keys is None:
        del told["observation_keys"]
    return {**facts.metadata, "teleop": told}


def _request(observation: Mapping[str, Any], extras: Mapping[str, Any], facts: PolicyFacts) -> PolicyRequest:
    """The question of a client; what the policy does not offer is not handed to it."""
    samples = extras.get("teleop/samples", 1)
    if not isinstance(samples, int) or not 1 <= samples <= MOST_SAMPLES:
        raise wire.WireError(f"teleop/samples is {samples!r:.60}, not 1..{MOST_SAMPLES}")
    return PolicyRequest(
        observation=observation,
        prefix=_prefix(extras) if facts.prefix and "teleop/prefix" in extras else None,
        samples=samples if facts.samples else 1,
    )


def _prefix(extras: Mapping[str, Any]) -> Prefix:
    actions = wire.numbers_of(extras["teleop/prefix"], "the actions of teleop/prefix")
    weights = wire.numbers_of(extras.get("teleop/weights"), "the numbers of teleop/weights")
    frozen = extras.get("teleop/frozen")
    if actions.ndim != 2 or weights.ndim != 1:
        raise wire.WireError(f"teleop/prefix has the shape {actions.shape}, its weights {weights.shape}")
    if not isinstance(frozen, int) or not 0 <= frozen <= len(actions):
        raise wire.WireError(f"teleop/frozen is {frozen!r:.60}, not 0..{len(actions)}")
    return Prefix(actions=actions, frozen=frozen, weights=weights)


def _content(answer: PolicyAnswer, facts: PolicyFacts) -> dict[str, Any]:
    """What is sent of an answer; a policy's own nonsense is told as such, not passed on."""
    chunk = checked_chunk(answer.actions, facts, "here")
    content: dict[str, Any] = {"actions": chunk}
    samples = checked_samples(answer.samples, chunk, "here")
    if samples is not None:
        content["teleop/samples"] = samples
    if np.isfinite(answer.uncertainty):
        content["teleop/uncertainty"] = float(answer.uncertainty)
    return content


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
