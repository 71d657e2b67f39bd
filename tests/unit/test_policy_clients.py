"""Clients of policy servers against emulated ones: what they send, and what they make of the answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import zmq
from policy_bytes import groot_array, groot_modalities, groot_read, openpi_array, packed
from pydantic import ValidationError

from hostile_policy_server import GrootServer, WebSocketServer, Wrong, actions_of
from teleop_app.autonomy.clients.answers import last_line
from teleop_app.autonomy.clients.channel import WebSocketOptions
from teleop_app.autonomy.clients.groot import GrootOptions, GrootPolicy
from teleop_app.autonomy.clients.openpi import OpenpiPolicy
from teleop_app.autonomy.clients.starvla import StarvlaOptions, StarvlaPolicy
from teleop_app.core.clock import FakeClock
from teleop_app.core.errors import PolicyError
from teleop_app.core.policy import PolicyContext, PolicyRequest, Prefix

pytestmark = pytest.mark.timeout(120)

CONTEXT = PolicyContext("test", ("left",), (), 20.0, 16, FakeClock())
PICTURE = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
STATE = np.linspace(0.0, 1.0, 5)
GROOT = {
    "video.front": PICTURE,
    "state.single_arm": STATE,
    "state.gripper": np.array([0.5]),
    "annotation.human.task_description": "pick",
}
PREFIX = Prefix(np.ones((3, 6)), 2, np.linspace(1.0, 0.0, 16))


@pytest.fixture
def servers() -> Iterator[list[Any]]:
    made: list[Any] = []
    yield made
    for each in made:
        each.stop()


def started(servers: list[Any], server: Any) -> Any:
    servers.append(server)
    return server


@pytest.mark.parametrize("old", [False, True])
def test_groot_is_asked_as_its_release_wants(servers: list[Any], old: bool) -> None:
    server = started(servers, GrootServer(old=old))
    policy = GrootPolicy(CONTEXT, GrootOptions(port=server.port, actions=["gripper", "single_arm"]))
    try:
        facts = policy.open()
        answer = policy.infer(PolicyRequest(GROOT))
        policy.reset()
    finally:
        policy.close()

    assert facts.observation_keys == tuple(GROOT) and facts.horizon == 16
    whole = actions_of(Wrong.NOT, 1)
    np.testing.assert_array_equal(answer.actions, np.hstack([whole[:, :1], whole[:, 1:]]))
    if old:
        expected: Any = {
            "video.front": groot_array(PICTURE[None]),
            "state.single_arm": groot_array(STATE[None]),
            "state.gripper": groot_array(np.array([[0.5]])),
            "annotation.human.task_description": ["pick"],
        }
    else:
        observation = {
            "video": {"front": groot_array(PICTURE[None, None])},
            "state": {
                "single_arm": groot_array(STATE.astype(np.float32)[None, None]),
                "gripper": groot_array(np.array([[[0.5]]], np.float32)),
            },
            "language": {"annotation.human.task_description": [["pick"]]},
        }
        expected = {"observation": observation, "options": None}
    asked = [request for request in server.asked if request["endpoint"] == "get_action"]
    sent = groot_read(packed({"endpoint": "get_action", "data": expected}))
    np.testing.assert_equal(asked, [sent])
    names = [request["endpoint"] for request in server.asked]
    assert names == ["ping", "get_modality_config", "get_action", *([] if old else ["reset"])]


def test_groot_answers_over_a_plain_rep_socket() -> None:
    """The genuine server's socket; the emulated one has another, to answer late."""
    with zmq.Context.instance().socket(zmq.REP) as socket:
        port = socket.bind_to_random_port("tcp://127.0.0.1")

        def serve() -> None:
            for answer in ({"status": "ok"}, groot_modalities(old=False), [parts, {}]):
                socket.recv()
                socket.send(packed(answer))

        chunk = np.arange(96, dtype=np.float32).reshape(1, 16, 6)
        parts = {"single_arm": groot_array(chunk[..., :5]), "gripper": groot_array(chunk[..., 5:])}
        thread = threading.Thread(target=serve)
        thread.start()
        policy = GrootPolicy(CONTEXT, GrootOptions(port=port))
        try:
            policy.open()
            np.testing.assert_array_equal(policy.infer(PolicyRequest(GROOT)).actions, chunk[0])
        finally:
            policy.close()
            thread.join()


def test_groots_token_comes_from_the_environment(servers: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    server = started(servers, GrootServer(token="s3cret"))
    policy = GrootPolicy(CONTEXT, GrootOptions(port=server.port, api_key_env="TEST_TOKEN"))
    with pytest.raises(PolicyError, match="There is no token .* variable TEST_TOKEN is not set"):
        policy.open()
    monkeypatch.setenv("TEST_TOKEN", "wrong")
    with pytest.raises(PolicyError, match="answered with an error: Unauthorized"):
        policy.open()
    monkeypatch.setenv("TEST_TOKEN", "s3cret")
    policy.open()
    assert policy.infer(PolicyRequest(GROOT)).actions.shape == (16, 6)
    policy.close()


def test_groot_modalities_that_do_not_fit(servers: list[Any]) -> None:
    server = started(servers, GrootServer())
    policy = GrootPolicy(CONTEXT, GrootOptions(port=server.port, actions=["gripper", "waist"]))
    policy.open()
    with pytest.raises(
        PolicyError, match="there is no action waist. Name in `actions` what it has: single_arm, g"
    ):
        policy.infer(PolicyRequest(GROOT))
    with pytest.raises(PolicyError, match="'video.front' has no place in a question"):
        policy.infer(PolicyRequest(GROOT | {"video.front": STATE}))
    server.modalities["video"]["as_json"]["delta_indices"] = [-5, 0]
    with pytest.raises(PolicyError, match="asks for the past of video: it wants 2 time steps"):
        policy.open()
    server.modalities = {}
    with pytest.raises(PolicyError, match="does not tell its modalities"):
        policy.open()
    policy.close()


@pytest.mark.parametrize("layout", ["payload", "flat"])
def test_starvla_is_asked_as_it_wants(servers: list[Any], layout: Any) -> None:
    server = started(servers, WebSocketServer(starvla=True))
    policy = StarvlaPolicy(
        CONTEXT, StarvlaOptions(url=server.url, layout=layout, unnorm_key="new_embodiment")
    )
    try:
        assert policy.open().horizon == 16
        observation = {"a": PICTURE, "arm": STATE, "b": PICTURE[::2], "hand": np.array([1.0]), "text": "pick"}
        answer = policy.infer(PolicyRequest(observation))
        with pytest.raises(PolicyError, match="takes pictures, numbers and one text"):
            policy.infer(PolicyRequest({"a": PICTURE}))
    finally:
        policy.close()

    np.testing.assert_array_equal(answer.actions, actions_of(Wrong.NOT, 1))
    state = np.array([*STATE, 1.0], np.float32)[None]
    content = {
        "examples": [{"image": [PICTURE, PICTURE[::2]], "lang": "pick", "state": state}],
        "unnorm_key": "new_embodiment",
    }
    sent = {"type": "infer", "request_id": "1"} | (content if layout == "flat" else {"payload": content})
    np.testing.assert_equal(server.asked, [sent])


def test_openpi_is_asked_with_nothing_it_did_not_offer(
    servers: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = started(servers, WebSocketServer())
    policy = OpenpiPolicy(CONTEXT, WebSocketOptions(url=server.url, api_key_env="TEST_KEY"))
    with pytest.raises(PolicyError, match="There is no key .* variable TEST_KEY is not set"):
        policy.open()
    monkeypatch.setenv("TEST_KEY", "s3cret")
    policy.open()
    request = PolicyRequest({"state": STATE}, prefix=PREFIX, samples=4)
    answer = policy.infer(request)
    assert answer.server_ns == 1_500_000 and np.isnan(answer.uncertainty) and answer.samples is None
    assert list(server.asked[0]) == ["state"]
    assert server.headers[-1]["Authorization"] == "Api-Key s3cret"
    assert "Sec-WebSocket-Extensions" not in server.headers[-1]

    server.metadata["teleop"] |= {"prefix": True, "samples": True, "reset": True}
    policy.open()
    policy.infer(request)
    policy.infer(PolicyRequest({"state": STATE}))
    policy.reset()
    policy.infer(PolicyRequest({"state": STATE}))
    policy.close()
    first, second, third = server.asked[1:]
    assert first["teleop/frozen"] == 2 and first["teleop/samples"] == 4 and first["teleop/reset"] is True
    np.testing.assert_array_equal(first["teleop/prefix"], PREFIX.actions)
    np.testing.assert_array_equal(first["teleop/weights"], PREFIX.weights)
    assert list(second) == ["state"] and list(third) == ["state", "teleop/reset"]


@pytest.mark.parametrize("protocol", ["openpi", "groot"])
def test_closing_ends_a_question_that_waits(servers: list[Any], protocol: str) -> None:
    server = started(servers, GrootServer() if protocol == "groot" else WebSocketServer())
    policy: Any
    if protocol == "groot":
        policy = GrootPolicy(CONTEXT, GrootOptions(port=server.port, timeout_s=100.0))
        request = PolicyRequest(GROOT)
    else:
        policy = OpenpiPolicy(CONTEXT, WebSocketOptions(url=server.url, timeout_s=100.0))
        request = PolicyRequest({"state": STATE})
    policy.open()
    asked = len(server.asked)
    server.wrong = Wrong.SILENT

    def closed() -> None:
        while len(server.asked) == asked:
            threading.Event().wait(0.01)
        policy.close()

    thread = threading.Thread(target=closed)
    thread.start()
    with pytest.raises(PolicyError, match="is closed"):
        policy.infer(request)
    thread.join()
    policy.close()
    with pytest.raises(PolicyError, match="is closed"):
        policy.infer(request)
    server.wrong = Wrong.NOT
    policy.open()
    assert policy.infer(request).actions.shape == (16, 6)
    policy.close()


def test_openpi_samples_and_uncertainty_are_checked(
    servers: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = started(servers, WebSocketServer())
    policy = OpenpiPolicy(CONTEXT, WebSocketOptions(url=server.url))
    policy.open()
    more: dict[str, Any] = {}
    monkeypatch.setattr(
        server, "_content", lambda actions: packed({"actions": actions, "server_timing": 3, **more})
    )
    more |= {"teleop/samples": openpi_array(np.ones((3, 16, 6))), "teleop/uncertainty": 0.25}
    answer = policy.infer(PolicyRequest({"state": STATE}))
    assert answer.samples is not None and answer.samples.shape == (3, 16, 6)
    assert answer.uncertainty == 0.25 and answer.server_ns == 0
    for samples, sentence in (
        (np.ones((3, 15, 6)), "have the shape"),
        (np.full((1, 16, 6), np.nan), "not finite"),
    ):
        more["teleop/samples"] = openpi_array(samples)
        with pytest.raises(PolicyError, match=sentence):
            policy.infer(PolicyRequest({"state": STATE}))
    more |= {"teleop/samples": None, "teleop/uncertainty": "very"}
    assert np.isnan(policy.infer(PolicyRequest({"state": STATE})).uncertainty)
    policy.close()


def test_addresses_that_cannot_be() -> None:
    for url in ("http://127.0.0.1:8000", "ws://", "127.0.0.1:8000"):
        with pytest.raises(ValidationError, match="not an address"):
            WebSocketOptions(url=url)
    assert WebSocketOptions(host="::1", port=9).address == "ws://[::1]:9"
    with pytest.raises(ValidationError):
        GrootOptions(host="a b")
    policy = GrootPolicy(CONTEXT, GrootOptions(host="no..host", timeout_s=0.2, open_timeout_s=0.2))
    with pytest.raises(PolicyError):
        policy.open()


def test_an_error_is_told_without_the_path_of_its_module() -> None:
    text = "Traceback:\n  File 'x'\nteleop_app.core.errors.PolicyError: It hurts. Rest.\n"
    assert last_line(text) == "PolicyError: It hurts. Rest."
    assert last_line("ValueError: at a.b.C: no") == "ValueError: at a.b.C: no"
    assert last_line("  \n") == "without a word"
