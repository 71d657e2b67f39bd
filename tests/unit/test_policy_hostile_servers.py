"""Policy servers that answer nonsense, late or not at all: a sentence, then a good answer again."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from hostile_policy_server import BadPickle, GrootServer, WebSocketServer, Wrong
from teleop_app.autonomy.clients.channel import WebSocketOptions
from teleop_app.autonomy.clients.groot import GrootOptions, GrootPolicy
from teleop_app.autonomy.clients.openpi import OpenpiPolicy
from teleop_app.autonomy.clients.starvla import StarvlaOptions, StarvlaPolicy
from teleop_app.core.clock import FakeClock
from teleop_app.core.errors import PolicyError
from teleop_app.core.policy import PolicyContext, PolicyRequest

pytestmark = pytest.mark.timeout(120)

PROMPT = "pick the cube"
PICTURE = np.zeros((8, 8, 3), np.uint8)
OBSERVATIONS = {
    "openpi": {"observation/image": PICTURE, "observation/state": np.zeros(6), "prompt": PROMPT},
    "starvla": {"image": PICTURE, "state": np.zeros(6), "prompt": PROMPT},
    "groot": {
        "video.front": PICTURE,
        "state.single_arm": np.zeros(5),
        "state.gripper": np.zeros(1),
        "annotation.human.task_description": PROMPT,
    },
}
PROTOCOLS = tuple(OBSERVATIONS)
SENTENCES = {
    Wrong.RANK: "not a chunk of actions",
    Wrong.CHANNELS: "7 channels, but the server told 6",
    Wrong.LONG: "17 actions came, but the server told 16",
    Wrong.EMPTY: "not a chunk of actions: the actions have the shape",
    Wrong.NAN: "1 values that are not finite",
    Wrong.INFINITE: "1 values that are not finite",
    Wrong.TEXTS: "not a chunk of actions: .*numbers",
    Wrong.MISSING: "has no actions|has no 'actions'|there is no action gripper",
    Wrong.OBJECTS: "cannot be read: an array of type '|O' is not one of plain values",
    Wrong.SHAPE: "cannot be read: an array of",
    Wrong.GARBAGE: "cannot be read: it is not msgpack",
    Wrong.DEEP: "cannot be read: its maps and lists lie too deep",
    Wrong.HUGE: "broke: .*(1009|too big|too large|exceeds)|did not answer within",
    Wrong.ERROR: "answered with an error|has no actions",
    Wrong.TEXT: "answered with an error: (ValueError: it hurts|it could not read)",
    Wrong.LATE: "did not answer within 0.5 s",
    Wrong.SILENT: "did not answer within 0.5 s",
    Wrong.HANGS_UP: "broke",
    Wrong.TWICE: "that nobody asked for",
}


class Bench:
    """A client and the emulated server that it asks."""

    def __init__(self, protocol: str, timeout_s: float = 30.0) -> None:
        self.clock = FakeClock()
        context = PolicyContext("hostile", ("left",), (), 20.0, 16, self.clock)
        limits: Any = {"timeout_s": timeout_s, "open_timeout_s": 30.0}
        self.server: Any
        if protocol == "groot":
            self.server = GrootServer()
            options = GrootOptions(port=self.server.port, actions=["gripper", "single_arm"], **limits)
            self.policy: Any = GrootPolicy(context, options)
        elif protocol == "starvla":
            self.server = WebSocketServer(starvla=True)
            self.policy = StarvlaPolicy(context, StarvlaOptions(url=self.server.url, **limits))
        else:
            self.server = WebSocketServer()
            self.policy = OpenpiPolicy(context, WebSocketOptions(url=self.server.url, **limits))
        self.request = PolicyRequest(OBSERVATIONS[protocol])

    def infer(self) -> np.ndarray:
        return self.policy.infer(self.request).actions

    def infers_well(self) -> None:
        """The answer is that to this question, not to one before; a busy machine may need several."""
        for _ in range(20):
            try:
                actions = self.infer()
                break
            except PolicyError as error:
                assert "did not answer within 0.5 s" in error.sentence
        else:
            pytest.fail("no answer to any of 20 questions")
        assert actions.shape == (16, 6) and actions.dtype == np.float64
        assert np.all(actions == actions[0, 0]) and actions[0, 0] == self._number()

    def _number(self) -> int:
        return sum(request.get("endpoint", "get_action") == "get_action" for request in self.server.asked)

    def close(self) -> None:
        self.policy.close()
        self.server.stop()


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(protocol: str, **limits: float) -> Bench:
        made.append(Bench(protocol, **limits))
        return made[-1]

    yield make
    for each in made:
        each.close()


CASES = [
    (protocol, wrong)
    for protocol in PROTOCOLS
    for wrong in SENTENCES
    if not (protocol == "groot" and wrong is Wrong.HANGS_UP)  # ZMQ gives whole messages only
    # Neither tells how many channels its actions have.
    and not (protocol in ("groot", "starvla") and wrong is Wrong.CHANNELS)
]


@pytest.mark.parametrize(("protocol", "wrong"), CASES)
def test_nonsense_is_a_sentence_and_the_next_answer_is_good(
    bench: Callable[..., Bench], protocol: str, wrong: Wrong
) -> None:
    slow = wrong in (Wrong.LATE, Wrong.SILENT) or (protocol == "groot" and wrong is Wrong.HUGE)
    b = bench(protocol, **({"timeout_s": 0.5} if slow else {}))
    b.policy.open()
    b.infers_well()

    b.server.wrong = wrong
    if protocol == "groot" and wrong is Wrong.TWICE:  # ZMQ drops what does not belong to the question
        b.infers_well()
        b.infers_well()
        return
    with pytest.raises(PolicyError, match=SENTENCES[wrong]) as raised:
        b.infer()
        if wrong is Wrong.TWICE:  # the first of two is an answer, the second shows when it has come
            while True:
                b.infer()
    assert raised.value.sentence.endswith(".") and len(raised.value.sentence) < 700
    assert not BadPickle.opened

    b.server.wrong = Wrong.NOT
    b.infers_well()
    b.infers_well()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_server_that_goes_and_comes_back(bench: Callable[..., Bench], protocol: str) -> None:
    b = bench(protocol, **({"timeout_s": 0.5} if protocol == "groot" else {}))
    b.policy.open()
    b.server.stop()
    with pytest.raises(PolicyError):
        b.infer()
    if protocol != "groot":  # ZMQ connects again by itself
        with pytest.raises(PolicyError, match="cannot be reached: .*It is tried again in 0.5 s"):
            b.infer()
        with pytest.raises(PolicyError, match="is gone: it is tried again in 0.5 s"):
            b.infer()
        b.clock.advance(0.6)
        with pytest.raises(PolicyError, match="It is tried again in 1 s"):
            b.infer()
        b.clock.advance(1.1)
    b.server.start()
    b.infers_well()
    b.infers_well()


@pytest.mark.parametrize("protocol", ["openpi", "starvla"])
def test_a_server_that_comes_back_as_another_is_not_asked(bench: Callable[..., Bench], protocol: str) -> None:
    b = bench(protocol)
    before = b.policy.open()
    b.server.stop()
    told = b.server.metadata
    b.server.metadata = (
        {"teleop": told["teleop"] | {"version": "2"}} if protocol == "openpi" else told | {"ckpt_path": "2"}
    )
    b.server.start()
    for _ in range(3):
        with pytest.raises(PolicyError, match="broke|came back as another one"):
            b.infer()
    asked = len(b.server.asked)
    with pytest.raises(
        PolicyError, match="came back as another one: it was .* and is .* 2. Choose the policy"
    ):
        b.infer()
    assert len(b.server.asked) == asked

    assert b.policy.open() != before
    b.infers_well()


LIES = [
    (b"\xc1 garbage", "metadata .* cannot be read"),
    ("Traceback\nKeyError: no such checkpoint", "began with an error: KeyError: no such checkpoint"),
    ([1, 2], "does not begin with its metadata: it sent list"),
    ({"teleop": 7}, "tells of itself is wrong"),
    ({"teleop": {"horizon": -3}}, "wrong: teleop: horizon: .*greater than or equal to 0"),
    ({"teleop": {"rate_hz": float("nan")}}, "wrong: teleop: rate_hz"),
    ({"teleop": {"action_dim": 10**9}}, "wrong: teleop: action_dim"),
    ({"teleop": {"observation_keys": [1]}}, "wrong: teleop: observation_keys"),
    ({"padding": b"\0" * 2_000_000}, "metadata .* is 2000014 bytes"),
    (pickle.dumps({"teleop": BadPickle()}), "metadata .* cannot be read"),
    (None, "cannot be reached: no answer within 0.5 s"),
]


@pytest.mark.parametrize(("metadata", "sentence"), LIES, ids=range(len(LIES)))
def test_metadata_that_lies(metadata: Any, sentence: str) -> None:
    server = WebSocketServer()
    honest, server.metadata = server.metadata, metadata
    context = PolicyContext("hostile", ("left",), (), 20.0, 16, FakeClock())
    limit_s = 0.5 if metadata is None else 30.0
    policy = OpenpiPolicy(context, WebSocketOptions(url=server.url, open_timeout_s=limit_s))
    try:
        with pytest.raises(PolicyError, match=sentence):
            policy.open()
        with pytest.raises(PolicyError, match="is closed"):
            policy.infer(PolicyRequest(OBSERVATIONS["openpi"]))
        assert not BadPickle.opened
        if metadata is not None:
            server.metadata = honest
            assert policy.open().action_dim == 6
    finally:
        policy.close()
        server.stop()
