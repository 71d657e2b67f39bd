"""A person's hand of known angles, of any size and shape and anywhere, onto a robot's hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.driver import DeviceContext
from devices.sim.hand import DRIVER, HandOptions
from devices.testing.tracked_hand import LENGTHS_M, tracked_hand
from teleop_app.core.calibration import CalibrationStore
from teleop_app.core.clock import FakeClock
from teleop_app.core.config import StationConfig
from teleop_app.core.errors import ConfigError, DeviceError, StationError
from teleop_app.mapping.hand import HandRange, HandRetargeter
from teleop_app.mapping.hand_calibration import HandRangeFinder
from teleop_app.mapping.hand_features import FEATURES, hand_features, is_plausible_hand, pinch_gap
from teleop_app.safety.hand_limiter import MAX_JOINT_SPEED_RAD_S, HandLimiter

USUAL = HandRange.usual()


def hand(angles, **named):
    return tracked_hand(dict(zip(FEATURES, angles, strict=True)), **named)


SHARES = st.lists(st.floats(0.0, 1.0), min_size=len(FEATURES), max_size=len(FEATURES)).map(np.array)
BONES = st.lists(st.floats(0.6, 1.5), min_size=16, max_size=16).map(
    lambda f: LENGTHS_M * np.reshape(f, (4, 4))
)
SOMEWHERE = st.lists(st.floats(-3.0, 3.0), min_size=3, max_size=3)


@settings(deadline=None, max_examples=60)
@given(SHARES, st.sampled_from(["left", "right"]), st.floats(0.6, 1.6), BONES, SOMEWHERE, SOMEWHERE)
def test_angles_come_back_whatever_the_hand_and_wherever_it_is(shares, side, size, bones, turn, place):
    bones[:, 0] = 0.065  # knuckles in a row: the palm is what the angles are measured against
    angles = USUAL.low + shares * (USUAL.high - USUAL.low)
    joints = hand(angles, side=side, size=size, lengths_m=bones, turn=turn, place=np.array(place))
    assert is_plausible_hand(joints)
    assert np.allclose(hand_features(joints), angles, atol=1e-7)


@settings(deadline=None, max_examples=60)
@given(SHARES)
def test_targets_are_the_same_share_of_the_robots_range(shares):
    robot = sim_hand()
    retargeter = HandRetargeter(robot.joint_names, robot.limits, "right_hand")
    lower, upper = robot.limits
    target = retargeter.target(hand(USUAL.low + shares * (USUAL.high - USUAL.low)), 1_000)
    picked = [shares[FEATURES.index(name)] for name in robot.joint_names]
    assert np.allclose(target, lower + picked * (upper - lower), atol=1e-6)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=16, max_size=16)
        | st.just([100.0] * 16)
        | st.none(),
        min_size=1,
        max_size=8,
    ),
    st.integers(1, 20),
)
def test_a_hand_never_leaves_limits_or_speed(targets, ticks):
    lower, upper = sim_hand().limits
    limiter = HandLimiter((lower, upper), 0.005)
    assert not limiter.start(np.full(16, np.nan))
    with pytest.raises(ValueError, match="not known yet"):
        limiter.advance(None)
    assert limiter.start(np.zeros(16))
    last = limiter.sent
    for target in targets:
        for _ in range(ticks):
            asked = None if target is None else np.array(target)
            sent = limiter.advance(asked)
            assert ((sent >= lower) & (sent <= upper)).all()
            assert np.abs(sent - last).max() <= MAX_JOINT_SPEED_RAD_S * 0.005 + 1e-12
            if asked is None or not np.isfinite(asked).all():
                assert (sent == last).all()
            last = sent


def test_the_filter_calms_a_trembling_hand_and_follows_a_closing_one():
    robot = sim_hand()
    retargeter = HandRetargeter(robot.joint_names, robot.limits, "right_hand")
    rng = np.random.default_rng(1)
    middle = (USUAL.low + USUAL.high) / 2.0
    raw, smooth = [], []
    for number in range(270):
        joints = hand(middle)
        joints[:, :3] += rng.normal(0.0, 0.0005, (25, 3))
        raw.append(hand_features(joints)[FEATURES.index("index_mcp")])
        smooth.append(
            retargeter.target(joints, 11_000_000 * (number + 1))[robot.joint_names.index("index_mcp")]
        )
    assert np.std(smooth[30:]) < 0.6 * np.std(raw[30:])
    for number in range(270, 320):
        target = retargeter.target(hand(USUAL.high), 11_000_000 * (number + 1))
    assert np.allclose(target, robot.limits[1], atol=0.02)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda joints: joints[:24],
        lambda joints: joints * np.nan,
        lambda joints: joints * 10.0,
        lambda joints: np.zeros((25, 7)),
        lambda joints: np.vstack([joints[:4], joints[3:4], joints[5:]]),
    ],
)
def test_what_is_no_hand_is_no_target(spoil):
    robot = sim_hand()
    retargeter = HandRetargeter(robot.joint_names, robot.limits, "right_hand")
    assert retargeter.target(spoil(hand(USUAL.low)), 1_000) is None


def test_a_driver_must_name_its_joints_after_a_hand():
    with pytest.raises(ConfigError, match=r"The hand 'right_hand' cannot be driven: .*its joints wing"):
        HandRetargeter(["index_mcp", "wing"], (np.zeros(2), np.ones(2)), "right_hand")


def motion(low, high, samples=120, seconds=4.0):
    """Opens and closes twice between two postures."""
    for number in range(samples):
        share = 0.5 - 0.5 * math.cos(4.0 * math.pi * number / samples)
        yield hand(low + share * (high - low)), int(1e9 + number / samples * seconds * 1e9)


def test_a_stiff_hand_is_stretched_over_the_whole_range():
    low, high = USUAL.low.copy(), USUAL.low + 0.7 * (USUAL.high - USUAL.low)
    watched = HandRangeFinder()
    for joints, at_ns in motion(low, high):
        watched.add(joints, at_ns)
    found, remark = watched.result()
    robot = sim_hand()
    retargeter = HandRetargeter(robot.joint_names, robot.limits, "right_hand")
    index = robot.joint_names.index("index_pip")
    assert retargeter.target(hand(high), 1_000)[index] == pytest.approx(0.7 * 1.7, abs=0.01)
    retargeter.set_range(found)
    retargeter.reset()
    assert retargeter.target(hand(high), 1_000)[index] == pytest.approx(1.7, abs=0.03)
    assert "Thumb and index finger never met" in remark


def test_a_pinch_is_measured_in_lengths_of_the_finger():
    small, large = (hand(USUAL.low, size=size) for size in (0.7, 1.4))
    assert pinch_gap(small) == pytest.approx(pinch_gap(large))
    met = hand(USUAL.low)
    met[9, :3] = met[4, :3]
    assert pinch_gap(met) == 0.0
    watched = HandRangeFinder()
    for joints, at_ns in motion(USUAL.low, USUAL.high):
        joints[4, :3] = joints[9, :3]
        watched.add(joints, at_ns)
    assert watched.result()[1] == ""


@pytest.mark.parametrize(
    ("feed", "why"),
    [
        (lambda: [], r"the hand was seen 0 times in 0\.0 s"),
        (lambda: list(motion(USUAL.low, USUAL.high, samples=40, seconds=0.5)), r"seen 40 times in 0\.5 s"),
        (lambda: list(motion(USUAL.low, USUAL.low)), "fingers hardly moved: index, middle, ring, little"),
        (
            lambda: [(None if n % 2 else j, t) for n, (j, t) in enumerate(motion(USUAL.low, USUAL.high))],
            "its tracking was lost 50 % of the time",
        ),
    ],
)
def test_a_bad_calibration_is_refused_in_a_sentence(feed, why):
    watched = HandRangeFinder()
    for joints, at_ns in feed():
        watched.add(joints, at_ns)
    with pytest.raises(StationError, match=f"The range of the hand was not found: .*{why}"):
        watched.result()


def sim_hand(clock=None, **options):
    context = DeviceContext("right_hand", (), StationConfig(), CalibrationStore(None), clock or FakeClock())
    return DRIVER.make(context, HandOptions(**options))


def test_the_simulated_hand_turns_at_its_speed_and_refuses_nonsense():
    clock = FakeClock()
    robot = sim_hand(clock, speed_rad_s=2.0)
    assert robot.read() is None
    with pytest.raises(DeviceError, match="it is not connected"):
        robot.send(np.zeros(16))
    robot.connect()
    for bad in (np.zeros(3), np.full(16, np.nan), np.full(16, 9.0)):
        with pytest.raises(DeviceError, match="is not 16 angles within its limits"):
            robot.send(bad)
    robot.send(robot.limits[1])
    clock.advance(0.25)
    assert robot.read()[0] == pytest.approx(np.minimum(robot.limits[1], 0.5))
    clock.advance(9.0)
    assert robot.read()[0] == pytest.approx(robot.limits[1])
    robot.disconnect()
    robot.disconnect()
