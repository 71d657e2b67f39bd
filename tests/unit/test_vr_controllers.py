"""From a headset's frames to samples: clutch, gripper, buttons, sticks, and everything that must let go."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from devices.vr.clutch import SqueezeClutch
from devices.vr.controllers import ControllerMapper
from devices.vr.hand_pinch import INDEX_TIP, MIDDLE_TIP, THUMB_TIP
from devices.vr.options import VrOptions, WebXrOptions
from devices.vr.protocol import Controller, XrFrame
from teleop_app.core.config import StationConfig
from teleop_app.core.errors import ConfigError
from teleop_app.core.types import ArmInput, Array, InputSample

POSE = np.array([0.1, 0.4, 1.2, 1.0, 0.0, 0.0, 0.0])
ARMS = ("left", "right")


def controller(name: str = "right", squeeze: float = 0.0, **fields: object) -> Controller:
    given = {"grip": POSE, "trigger": 0.0, "stick": (0.0, 0.0), "pressed": frozenset()} | fields
    return Controller(hand=name, aim=None, joints=given.pop("joints", None), squeeze=squeeze, **given)  # type: ignore[arg-type]


class Headset:
    def __init__(self, options: VrOptions | None = None, config: StationConfig | None = None) -> None:
        self.mapper = ControllerMapper("headset", ARMS, options or VrOptions(), config or StationConfig())
        self.seq = -1
        self.resets = 0

    def frame(self, *controllers: Controller, visible: bool = True, skip: int = 0) -> InputSample:
        self.seq += 1 + skip
        frame = XrFrame(
            self.seq, self.resets, self.seq + 1, 0, visible, None, {each.hand: each for each in controllers}
        )
        return self.mapper.sample(frame, 1000 + self.seq)

    def right(self, squeeze: float, **fields: object) -> ArmInput:
        return self.frame(controller("right", squeeze, **fields)).arms["right"]

    def hold(self) -> None:
        assert not self.right(0.0).clutch and self.right(1.0).clutch


def test_the_clutch_has_hysteresis() -> None:
    clutch = SqueezeClutch(0.7, 0.3)
    levels = [0.0, 0.6, 0.71, 0.5, 0.31, 0.29, 0.5, 0.69, 0.9]
    held = [clutch.update(level, valid=True) for level in levels]
    assert held == [False, False, True, True, True, False, False, False, True]


def test_a_squeeze_held_at_the_start_does_not_count() -> None:
    clutch = SqueezeClutch(0.7, 0.3)
    assert not clutch.update(1.0, valid=True)
    assert not clutch.update(0.5, valid=True) and not clutch.update(1.0, valid=True)
    clutch.update(0.0, valid=True)
    assert clutch.update(1.0, valid=True)


def test_each_controller_moves_its_arm() -> None:
    headset = Headset()
    headset.frame(controller("left"), controller("right"))
    sample = headset.frame(controller("left", 1.0, trigger=0.25), controller("right"))
    assert sample.arms["left"].clutch and not sample.arms["right"].clutch
    assert sample.arms["left"].gripper == 0.75 and sample.arms["right"].gripper == 1.0
    np.testing.assert_array_equal(sample.arms["left"].pose, POSE)


def lost_tracking(headset: Headset) -> ArmInput:
    return headset.right(1.0, grip=None)


def controller_off(headset: Headset) -> ArmInput:
    return headset.frame().arms["right"]


def recentred(headset: Headset) -> ArmInput:
    headset.resets += 1
    return headset.right(1.0)


def blurred(headset: Headset) -> ArmInput:
    return headset.frame(controller("right", 1.0), visible=False).arms["right"]


def gone(headset: Headset) -> ArmInput:
    return headset.mapper.nothing(5000).arms["right"]


@pytest.mark.parametrize("loss", [lost_tracking, controller_off, recentred, blurred, gone])
def test_after_a_loss_the_arm_holds_until_squeezed_anew(loss: object) -> None:
    headset = Headset()
    headset.hold()
    during = loss(headset)  # type: ignore[operator]
    assert not during.clutch and not during.valid
    assert not headset.right(1.0).clutch, "still squeezed: not a new squeeze"
    assert not headset.right(0.1).clutch and headset.right(0.9).clutch


def test_one_hand_lost_leaves_the_other_alone() -> None:
    headset = Headset()
    headset.frame(controller("left"), controller("right"))
    sample = headset.frame(controller("left", 1.0), controller("right", 1.0, grip=None))
    assert sample.arms["left"].clutch and not sample.arms["right"].valid


def test_gaps_in_the_frames_are_gaps_in_the_samples() -> None:
    headset = Headset()
    first, second = headset.frame().seq, headset.frame(skip=3).seq
    assert second - first == 4 and headset.mapper.lost == 3
    assert headset.mapper.nothing(0).seq == second + 1
    headset.seq = 99  # a new connection counts anew
    assert headset.frame().seq == second + 2 and headset.mapper.lost == 3


def test_buttons_are_actions_and_sticks_clicked_are_precision() -> None:
    headset = Headset()
    sample = headset.frame(
        controller("left", pressed=frozenset({"upper"})), controller("right", pressed=frozenset({"lower"}))
    )
    assert set(sample.buttons) == {"estop", "record"}
    click = frozenset({"stick"})
    states = [headset.right(0.0, pressed=pressed).precise for pressed in (click, click, frozenset(), click)]
    assert states == [True, True, True, False]
    assert headset.frame(controller("left", pressed=frozenset({"upper"})), visible=False).buttons == ()


def test_sticks_drive_base_and_lift_where_there_are_some() -> None:
    config = StationConfig()
    pushed = (controller("left", stick=(0.0, -1.0)), controller("right", stick=(-1.0, 0.0)))
    assert Headset().frame(*pushed).base_twist is None
    config.mobile_base.driver, config.lift.driver = "sim-base", "sim-lift"
    headset = Headset(config=config)
    twist = headset.frame(*pushed).base_twist
    np.testing.assert_allclose(
        twist, [config.mobile_base.max_speed_m_s, 0, config.mobile_base.max_turn_rad_s]
    )
    up = headset.frame(controller("right", stick=(0.0, -1.0)))
    assert up.lift_m_s == pytest.approx(config.lift.max_speed_m_s)
    for still in (headset.frame(*pushed, visible=False), headset.mapper.nothing(0)):
        np.testing.assert_array_equal(still.base_twist, np.zeros(3))
        assert still.lift_m_s == 0.0


def bare_hand(pinched: int = -1) -> Array:
    joints = np.tile(POSE, (25, 1))
    joints[THUMB_TIP, 0] += 0.1
    if pinched >= 0:
        joints[pinched] = joints[THUMB_TIP]
    return joints


def test_bare_hands_pinch() -> None:
    headset = Headset()
    headset.right(0.0, joints=bare_hand(), grip=None)
    held = headset.right(0.0, joints=bare_hand(MIDDLE_TIP), grip=None)
    assert held.clutch and held.gripper == 1.0 and held.hand is not None
    np.testing.assert_array_equal(held.pose, POSE)
    assert headset.right(0.0, joints=bare_hand(INDEX_TIP)).gripper == 0.0


def test_the_other_hand_may_hold_for_this_one() -> None:
    headset = Headset(VrOptions(hand_clutch="other"))
    left, right = (controller(hand, joints=bare_hand()) for hand in ARMS)
    headset.frame(left, right)
    sample = headset.frame(replace(left, joints=bare_hand(MIDDLE_TIP)), right)
    assert sample.arms["right"].clutch and not sample.arms["left"].clutch


def test_a_looked_at_pinch_leaves_the_gripper_alone() -> None:
    assert Headset().right(1.0, transient=True).gripper is None


def test_arms_are_assigned_or_the_mistake_is_said() -> None:
    def arms_of(arms: tuple[str, ...], **wanted: str) -> dict[str, str]:
        return ControllerMapper("h", arms, VrOptions(arms=wanted), StationConfig()).arm_of  # type: ignore[arg-type]

    assert arms_of(("left", "right")) == {"left": "left", "right": "right"}
    assert arms_of(("front", "back")) == {"left": "front", "right": "back"}
    assert arms_of(("solo",)) == {"right": "solo"}
    assert arms_of(ARMS, left="right") == {"left": "right"}
    with pytest.raises(ConfigError, match="cannot drive the arm 'middle'.*Choose one of: left, right"):
        arms_of(ARMS, left="middle")
    with pytest.raises(ConfigError, match="Both controllers"):
        arms_of(ARMS, left="left", right="left")


@pytest.mark.parametrize(
    "wrong",
    [
        {"engage": 0.3},
        {"release": 0.9},
        {"actions": {"left.nose": "record"}},
        {"port": 70_000},
        {"nmaes": []},
    ],
)
def test_wrong_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        WebXrOptions.model_validate(wrong)
