"""The virtual hand: inverts the real clutch, sees what is missing, moves like a person."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.inputs.hand import HandStyle, Tremor, between, min_jerk, reach_time_s
from devices.inputs.plans.view import down_quat
from devices.inputs.virtual_hand import VirtualHand
from teleop_app.core.geometry import quat_angle, quat_from_rotvec, quat_to_matrix
from teleop_app.mapping.clutch import RelativeClutch

numbers = st.floats(-1.0, 1.0)
vectors = st.tuples(numbers, numbers, numbers).map(np.array)
poses = st.tuples(vectors, vectors).map(lambda pv: np.concatenate([pv[0], quat_from_rotvec(2.0 * pv[1])]))


@given(poses, poses, st.floats(0.2, 4.0), st.floats(-180.0, 180.0))
def test_the_real_clutch_maps_the_hand_to_the_wish(
    home: np.ndarray, wanted: np.ndarray, scale: float, yaw_deg: float
) -> None:
    hand = VirtualHand(scale, yaw_deg)
    clutch = RelativeClutch(scale, yaw_deg)
    clutch.engage(hand.clutch(home), home)
    assert clutch.target(hand.controller(home)) == pytest.approx(home, abs=1e-9)
    reached = clutch.target(hand.controller(wanted))
    assert reached[:3] == pytest.approx(wanted[:3], abs=1e-9)
    assert quat_angle(reached[3:], wanted[3:]) < 1e-6


@settings(max_examples=25)
@given(poses, vectors, vectors)
def test_a_constant_error_of_the_arm_is_seen_and_taken_out(
    home: np.ndarray, sag: np.ndarray, twist: np.ndarray
) -> None:
    """The arm sags by up to 2 cm and 0.1 rad; the tool comes to the wish all the same."""
    hand, clutch = VirtualHand(), RelativeClutch()
    clutch.engage(hand.clutch(home), home)
    wanted = home.copy()
    wanted[:3] += 0.1
    for _ in range(300):
        target = clutch.target(hand.controller(wanted))
        tool = between(target, target, 1.0)
        tool[:3] += 0.02 * sag / np.sqrt(3.0)
        tool[3:] = _turned(0.1 * twist / np.sqrt(3.0), target[3:])
        hand.watch(wanted, tool, 0.01)
    assert tool[:3] == pytest.approx(wanted[:3], abs=1e-4)
    assert quat_angle(tool[3:], wanted[3:]) < 1e-3


def _turned(rotvec: np.ndarray, quat: np.ndarray) -> np.ndarray:
    from teleop_app.core.geometry import quat_multiply

    return quat_multiply(quat_from_rotvec(rotvec), quat)


def test_the_correction_is_bounded() -> None:
    hand = VirtualHand()
    tool = np.array([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
    hand.clutch(tool)
    wanted = np.array([1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
    before = hand.controller(wanted)
    for _ in range(1000):
        hand.watch(wanted, tool, 0.01)
    assert np.linalg.norm(hand.controller(wanted)[:3] - before[:3]) < 0.05


def test_a_reach_starts_and_ends_at_rest_and_never_turns_back() -> None:
    path = np.array([min_jerk(t) for t in np.linspace(0.0, 1.0, 201)])
    speed = np.diff(path) * 200
    assert (path[0], path[-1]) == (0.0, 1.0)
    assert (speed >= 0.0).all()
    assert speed[0] < 0.01
    assert speed[-1] < 0.01
    assert speed.max() == pytest.approx(1.875, abs=0.01)
    assert min_jerk(-1.0) == 0.0
    assert min_jerk(2.0) == 1.0


def test_a_reach_has_the_speed_of_a_hand() -> None:
    start = np.array([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
    end = np.array([0.3, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
    peak = 1.875 * 0.3 / reach_time_s(start, end, 1.0)
    assert 0.2 < peak < 0.4
    assert reach_time_s(start, end, 0.5) == pytest.approx(2.0 * reach_time_s(start, end, 1.0))
    assert reach_time_s(start, start, 1.0) > 0.2, "no step in no time"


def test_the_tremor_is_small_and_slow_and_of_the_seed() -> None:
    tremor, again = Tremor(np.random.default_rng(4)), Tremor(np.random.default_rng(4))
    sway = np.array([tremor.sample(0.01) for _ in range(2000)])
    assert np.abs(sway).max() < 0.003
    assert np.abs(np.diff(sway, axis=0)).max() < 0.001
    assert sway.std() > 1e-4
    assert (again.sample(0.01) == sway[0]).all()


def test_styles_differ_between_attempts() -> None:
    rng = np.random.default_rng(0)
    assert HandStyle.draw(rng) != HandStyle.draw(rng)


@pytest.mark.parametrize("psi", [-2.5, 0.0, 0.7, 3.0])
def test_a_tool_from_above_points_down_with_its_heading(psi: float) -> None:
    axes = quat_to_matrix(down_quat(psi))
    assert axes[:, 0] == pytest.approx([0.0, 0.0, -1.0], abs=1e-12)
    assert axes[:, 2] == pytest.approx([np.cos(psi), np.sin(psi), 0.0], abs=1e-12)
