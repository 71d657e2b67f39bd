"""Hosted LeRobot policies against the genuine LeRobot: the same checkpoint, the same observation."""

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devices.lerobot.policy import LerobotPolicy
from teleop_app.autonomy.registry import make_policy
from teleop_app.core.clock import MonotonicClock
from teleop_app.core.errors import PolicyError
from teleop_app.core.policy import PolicyContext, PolicyRequest

PROBE = Path(__file__).with_name("lerobot_policy_probe.py")
CAMERA = "observation.images.top"


@dataclass(frozen=True)
class Checkpoint:
    folder: Path
    observation: dict[str, Any]
    expected: np.ndarray


@pytest.fixture(scope="module")
def checkpoint(
    run_peer_once: Callable[..., dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> Checkpoint:
    folder = tmp_path_factory.mktemp("act")
    rng = np.random.default_rng(1)
    observation = {
        "observation.state": rng.normal(size=7).astype(np.float32),
        CAMERA: rng.integers(0, 256, (48, 64, 3), np.uint8),
    }
    np.savez(folder / "seen.npz", **observation)
    run_peer_once(PROBE, folder / "checkpoint", folder / "seen.npz", folder / "chunk.npy")
    return Checkpoint(folder / "checkpoint", observation, np.load(folder / "chunk.npy"))


@pytest.fixture(scope="module")
def python(peers_python: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The peers' interpreter, offline."""
    if sys.platform == "win32":
        pytest.skip("a shell script stands for the interpreter")
    script = tmp_path_factory.mktemp("python") / "python"
    script.write_text(f'#!/bin/sh\nHF_HUB_OFFLINE=1 exec {peers_python} "$@"\n')
    script.chmod(0o755)
    return str(script)


def policy(python: str, folder: Path, **options: Any) -> LerobotPolicy:
    context = PolicyContext("act", ("left",), (), 20.0, 16, MonotonicClock())
    made = make_policy("lerobot", context, {"checkpoint": str(folder), "python": python, **options})
    assert isinstance(made, LerobotPolicy)
    return made


@pytest.fixture(scope="module")
def hosted(python: str, checkpoint: Checkpoint) -> Iterator[LerobotPolicy]:
    """One that is not yet loaded; loading takes seconds, so that its tests share it, in their order."""
    made = policy(python, checkpoint.folder, timeout_s=60.0)
    yield made
    made.close()
    made.close()


def test_it_answers_as_lerobot_does(hosted: LerobotPolicy, checkpoint: Checkpoint) -> None:
    facts = hosted.open()
    assert (facts.horizon, facts.action_dim, facts.samples) == (6, 7, False)
    assert facts.observation_keys == ("observation.state", CAMERA)
    assert len(facts.version) == 16
    answer = hosted.infer(PolicyRequest({**checkpoint.observation, "prompt": "wave"}))
    assert answer.actions.shape == (6, 7)
    np.testing.assert_allclose(answer.actions, checkpoint.expected, atol=1e-5)
    assert answer.server_ns > 0
    hosted.reset()
    channels_first = {**checkpoint.observation, CAMERA: np.moveaxis(checkpoint.observation[CAMERA], 2, 0)}
    again = hosted.infer(PolicyRequest(channels_first)).actions
    np.testing.assert_allclose(again, checkpoint.expected, atol=1e-5)


def test_a_picture_of_another_size_is_made_to_fit(hosted: LerobotPolicy, checkpoint: Checkpoint) -> None:
    small = checkpoint.observation[CAMERA]
    large = np.repeat(np.repeat(small, 2, axis=0), 2, axis=1)
    answer = hosted.infer(PolicyRequest({**checkpoint.observation, CAMERA: large}))
    np.testing.assert_allclose(answer.actions, checkpoint.expected, atol=1e-4)


def test_what_does_not_fit_is_a_sentence(hosted: LerobotPolicy, checkpoint: Checkpoint) -> None:
    seen = checkpoint.observation
    for wrong, sentence in (
        ({CAMERA: seen[CAMERA]}, "the observation has no 'observation.state'"),
        ({**seen, "observation.state": np.zeros(6)}, "has 6 numbers; the policy reads"),
        ({**seen, "observation.state": np.full(7, np.nan)}, "is not an array of finite numbers"),
        ({**seen, CAMERA: np.zeros((48, 64), np.uint8)}, "has the shape"),
    ):
        with pytest.raises(PolicyError, match=sentence):
            hosted.infer(PolicyRequest(wrong))
    hosted.infer(PolicyRequest(seen))  # and it goes on


def test_a_worker_that_dies_is_said_and_loaded_again(hosted: LerobotPolicy, checkpoint: Checkpoint) -> None:
    os.kill(hosted._worker.pid, signal.SIGKILL)
    with pytest.raises(
        PolicyError, match="The process of LeRobot's policy 'checkpoint' ended during 'infer'"
    ):
        hosted.infer(PolicyRequest(checkpoint.observation))
    with pytest.raises(PolicyError, match="is not connected"):
        hosted.reset()
    hosted.open()
    hosted.infer(PolicyRequest(checkpoint.observation))


def test_a_slow_one_is_given_up(
    hosted: LerobotPolicy, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosted, "_options", hosted._options.model_copy(update={"timeout_s": 0.2}))
    os.kill(hosted._worker.pid, signal.SIGSTOP)
    with pytest.raises(PolicyError, match="does not answer: 'infer' took too long; its process was ended"):
        hosted.infer(PolicyRequest(checkpoint.observation))


def test_closing_ends_a_call_that_waits(hosted: LerobotPolicy, checkpoint: Checkpoint) -> None:
    said: list[str] = []

    def load() -> None:
        try:
            hosted.open()
        except PolicyError as error:
            said.append(error.sentence)

    loading = threading.Thread(target=load)
    loading.start()
    until = time.monotonic() + 30.0
    while not hosted._worker.running:
        assert time.monotonic() < until
        time.sleep(0.001)
    hosted.close()
    loading.join(30.0)
    assert said == ["The LeRobot policy 'checkpoint' is closed."]


def test_what_cannot_be_loaded_is_a_sentence(python: str, checkpoint: Checkpoint, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(checkpoint.folder, broken)
    (broken / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(PolicyError, match="LeRobot's policy 'broken' cannot be loaded: "):
        policy(python, broken).open()
    with pytest.raises(PolicyError, match="there is no Python at /no/python"):
        policy("/no/python", checkpoint.folder).open()
    with pytest.raises(PolicyError, match="has no LeRobot"):
        policy(sys.executable, checkpoint.folder).open()
