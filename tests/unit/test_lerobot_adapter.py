"""The LeRobot adapter without LeRobot: units, settings, and interpreters that cannot run it."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.driver import DeviceContext
from devices.lerobot.client import LerobotWorker
from devices.lerobot.drivers import ROBOT, TELEOPERATOR
from devices.lerobot.joint_map import JointMap, JointOptions
from devices.models.library import robot_model
from teleop_app.core.calibration import CalibrationStore
from teleop_app.core.clock import MonotonicClock
from teleop_app.core.config import StationConfig
from teleop_app.core.errors import ConfigError, DeviceError

MODEL = robot_model("so101")
FEATURES = [f"{name}.pos" for name in (*MODEL.joint_names, "gripper")]


def mapped(actions: list[str] = FEATURES, **options: Any) -> JointMap:
    given_options = JointOptions.model_validate({"python": "x", "type": "y", **options})
    return JointMap("left", given_options, MODEL, actions)


@given(
    st.sampled_from(["deg", "rad", "range"]),
    st.lists(st.floats(-1.5, 1.5), min_size=5, max_size=5),
    st.lists(st.sampled_from([-1, 1]), min_size=5, max_size=5),
    st.lists(st.floats(-5, 5), min_size=5, max_size=5),
    st.floats(0, 1),
)
def test_the_map_is_its_own_inverse(
    units: str, q: list[float], signs: list[int], offsets: list[float], gripper: float
) -> None:
    if units == "range":
        signs, offsets = [1] * 5, [0.0] * 5
    both = mapped(units=units, signs=signs, offsets_deg=offsets)
    vector = np.append(q, gripper)
    assert both.to_ours(both.to_theirs(vector)) == pytest.approx(vector, abs=1e-9)


def test_ranges_are_those_of_the_model_and_never_left() -> None:
    both = mapped(units="range")
    limits = np.append(MODEL.upper[:5], 1.0)
    assert list(both.to_theirs(limits).values()) == pytest.approx([100.0] * 6)
    assert max(both.to_theirs(2.0 * limits)[name] for name in FEATURES[:5]) == 100.0


def test_order_and_names_are_ones_own() -> None:
    names = ["w", "a", "b", "c", "d", "claw"]
    both = mapped(
        names, features=["a", "b", "c", "d", "w"], gripper="claw", gripper_closed=1.0, gripper_open=0.0
    )
    q = both.to_ours({"w": 90.0, "a": 10.0, "b": 0.0, "c": 0.0, "d": 0.0, "claw": 0.25})
    assert np.degrees(q[:-1]) == pytest.approx([10, 0, 0, 0, 90]) and q[-1] == pytest.approx(0.75)
    with pytest.raises(DeviceError, match="leaves out w"):
        both.to_ours({"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0})


@pytest.mark.parametrize(
    ("actions", "options", "sentence"),
    [
        (FEATURES[1:], {}, "does not fit the robot model 'so101': it has shoulder_lift.pos"),
        ([*FEATURES, "base.vel"], {}, "the model has 5 joints and a gripper. Name its joints in features"),
        (FEATURES, {"gripper": "claw.pos"}, "does not fit"),
        (FEATURES, {"signs": [1, 1]}, "signs and offsets_deg need 5 entries"),
        (FEATURES, {"gripper_open": 0.0}, "gripper_open is not gripper_closed"),
        ([], {}, "it has no numbers"),
    ],
)
def test_devices_that_do_not_fit_are_refused(
    actions: list[str], options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(DeviceError, match=sentence):
        mapped(actions, **options)


def test_there_must_be_such_an_interpreter() -> None:
    worker = LerobotWorker("left", "/no/such/python", "robot", "so101_follower", {})
    with pytest.raises(
        DeviceError, match=r"cannot be started: there is no Python at /no/such/python. Name the"
    ):
        worker.start()
    assert not worker.running


def test_an_interpreter_without_lerobot_says_what_to_install() -> None:
    worker = LerobotWorker("left", sys.executable, "robot", "so101_follower", {})
    with pytest.raises(DeviceError, match="has no LeRobot. Install it there with: pip install lerobot"):
        worker.start()
    assert not worker.running


def test_an_interpreter_that_ends_says_its_last_words(tmp_path: Path) -> None:
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho 'Illegal instruction, core dumped' >&2\nexit 132\n")
    script.chmod(0o755)
    worker = LerobotWorker("left", str(script), "robot", "so101_follower", {})
    with pytest.raises(DeviceError, match="ended during 'make': Illegal instruction, core dumped"):
        worker.start()


def test_one_device_drives_one_arm(tmp_path: Path) -> None:
    context = DeviceContext(
        "lead", ("left", "right"), StationConfig(), CalibrationStore(tmp_path), MonotonicClock()
    )
    options = {"python": "x", "type": "so101_leader"}
    for driver in (TELEOPERATOR, ROBOT):
        with pytest.raises(ConfigError, match="drives one arm: it is given left, right"):
            driver.make(context, driver.options.model_validate(options))
