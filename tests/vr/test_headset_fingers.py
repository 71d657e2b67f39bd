"""Fingers of the emulated Quest, recorded of real hands, as the mapping of a robot's hand sees them."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.emulated_quest import EmulatedQuest
from devices.driver import DeviceContext
from devices.sim.hand import DRIVER
from teleop_app.core.calibration import CalibrationStore
from teleop_app.core.clock import MonotonicClock
from teleop_app.core.config import StationConfig
from teleop_app.mapping.hand import HandRetargeter
from teleop_app.mapping.hand_features import hand_features, is_plausible_hand, pinch_gap

pytestmark = pytest.mark.timeout(120)


def fingers(quest: EmulatedQuest, page: Any, pose: str, pinch: float) -> dict[str, np.ndarray]:
    quest.do("quest.primaryInputMode = 'hand'")
    for hand in ("left", "right"):
        quest.do(f"quest.hands.{hand}.poseId = '{pose}'")
        quest.do(f"quest.hands.{hand}.updatePinchValue({pinch})")
    time.sleep(0.3)
    return {
        hand: page.arm(hand, lambda arm: arm.hand is not None, f"the {hand} hand").hand
        for hand in ("left", "right")
    }


def test_both_hands_bend_towards_their_palms_and_pinch(
    quest: EmulatedQuest, page: Any, tmp_path: Path
) -> None:
    context = DeviceContext("hand", (), StationConfig(), CalibrationStore(tmp_path), MonotonicClock())
    robot = DRIVER.make(context, DRIVER.options())
    retargeter = HandRetargeter(robot.joint_names, robot.limits, "hand")
    share: dict[str, dict[str, float]] = {}
    poses = {"relaxed": ("default", 0.0), "pinched": ("default", 1.0), "pointing": ("point", 0.0)}
    for pose, (name, pinch) in poses.items():
        seen = fingers(quest, page, name, pinch)
        assert all(is_plausible_hand(joints) for joints in seen.values())
        left, right = (hand_features(seen[hand]) for hand in ("left", "right"))
        np.testing.assert_allclose(
            left, right, atol=1e-3, err_msg="one hand is the mirror image of the other"
        )
        retargeter.reset()
        target = retargeter.target(seen["right"], 1)
        assert target is not None
        lower, upper = robot.limits
        share[pose] = dict(zip(robot.joint_names, (target - lower) / (upper - lower), strict=True))
        assert (pinch_gap(seen["right"]) < 0.1) == (pose == "pinched")
    flexion = [f"{finger}_{joint}" for finger in ("middle", "ring", "little") for joint in ("mcp", "pip")]
    assert all(share["relaxed"][joint] < 0.1 for joint in (*flexion, "index_mcp", "index_pip"))
    assert all(share["pointing"][joint] > 0.8 for joint in flexion)
    assert share["pointing"]["index_mcp"] < 0.1 and share["pointing"]["index_pip"] < 0.1
    assert share["pinched"]["index_mcp"] > 0.8 and share["pinched"]["thumb_opposition"] > 0.95
    assert share["relaxed"]["thumb_opposition"] < 0.3
