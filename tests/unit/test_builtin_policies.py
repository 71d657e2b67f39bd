"""The policies that come with the program: hold and replay. The expert has a suite of its own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recorders.reader import EpisodeReader
from recorders.synthetic import synthetic_header, write_synthetic
from teleop_app.autonomy.registry import find_driver, make_policy
from teleop_app.core.clock import NS_PER_S, FakeClock
from teleop_app.core.errors import ConfigError, PolicyError
from teleop_app.core.policy import PolicyContext, PolicyKind, PolicyRequest

JOINTS = synthetic_header().joint_names


def context(clock: FakeClock | None = None, **changes: Any) -> PolicyContext:
    given = {"joint_names": JOINTS, "rate_hz": 20.0, "horizon": 4} | changes
    return PolicyContext(name="test", arms=("left", "right"), clock=clock or FakeClock(), **given)


@pytest.fixture(scope="module")
def episode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    header = synthetic_header(cameras=(), anchor=None)
    return write_synthetic(tmp_path_factory.mktemp("episode"), 1.0, header).path


@pytest.mark.parametrize("name", ["hold", "replay", "scripted"])
def test_it_is_found_by_its_entry_point(name: str) -> None:
    driver = find_driver(name)
    assert driver.kind is PolicyKind.BUILT_IN
    assert driver.title and driver.proof


def test_hold_repeats_what_it_is_sent() -> None:
    policy = make_policy("hold", context(), {})
    facts = policy.open()
    assert (facts.horizon, facts.rate_hz, facts.observation_keys) == (4, 20.0, ("state",))
    state = np.arange(14, dtype=np.float32)
    actions = policy.infer(PolicyRequest({"state": state})).actions
    assert actions.shape == (4, 14)
    np.testing.assert_array_equal(actions, np.tile(state, (4, 1)))
    policy.reset()
    policy.close()


def test_hold_finds_a_state_in_maps() -> None:
    policy = make_policy("hold", context(), {"key": "observation/arm/q"})
    nested = policy.infer(PolicyRequest({"observation": {"arm": {"q": [1.0, 2.0]}}})).actions
    flat = policy.infer(PolicyRequest({"observation/arm/q": [1.0, 2.0]})).actions
    assert nested.tolist() == flat.tolist() == [[1.0, 2.0]] * 4


@pytest.mark.parametrize("state", [None, [], ["a"], [1.0, np.nan], {"q": 1.0}, np.zeros(600)])
def test_hold_refuses_what_is_no_state(state: Any) -> None:
    policy = make_policy("hold", context(), {})
    with pytest.raises(PolicyError, match="'state' is not an array of 1 to 512 finite numbers"):
        policy.infer(PolicyRequest({"state": state}))


def sent_at(path: Path, seconds: np.ndarray) -> np.ndarray:
    with EpisodeReader(path) as reader:
        track = reader.joints("sent")
    times = track.capture_ns[0] + seconds * NS_PER_S
    return np.stack([np.interp(times, track.capture_ns, column) for column in track.position.T], axis=1)


def test_replay_goes_on_with_time_and_stays_at_the_end(episode: Path) -> None:
    clock = FakeClock()
    policy = make_policy("replay", context(clock), {"episode": str(episode)})
    facts = policy.open()
    assert facts.action_dim == 14 and facts.observation_keys == ()
    assert facts.metadata["task"] == "wave"
    step = np.arange(4) / 20.0
    np.testing.assert_allclose(policy.infer(PolicyRequest({})).actions, sent_at(episode, step), atol=1e-6)
    clock.advance(0.35)
    later = policy.infer(PolicyRequest({})).actions
    np.testing.assert_allclose(later, sent_at(episode, step + 0.35), atol=1e-6)
    clock.advance(60.0)
    end = policy.infer(PolicyRequest({})).actions
    assert (end == end[0]).all()
    np.testing.assert_allclose(end[:1], sent_at(episode, np.array([0.95])), atol=0.05)
    policy.reset()
    np.testing.assert_allclose(policy.infer(PolicyRequest({})).actions, sent_at(episode, step), atol=1e-6)


def test_replay_goes_on_by_requests(episode: Path) -> None:
    clock = FakeClock()
    policy = make_policy("replay", context(clock), {"episode": str(episode), "advance": 3})
    policy.open()
    first, second = (policy.infer(PolicyRequest({})).actions for _ in range(2))
    np.testing.assert_array_equal(first[3], second[0])


def test_replay_starts_where_the_robot_is(episode: Path) -> None:
    policy = make_policy("replay", context(), {"episode": str(episode), "from_nearest": True})
    assert policy.open().observation_keys == ("state",)
    here = sent_at(episode, np.array([0.5]))[0]
    actions = policy.infer(PolicyRequest({"state": here})).actions
    np.testing.assert_allclose(actions, sent_at(episode, 0.5 + np.arange(4) / 20.0), atol=1e-6)
    policy.reset()
    with pytest.raises(PolicyError, match="'state' is not 14 finite numbers"):
        policy.infer(PolicyRequest({"state": here[:7]}))


def test_replay_orders_joints_as_the_station_does(episode: Path) -> None:
    turned = context(joint_names=JOINTS[7:] + JOINTS[:7])
    policies = [make_policy("replay", each, {"episode": str(episode)}) for each in (context(), turned)]
    for policy in policies:
        policy.open()
    plain, swapped = (policy.infer(PolicyRequest({})).actions for policy in policies)
    np.testing.assert_array_equal(np.roll(plain, 7, axis=1), swapped)


def test_replay_refuses_in_sentences(episode: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "dataset.parquet"
    with pytest.raises(PolicyError, match="an episode is a file that ends in .mcap"):
        make_policy("replay", context(), {"episode": str(foreign)}).open()
    with pytest.raises(PolicyError, match="'none.mcap' cannot be replayed: "):
        make_policy("replay", context(), {"episode": str(tmp_path / "none.mcap")}).open()
    rubbish = tmp_path / "rubbish.mcap"
    rubbish.write_bytes(b"rubbish" * 100)
    with pytest.raises(PolicyError, match="'rubbish.mcap' cannot be replayed: "):
        make_policy("replay", context(), {"episode": str(rubbish)}).open()
    with pytest.raises(PolicyError, match="is of another robot: it has no left/knee"):
        make_policy("replay", context(joint_names=("left/knee",)), {"episode": str(episode)}).open()
    with pytest.raises(PolicyError, match="'replay' is not open"):
        make_policy("replay", context(), {"episode": str(episode)}).infer(PolicyRequest({}))
    with pytest.raises(ConfigError, match="episode"):
        make_policy("replay", context(), {})
