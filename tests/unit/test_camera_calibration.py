"""Lens and place of cameras, recovered from rendered pictures of the board: known lens, pose and noise."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from devices.cameras.calibration_views import sharpness
from devices.cameras.camera_calibrator import Calibrated, CameraCalibrator
from devices.cameras.camera_optics import find_optics
from devices.cameras.charuco import Board, BoardFinder
from devices.cameras.hand_eye import MountKind
from devices.cameras.source import CameraFormat
from teleop_app.core.calibration import CalibrationStore, CameraCalibration
from teleop_app.core.errors import ConfigError, DeviceError
from teleop_app.core.geometry import (
    make_pose,
    pose_compose,
    pose_inverse,
    quat_angle,
    quat_from_rotvec,
    quat_to_matrix,
)

WIDTH, HEIGHT = 640, 480
K = np.array([[570.0, 0.0, 331.0], [0.0, 566.0, 236.0], [0.0, 0.0, 1.0]])
DISTORTION = np.array([-0.18, 0.06, 0.0011, -0.0007, 0.0])
BOARD = Board()
PX_PER_SQUARE = 60


@dataclass
class Renderer:
    """Looks at the board through the lens: each pixel's ray is met with the board's plane."""

    def __post_init__(self) -> None:
        x, y = np.meshgrid((np.arange(2 * WIDTH) + 0.5) / 2 - 0.5, (np.arange(2 * HEIGHT) + 0.5) / 2 - 0.5)
        pixels = np.stack([x, y], axis=-1).reshape(-1, 1, 2)
        rays = cv2.undistortPoints(pixels, K, DISTORTION).reshape(2 * HEIGHT, 2 * WIDTH, 2)
        self.rays = np.concatenate([rays, np.ones((2 * HEIGHT, 2 * WIDTH, 1))], axis=-1).astype(np.float32)
        self.random = np.random.default_rng(7)
        self.drawn: dict[tuple[float, ...], np.ndarray] = {}
        picture = cv2.copyMakeBorder(
            BOARD.picture(PX_PER_SQUARE), 30, 30, 30, 30, cv2.BORDER_CONSTANT, value=255
        )
        self.texture = (picture * 0.7 + 30).astype(np.uint8)

    def seen(self, pose: tuple[float, ...]) -> np.ndarray:
        """The board in a pose of `_facing`, drawn once."""
        if pose not in self.drawn:
            self.drawn[pose] = self.render(_facing(*pose))
        return self.drawn[pose]

    def render(self, camera_T_board: np.ndarray, noise: float = 2.0) -> np.ndarray:
        rotation = quat_to_matrix(camera_T_board[3:]).astype(np.float32)
        place = camera_T_board[:3].astype(np.float32)
        # ray * s = R p + t with p_z = 0
        normal = rotation[:, 2]
        scale = (normal @ place) / (self.rays @ normal)
        points = (self.rays * scale[..., None] - place) @ rotation
        x, y = (points[..., axis] / BOARD.square_m * PX_PER_SQUARE + 29.5 for axis in (0, 1))
        x[scale <= 0] = -1e4
        big = cv2.remap(self.texture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=90)
        grey = cv2.resize(big, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(np.float32)
        grey += self.random.normal(0.0, noise, grey.shape)
        return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=-1)


@pytest.fixture(scope="module")
def eye() -> Renderer:
    return Renderer()


def _facing(
    x: float, y: float, distance: float, tilt_x: float, tilt_y: float, turn: float = 0.0
) -> np.ndarray:
    """camera_T_board with the board's middle at image offsets x, y [m], tilted [deg]."""
    rotation = quat_from_rotvec(np.deg2rad([tilt_x, tilt_y, turn]))
    middle = make_pose(-np.array([4.5, 3.0, 0.0]) * BOARD.square_m, np.array([1.0, 0, 0, 0]))
    return pose_compose(make_pose(np.array([x, y, distance]), rotation), middle)


FULL = [
    (0.0, 0.0, 0.33, 0, 0, 0), (-0.08, -0.05, 0.40, 25, 0, 5), (0.08, -0.05, 0.40, -25, 0, 0),
    (0.08, 0.06, 0.42, 0, 28, 0), (-0.08, 0.06, 0.42, 0, -28, 8), (0.0, 0.0, 0.45, 20, 20, 0),
    (-0.14, -0.09, 0.45, -18, 18, 0), (0.14, -0.09, 0.45, 15, -20, 0), (0.13, 0.10, 0.46, -20, -15, -6),
    (-0.14, 0.10, 0.46, 12, 22, 0), (0.0, 0.08, 0.50, 30, 0, 12), (0.0, -0.08, 0.38, -30, 6, 0),
    (0.05, 0.0, 0.60, 0, 35, 20), (-0.16, 0.0, 0.44, 5, -5, 0), (0.16, 0.0, 0.44, -8, 10, 90),
    (0.0, 0.0, 0.36, -22, -22, 180),
]  # fmt: skip


def _calibrator(**changes: object) -> CameraCalibrator:
    values: dict = {"serial": "CAM1", "width": WIDTH, "height": HEIGHT, "settle": False} | changes
    return CameraCalibrator(**values)


@pytest.fixture(scope="module")
def solved(eye: Renderer) -> tuple[CameraCalibrator, Calibrated]:
    calibrator = _calibrator()
    for pose in FULL:
        feedback = calibrator.offer(eye.seen(pose))
        assert feedback.kept, (pose, feedback.sentence)
    assert calibrator.progress == 0.8  # 16 of the 20 views that it wants
    return calibrator, calibrator.solve()


def test_the_lens_is_recovered(solved):
    _, result = solved
    lens = result.lens
    assert lens is not None and lens.reprojection_px < 0.3 and lens.verdict.startswith("Good: 0.")
    matrix = np.array(result.calibration.matrix).reshape(3, 3)
    assert np.diag(matrix)[:2] == pytest.approx(np.diag(K)[:2], rel=0.005)
    assert matrix[:2, 2] == pytest.approx(K[:2, 2], abs=2.0)
    corners = np.array([[20.0, 20.0], [620.0, 20.0], [620.0, 460.0], [320.0, 240.0]]).reshape(-1, 1, 2)
    seen = cv2.undistortPoints(corners, matrix, np.array(result.calibration.distortion))
    assert np.abs(seen - cv2.undistortPoints(corners, K, DISTORTION)).max() < 0.004


def test_it_is_stored_and_used(solved, tmp_path):
    _, result = solved
    store = CalibrationStore(tmp_path)
    store.save(result.calibration)
    assert store.load(CameraCalibration, "CAM1") == result.calibration
    same = find_optics("wrist", "CAM1", CameraFormat(WIDTH, HEIGHT, 30, ""), None, store)
    assert same.matrix == pytest.approx(np.array(result.calibration.matrix).reshape(3, 3))
    assert len(same.distortion) == 5 and "Calibrated with 16 views" in same.source and not same.remark
    half = find_optics("wrist", "CAM1", CameraFormat(WIDTH // 2, HEIGHT // 2, 30, ""), None, store)
    assert half.matrix[0, 0] == pytest.approx(same.matrix[0, 0] / 2) and "Scaled from 640x480" in half.source
    ray = np.linalg.solve(same.matrix, [0.0, 0.0, 1.0])  # the picture's first pixel and a half of it coincide
    assert np.linalg.solve(half.matrix, [-0.25, -0.25, 1.0]) == pytest.approx(ray)
    wide = find_optics("wrist", "CAM1", CameraFormat(1280, 720, 30, ""), None, store)
    assert not wide.matrix.any() and "made at 640x480 and says nothing about 1280x720" in wide.remark


def test_the_calibration_of_another_camera_is_refused(solved, tmp_path):
    store = CalibrationStore(tmp_path)
    path = store.save(solved[1].calibration)
    path.rename(path.with_name("CAM2.toml"))
    found = find_optics("wrist", "CAM2", CameraFormat(WIDTH, HEIGHT, 30, ""), np.eye(3), store)
    assert "belongs to another device: it was made for 'CAM1', this one is 'CAM2'" in found.remark
    assert (found.matrix == np.eye(3)).all() and "camera's own" in found.source


def test_what_does_not_help_is_not_kept_and_says_why(eye):
    calibrator = _calibrator(settle=True)
    good = eye.render(_facing(0.0, 0.0, 0.4, 10, 0))

    def said(image: np.ndarray) -> str:
        feedback = calibrator.offer(image)
        assert not feedback.kept
        return feedback.sentence

    assert said(np.full((HEIGHT, WIDTH, 3), 128, np.uint8)).startswith("The board is not in view")
    assert said(good) == "Hold the board still."
    assert calibrator.offer(good).sentence.startswith("View 1 kept. Show the whole board")
    assert said(good).startswith("This view is there already")
    assert said(good[:240]).startswith("The picture is 640x240 instead of 640x480")
    blurred = cv2.GaussianBlur(eye.render(_facing(0.0, 0.0, 0.33, 0, 0)), (0, 0), 2.1)
    said(blurred)
    assert said(blurred).startswith("The picture is blurred")
    assert calibrator.offer(good).coverage.any() and calibrator.offer(good).corners.shape == (40, 2)


def test_sharpness_does_not_depend_on_the_light(eye):
    image = eye.render(_facing(0.0, 0.0, 0.4, 10, 0))
    view = BoardFinder(BOARD).find(image)
    assert view is not None
    dim = (image // 3).astype(np.uint8)
    assert sharpness(dim, view) == pytest.approx(sharpness(image, view), rel=0.2)
    assert sharpness(cv2.GaussianBlur(image, (0, 0), 2.0), view) < 0.5 * sharpness(image, view)


def test_too_few_or_frontal_views_are_refused(eye):
    calibrator = _calibrator()
    with pytest.raises(DeviceError, match="0 views are too few to calibrate a camera: it takes at least 8"):
        calibrator.solve()
    for x in (-0.1, 0.0, 0.1):
        for y in (-0.07, 0.0, 0.07):
            assert calibrator.offer(eye.render(_facing(x, y, 0.42, 0, 0))).kept
    assert calibrator.progress == 0.0 and calibrator.advice.startswith("Tilt the board")
    with pytest.raises(DeviceError, match="do not tell the focal length: only . of 9 show the board tilted"):
        calibrator.solve()


def test_a_view_that_does_not_fit_the_others_is_left_out(solved):
    before, _ = solved
    calibrator = _calibrator()
    calibrator.views = [*before.views]
    bent = calibrator.views[3]
    wave = 3.0 * np.sin(np.arange(len(bent)))[:, None].astype(np.float32)
    calibrator.views[3] = type(bent)(bent.ids, bent.corners + wave)
    calibrator.poses = [None] * len(calibrator.views)
    again = calibrator.solve().lens
    assert again is not None and 3 not in again.kept and len(again.kept) == len(calibrator.views) - 1
    assert np.diag(again.matrix)[:2] == pytest.approx(np.diag(K)[:2], rel=0.005)


LINK_T_CAMERA = make_pose(np.array([0.03, -0.06, 0.05]), quat_from_rotvec(np.array([0.1, -0.2, 1.5])))
WORLD_T_CAMERA = make_pose(np.array([0.7, 0.1, 0.5]), quat_from_rotvec(np.array([-1.9, 0.3, 0.2])))
WORLD_T_BOARD = make_pose(np.array([0.4, 0.0, 0.02]), quat_from_rotvec(np.array([0.05, 3.1, 0.2])))
LINK_T_BOARD = make_pose(np.array([-0.1, 0.05, 0.08]), quat_from_rotvec(np.array([0.3, 0.1, -0.2])))


def _arm_pose(kind: MountKind, camera_T_board: np.ndarray) -> np.ndarray:
    """world_T_link with which the camera sees the board so."""
    if kind is MountKind.ON_LINK:
        return pose_compose(WORLD_T_BOARD, pose_inverse(pose_compose(LINK_T_CAMERA, camera_T_board)))
    return pose_compose(pose_compose(WORLD_T_CAMERA, camera_T_board), pose_inverse(LINK_T_BOARD))


Collect = Callable[..., CameraCalibrator]


@pytest.fixture(scope="module")
def collect(eye: Renderer, solved: tuple[CameraCalibrator, Calibrated]) -> Collect:
    """Views with poses of an arm whose joints were read with an error of 0.3 mm and 0.02 deg."""
    random = np.random.default_rng(3)

    def _collect(kind: MountKind, poses: list = FULL, parent: str = "world") -> CameraCalibrator:
        known = solved[1].calibration
        calibrator = _calibrator(mount=kind, parent=parent, known=known)
        for each in poses:
            seen = _facing(*each)
            noise = make_pose(random.normal(0, 3e-4, 3), quat_from_rotvec(random.normal(0, 3.5e-4, 3)))
            arm = pose_compose(_arm_pose(kind, seen), noise)
            assert calibrator.offer(eye.seen(each), arm).kept
        return calibrator

    return _collect


@pytest.mark.parametrize(
    ("kind", "parent", "truth"),
    [(MountKind.ON_LINK, "left/wrist", LINK_T_CAMERA), (MountKind.FIXED, "world", WORLD_T_CAMERA)],
)
def test_the_place_is_recovered(collect, kind, parent, truth, tmp_path):
    calibrator = collect(kind, parent=parent)
    assert calibrator.progress == 1.0
    result = calibrator.solve()
    pose = np.array(result.calibration.parent_T_camera)
    assert np.linalg.norm(pose[:3] - truth[:3]) < 0.002
    assert np.rad2deg(quat_angle(pose[3:], truth[3:])) < 0.2
    assert result.mount is not None and result.calibration.mount_error_m < 0.002
    assert result.sentences[-1].startswith("Place. Good: ")
    store = CalibrationStore(tmp_path)
    store.save(result.calibration)
    optics = find_optics("wrist", "CAM1", CameraFormat(WIDTH, HEIGHT, 30, ""), None, store)
    assert optics.parent == parent and optics.parent_T_camera == pytest.approx(pose)


def test_a_place_that_cannot_be_known_is_refused(collect, eye):
    few = collect(MountKind.ON_LINK, FULL[:4])
    with pytest.raises(DeviceError, match="4 views with the arm's pose are too few"):
        few.solve()
    one_axis = [(0.0, 0.0, 0.4, angle, 0) for angle in (-36, -27, -18, -9, 0, 9, 18, 27)]
    with pytest.raises(DeviceError, match="did not turn about two different axes. Turn the wrist"):
        calibrator = collect(MountKind.ON_LINK, one_axis)
        for index, pose in enumerate(one_axis):
            calibrator.poses[index] = _arm_pose(MountKind.ON_LINK, _facing(*pose))
        calibrator.solve()
    image = eye.render(_facing(0.0, 0.0, 0.4, 10, 0))
    feedback = _calibrator(mount=MountKind.FIXED).offer(image, np.full(7, np.nan))
    assert feedback.sentence == "The arm's pose at the time of the picture is not known."


def test_a_loose_camera_is_called_poor(collect):
    calibrator = collect(MountKind.ON_LINK)
    random = np.random.default_rng(5)
    calibrator.poses = [
        pose_compose(pose, make_pose(random.normal(0, 0.02, 3), np.array([1.0, 0, 0, 0])))
        for pose in calibrator.poses
    ]
    mount = calibrator.solve().mount
    assert mount is not None and mount.verdict.startswith("Poor: ")


def test_a_known_lens_must_be_of_the_same_size(solved):
    known = solved[1].calibration
    with pytest.raises(DeviceError, match="was measured at 640x480, not at 320x240"):
        CameraCalibrator("CAM1", 320, 240, known=known)


def test_boards_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="2 x 6 squares"):
        Board(columns=2)
    with pytest.raises(ConfigError, match="30 mm and 40 mm cannot be used"):
        Board(marker_m=0.04)
    assert Board().with_square(0.0297).marker_m == pytest.approx(0.0297 * 0.7)
