"""What a policy is given: pictures, numbers and texts as its file asks."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from toy_cell import BASES, SIZE, ToyKinematics, layout, view

from teleop_app.autonomy.observation import ObservationBuilder
from teleop_app.autonomy.pictures import fitted
from teleop_app.autonomy.policy_file import parse_policy
from teleop_app.autonomy.policy_sections import ImageInput
from teleop_app.autonomy.rotations import Rotation, write_rotation
from teleop_app.autonomy.view import CameraView
from teleop_app.core.errors import PolicyError
from teleop_app.core.geometry import pose_compose

HEAD = 'driver = "openpi"\nrate_hz = 12.5\nhorizon = 24\n'
TAIL = '\n[action]\nparts = ["left/joints"]\n'
TOP = '[[observation.images]]\nkey = "top"\ncamera = "top"\n'


def builder(observation: str, kinematics: ToyKinematics | None = None, **limits: float) -> ObservationBuilder:
    policy = parse_policy(f"{HEAD}[observation]\n{observation}{TAIL}", "test")
    return ObservationBuilder(policy, layout(), kinematics, **limits)


def state(parts: str, more: str = "", kinematics: ToyKinematics | None = None) -> np.ndarray:
    text = f'[[observation.states]]\nkey = "state"\nparts = {parts}\n{more}'
    made = builder(text, kinematics).build(view())["state"]
    assert made.dtype == np.float32
    return made


def image(**values: object) -> ImageInput:
    return ImageInput.model_validate({"key": "k", "camera": "c", **values})


# Pictures.


def test_padding_keeps_the_whole_picture_in_black_bars() -> None:
    picture = np.full((480, 640, 3), 200, np.uint8)
    made = fitted(picture, image())
    assert (made.shape, made.dtype) == ((224, 224, 3), np.uint8)
    assert not made[:28].any()
    assert not made[-28:].any()
    assert (made[28:-28] == 200).all()


def test_cropping_takes_the_middle() -> None:
    picture = np.zeros((100, 300, 3), np.uint8)
    picture[:, 100:200] = 255
    assert (fitted(picture, image(fit="crop", width=50, height=50)) == 255).all()
    tall = picture.transpose(1, 0, 2)
    assert (fitted(tall, image(fit="crop", width=50, height=50)) == 255).all()


def test_stretching_takes_all_of_it() -> None:
    picture = view().cameras["top"].picture
    made = fitted(picture, image(fit="stretch", width=64, height=100))
    assert made.shape == (100, 64, 3)
    assert made[:, :30].reshape(-1, 3).tolist() == [[255, 0, 0]] * 3000, "RGB, left half"
    assert (made[:, 34:] == [0, 0, 255]).all()


def test_order_of_axes_and_values() -> None:
    picture = view().cameras["top"].picture
    made = fitted(picture, image(layout="CHW", values="unit", fit="stretch", width=32, height=16))
    assert (made.shape, made.dtype) == ((3, 16, 32), np.float32)
    assert made[0, 0, 0] == 1.0
    assert made[2, 0, 0] == 0.0
    assert made.flags.c_contiguous


@pytest.mark.parametrize(
    "size", [(640, 480), (1280, 720), (500, 375), (641, 479), (100, 80), (224, 224), (448, 448)]
)
@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
def test_scaling_is_near_that_of_areas(size: tuple[int, int], fit: str) -> None:
    rng = np.random.default_rng(0)
    width, height = size
    coarse = rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)
    picture = np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
    made = fitted(picture, image(fit=fit))
    assert made.shape == (224, 224, 3)
    if fit == "stretch":
        exact = np.asarray(cv2.resize(picture, (224, 224), interpolation=cv2.INTER_AREA), np.int16)
        assert np.abs(made - exact).mean() < 3.0


def test_a_fine_pattern_does_not_alias() -> None:
    stripes = np.zeros((480, 640, 3), np.uint8)
    stripes[:, ::2] = 255
    assert fitted(stripes, image(fit="stretch")).std() < 2.0


# Numbers.


def test_joints_velocities_and_grippers_in_order() -> None:
    seen = view()
    made = state('["right/gripper", "left/velocity", "left/joints"]', "closed = 10\nopened = 20\nwidth = 20")
    assert made[0] == pytest.approx(10 + 10 * seen.measured[14])
    assert np.allclose(made[1:7], seen.measured_velocity[:6])
    assert np.allclose(made[7:13], seen.measured[:6])
    assert made.shape == (20,)
    assert not made[13:].any()


@pytest.mark.parametrize("rotation", list(Rotation))
def test_tool_poses_in_base_and_world(rotation: Rotation) -> None:
    kinematics = ToyKinematics()
    world = kinematics.poses(view().measured)[1]
    made = state('["right/ee"]', f'frame = "world"\nrotation = "{rotation}"', kinematics)
    assert np.allclose(made, [*world[:3], *write_rotation(world[3:], rotation)], atol=1e-6)
    based = state('["right/ee"]', 'rotation = "quat_wxyz"', kinematics)
    back = pose_compose(BASES[1], based.astype(np.float64))
    assert np.allclose(back[:3], world[:3], atol=1e-6)
    assert abs(back[3:] @ world[3:]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("quantiles", [-1.0, 0.0, 1.0]), ("min_max", [-2.0, 0.0, 1.5]), ("mean_std", [0.5, 1.0, 0.0])],
)
def test_numbers_are_normalised_and_padding_is_not(kind: str, expected: list[float]) -> None:
    seen = view()
    measured = seen.measured.copy()
    measured[[6, 14]] = (0.3, 0.5)
    low, high = {"mean_std": ([0.2, 0.0], [0.2, 0.5])}.get(kind, ([0.4, 0.25], [0.6, 0.75]))
    text = (
        '[[observation.states]]\nkey = "state"\nparts = ["left/gripper", "right/gripper"]\nwidth = 3\n'
        f'statistics = {{ kind = "{kind}", low = {low}, high = {high} }}'
    )
    made = builder(text).build(replace(seen, measured=measured))["state"]
    assert np.allclose(made, [expected[0], expected[1], 0.0])
    if kind != "mean_std":
        measured[14] = 0.875
        assert builder(text).build(replace(seen, measured=measured))["state"][1] == pytest.approx(expected[2])


# Texts, truth and keys.


def test_the_prompt_is_put_together() -> None:
    text = 'template = "{embodiment} {{{rate_hz} Hz, {horizon} steps}} {instruction}"\n'
    text += 'task = "task"\ntruth = "truth"'
    made = builder(text).build(view())
    assert made["prompt"] == "Two gantries. {12.5 Hz, 24 steps} put the {cube} away"
    assert made["task"] == "pick-place"
    assert made["truth"]["target"].tolist() == [0.1, 0.2, 0.3, 1.0, 0.0, 0.0, 0.0]


def test_a_policy_is_not_asked_before_the_truth_is_known() -> None:
    with pytest.raises(PolicyError, match="cannot be told where the objects are: the simulation has not"):
        builder('truth = "truth"').build(replace(view(), truth={}))


def test_keys_with_slashes_stay_or_become_maps() -> None:
    text = TOP.replace('"top"\ncamera', '"observation/images/top"\ncamera')
    text += '[[observation.states]]\nkey = "observation/state"\nparts = ["left/gripper"]\n'
    flat = builder('prompt = "task/prompt"\n' + text).build(view())
    assert sorted(flat) == ["observation/images/top", "observation/state", "task/prompt"]
    nested = builder('prompt = "task/prompt"\nnested = true\n' + text).build(view())
    assert sorted(nested) == ["observation", "task"]
    assert nested["observation"]["images"]["top"].shape == (224, 224, 3)
    assert nested["task"] == {"prompt": "put the {cube} away"}


def test_nothing_is_given_that_was_not_asked_for() -> None:
    assert builder('prompt = ""').build(view()) == {}


# When it is as old as what.


def test_the_oldest_part_dates_the_observation() -> None:
    assert builder(TOP).oldest_ns(view()) == 980_000_000
    assert builder("").oldest_ns(view()) == 1_000_000_000
    assert builder(TOP).oldest_ns(replace(view(), cameras={})) == 1_000_000_000


def test_a_missing_or_old_picture_is_told() -> None:
    made = builder(TOP, max_picture_age_ms=200.0)
    seen = view()
    with pytest.raises(
        PolicyError, match="Camera 'top' has given no picture yet: the policy needs it as top"
    ):
        made.build(replace(seen, cameras={"left_wrist": seen.cameras["left_wrist"]}))
    made.build(seen, now_ns=1_180_000_000)
    with pytest.raises(PolicyError, match=r"picture of camera 'top' is 201 ms old \(limit 200 ms\)"):
        made.build(seen, now_ns=1_181_000_000)
    with pytest.raises(PolicyError, match="is 320 ms old"):
        made.build(replace(seen, capture_ns=1_300_000_000))
    newer = {**seen.cameras, "left_wrist": CameraView(seen.cameras["left_wrist"].picture, 1_300_000_000)}
    with pytest.raises(PolicyError, match="is 320 ms old"):
        made.build(replace(seen, cameras=newer))


@pytest.mark.parametrize("part", ["measured", "measured_velocity"])
def test_measured_values_that_are_no_numbers_are_told(part: str) -> None:
    values = np.zeros(SIZE)
    values[3] = np.nan
    made = builder('[[observation.states]]\nkey = "state"\nparts = ["left/joints"]')
    with pytest.raises(PolicyError, match="not numbers"):
        made.build(replace(view(), **{part: values}))


def test_a_policy_file_that_does_not_fit_the_station() -> None:
    with pytest.raises(
        PolicyError, match="asks for camera 'front', which this .* Its cameras are top, left_wrist"
    ):
        builder(TOP.replace('camera = "top"', 'camera = "front"'))
    with pytest.raises(PolicyError, match="names arm third"):
        builder('[[observation.states]]\nkey = "state"\nparts = ["third/joints"]')
    with pytest.raises(PolicyError, match="no robot model to tell them"):
        builder('[[observation.states]]\nkey = "state"\nparts = ["left/ee"]')
