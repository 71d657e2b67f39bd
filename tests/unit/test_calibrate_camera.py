"""Calibration of a camera of a station: printed boards, pictures from rings, the arm's pose from ticks."""

import contextlib
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import mujoco
import numpy as np
import pytest
from typer.testing import CliRunner

from devices.cameras.board_print import check_sentence, save_board
from devices.cameras.camera_calibrator import Calibrated
from devices.cameras.charuco import Board, BoardFinder
from devices.cameras.hand_eye import MountKind
from teleop_app.cli import app
from teleop_app.commands import calibrate_camera
from teleop_app.core.calibration import CalibrationStore, CameraCalibration
from teleop_app.core.config import StationConfig, station_text
from teleop_app.core.errors import ConfigError, DeviceError, StorageError
from teleop_app.core.geometry import pose_compose, quat_from_rotvec
from teleop_app.core.ring import RingReader, RingWriter, camera_ring
from teleop_app.core.types import Actor, CameraSetup, ControlState, ControlTick
from teleop_app.station.camera_calibration import CameraCalibrationSession, CameraPlace
from teleop_app.station.client import StationCard
from teleop_app.station.link_poses import LinkPoses

MS = 1_000_000
WIDTH, HEIGHT = 320, 240


def test_a_pdf_is_at_true_scale(tmp_path):
    path = tmp_path / "board.pdf"
    assert save_board(Board(), path) == "The board is 270 mm x 180 mm, on A4 paper, landscape."
    content = path.read_bytes()
    page = [float(value) for value in re.search(rb"MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", content).groups()]
    assert page == pytest.approx([297 / 25.4 * 72, 210 / 25.4 * 72], abs=1e-3)
    across, up, left, bottom = (
        float(v) for v in re.search(rb"q (\S+) 0 0 (\S+) (\S+) (\S+) cm", content).groups()
    )
    assert (across, up) == pytest.approx((270 / 25.4 * 72, 180 / 25.4 * 72), abs=1e-3)
    assert left > 28 and bottom > 28 and left + across < page[0] - 28
    width, height = (int(v) for v in re.search(rb"/Width (\d+) /Height (\d+)", content).groups())
    data = content[content.rindex(b"stream\n", 0, content.rindex(b"endstream") - 3) + 7 :]
    bits = np.frombuffer(zlib.decompressobj().decompress(data), np.uint8).reshape(height, -1)
    picture = np.unpackbits(bits, axis=1)[:, :width] * np.uint8(255)
    view = BoardFinder(Board()).find(
        cv2.copyMakeBorder(picture, 90, 90, 90, 90, cv2.BORDER_CONSTANT, value=255)
    )
    assert view is not None and len(view) == 40
    start = int(content[content.rindex(b"startxref\n") + 10 :].split()[0])
    assert content[start : start + 4] == b"xref"
    places = [int(line[:10]) for line in content[start:].split(b"\n")[3:9]]
    assert all(content[place:].startswith(b"%d 0 obj" % (n + 1)) for n, place in enumerate(places))


def test_a_png_says_its_resolution(tmp_path):
    path = tmp_path / "board.png"
    save_board(Board(5, 4, 0.02, 0.014), path)
    content = path.read_bytes()
    at = content.index(b"pHYs")
    per_m, _, unit = struct.unpack(">IIB", content[at + 4 : at + 13])
    assert unit == 1 and cv2.imread(str(path)).shape[1] / per_m == pytest.approx(5 * 0.02, rel=1e-4)


def test_boards_that_cannot_be_printed_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be written as board.jpg. Choose a .pdf or .png"):
        save_board(Board(), tmp_path / "board.jpg")
    with pytest.raises(ConfigError, match="1400 mm x 1200 mm does not fit A1 paper"):
        save_board(Board(14, 12, 0.1, 0.07), tmp_path / "board.pdf")
    with pytest.raises(StorageError, match="cannot be written to .*: No such file or directory"):
        save_board(Board(), tmp_path / "no" / "board.pdf")
    assert "a square must be 30 mm wide, the line 100 mm long" in check_sentence(Board())


ARM = """<mujoco><worldbody><body name="base" pos="0 0 0.1"><body name="upper" pos="0 0 0.2">
<joint name="left/turn" type="hinge" axis="0 0 1"/><geom size="0.01"/>
<body name="wrist" pos="0.3 0 0"><joint name="left/lift" type="hinge" axis="0 1 0"/><geom size="0.01"/></body>
</body></body></worldbody></mujoco>"""
JOINTS = ("left/turn", "left/lift", "left/gripper")


def _poses() -> LinkPoses:
    return LinkPoses(mujoco.MjModel.from_xml_string(ARM), JOINTS, "wrist")


def _tick(at_ns: int, turn: float, lift: float) -> ControlTick:
    vector = np.array([turn, lift, 0.5])
    nobody = np.full((1, 7), np.nan)
    return ControlTick(
        seq=1, tick_ns=at_ns, due_ns=at_ns, state=ControlState.IDLE, actor=Actor.NONE, source="",
        engaged=(False,), input_capture_ns=0, operator_pose=nobody, operator_gripper=np.array([np.nan]),
        policy=None, commanded=vector, sent=vector, sent_ns=at_ns, measured=vector, measured_velocity=vector,
        measured_effort=vector, measured_ns=at_ns, flags=0,
    )  # fmt: skip


def test_the_link_is_where_it_was_at_the_pictures_time():
    poses = _poses()
    assert poses.at(0) is None
    poses.add(_tick(1000 * MS, 0.0, 0.2))
    poses.add(_tick(1010 * MS, 0.4, 0.2))
    poses.add(_tick(1010 * MS, 9.0, 9.0))  # not newer
    found = poses.at(1005 * MS)
    assert found is not None
    turned = quat_from_rotvec(np.array([0.0, 0.0, 0.2]))
    expected = pose_compose(
        np.concatenate([[0.0, 0.0, 0.3], turned]),
        np.concatenate([[0.3, 0.0, 0.0], quat_from_rotvec(np.array([0.0, 0.2, 0.0]))]),
    )
    assert found == pytest.approx(expected)
    assert poses.at(1020 * MS) == pytest.approx(poses.pose(np.array([0.4, 0.2, 0.0])))
    assert poses.at(1100 * MS) is None and poses.at(900 * MS) is None
    with pytest.raises(ConfigError, match="has no link 'hand'. Choose one of: base, upper, wrist"):
        LinkPoses(mujoco.MjModel.from_xml_string(ARM), JOINTS, "hand")


class Messages:
    """A subscriber that hears a list."""

    def __init__(self, values: list[object]) -> None:
        self._values = values

    def wait(self, _timeout_s: float) -> bool:
        return True

    def drain(self, _limit: int = 0) -> Iterator[tuple[str, object]]:
        while self._values:
            yield "", self._values.pop(0)

    def close(self) -> None:
        pass


class Station:
    """Stands for a `StationClient` with one camera that sees the board from above."""

    def __init__(self, folder: Path, serial: str = "CAM1") -> None:
        self.folder = folder
        self.file = folder / "station.toml"
        self.file.write_text(station_text(StationConfig()))
        self.serial = serial
        self.ticks: list[object] = []
        self.ring = RingWriter(folder / camera_ring("wrist"), WIDTH * HEIGHT * 3, 4)

    def card(self) -> StationCard:
        return StationCard(1, "", "", str(self.file), ready=True)

    def open_ring(self, name: str) -> RingReader:
        return RingReader(self.folder / name)

    def subscribe(self, topics: list[str], _processes: list[str]) -> Messages:
        setup = CameraSetup(
            "wrist", WIDTH, HEIGHT, 30, "", "", np.zeros((3, 3)), "", np.zeros(0), serial=self.serial
        )
        return Messages([setup] if topics == ["camera"] else self.ticks)

    def show(self, at_ns: int, size: int = 30) -> None:
        board = Board().picture(size)
        image = np.full((HEIGHT, WIDTH), 255, np.uint8)
        image[20 : 20 + board.shape[0], 20 : 20 + board.shape[1]] = board
        self.ring.write(np.repeat(image[..., None], 3, axis=-1).tobytes(), at_ns, 0)


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    made = Station(tmp_path)
    yield made
    made.ring.close()


def test_pictures_and_poses_reach_the_calibrator(station, tmp_path):
    store = CalibrationStore(tmp_path / "calibrations")
    place = CameraPlace(MountKind.ON_LINK, "wrist", _poses())
    session = CameraCalibrationSession(station, "wrist", store, place=place)
    assert session.calibrator.serial == "CAM1" and session.turn(0.0) is None
    for at_ms in (1000, 1033):
        station.ticks += [_tick((at_ms - 5) * MS, 0.1, 0.2), _tick((at_ms + 5) * MS, 0.1, 0.2)]
        station.show(at_ms * MS)
        looked = session.turn(1.0)
        assert looked is not None and looked.image.shape == (HEIGHT, WIDTH, 3)
    assert looked.feedback.kept and looked.feedback.sentence.startswith("View 1 kept")
    assert session.calibrator.poses[0] == pytest.approx(place.poses.pose(np.array([0.1, 0.2, 0.0])))
    with pytest.raises(DeviceError, match="1 views are too few to calibrate a camera"):
        session.finish()
    station.ring.write(bytes(12), 1100 * MS, 0)
    with pytest.raises(DeviceError, match="Camera 'wrist' has changed its size. Calibrate anew"):
        session.turn(1.0)
    session.close()
    assert not store.files()


def test_a_lens_to_keep_must_be_there_and_a_place_survives_a_new_lens(station, tmp_path, monkeypatch):
    store = CalibrationStore(tmp_path / "calibrations")
    with pytest.raises(
        ConfigError, match="lens of camera 'wrist' has not been calibrated. Calibrate lens and"
    ):
        CameraCalibrationSession(station, "wrist", store, keep_lens=True)
    before = CameraCalibration(
        serial="CAM1", width=WIDTH, height=HEIGHT, matrix=[300.0, 0, 160, 0, 300, 120, 0, 0, 1],
        reprojection_px=0.2, views=12, parent="wrist",
        parent_T_camera=[0, 0, 0.1, 1, 0, 0, 0], mount_error_m=1e-3,
    )  # fmt: skip
    store.save(before)
    session = CameraCalibrationSession(station, "wrist", store)
    anew = before.model_copy(update={"parent": "", "parent_T_camera": None, "views": 20})
    monkeypatch.setattr(session.calibrator, "solve", lambda: Calibrated(anew, None, None))
    result, path = session.finish()
    assert result.calibration.parent == "wrist" and result.calibration.views == 20
    assert store.load(CameraCalibration, "CAM1") == result.calibration and path.name == "CAM1.toml"
    session.close()
    assert (
        CameraCalibrationSession(station, "wrist", store, keep_lens=True).calibrator.known
        == result.calibration
    )


def test_the_command_says_what_is_wrong(station, tmp_path, monkeypatch):
    monkeypatch.setattr(calibrate_camera, "running_station", lambda *_: contextlib.nullcontext(station))

    def said(*options: str) -> str:
        run = CliRunner().invoke(app, ["calibrate", "camera", "wrist", "--data-dir", str(tmp_path), *options])
        assert run.exit_code != 0
        return f"{run.output} {run.exception or ''}"

    assert "exclude each other" in said("--on-link", "a", "--board-on", "b")
    assert "finds the place alone" in said("--keep-lens")
    assert "has no link 'elbow'. Choose one of: " in said("--on-link", "elbow")
    station.show(10 * MS)
    assert "0 views are too few" in said("--seconds", "1")
