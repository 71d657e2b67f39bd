"""Keys and mouse as an input device: never a clutch left engaged, never a jump."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleop_app.core.config import MappingSection
from teleop_app.core.types import Actor
from ui.viewmodels.driving import HELD_ACTIONS, RELEASE_SAMPLES, KeyDriver

MS = 1_000_000
POSE = np.array([0.1, 0.2, 0.3, 1.0, 0.0, 0.0, 0.0])


@pytest.fixture
def driver() -> KeyDriver:
    return KeyDriver(["left", "right"], MappingSection())


def engage(driver):
    """Presses Space and takes the released sample that makes the edge."""
    assert driver.toggle_clutch()
    assert not driver.sample(0).arms[driver.selected].clutch


def test_nothing_is_sent_while_nobody_is_engaged(driver):
    driver.press("move.forward")
    assert driver.sample(0) is None


def test_space_engages_the_selected_arm_with_a_resting_twist(driver):
    engage(driver)
    sample = driver.sample(1)
    assert sample.actor is Actor.HUMAN
    assert set(sample.arms) == {"left"}
    assert sample.arms["left"].clutch
    assert not sample.arms["left"].twist.any()


@pytest.mark.parametrize(
    ("action", "axis", "sign"),
    [
        ("move.forward", 1, 1),
        ("move.left", 0, -1),
        ("move.up", 2, 1),
        ("turn.left", 5, 1),
        ("tilt.down", 3, -1),
    ],
)
def test_a_held_key_moves_along_its_axis_at_the_configured_speed(driver, action, axis, sign):
    mapping = MappingSection()
    engage(driver)
    driver.press(action)
    twist = driver.sample(1).arms["left"].twist
    speed = mapping.key_speed_m_s if axis < 3 else mapping.key_turn_rad_s
    assert twist[axis] == pytest.approx(sign * speed)
    assert np.count_nonzero(twist) == 1
    driver.release(action)
    assert not driver.sample(16 * MS).arms["left"].twist.any()


def test_two_keys_move_no_faster_than_one(driver):
    engage(driver)
    driver.press("move.forward")
    driver.press("move.right")
    twist = driver.sample(1).arms["left"].twist
    assert np.linalg.norm(twist[:3]) == pytest.approx(MappingSection().key_speed_m_s)


def test_release_is_said_several_times_and_then_nothing(driver):
    engage(driver)
    driver.sample(1)
    driver.toggle_clutch()
    released = [driver.sample(n * 16 * MS) for n in range(RELEASE_SAMPLES)]
    assert all(not sample.arms["left"].clutch for sample in released)
    assert driver.sample(1000 * MS) is None
    assert not driver.active


def test_changing_the_arm_releases_the_old_one_and_does_not_engage_the_new_one(driver):
    engage(driver)
    driver.sample(1)
    assert driver.select_next() == "right"
    sample = driver.sample(16 * MS)
    assert set(sample.arms) == {"left"}
    assert not sample.arms["left"].clutch
    assert driver.engaged is None


def test_losing_the_window_lets_go_of_keys_clutch_and_target(driver):
    driver.toggle_clutch()
    driver.press("move.forward")
    driver.release_all()
    assert not driver.sample(0).arms["left"].clutch
    driver.toggle_clutch()
    driver.sample(16 * MS)
    assert not driver.sample(32 * MS).arms["left"].twist.any()


def test_a_drag_is_a_held_clutch_with_the_pose(driver):
    driver.grab("right", POSE)
    moved = POSE + np.array([0.05, 0, 0, 0, 0, 0, 0])
    driver.move_target("right", moved)
    assert not driver.sample(0).arms["right"].clutch
    asked = driver.sample(1).arms["right"]
    assert asked.clutch
    np.testing.assert_allclose(asked.pose, moved)
    driver.drop()
    assert not driver.sample(16 * MS).arms["right"].clutch


def test_switching_from_keys_to_drag_releases_for_one_sample(driver):
    engage(driver)
    driver.sample(1)
    driver.grab("left", POSE)
    first, second = driver.sample(16 * MS), driver.sample(32 * MS)
    assert not first.arms["left"].clutch
    assert second.arms["left"].clutch
    assert second.arms["left"].pose is not None


def test_a_target_of_another_arm_or_without_a_grab_moves_nothing(driver):
    driver.move_target("left", POSE)
    driver.grab("elbow", POSE)
    assert driver.sample(0) is None


def test_the_gripper_starts_where_it_is_measured(driver):
    driver.set_measured_gripper("left", 0.3)
    engage(driver)
    assert driver.sample(1).arms["left"].gripper == pytest.approx(0.3)
    driver.toggle_gripper()
    assert driver.sample(16 * MS).arms["left"].gripper == 1.0
    driver.toggle_gripper()
    assert driver.sample(32 * MS).arms["left"].gripper == 0.0


def test_a_held_gripper_key_moves_it_slowly_and_stops_at_the_end(driver):
    engage(driver)
    driver.sample(1)
    driver.press("gripper.close")
    first = driver.sample(16 * MS).arms["left"].gripper
    assert 0.9 < first < 1.0
    for n in range(2, 200):
        last = driver.sample(n * 16 * MS)
    assert last.arms["left"].gripper == 0.0


def test_samples_are_numbered_without_gaps(driver):
    engage(driver)
    assert [driver.sample(n * 16 * MS).seq for n in range(1, 4)] == [2, 3, 4]


def test_a_resting_sample_holds_no_clutch(driver):
    sample = driver.resting(0)
    assert set(sample.arms) == {"left", "right"}
    assert not any(arm.clutch for arm in sample.arms.values())


def test_every_engagement_begins_with_a_released_sample(driver):
    for n in range(3):
        engage(driver)
        assert driver.sample(n).arms["left"].clutch
        driver.toggle_clutch()


def test_an_unknown_arm_is_refused_with_the_valid_names(driver):
    with pytest.raises(ValueError, match="Arms are: left, right"):
        driver.select("third")


@given(yaw=st.floats(-180, 180), scale=st.floats(0.1, 5), dx=st.floats(-0.5, 0.5), dy=st.floats(-0.5, 0.5))
def test_a_dragged_target_undoes_yaw_and_scale_of_the_mapping(yaw, scale, dx, dy):
    driver = KeyDriver(["left"], MappingSection(yaw_deg=yaw, scale=scale))
    driver.grab("left", POSE)
    driver.sample(0)
    start = driver.sample(0).arms["left"].pose
    goal = POSE + np.array([dx, dy, 0.1, 0, 0, 0, 0])
    driver.move_target("left", goal)
    hand = driver.sample(1).arms["left"].pose
    turn = math.radians(yaw)
    calibration = np.array(
        [[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1]]
    )
    np.testing.assert_allclose(scale * calibration @ (hand[:3] - start[:3]), goal[:3] - POSE[:3], atol=1e-9)


@given(
    st.lists(st.sampled_from([*sorted(HELD_ACTIONS), "toggle", "next", "grab", "drop", "lost"]), max_size=30)
)
def test_whatever_is_pressed_letting_go_of_all_ends_in_silence(steps):
    driver = KeyDriver(["left", "right"], MappingSection())
    acts = {
        "toggle": driver.toggle_clutch,
        "next": driver.select_next,
        "grab": lambda: driver.grab("right", POSE),
        "drop": driver.drop,
        "lost": driver.release_all,
    }
    for n, step in enumerate(steps):
        acts.get(step, lambda s=step: driver.press(s))()
        sample = driver.sample(n * 16 * MS)
        assert sample is None or sum(arm.clutch for arm in sample.arms.values()) <= 1
    driver.release_all()
    for n in range(RELEASE_SAMPLES):
        sample = driver.sample(10**10 + n * 16 * MS)
        assert sample is None or not any(arm.clutch for arm in sample.arms.values())
    assert driver.sample(2 * 10**10) is None
