"""The policy file: what is right is read, and every mistake is told at once with its place."""

import json
from pathlib import Path

import pytest

from teleop_app.autonomy.policy_file import Execution, PolicyFile, load_policy, parse_policy
from teleop_app.autonomy.policy_sections import channels
from teleop_app.autonomy.rotations import Rotation
from teleop_app.core.errors import PolicyError

SMALL = """
driver = "openpi"
[action]
parts = ["left/joints", "left/gripper"]
"""
POSES = """
driver = "openpi"
horizon = 4
execute = 4
[action]
parts = ["left/ee", "left/gripper"]
"""


def problem(text: str, folder: Path | None = None) -> str:
    with pytest.raises(PolicyError) as caught:
        parse_policy(text, "pick", folder=folder)
    return str(caught.value)


def test_a_small_file_is_read_with_its_stem_as_name(tmp_path: Path) -> None:
    path = tmp_path / "pick-2.toml"
    path.write_text(SMALL)
    policy = load_policy(path)
    assert (policy.name, policy.driver, policy.execution) == ("pick-2", "openpi", Execution.SWITCH)
    assert policy.observation.keys == ("prompt",)


def test_channels_of_parts() -> None:
    parts = ["left/joints", "left/gripper", "right/ee"]
    assert channels(parts, Rotation.ROT6D, {"left": 6}) == 16
    assert channels(parts, Rotation.ROT6D, {}) is None
    assert channels(["right/ee"], Rotation.QUAT_WXYZ, {}) == 7


def test_every_mistake_is_listed_at_once() -> None:
    told = problem(
        """
        driver = "openpi"
        rate_hz = -3
        horizon = 4
        execute = 9
        colour = "red"
        novelty = "../elsewhere.npz"
        [observation]
        prompt = "state"
        template = "{instruction} {speed}"
        [[observation.images]]
        key = "top"
        camera = "top"
        width = 4
        [[observation.states]]
        key = "state"
        parts = ["left/ee", "left/gripper", "left/gripper"]
        closed = 1.0
        [[observation.states]]
        key = "state"
        parts = ["left/elbow"]
        [action]
        parts = ["left/ee", "left/joints"]
        frame = "tool"
        width = 3
        statistics = { kind = "quantiles", low = [0.0, 1.0], high = [1.0] }
        """
    )
    for sentence in (
        "rate_hz: input should be greater than 0 (given -3)",
        "execute: execute 9 must not exceed horizon 4",
        "colour: extra inputs are not permitted",
        "novelty: the file must lie beside the policy file",
        "observation.template: {speed} cannot be put in; it knows {instruction}",
        "observation.images[0].width: input should be greater than or equal to 8",
        "observation.states[0].parts: each part may be named once, but left/gripper is there again",
        "observation.states[0].opened: opened 1 must differ from closed",
        "observation.states[1].parts[0]: string should match pattern",
        "action.parts: arm left is asked for joints and a pose at once",
        "action.frame: frame tool is for deltas",
        "action.statistics.high: low has 2 numbers and high 1",
    ):
        assert sentence in told, sentence
    assert told.startswith("pick.toml has 12 wrong fields: ")
    assert told.endswith("docs/policies.md describes each field.")


@pytest.mark.parametrize(
    ("added", "sentence"),
    [
        ('statistics = { kind = "quantiles", low = [0], high = [1] }', "1 channels, but the parts have 7"),
        ('statistics = { kind = "none", low = [0] }', "kind none uses no numbers"),
        ("width = 6", "width 6 is less than the 7 channels of the parts"),
        ("closed = 1.0", "opened 1 must differ from closed"),
        ("opened = nan", "opened: input should be a finite number"),
        ("opened = 1e300", "opened: input should be less than or equal to 1000000"),
        (
            f'statistics = {{ kind = "min_max", low = {[0.0] * 7}, high = {[1.0] * 6 + [-0.5]} }}',
            "channel 6: low 0 is above high -0.5",
        ),
        (
            f'statistics = {{ kind = "mean_std", low = {[0.0] * 7}, high = {[1.0] * 6 + [-0.5]} }}',
            "channel 6: the standard deviation -0.5 is below 0",
        ),
        (
            f'statistics = {{ kind = "mean_std", low = {[0.0] * 7}, high = {[1.0] * 6} + [inf] }}',
            "is not valid TOML",
        ),
        (
            'statistics = { kind = "mean_std", low = [inf, 0, 0, 0, 0, 0, 0], high = [1, 1, 1, 1, 1, 1, 1] }',
            "action.statistics.low[0]: input should be a finite number",
        ),
        ('parts = ["left/ee"]', "is not valid TOML"),
    ],
)
def test_mistakes_in_what_actions_mean(added: str, sentence: str) -> None:
    assert sentence in problem(POSES + added)


def test_the_default_execute_is_checked_too() -> None:
    assert "execute 8 must not exceed horizon 4" in problem("horizon = 4\n" + SMALL)


@pytest.mark.parametrize(
    ("observation", "sentence"),
    [
        ('task = "prompt"', "observation.task: the key 'prompt' is given to two things"),
        ('nested = true\ntruth = "prompt/truth"', "'prompt' cannot be a value and hold 'prompt/truth' too"),
        ('nested = true\ntruth = "a//b"', "the key 'a//b' has an empty level"),
        ('template = "{instruction"', "observation.template: expected '}'"),
        ('template = "{instruction.__class__}"', "{instruction.__class__} cannot be put in"),
        ('template = "{0}"', "{0} cannot be put in"),
    ],
)
def test_mistakes_in_what_it_sees(observation: str, sentence: str) -> None:
    assert sentence in problem(f"{SMALL}[observation]\n{observation}")


def test_what_is_no_policy_file(tmp_path: Path) -> None:
    assert "pick.toml is not valid TOML" in problem("driver = ")
    assert "pick.toml is not valid TOML" in problem("driver = " + "[" * 100_000)
    for section in ("observation", "action", "observation.states", "observation.images"):
        for nonsense in ("5", "[]", '"text"', "[5]", "{ statistics = 5 }"):
            parts = "" if section == "action" else 'action.parts = ["left/ee", 5]'
            told = problem(f'driver = "hold"\n{section} = {nonsense}\n{parts}')
            assert section in told or "action.parts[1]" in told
    assert "action: field required" in problem('driver = "hold"')
    assert "name: a policy is called as its file: 'pick'" in problem('name = "place"\n' + SMALL)
    assert "action.parts[0]" in problem('driver = "hold"\n[action]\nparts = ["left/velocity/x"]')
    assert "can be seen, not asked for" in problem('driver = "hold"\n[action]\nparts = ["left/velocity"]')
    missing = tmp_path / "missing.toml"
    with pytest.raises(PolicyError, match="does not exist. Create one with: teleop policy init"):
        load_policy(missing)
    huge = tmp_path / "huge.toml"
    huge.write_text("#" * 1_000_001)
    with pytest.raises(PolicyError, match=r"1000001 bytes \(limit 1000000\)"):
        load_policy(huge)
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(PolicyError, match="cannot be read"):
        load_policy(binary)


def with_statistics(kind: str, more: str = "") -> str:
    return f'{POSES}statistics = {{ kind = "{kind}", file = "stats.json"{more} }}\n'


def write_statistics(folder: Path, content: object) -> None:
    (folder / "stats.json").write_text(json.dumps(content))


LISTS = {
    "q01": [-1.0] * 7,
    "q99": [1.0] * 7,
    "mean": [0.5] * 7,
    "std": [2.0] * 7,
    "min": [-3.0] * 7,
    "max": [3.0] * 7,
}


@pytest.mark.parametrize(
    ("content", "more"),
    [
        ({"action": LISTS, "timestamp": {}}, ""),
        ({"norm_stats": {"state": {}, "actions": LISTS}}, ""),
        ({"bridge": {"action": LISTS}}, ', entry = "bridge/action"'),
    ],
)
def test_statistics_are_read_from_the_files_of_training(tmp_path: Path, content: object, more: str) -> None:
    write_statistics(tmp_path, content)

    def read(kind: str) -> PolicyFile:
        return parse_policy(with_statistics(kind, more), "pick", folder=tmp_path)

    for kind, low, high in (("quantiles", -1.0, 1.0), ("mean_std", 0.5, 2.0), ("min_max", -3.0, 3.0)):
        statistics = read(kind).action.statistics
        assert (statistics.low, statistics.high) == ([low] * 7, [high] * 7)


def test_states_take_the_entry_of_the_state(tmp_path: Path) -> None:
    write_statistics(tmp_path, {"observation.state": LISTS, "action": {}})
    text = f"""{POSES}
    [[observation.states]]
    key = "state"
    parts = ["left/ee", "left/gripper"]
    statistics = {{ kind = "quantiles", file = "stats.json" }}
    """
    assert parse_policy(text, "pick", folder=tmp_path).observation.states[0].statistics.low == [-1.0] * 7


@pytest.mark.parametrize(
    ("content", "text", "sentence"),
    [
        (None, with_statistics("quantiles"), "stats.json cannot be read: No such file"),
        ({"state": LISTS}, with_statistics("quantiles"), "has no action or actions; it has state: give its"),
        ([1, 2], with_statistics("quantiles"), "it has no entries"),
        (
            {"action": {"q01": [0.0]}},
            with_statistics("quantiles"),
            "lacks the lists q01 and q99 there; it has q01",
        ),
        ({"action": LISTS}, with_statistics("none"), "say which of its numbers count: kind = quantiles"),
        (
            {"action": LISTS},
            with_statistics("quantiles", ", low = [1]"),
            "the numbers here or a file, not both",
        ),
        (
            {"action": LISTS | {"q99": [1.0] * 6}},
            with_statistics("quantiles"),
            "low has 7 numbers and high 6",
        ),
        (
            {"action": LISTS | {"q99": ["x"] * 7}},
            with_statistics("quantiles"),
            "statistics.high[0]: input should",
        ),
        (
            {"action": LISTS | {"q01": [float("nan")] * 7}},
            with_statistics("quantiles"),
            "should be a finite number",
        ),
        (
            "{",
            f'{POSES}statistics = {{ kind = "quantiles", file = "../x.json" }}',
            "must lie beside the policy file",
        ),
    ],
)
def test_mistakes_in_files_of_statistics(tmp_path: Path, content: object, text: str, sentence: str) -> None:
    if content is not None:
        write_statistics(tmp_path, content)
    told = problem(text, tmp_path)
    assert sentence in told
    assert told.startswith("pick.toml has ")


def test_a_file_of_statistics_that_is_no_json(tmp_path: Path) -> None:
    (tmp_path / "stats.json").write_text("{")
    told = problem(with_statistics("quantiles"), tmp_path)
    assert "stats.json is not valid JSON" in told
    assert "has 1 wrong field:" in told, "what follows from it is not told again"
    assert "only a policy file in a folder can name another file" in problem(with_statistics("quantiles"))
