"""What a policy expects against what the station offers: every finding, and nothing that a lie can break."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_cell import layout

from teleop_app.autonomy.fit import fit
from teleop_app.autonomy.policy_file import parse_policy
from teleop_app.autonomy.view import CellLayout
from teleop_app.core.policy import PolicyFacts
from teleop_app.core.types import PolicyCheck

HEAD = 'driver = "openpi"\nhorizon = 16\nexecute = 8\n'
OBSERVATION = """
[observation]
[[observation.images]]
key = "images/top"
camera = "top"
[[observation.states]]
key = "state"
parts = ["left/joints", "left/gripper"]
"""
ACTION = '\n[action]\nparts = ["left/joints", "left/gripper", "right/joints", "right/gripper"]\n'
FACTS = PolicyFacts(
    horizon=16, action_dim=15, rate_hz=20.0, observation_keys=("images/top", "prompt", "state")
)


def top(line: str) -> str:
    return OBSERVATION.replace('camera = "top"', line)


def section(line: str) -> str:
    return OBSERVATION.replace("[observation]", f"[observation]\n{line}")


def checks(
    head: str = "",
    observation: str = OBSERVATION,
    action: str = ACTION,
    facts: PolicyFacts = FACTS,
    cell: CellLayout | None = None,
) -> dict[str, PolicyCheck]:
    policy = parse_policy(f"{HEAD}{head}{observation}{action}", "test")
    found = fit(policy, cell or layout(), facts)
    named = {check.what: check for check in found}
    assert len(named) == len(found)
    for check in found:
        assert check.level in ("ok", "warning", "mismatch")
        assert bool(check.text) == (check.level != "ok"), check
        assert not check.text or check.text.endswith("."), check
        assert check.expects
        assert check.offers
    return named


def test_a_policy_that_fits() -> None:
    found = checks()
    assert {check.level for check in found.values()} == {"ok"}
    assert list(found) == [
        "image images/top",
        "state state",
        "action",
        "action channels",
        "horizon",
        "rate",
        "control rate",
        "prompt",
        "observation keys",
    ]
    assert found["image images/top"].offers == "640x480 px, pad"


def test_a_policy_that_tells_nothing_of_itself() -> None:
    found = checks(facts=PolicyFacts())
    assert {check.level for check in found.values()} == {"ok"}


@pytest.mark.parametrize(
    ("change", "what", "level", "sentence"),
    [
        (
            {"observation": top('camera = "front"')},
            "image images/top",
            "mismatch",
            "no camera 'front'. Its cameras are top, left_wrist: name one of them in observation.images[0]",
        ),
        (
            {"observation": top('camera = "top"\nwidth = 800\nheight = 800')},
            "image images/top",
            "warning",
            "fewer pixels than the policy looks at. Set a size of 800x800 or more",
        ),
        (
            {"observation": top('camera = "top"\nfit = "stretch"')},
            "image images/top",
            "warning",
            "The picture is stretched",
        ),
        (
            {"observation": top('camera = "top"\nfit = "crop"\nheight = 480')},
            "image images/top",
            "warning",
            "65 % of the picture is cut off",
        ),
        (
            {"observation": OBSERVATION.replace("left/gripper", "third/gripper")},
            "state state",
            "mismatch",
            "no arm third. Name its own in parts: left, right.",
        ),
        (
            {
                "observation": OBSERVATION.replace(
                    "[[observation.states]]", "[[observation.states]]\nwidth = 2"
                )
            },
            "state state",
            "mismatch",
            "width is of 2 channels, but left/joints, left/gripper have 7",
        ),
        ({"action": ACTION.replace("right/gripper", "third/gripper")}, "action", "mismatch", "no arm third"),
        (
            {
                "action": ACTION
                + f'statistics = {{ kind = "mean_std", low = {[0.0] * 9}, high = {[1.0] * 9} }}'
            },
            "action",
            "mismatch",
            "statistics are of 9 channels",
        ),
        (
            {"facts": replace(FACTS, action_dim=32)},
            "action channels",
            "mismatch",
            "Set action.width = 32 if the parts are its first 15 channels",
        ),
        (
            {"facts": replace(FACTS, action_dim=14)},
            "action channels",
            "mismatch",
            "fewer channels than the parts",
        ),
        ({"facts": replace(FACTS, horizon=7)}, "horizon", "mismatch", "Set execute = 7 or less"),
        (
            {"facts": replace(FACTS, horizon=65)},
            "horizon",
            "mismatch",
            "refused as too long. Set horizon = 65",
        ),
        ({"facts": replace(FACTS, horizon=10)}, "horizon", "warning", "Set horizon = 10 in the policy file"),
        (
            {"facts": replace(FACTS, rate_hz=50.0)},
            "rate",
            "mismatch",
            "0.4 times as fast as learnt. Set rate_hz = 50;",
        ),
        ({"cell": layout(rate_hz=10.0)}, "control rate", "warning", "Raise control.rate_hz"),
        (
            {"observation": 'observation = { prompt = "" }', "facts": PolicyFacts()},
            "prompt",
            "warning",
            "not told what to do",
        ),
        ({"observation": section('template = "Go"')}, "prompt", "warning", "Put {instruction} into"),
        (
            {
                "observation": section('template = "{embodiment}{instruction}"'),
                "cell": layout(embodiment=" "),
            },
            "embodiment",
            "mismatch",
            "Describe the robot in station.embodiment",
        ),
        (
            {"facts": replace(FACTS, observation_keys=("state", "prompt", "images/top", "images/wrist"))},
            "observation keys",
            "mismatch",
            "The policy reads images/wrist, which the policy file does not give",
        ),
        (
            {"facts": replace(FACTS, observation_keys=("state", "images"))},
            "observation keys",
            "warning",
            "does not read prompt. Leave it out",
        ),
        (
            {"observation": section('truth = "truth"'), "cell": layout(simulated=False)},
            "truth",
            "mismatch",
            "Only the simulated cell knows",
        ),
        ({"head": 'execution = "rtc"\n'}, "execution", "warning", "Set execution = 'switch'"),
        ({"head": "samples = 4\n"}, "samples", "warning", "Set samples = 1"),
        (
            {"facts": replace(FACTS, metadata={"a": {"b": "Normalized actions"}})},
            "statistics",
            "warning",
            "give the numbers of its training",
        ),
        ({"facts": replace(FACTS, metadata={"is_normalised": True})}, "statistics", "warning", "radians"),
    ],
)
def test_what_does_not_fit(change: dict[str, Any], what: str, level: str, sentence: str) -> None:
    check = checks(**change)[what]
    assert check.level == level
    assert sentence in check.text


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"head": 'execution = "rtc"\n', "facts": replace(FACTS, prefix=True)}, "execution"),
        ({"head": "samples = 4\n", "facts": replace(FACTS, samples=True)}, "samples"),
        ({"facts": replace(FACTS, observation_keys=("state", "images", "prompt"))}, "observation keys"),
        ({"action": ACTION + "width = 32", "facts": replace(FACTS, action_dim=32)}, "action channels"),
        ({"facts": replace(FACTS, rate_hz=20.1)}, "rate"),
        ({"observation": section('truth = "truth"')}, "truth"),
        (
            {
                "observation": section('truth = "truth"'),
                "facts": replace(FACTS, observation_keys=("state", "images/top", "prompt", "truth/target")),
            },
            "observation keys",
        ),
        ({"observation": section('template = "{embodiment}{instruction}"')}, "embodiment"),
    ],
)
def test_what_fits(change: dict[str, Any], what: str) -> None:
    assert checks(**change)[what].level == "ok"


def test_numbers_that_the_file_normalises_are_no_reason_to_warn() -> None:
    facts = replace(FACTS, metadata={"output": "normalized"})
    statistics = f'statistics = {{ kind = "mean_std", low = {[0.0] * 15}, high = {[1.0] * 15} }}'
    assert "statistics" not in checks(action=ACTION + statistics, facts=facts)
    for harmless in ({"output": "unnormalized"}, {"normalized": False}, {"norm_stats": {"q01": [0.0]}}):
        assert "statistics" not in checks(facts=replace(FACTS, metadata=harmless))


def test_an_arm_that_is_not_driven_is_told() -> None:
    found = checks(action='\n[action]\nparts = ["left/joints"]', facts=PolicyFacts())
    assert found["action"].offers == "6 channels; arm right keeps its place"


def test_policies_of_ones_own_need_no_prompt() -> None:
    policy = parse_policy('driver = "hold"\nobservation = { prompt = "" }' + ACTION, "test")
    assert "prompt" not in {check.what for check in fit(policy, layout(), PolicyFacts())}


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"horizon": -1}, "horizon -1 (0 to 1024)"),
        ({"horizon": 10**400}, "horizon of more than 128 bits (0 to 1024)"),
        ({"horizon": 2.5}, "horizon 2.5 (0 to 1024)"),
        ({"horizon": "sixteen"}, "horizon sixteen"),
        ({"horizon": True}, "horizon True"),
        ({"action_dim": 1e9}, "action_dim 1000000000.0 (0 to 1024)"),
        ({"rate_hz": math.nan}, "rate_hz nan (0 to 1000)"),
        ({"rate_hz": [20]}, "rate_hz a list"),
        ({"observation_keys": "state"}, "observation_keys state"),
        ({"observation_keys": ("k",) * 257}, "observation_keys a tuple of 257"),
        ({"observation_keys": ("state", 3)}, "observation_keys with 3"),
        ({"prefix": "yes"}, "prefix yes"),
        ({"samples": "\x1b[31m" + "x" * 100}, "samples ?[31m" + "x" * 55 + "..."),
    ],
)
def test_lies_are_told_and_ignored(facts: dict[str, Any], sentence: str) -> None:
    check = checks(facts=replace(FACTS, **facts))["metadata"]
    assert check.level == "warning"
    assert check.offers == sentence


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9) | st.integers(), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(st.fixed_dictionaries({name: ANYTHING for name in PolicyFacts.__dataclass_fields__}))
@settings(max_examples=150, deadline=None)
def test_no_lie_raises(facts: dict[str, Any]) -> None:
    checks('execution = "rtc"\nsamples = 3\n', facts=PolicyFacts(**facts))


def test_metadata_without_end_is_left() -> None:
    endless: dict[str, Any] = {}
    endless["again"] = endless
    wide = {str(number): {"x": "y"} for number in range(100_000)}
    for metadata in (endless, wide, {"k": ["normalized"] * 10}, 7):
        assert "statistics" not in checks(facts=replace(FACTS, metadata=metadata))  # pyright: ignore
