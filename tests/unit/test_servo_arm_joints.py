"""Raw servo angles and calibrated joints: one conversion, inverse in both directions."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from devices.leaders.gravity import LINKS, gravity_model
from devices.models.library import robot_model
from devices.servos.arm_joints import ArmJoints
from devices.servos.arm_layouts import LAYOUTS
from teleop_app.core.calibration import ArmCalibration, JointCalibration

TURN = 2 * np.pi
angles = st.floats(-3.0, 3.0)


@st.composite
def calibrations(draw: st.DrawFn) -> ArmCalibration:
    joints = [
        JointCalibration(
            name=name,
            servo=number,
            sign=draw(st.sampled_from([-1, 1])),
            offset_rad=draw(st.floats(-20.0, 20.0)),
            lower_rad=-3.0,
            upper_rad=3.0,
        )
        for number, name in enumerate(("a", "b", "c"), start=1)
    ]
    ends = draw(st.sampled_from([(-0.5, 0.7), (0.7, -0.5)]))
    gripper = JointCalibration(
        name="gripper", servo=9, sign=1, offset_rad=draw(angles), lower_rad=ends[0], upper_rad=ends[1]
    )
    return ArmCalibration(serial="S", driver="d", model="m", joints=[*joints, gripper])


def raw_of(calibration: ArmCalibration, q: np.ndarray) -> np.ndarray:
    grip = calibration.joints[-1]
    wanted = [*q[:-1], grip.lower_rad + q[-1] * (grip.upper_rad - grip.lower_rad)]
    return np.array([j.sign * (a - j.offset_rad) for j, a in zip(calibration.joints, wanted, strict=True)])


@given(calibrations(), st.lists(angles, min_size=3, max_size=3), st.floats(0.0, 1.0), st.integers(-2, 2))
def test_what_is_read_is_where_the_arm_is_whatever_turn_its_encoders_are_in(
    calibration: ArmCalibration, q: list[float], gripper: float, turns: int
) -> None:
    joints, wanted = ArmJoints(calibration), np.array([*q, gripper])
    raw = raw_of(calibration, wanted) + TURN * turns
    assert np.allclose(joints.to_joints(raw), wanted, atol=1e-9)
    # Writing what was read moves nothing: not even by a turn.
    assert np.allclose(joints.to_raw(wanted), raw, atol=1e-9)


@given(calibrations(), st.lists(angles, min_size=3, max_size=3), st.lists(angles, min_size=3, max_size=3))
def test_reading_what_was_written_gives_what_was_written(
    calibration: ArmCalibration, first: list[float], then: list[float]
) -> None:
    joints = ArmJoints(calibration)
    joints.to_joints(raw_of(calibration, np.array([*first, 0.5])))
    for part in np.linspace(0.0, 1.0, 5):
        q = np.array([*(np.array(first) * (1 - part) + np.array(then) * part), part])
        assert np.allclose(joints.to_joints(joints.to_raw(q)), q, atol=1e-9)


@given(calibrations(), st.lists(st.floats(-5.0, 5.0), min_size=4, max_size=4))
def test_velocities_have_the_sign_of_the_motion(calibration: ArmCalibration, speed: list[float]) -> None:
    joints = ArmJoints(calibration)
    raw = raw_of(calibration, np.array([0.1, -0.2, 0.3, 0.5]))
    before = joints.to_joints(raw)
    dt = 1e-3
    after = joints.to_joints(raw + np.array(speed) * dt)
    assert np.allclose((after - before) / dt, joints.to_velocity(np.array(speed)), atol=1e-6)


def test_a_gap_in_a_reading_stays_a_gap_and_loses_no_turn() -> None:
    joint = JointCalibration(name="a", servo=1, lower_rad=-3.0, upper_rad=3.0)
    calibration = ArmCalibration(serial="S", driver="d", model="m", joints=[joint])
    joints = ArmJoints(calibration)
    for raw in (2.9, 3.2, 3.5):  # on past its range, within a turn
        assert joints.to_joints(np.array([raw]))[0] == raw
    assert np.isnan(joints.to_joints(np.array([np.nan]))[0])
    assert joints.to_joints(np.array([3.6]))[0] == 3.6


def test_followers_layouts_name_the_joints_of_their_robot_model() -> None:
    for name in ("viperx", "widowx", "so101"):
        layout = LAYOUTS[name]
        model = robot_model(layout.model)
        assert layout.names[:-1] == model.joint_names
        rest = np.array([joint.rest_rad for joint in layout.joints[:-1]])
        assert (rest >= np.array(model.lower) - 0.01).all() and (rest <= np.array(model.upper) + 0.01).all()


def test_every_mirrored_model_has_the_joints_of_its_leader() -> None:
    for layout in LAYOUTS.values():
        for model in (layout.model, *layout.mirrors):
            assert len(robot_model(model).joint_names) == len(layout.joints) - 1


def test_gravity_pulls_a_level_arm_down_and_an_upright_one_not_at_all() -> None:
    for name in LINKS:
        model = gravity_model(name)
        assert abs(model.torques(np.zeros(model.size))[0]) < 1e-6  # the waist stands upright
    arm = gravity_model("widowx")
    level = np.array([0.0, np.pi / 2, 0.0, 0.0, 0.0, 0.0])  # upper arm ahead, forearm down
    back = np.array([0.0, -0.2, -np.pi / 2 + 0.2, 0.0, 0.0, 0.0])  # forearm upright
    assert arm.torques(level)[1] < -1.5  # held up against forward and down
    assert abs(arm.torques(back)[2]) < 0.2
