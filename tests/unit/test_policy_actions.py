"""What a policy answers becomes joint vectors: by hand, there and back, and never when it is nonsense."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_cell import BASES, GRIPPERS, JOINTS, LOWER, SIZE, UPPER, ToyKinematics, layout, view

from devices.sim.arms import ARMS
from devices.sim.model import build_spec
from teleop_app.autonomy.actions import ActionDecoder
from teleop_app.autonomy.policy_file import parse_policy
from teleop_app.autonomy.rotations import Rotation, write_rotation
from teleop_app.autonomy.view import CellLayout, StationView
from teleop_app.core.errors import PolicyError
from teleop_app.core.geometry import make_pose, pose_compose, quat_from_rotvec, quat_multiply
from teleop_app.mapping.ik import ArmChain
from teleop_app.mapping.ik_model import arms_only
from teleop_app.mapping.reach import CellReach

BOTH_JOINTS = '["left/joints", "left/gripper", "right/joints", "right/gripper"]'
BOTH_POSES = '["right/ee", "right/gripper", "left/gripper", "left/ee"]'


def decoder(action: str, cell: CellLayout | None = None, kinematics: object = None) -> ActionDecoder:
    policy = parse_policy(f'driver = "openpi"\nhorizon = 8\n[action]\n{action}', "test")
    return ActionDecoder(policy, cell or layout(), kinematics or ToyKinematics())  # pyright: ignore


def refused(raw: object, action: str = f"parts = {BOTH_JOINTS}", seen: StationView | None = None) -> str:
    with pytest.raises(PolicyError) as caught:
        decoder(action).decode(raw, seen or view())
    return str(caught.value)


# By hand.


def test_absolute_joints_are_taken_as_they_are_and_grippers_scaled() -> None:
    raw = np.zeros((2, SIZE), np.float32)
    raw[:, :6] = 0.25
    raw[:, 6] = [100.0, 25.0]
    vectors = decoder(f"parts = {BOTH_JOINTS}\nclosed = 100\nopened = 0").decode(raw, view())
    assert vectors[:, :6].tolist() == [[0.25] * 6] * 2
    assert vectors[:, 6].tolist() == [0.0, 0.75]
    assert vectors[:, 14].tolist() == [1.0, 1.0]


def test_deltas_add_up_and_chunk_deltas_do_not() -> None:
    raw = np.full((3, 7), 0.1)
    seen = view()
    added = decoder('parts = ["left/joints", "left/gripper"]\nconvention = "delta"').decode(raw, seen)
    from_start = decoder('parts = ["left/joints", "left/gripper"]\nconvention = "chunk_delta"').decode(
        raw, seen
    )
    measured = seen.measured[JOINTS["left"]]
    assert np.allclose(added[:, JOINTS["left"]], measured + np.array([[0.1], [0.2], [0.3]]))
    assert np.allclose(from_start[:, JOINTS["left"]], measured + 0.1)
    assert np.allclose(added[:, 6], 0.1), "grippers are absolute"


def test_what_the_policy_leaves_out_keeps_its_place() -> None:
    seen = view(sent=np.linspace(-0.3, 0.3, SIZE))
    vectors = decoder('parts = ["left/joints"]').decode(np.zeros((2, 6)), seen)
    assert np.array_equal(vectors[:, 7:], [seen.measured[7:]] * 2), "an arm that is not driven: as measured"
    assert vectors[0, GRIPPERS["left"]] == seen.sent[GRIPPERS["left"]], "a grip is kept"


def test_an_absolute_pose_in_the_base_and_in_the_world() -> None:
    tool = make_pose(np.array([0.2, -0.1, 0.3]), quat_from_rotvec(np.array([0.3, 0.2, -0.4])))
    wanted = [0.2, -0.1, 0.3, 0.3, 0.2, -0.4]
    for frame, pose in (("base", tool), ("world", pose_compose(BASES[1], tool))):
        raw = np.array([[*pose[:3], *write_rotation(pose[3:], Rotation.QUAT_XYZW)]])
        action = f'parts = ["right/ee"]\nrotation = "quat_xyzw"\nframe = "{frame}"'
        vectors = decoder(action).decode(raw, view())
        assert np.allclose(vectors[0, 7:13], wanted), frame


@pytest.mark.parametrize("convention", ["delta", "chunk_delta"])
@pytest.mark.parametrize("frame", ["tool", "base", "world"])
def test_deltas_of_poses_along_the_axes_of_their_frame(convention: str, frame: str) -> None:
    seen = view()
    step, turn = np.array([0.01, 0.02, -0.03]), np.array([0.05, 0.0, 0.02])
    raw = np.array([[*step, *turn]] * 2)
    action = f'parts = ["right/ee"]\nrotation = "axis_angle"\nframe = "{frame}"\nconvention = "{convention}"'
    kinematics = ToyKinematics()
    vectors = decoder(action, kinematics=kinematics).decode(raw, seen)
    pose = kinematics.poses(seen.measured)[1]
    for row in vectors:
        here = kinematics.poses(seen.measured)[1] if convention == "chunk_delta" else pose
        if frame == "tool":
            pose = pose_compose(here, make_pose(step, quat_from_rotvec(turn)))
        else:
            axes = BASES[1, 3:] if frame == "base" else np.array([1.0, 0.0, 0.0, 0.0])
            origin = np.concatenate([np.zeros(3), axes])
            shift = pose_compose(origin, make_pose(step, np.array([1.0, 0, 0, 0])))[:3]
            spin = quat_multiply(quat_multiply(axes, quat_from_rotvec(turn)), axes * [1, -1, -1, -1])
            pose = make_pose(here[:3] + shift, quat_multiply(spin, here[3:]))
        reached = kinematics.poses(row)[1]
        assert np.allclose(reached[:3], pose[:3], atol=1e-9)
        assert abs(abs(reached[3:] @ pose[3:]) - 1.0) < 1e-12


def test_each_step_is_sought_from_the_one_before() -> None:
    kinematics = ToyKinematics()
    raw = np.array([[0.1 * step, 0, 0, 0, 0, 0] for step in range(3)])
    decoder('parts = ["left/ee"]', kinematics=kinematics).decode(raw, view())
    assert [round(float(start[0]), 6) for start in kinematics.starts] == [0.05, 0.0, 0.1]


def test_normalised_padded_actions() -> None:
    action = """parts = ["left/joints", "left/gripper"]
    width = 32
    statistics = { kind = "quantiles", low = [-1, -1, -1, -1, -1, -1, 0], high = [1, 1, 1, 1, 1, 3, 1] }"""
    raw = np.full((1, 32), 0.77)
    raw[0, :7] = [0.5, -0.5, 0.0, 9.0, -9.0, 0.0, 1.0]
    made = decoder(action)
    vectors = made.decode(raw, view())
    assert vectors[0, :7].tolist() == [0.5, -0.5, 0.0, 1.0, -1.0, 1.0, 1.0], "clipped to the quantiles"
    back = made.encode(vectors, view())
    assert back.shape == (1, made.width) == (1, 32)
    assert np.allclose(back[0, :7], [0.5, -0.5, 0.0, 1.0, -1.0, 0.0, 1.0])
    assert not back[0, 7:].any()


def test_arms_that_are_driven_in_the_stations_order() -> None:
    assert decoder(f"parts = {BOTH_POSES}").arms == ("left", "right")
    assert decoder('parts = ["right/gripper"]').arms == ("right",)


# There and back.


def vectors_of(steps: int) -> st.SearchStrategy[np.ndarray]:
    """Chunks of the toy whose rotation vectors stay below half a turn, so that they are unique."""
    joint = st.floats(-0.9, 0.9, allow_subnormal=False)
    row = st.lists(joint, min_size=SIZE, max_size=SIZE).map(np.array)

    def with_grippers(rows: list[np.ndarray]) -> np.ndarray:
        chunk = np.array(rows)
        chunk[:, list(GRIPPERS.values())] = np.abs(chunk[:, list(GRIPPERS.values())])
        return chunk

    return st.lists(row, min_size=1, max_size=steps).map(with_grippers)


SAVED = (
    ("absolute", "base"),
    ("absolute", "world"),
    *((convention, frame) for convention in ("delta", "chunk_delta") for frame in ("base", "world", "tool")),
)


@given(
    chunk=vectors_of(4),
    start=vectors_of(1),
    rotation=st.sampled_from(list(Rotation)),
    saved=st.sampled_from(SAVED),
    normalised=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_poses_come_back(
    chunk: np.ndarray, start: np.ndarray, rotation: Rotation, saved: tuple[str, str], normalised: bool
) -> None:
    convention, frame = saved
    width = 2 * (3 + rotation.width) + 2
    numbers = f"low = {[0.3] * width}, high = {[2.5] * width}"
    statistics = f'statistics = {{ kind = "mean_std", {numbers} }}' if normalised else ""
    made = decoder(
        f"""parts = {BOTH_POSES}
        convention = "{convention}"
        frame = "{frame}"
        rotation = "{rotation}"
        closed = -1
        width = 40
        {statistics}"""
    )
    seen = view(start[0])
    chunk[:, 13] = start[0][13]  # no pose tells of the joint that moves nothing
    assert np.allclose(made.decode(made.encode(chunk, seen), seen), chunk, atol=2e-5)


@given(
    chunk=vectors_of(6), start=vectors_of(1), convention=st.sampled_from(["absolute", "delta", "chunk_delta"])
)
@settings(deadline=None)
def test_joints_come_back(chunk: np.ndarray, start: np.ndarray, convention: str) -> None:
    low, high = [-2.5] * SIZE, [2.5] * SIZE
    made = decoder(
        f"""parts = {BOTH_JOINTS}
        convention = "{convention}"
        statistics = {{ kind = "quantiles", low = {low}, high = {high} }}"""
    )
    seen = view(start[0])
    assert np.allclose(made.decode(made.encode(chunk, seen), seen), chunk)


def real_cell() -> tuple[CellLayout, CellReach, np.ndarray]:
    names = [name for arm in ARMS for name in arm.joint_names]
    chains = [ArmChain(arm.side, arm.joint_names, arm.tcp_site_name, np.array(arm.home_q)) for arm in ARMS]
    lower = np.concatenate([[*arm.lower_rad, 0.0] for arm in ARMS])
    upper = np.concatenate([[*arm.upper_rad, 1.0] for arm in ARMS])
    cell = replace(
        layout(),
        arms=tuple(arm.side for arm in ARMS),
        joint_names=tuple(name for arm in ARMS for name in (*arm.joint_names, f"{arm.side}/gripper")),
        joints_of={arm.side: slice(7 * row, 7 * row + 6) for row, arm in enumerate(ARMS)},
        gripper_of={arm.side: 7 * row + 6 for row, arm in enumerate(ARMS)},
        lower=lower,
        upper=upper,
    )
    home = np.concatenate([[*arm.home_q, 0.5] for arm in ARMS])
    return cell, CellReach(arms_only(build_spec("primitive"), names), chains), home


@pytest.mark.parametrize(("convention", "frame"), SAVED)
def test_poses_come_back_on_the_real_cell(convention: str, frame: str) -> None:
    cell, kinematics, home = real_cell()
    parts = '["left/ee", "left/gripper", "right/ee", "right/gripper"]'
    rotation = Rotation.ROT6D if frame == "tool" else Rotation.RPY
    action = f'parts = {parts}\nconvention = "{convention}"\nframe = "{frame}"\nrotation = "{rotation}"'
    made = decoder(action, cell, kinematics)
    rng = np.random.default_rng(1)
    chunk = home + np.cumsum(rng.normal(0.0, 0.03, (8, len(home))), axis=0)
    chunk[:, [6, 13]] = rng.uniform(0.0, 1.0, (8, 2))
    seen = view(home)
    assert np.allclose(made.decode(made.encode(chunk, seen), seen), chunk, atol=1e-3)


# Nonsense.

GOOD = np.zeros((4, SIZE))


def with_value(value: float, dtype: type = np.float64) -> np.ndarray:
    raw = GOOD.astype(dtype)
    raw[2, 3] = value
    return raw


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ([[0.0] * SIZE], "answered with a list, not an array of numbers"),
        (None, "answered with a NoneType"),
        (GOOD[0], "an array of 1 axes, not 2"),
        (GOOD[None], "an array of 3 axes, not 2"),
        (GOOD.astype(str), "answered with <U32 values, not with numbers"),
        (GOOD.astype(complex), "answered with complex128 values"),
        (GOOD.astype(bool), "answered with bool values"),
        (GOOD.astype(object), "answered with object values"),
        (GOOD[:0], "answered with 0 actions (1 to 32 are taken): its file tells of 8"),
        (np.zeros((33, SIZE)), "answered with 33 actions (1 to 32 are taken)"),
        (GOOD[:, :14], "actions have 14 channels, not 15. Correct action.parts or action.width"),
        (np.zeros((4, 16)), "actions have 16 channels, not 15"),
        (with_value(np.nan), "action 2 is nan in channel 3"),
        (with_value(-np.inf, np.float32), "action 2 is -inf in channel 3"),
        (with_value(1e30), "action 2 is 1e+30 in channel 3 (limit +-10000)"),
        (with_value(-4.0), "asks joint left/j3 for -4.00 rad at action 2 (limits -3.14 to 3.14 rad)"),
    ],
)
def test_answers_that_are_nonsense_are_refused(raw: object, sentence: str) -> None:
    assert sentence in refused(raw)


def test_integers_and_half_floats_are_numbers() -> None:
    made = decoder(f"parts = {BOTH_JOINTS}")
    for kind in (np.int64, np.uint8, np.float16, np.float32):
        assert made.decode(np.ones((4, SIZE), kind), view()).tolist() == np.ones((4, SIZE)).tolist()


def test_padding_may_be_anything_but_what_is_no_number() -> None:
    action = 'parts = ["left/gripper"]\nwidth = 3'
    assert decoder(action).decode(np.array([[0.5, 1e9, -1e9]]), view())[0, 6] == 0.5
    assert "action 0 is nan in channel 2" in refused(np.array([[0.5, 0.0, np.nan]]), action)


def test_a_gripper_may_overshoot_a_little() -> None:
    action = 'parts = ["left/gripper"]\nclosed = 1\nopened = -1'
    assert decoder(action).decode(np.array([[1.8], [-1.9]]), view())[:, 6].tolist() == [0.0, 1.0]
    told = refused(np.array([[0.0], [-2.1]]), action)
    assert "gripper of arm 'left' for -2.1 at action 1 (1 is closed, -1 open)" in told


@pytest.mark.parametrize(
    ("raw", "action", "sentence"),
    [
        (
            [[5, 0, 0, 0, 0, 0]],
            "",
            "asks arm 'left' at action 0 to go 4.95 m from where its tool is (limit 3 m)",
        ),
        (
            [[0, 0, 0, 0, 0, 0], [1.5, 0, 0, 0, 0, 0]],
            "",
            "reach what the policy asks for at action 1: 500 mm and 0.00",
        ),
        (
            [[0.1, 0, 0, 0, 0, 0, 0]],
            'rotation = "quat_wxyz"',
            "action 0 makes no pose of arm 'left': a quaternion",
        ),
        ([[1, 0, 0, 0, 0, 0]] * 4, 'convention = "delta"', "to go 4 m from where its tool is"),
    ],
)
def test_poses_that_cannot_be_are_refused(raw: list[list[float]], action: str, sentence: str) -> None:
    tolerant = "convention" in action
    made = ActionDecoder(
        parse_policy(f'driver = "x"\nhorizon = 8\n[action]\nparts = ["left/ee"]\n{action}', "test"),
        layout(),
        ToyKinematics(),
        position_tolerance_m=100.0 if tolerant else 0.03,
    )
    with pytest.raises(PolicyError) as caught:
        made.decode(np.array(raw, dtype=np.float64), view())
    assert sentence in str(caught.value)


class TwistedKinematics(ToyKinematics):
    """Reaches the place and not the rotation, or nothing at all."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self._value = value

    def reach(self, start, poses):
        vector, left = super().reach(start, poses)
        vector[3] = self._value
        return vector, left


@pytest.mark.parametrize(
    ("value", "sentence"), [(0.7, "0 mm and 0.70 rad are left"), (math.nan, "nan rad are left")]
)
def test_the_rotation_must_be_reached_too(value: float, sentence: str) -> None:
    made = decoder('parts = ["left/ee"]', kinematics=TwistedKinematics(value))
    with pytest.raises(PolicyError) as caught:
        made.decode(np.zeros((1, 6)), view())
    assert sentence in str(caught.value)


@given(
    st.lists(st.floats(width=32), min_size=2 * 14, max_size=2 * 14), st.sampled_from(["absolute", "delta"])
)
@settings(deadline=None)
def test_nothing_but_finite_vectors_near_the_limits_comes_out(values: list[float], convention: str) -> None:
    made = decoder(f'parts = {BOTH_POSES}\nconvention = "{convention}"')
    try:
        vectors = made.decode(np.array(values, np.float32).reshape(2, 14), view())
    except PolicyError:
        return
    assert np.isfinite(vectors).all()
    assert (vectors >= LOWER - 0.5).all()
    assert (vectors <= UPPER + 0.5).all()


def test_a_policy_file_that_does_not_fit_the_station() -> None:
    def why(action: str, cell: CellLayout | None = None, kinematics: object = None) -> str:
        with pytest.raises(PolicyError) as caught:
            policy = parse_policy(f'driver = "x"\n[action]\n{action}', "test")
            ActionDecoder(policy, cell or layout(), kinematics)  # pyright: ignore
        return str(caught.value)

    assert "names arm third, which this station does not have. Its arms are left, right" in why(
        'parts = ["left/joints", "third/ee"]'
    )
    assert "no robot model to reach them" in why('parts = ["left/ee"]')
    assert "width is of 3 channels, but left/joints have 6" in why('parts = ["left/joints"]\nwidth = 3')
    numbers = 'statistics = { kind = "min_max", low = [0, 0], high = [1, 1] }'
    assert "statistics are of 2 channels, but left/joints have 6" in why(
        f'parts = ["left/joints"]\n{numbers}'
    )
