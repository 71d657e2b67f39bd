"""Our policy server against clients of every kind, and its own policy's mistakes."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from policy_bytes import openpi_array, openpi_read, packed
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from teleop_app.autonomy.clients.channel import WebSocketOptions
from teleop_app.autonomy.clients.openpi import OpenpiPolicy
from teleop_app.autonomy.server import PolicyServer
from teleop_app.core.clock import FakeClock
from teleop_app.core.errors import PolicyError
from teleop_app.core.policy import PolicyAnswer, PolicyContext, PolicyFacts, PolicyRequest, Prefix

pytestmark = pytest.mark.timeout(120)

FACTS = PolicyFacts("near", "v7", {"robot": "sim"}, 4, 2, 20.0, ("state",), prefix=True, samples=True)
STATE = np.array([0.25, 0.75])


class Near:
    """Repeats the state; notes what it is asked, waits and fails on request."""

    def __init__(self, facts: PolicyFacts = FACTS) -> None:
        self.facts = facts
        self.asked: list[PolicyRequest] = []
        self.calls: list[str] = []
        self.waiting = threading.Event()
        self.go_on = threading.Event()
        self.inside = 0

    def open(self) -> PolicyFacts:
        self.calls.append("open")
        self.go_on.clear()
        return self.facts

    def infer(self, request: PolicyRequest) -> PolicyAnswer:
        assert self.inside == 0, "two questions at a time"
        self.inside += 1
        try:
            self.asked.append(request)
            state = request.observation["state"]
            if request.observation.get("wait"):
                self.waiting.set()
                self.go_on.wait(60.0)
            samples = np.tile(state, (request.samples, 4, 1)) if request.samples > 1 else None
            return PolicyAnswer(
                np.tile(state, (4, 1)), samples, uncertainty=0.5 if samples is not None else np.nan
            )
        finally:
            self.inside -= 1

    def reset(self) -> None:
        self.calls.append("reset")

    def close(self) -> None:
        self.calls.append("close")
        self.go_on.set()


@pytest.fixture
def near() -> Near:
    return Near()


@pytest.fixture
def server(near: Near) -> Iterator[PolicyServer]:
    made = PolicyServer(near, port=0)
    made.start()
    yield made
    made.stop()


def client(server: PolicyServer, **options: Any) -> OpenpiPolicy:
    context = PolicyContext("test", ("left",), (), 20.0, 4, FakeClock())
    return OpenpiPolicy(context, WebSocketOptions(url=server.url, **options))


def raw(server: PolicyServer, **options: Any) -> ClientConnection:
    """A connection whose metadata was read."""
    connection = connect(server.url, compression=None, **options).__enter__()
    connection.recv()
    return connection


def test_every_part_of_the_protocol_goes_through(server: PolicyServer, near: Near) -> None:
    policy = client(server)
    facts = policy.open()
    assert (facts.name, facts.version, facts.horizon, facts.action_dim) == ("near", "v7", 4, 2)
    assert facts.prefix and facts.samples and facts.observation_keys == ("state",) and facts.rate_hz == 20.0
    assert facts.metadata["robot"] == "sim"

    prefix = Prefix(np.ones((3, 2)), 1, np.linspace(1.0, 0.0, 4))
    answer = policy.infer(PolicyRequest({"state": STATE, "deep": {"a": [1]}}, prefix, samples=5))
    np.testing.assert_array_equal(answer.actions, np.tile(STATE, (4, 1)))
    assert answer.samples is not None and answer.samples.shape == (5, 4, 2)
    assert answer.uncertainty == 0.5 and answer.server_ns > 0
    (request,) = near.asked
    assert set(request.observation) == {"state", "deep"} and request.samples == 5
    assert request.prefix is not None and request.prefix.frozen == 1
    np.testing.assert_array_equal(request.prefix.actions, prefix.actions)
    np.testing.assert_array_equal(request.prefix.weights, prefix.weights)

    policy.infer(PolicyRequest({"state": STATE}))
    policy.reset()
    policy.infer(PolicyRequest({"state": STATE}))
    assert near.calls == ["open", "reset", "reset"]  # a client begins with one
    policy.close()


def test_health_and_key(near: Near) -> None:
    server = PolicyServer(near, port=0, api_key="s3cret")
    server.start()
    try:
        with urllib.request.urlopen(server.url.replace("ws", "http") + "/healthz", timeout=30) as answer:
            assert (answer.status, answer.read()) == (200, b"OK\n")
        for headers in (
            {},
            {"Authorization": "Api-Key s3cre"},
            {"Authorization": "s3cret"},
            {"Authorization": "ü"},
        ):
            with pytest.raises(InvalidStatus) as refused:
                raw(server, additional_headers=headers)
            assert refused.value.response.status_code == 401
        with pytest.raises(PolicyError, match="refuses the key: status 401"):
            client(server).open()
        with raw(server, additional_headers={"Authorization": "Api-Key s3cret"}) as connection:
            connection.send(packed({"state": openpi_array(STATE)}))
            assert openpi_read(connection.recv(decode=False))["actions"].shape == (4, 2)
    finally:
        server.stop()


def test_pages_in_a_browser_are_not_let_in(server: PolicyServer) -> None:
    with pytest.raises(InvalidStatus) as refused:
        raw(server, origin="http://evil.example")
    assert refused.value.response.status_code == 403


BAD = [
    ("a text", "binary message, not a text"),
    (b"\xc1", "observation cannot be read: it is not msgpack"),
    (packed([1]), "not a map with text keys"),
    (packed({b"state": 1}), "not a map with text keys"),
    (packed({"state": {b"__ndarray__": True, b"dtype": "|O"}}), "not one of plain values"),
    (packed({}), "KeyError: 'state'"),
    (packed({"state": 1, "teleop/samples": 10**6}), "teleop/samples is 1000000, not 1..64"),
    (packed({"state": 1, "teleop/prefix": "x"}), "actions of teleop/prefix are of type"),
    (
        packed({"state": 1, "teleop/prefix": [[1.0]], "teleop/weights": [1.0], "teleop/frozen": 2}),
        "frozen is 2, not 0..1",
    ),
]


@pytest.mark.parametrize(("message", "sentence"), BAD, ids=range(len(BAD)))
def test_a_bad_question_is_answered_and_others_go_on(
    server: PolicyServer, message: bytes | str, sentence: str
) -> None:
    other = client(server)
    other.open()
    with raw(server) as connection:
        connection.send(message)
        told = connection.recv()
        assert isinstance(told, str) and sentence in told.splitlines()[-1]
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1011
    other.infer(PolicyRequest({"state": STATE}))
    other.close()


def test_too_large_a_question_ends_its_connection_only(server: PolicyServer) -> None:
    with raw(server) as connection:
        with pytest.raises(ConnectionClosed):
            connection.send(bytes(65 * 1024 * 1024))
            connection.recv()
    policy = client(server)
    policy.open()
    policy.infer(PolicyRequest({"state": STATE}))
    policy.close()


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (np.array([np.nan, 1.0]), "4 values that are not finite"),
        (np.zeros(3), "has 3 channels, but the server told 2"),
    ],
)
def test_the_policys_own_nonsense_is_not_passed_on(server: PolicyServer, state: Any, sentence: str) -> None:
    policy = client(server)
    policy.open()
    with pytest.raises(PolicyError, match=f"answered with an error: .*{sentence}"):
        policy.infer(PolicyRequest({"state": state}))
    policy.close()


def test_several_clients_ask_one_at_a_time(server: PolicyServer, near: Near) -> None:
    clients = [client(server, timeout_s=60.0) for _ in range(4)]
    for each in clients:
        each.open()
    answers: dict[int, np.ndarray] = {}

    def ask(number: int) -> None:
        answers[number] = (
            clients[number].infer(PolicyRequest({"state": STATE + number, "wait": True})).actions
        )

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    assert near.waiting.wait(60.0)
    near.go_on.set()
    for thread in threads:
        thread.join()
    for number in range(4):
        np.testing.assert_array_equal(answers[number], np.tile(STATE + number, (4, 1)))
    for each in clients:
        each.close()


def test_stopping_ends_a_question_in_order(near: Near) -> None:
    server = PolicyServer(near, port=0)
    server.start()
    policy = client(server, timeout_s=60.0)
    policy.open()
    thread = threading.Thread(target=lambda: (near.waiting.wait(60.0), server.stop()))
    thread.start()
    try:  # the answer may still come, or the server have hung up
        policy.infer(PolicyRequest({"state": STATE, "wait": True}))
    except PolicyError as error:
        assert "broke" in error.sentence
    thread.join()
    server.stop()
    policy.close()
    assert "close" in near.calls

    again = PolicyServer(near, port=0)
    again.start()
    again.stop()


def test_what_cannot_be_served(near: Near, server: PolicyServer) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "robot.example"):
        with pytest.raises(PolicyError, match="is not served on .* without a key"):
            PolicyServer(near, host)
    PolicyServer(near, "0.0.0.0", api_key="s3cret")
    port = int(server.url.rpartition(":")[2])
    with pytest.raises(PolicyError, match="cannot be served on 127.0.0.1:.*Choose another port"):
        PolicyServer(Near(), port=port).start()
