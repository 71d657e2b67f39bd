"""`teleop policy`: listing, templates, checking, serving, and Python objects as policies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from hostile_policy_server import WebSocketServer, Wrong
from teleop_app.autonomy.clients.channel import WebSocketOptions
from teleop_app.autonomy.clients.openpi import OpenpiPolicy
from teleop_app.autonomy.plain_policy import PlainPolicy, policy_of_factory
from teleop_app.cli import app
from teleop_app.core.clock import FakeClock
from teleop_app.core.config import StationConfig, station_text
from teleop_app.core.errors import ConfigError, PolicyError
from teleop_app.core.paths import DataDir
from teleop_app.core.policy import PolicyContext, PolicyFacts, PolicyRequest, Prefix

CONTEXT = PolicyContext("test", ("left",), (), 20.0, 16, FakeClock())
OPENPI = """
driver = "openpi"
horizon = 16
[options]
url = "{url}"
timeout_s = 30.0
[observation]
prompt = "prompt"
[[observation.images]]
key = "image"
camera = "overhead"
[[observation.states]]
key = "state"
parts = ["left/joints"]
[action]
parts = ["left/joints"]
"""


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["policy", *words])


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def policies(data_dir: Path) -> Path:
    data = DataDir(data_dir).create()
    cameras = [camera.model_copy(update={"width": 640, "height": 480}) for camera in StationConfig().cameras]
    data.station_file.write_text(station_text(StationConfig(cameras=cameras)))
    data.policies.mkdir()
    return data.policies


def test_what_is_there_and_what_is_wrong_with_it(policies: Path) -> None:
    (policies / "broken.toml").write_text("driver = 7")
    (policies / "foreign.toml").write_text('driver = "acme"\n[action]\nparts = ["left/joints"]')
    (policies / "wrong.toml").write_text(OPENPI.format(url="http://x"))
    (policies / "mine.toml").write_text(OPENPI.format(url="ws://127.0.0.1:9"))
    found = lines(run("list", "--json"))
    problems = {each["policy"]: each["problem"] for each in found if "policy" in each}
    assert set(problems) == {"broken", "foreign", "wrong", "mine", "hold", "scripted"}
    assert problems["mine"] == problems["hold"] == ""
    assert "driver: " in problems["broken"] and "no policy driver 'acme'" in problems["foreign"]
    assert "url: not an address such as ws://" in problems["wrong"]
    drivers = {each["driver"]: each for each in found if "policy" not in each}
    assert {"openpi", "groot", "starvla", "hold", "replay", "scripted"} <= set(drivers)
    assert drivers["openpi"]["kind"] == "client" and "timeout_s" in drivers["openpi"]["options"]
    for word in ("broken", "no policy driver 'acme'", "Isaac-GR00T server"):
        assert word in run("list").stdout


@pytest.mark.parametrize("protocol", ["openpi", "groot", "starvla", "lerobot", "hold"])
def test_a_template_is_a_policy_file_of_this_station(policies: Path, protocol: str) -> None:
    assert run("init", "mine", "--protocol", protocol).exit_code == 0
    (mine,) = [each for each in lines(run("list", "--json")) if each.get("policy") == "mine"]
    assert (mine["problem"], mine["driver"]) == ("", protocol)
    again = run("init", "mine", "--protocol", protocol)
    assert again.exit_code and "exists already" in str(again.exception)
    assert run("init", "mine", "--protocol", protocol, "--force").exit_code == 0
    assert run("init", "--protocol", protocol).exit_code == 0
    assert (policies / f"{protocol}.toml").exists()


def test_names_and_templates_that_cannot_be() -> None:
    for name in ("Mine", "../mine", "a b", "-x", "a" * 65):
        assert "cannot be named" in str(run("init", "--protocol", "openpi", "--", name).exception)
    assert "no template 'x'" in str(run("init", "--protocol", "x").exception)


def test_checking_a_policy_that_fits(policies: Path) -> None:
    found = lines(run("check", "hold", "--json"))
    assert found[0] == {"policy": "hold", "name": "hold", "version": "1"}
    assert {each["level"] for each in found[1:-1]} == {"ok"}
    assert found[-1]["actions"] == 16 and found[-1]["asked_with"].startswith("made-up measurements")
    text = run("check", "hold").stdout
    assert "16 actions after " in text and "state state: expects left/joints" in text
    assert "Not asked" in run("check", "scripted").stdout


def test_checking_a_server(policies: Path) -> None:
    server = WebSocketServer()
    try:
        (policies / "mine.toml").write_text(OPENPI.format(url=server.url))
        assert lines(run("check", "mine", "--json"))[-1]["server_ms"] == 1.5
        (asked,) = server.asked
        assert asked["image"].shape == (224, 224, 3) and asked["state"].shape == (6,)

        server.wrong = Wrong.NAN
        nonsense = run("check", "mine")
        assert nonsense.exit_code and "1 values that are not finite" in str(nonsense.exception)

        server.metadata["teleop"]["action_dim"] = 7
        misfit = run("check", "mine", "--json")
        assert "does not fit this station: 1 mismatch" in str(misfit.exception)
        assert [each["what"] for each in lines(misfit)[1:] if each["level"] == "mismatch"] == [
            "action channels"
        ]
        assert len(server.asked) == 2
    finally:
        server.stop()
    assert "cannot be reached" in str(run("check", "mine").exception)
    assert "no policy 'none'" in str(run("check", "none").exception)


@pytest.fixture
def serving(data_dir: Path, tmp_path: Path) -> Any:
    processes: list[subprocess.Popen[str]] = []

    def start(*words: str, **variables: str) -> tuple[dict[str, Any], subprocess.Popen[str]]:
        process = subprocess.Popen(
            [sys.executable, "-m", "teleop_app.cli", "policy", "serve", "--port", "0", "--json", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=tmp_path,
            env={**os.environ, **variables},
        )
        processes.append(process)
        assert process.stdout is not None
        return json.loads(process.stdout.readline()), process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


Serving = Callable[..., tuple[dict[str, Any], "subprocess.Popen[str]"]]


def test_a_driver_is_served_until_ctrl_c(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("--policy", "hold", "--option", "key=here", "--horizon", "5", "--api-key-env", "SERVE_KEY")
    told, process = serving(*words, SERVE_KEY="s3cret")
    assert told["name"] == "hold" and told["key"] is True
    monkeypatch.setenv("ASK_KEY", "s3cret")
    policy = OpenpiPolicy(CONTEXT, WebSocketOptions(url=told["url"], api_key_env="ASK_KEY", timeout_s=60.0))
    try:
        assert policy.open().horizon == 5
        actions = policy.infer(PolicyRequest({"here": np.arange(3.0)})).actions
        np.testing.assert_array_equal(actions, np.tile(np.arange(3.0), (5, 1)))
        process.send_signal(signal.SIGINT)
        assert process.wait(60.0) == 0
        with pytest.raises(PolicyError, match="broke|cannot be reached"):
            policy.infer(PolicyRequest({"here": np.arange(3.0)}))
    finally:
        policy.close()


def test_a_python_factory_is_served(serving: Serving, tmp_path: Path) -> None:
    (tmp_path / "my_policies.py").write_text(
        "class Doubled:\n"
        "    metadata = {'robot': 'mine', 'teleop': {'version': 'v3', 'action_dim': 2}}\n"
        "    def __init__(self, factor):\n"
        "        self.factor = factor\n"
        "    def infer(self, observation):\n"
        "        return {'actions': [observation['state'] * self.factor] * 3}\n"
    )
    told, process = serving("--policy", "my_policies:Doubled", "--option", "factor=2.5")
    assert told["version"] == "v3" and told["key"] is False
    policy = OpenpiPolicy(CONTEXT, WebSocketOptions(url=told["url"], timeout_s=60.0))
    try:
        assert policy.open().metadata["robot"] == "mine"
        actions = policy.infer(PolicyRequest({"state": np.ones(2)})).actions
        np.testing.assert_array_equal(actions, np.full((3, 2), 2.5))
    finally:
        policy.close()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60.0) == 0


def test_what_is_not_served() -> None:
    for words, sentence in (
        (("--policy", "hold", "--host", "0.0.0.0"), "is not served on 0.0.0.0 without a key"),
        (("--policy", "hold", "--api-key-env", "NOT_SET"), "variable NOT_SET, which shall hold the key"),
        (("--policy", "nothing"), "no policy 'nothing'. Choose one of"),
        (("--policy", "hold", "--option", "key"), "not of the form NAME=VALUE"),
        (("--policy", "hold", "--option", "speed=1"), "speed: extra inputs"),
        (("--policy", "no.such:factory"), "There is no policy at 'no.such:factory'"),
        (("--policy", "json:loads"), "json:loads made no policy: TypeError"),
    ):
        result = run("serve", *words)
        assert result.exit_code and sentence in str(result.exception), words


class Sampled:
    """Of another make: an answer by function, with samples of a tensor-like kind."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.calls: list[str] = []

    def infer(self, observation: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(observation)
        tensor = SimpleNamespace(detach=lambda: SimpleNamespace(numpy=lambda: np.ones((2, 4, 3))))
        return {"actions": np.zeros((4, 3)), "teleop/samples": tensor, "teleop/uncertainty": 0.5}

    def reset(self) -> None:
        self.calls.append("reset")


def test_objects_of_other_makes() -> None:
    inner = Sampled()
    policy = PlainPolicy(inner)
    assert policy.open() == PolicyFacts()
    answer = policy.infer(PolicyRequest({"a": 1}, Prefix(np.ones((2, 3)), 1, np.ones(4)), samples=2))
    assert answer.samples is not None and answer.samples.shape == (2, 4, 3)
    assert answer.uncertainty == 0.5
    assert list(inner.asked[0]) == ["a", "teleop/samples", "teleop/prefix", "teleop/frozen", "teleop/weights"]
    policy.reset()
    policy.close()
    assert inner.calls == ["reset"]

    assert PlainPolicy(lambda observation: [[1.0, 2.0]]).infer(PolicyRequest({})).actions.shape == (1, 2)
    with pytest.raises(PolicyError, match="has no actions: it has moves"):
        PlainPolicy(lambda observation: {"moves": 1}).infer(PolicyRequest({}))
    with pytest.raises(PolicyError, match="not a chunk of actions: the actions hold 1 values"):
        PlainPolicy(lambda observation: [[np.nan]]).infer(PolicyRequest({}))
    with pytest.raises(PolicyError, match="tells of itself is wrong"):
        PlainPolicy(SimpleNamespace(infer=None, metadata={"teleop": {"horizon": -1}})).open()


def test_factories(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = SimpleNamespace(open=print, infer=print, reset=print, close=print)
    module = SimpleNamespace(whole=lambda: whole, number=lambda: 7, plain=Sampled)
    monkeypatch.setitem(sys.modules, "made_here", module)
    assert policy_of_factory("made_here:whole", {}) is whole
    assert isinstance(policy_of_factory("made_here:plain", {}), PlainPolicy)
    with pytest.raises(PolicyError, match="int has no infer"):
        policy_of_factory("made_here:number", {})
    with pytest.raises(ConfigError, match="no policy at 'made_here:gone'"):
        policy_of_factory("made_here:gone", {})
