"""Our policy server and client against openpi's own client and server."""

import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from teleop_app.autonomy.clients.channel import WebSocketOptions
from teleop_app.autonomy.clients.openpi import OpenpiPolicy
from teleop_app.autonomy.server import PolicyServer
from teleop_app.core.clock import MonotonicClock
from teleop_app.core.errors import PolicyError
from teleop_app.core.policy import PolicyAnswer, PolicyContext, PolicyFacts, PolicyRequest

PROBE = Path(__file__).parent / "openpi_probe.py"
CHUNK = np.arange(12.0).reshape(4, 3) / 7.0
CODES = ("?", "b", "B", "h", "H", "i", "I", "q", "Q", "e", "f", "d", "U3", "S3")


class Recorded:
    """A policy that keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[PolicyRequest] = []

    def open(self) -> PolicyFacts:
        return PolicyFacts(
            "recorded", "v1", {"reset_pose": np.ones(3)}, horizon=4, action_dim=3, rate_hz=20.0
        )

    def infer(self, request: PolicyRequest) -> PolicyAnswer:
        if "fail" in request.observation:
            raise PolicyError("It fails on request", next_step="Do not ask for it")
        self.asked.append(request)
        return PolicyAnswer(CHUNK)

    def reset(self) -> None: ...

    def close(self) -> None: ...


def client(url: str) -> OpenpiPolicy:
    context = PolicyContext("peer", ("left",), (), 20.0, 4, MonotonicClock())
    return OpenpiPolicy(context, WebSocketOptions(url=url, timeout_s=60.0, open_timeout_s=60.0))


def test_openpis_client_asks_our_server(run_peer: Any) -> None:
    policy = Recorded()
    server = PolicyServer(policy, port=0, api_key="s3cret")
    server.start()
    try:
        seen = run_peer(PROBE, "client", server.url, "s3cret")
        refusals = [run_peer(PROBE, "refused", server.url, *key)["error"] for key in ([], ["wrong"])]
    finally:
        server.stop()

    assert seen["metadata"]["teleop"]["version"] == "v1" and seen["metadata"]["teleop"]["horizon"] == 4
    assert seen["metadata"]["reset_pose"] == [1.0, 1.0, 1.0]
    np.testing.assert_array_equal(seen["actions"], CHUNK)
    assert seen["timing"] == [["infer_ms"], ["infer_ms", "prev_total_ms"]]
    assert "It fails on request. Do not ask for it." in seen["error"].splitlines()[-1]
    for refusal in refusals:
        assert "401" in refusal
    observation = policy.asked[0].observation
    for code in CODES:
        expected = (np.arange(6) % 2).astype(code).reshape(2, 3)
        assert observation[f"array_{code}"].dtype == expected.dtype
        np.testing.assert_array_equal(observation[f"array_{code}"], expected)
    assert observation["empty"].shape == (0, 4)
    assert observation["nothing"] == np.float32(1.5) and observation["nothing"].dtype == np.float32
    assert observation["count"] == -3 and observation["count"].dtype == np.int64
    assert observation["prompt"] == "grüß\nthe cube"
    np.testing.assert_array_equal(observation["nested"]["state"], np.linspace(0, 1, 7))
    assert observation["nested"]["list"] == [1, 2.5, None]


@pytest.fixture
def genuine(peers_python: Path) -> Iterator[str]:
    """openpi's own server, in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [str(peers_python), str(PROBE), "server", str(port)], stderr=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 120.0
        while not _healthy(port):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"openpi's server does not run: {process.stderr and process.stderr.read()}")
            time.sleep(0.1)
        # Its log would block it once the pipe is full.
        threading.Thread(target=process.stderr.read, daemon=True).start()  # type: ignore[union-attr]
        yield f"ws://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def test_our_client_asks_openpis_server(genuine: str) -> None:
    policy = client(genuine)
    try:
        facts = policy.open()
        assert (facts.version, facts.action_dim, facts.prefix, facts.samples) == ("abc", 7, False, False)
        assert facts.metadata["robot"] == "aloha"
        np.testing.assert_array_equal(facts.metadata["reset_pose"], np.zeros(7))

        state = np.linspace(-1.0, 1.0, 7)
        picture = np.zeros((224, 224, 3), np.uint8)
        question = PolicyRequest(
            {"state": state, "images/base": picture, "prompt": "x", "horizon": 9}, samples=4
        )
        answer = policy.infer(question)
        np.testing.assert_array_equal(answer.actions, np.tile((2.0 * state).astype(np.float32), (9, 1)))
        assert answer.server_ns > 0 and answer.samples is None

        with pytest.raises(
            PolicyError, match="answered with an error: ValueError: this policy fails on request"
        ):
            policy.infer(PolicyRequest({"fail": True}))
        again = policy.infer(question)
        np.testing.assert_array_equal(again.actions, answer.actions)

        with pytest.raises(PolicyError, match="6 channels, but the server told 7"):
            policy.infer(PolicyRequest({"state": np.zeros(6)}))
        policy.infer(question)
    finally:
        policy.close()
