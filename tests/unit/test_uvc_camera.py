"""USB cameras: discovery in a copy of sysfs, settings and stamps on a scripted capture; no device is used."""

import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from devices.cameras import uvc
from devices.cameras.source import CameraFormat
from devices.cameras.uvc import UvcCamera, UvcOptions
from devices.cameras.v4l2_devices import VideoDevice, find_video_device, video_devices
from devices.driver import DriverKind
from devices.protocols import Verification
from devices.registry import find_driver
from teleop_app.core.clock import NS_PER_MS
from teleop_app.core.errors import DeviceError

ANY = CameraFormat(0, 0, 0, "")


def _sysfs(root: Path) -> tuple[Path, Path]:
    """Two equal cameras without serial numbers, one with, a metadata node, and one that is not USB."""
    sysfs, dev = root / "class", root / "dev"
    for number, (name, index, port, serial) in enumerate(
        [
            ("HD Webcam", "0", "1-1", ""),
            ("HD Webcam", "1", "1-1", ""),
            ("HD Webcam", "0", "1-4.2", ""),
            ("Wrist Cam", "0", "2-3", "A1B2"),
            ("bridge", "0", "", ""),
        ]
    ):
        entry = sysfs / f"video{number}"
        entry.mkdir(parents=True)
        (entry / "name").write_text(name + "\n")
        (entry / "index").write_text(index + "\n")
        device = root / "devices" / (f"usb/{port}/{port}:1.0" if port else f"platform{number}")
        device.mkdir(parents=True, exist_ok=True)
        if port:
            (device.parent / "idVendor").write_text("046d\n")
            (device.parent / "idProduct").write_text("0825\n")
            if serial:
                (device.parent / "serial").write_text(serial + "\n")
        (entry / "device").symlink_to(device)
    dev.mkdir()
    return sysfs, dev


@pytest.fixture
def devices(tmp_path: Path) -> list[VideoDevice]:
    return video_devices(*_sysfs(tmp_path))


def test_devices_are_found_by_what_stays(devices):
    assert [each.mark for each in devices] == ["1-1", "1-4.2", "A1B2", devices[-1].node]
    assert [each.usb_id for each in devices] == ["046d:0825"] * 3 + [""]
    for wanted in ("A1B2", "2-3", devices[2].node, "Wrist Cam"):
        assert find_video_device(wanted, "wrist", devices) is devices[2]
    assert find_video_device("", "wrist", devices[:1]) is devices[0]


def test_a_link_by_path_is_followed(devices, tmp_path):
    Path(devices[1].node).touch()
    (tmp_path / "by-path").symlink_to(devices[1].node)
    assert find_video_device(str(tmp_path / "by-path"), "wrist", devices) is devices[1]


def test_what_is_not_there_or_not_clear_is_named(devices):
    with pytest.raises(DeviceError, match=r"no video device 'Z9': video devices: 1-1 \(HD Webcam\), 1-4.2 "):
        find_video_device("Z9", "wrist", devices)
    with pytest.raises(DeviceError, match="could be any of 2 video devices.*Give `device` in its options"):
        find_video_device("HD Webcam", "wrist", devices)
    with pytest.raises(DeviceError, match=r"Camera 'wrist' is not there: video devices: none\. Plug it in"):
        find_video_device("", "wrist", [])


def test_found_cameras_can_be_put_into_the_station_file(devices, monkeypatch):
    monkeypatch.setattr(uvc, "video_devices", lambda: devices)
    found = uvc.discover()
    assert found[2].serial == "A1B2" and found[2].options == {"device": "A1B2"} and not found[2].remark
    assert found[0].options == {"device": "1-1"} and "Always plug it in there" in found[0].remark


class Scripted:
    """What a V4L2 capture would answer."""

    def __init__(self, *, code: str = "MJPG", refuses: tuple[int, ...] = ()) -> None:
        self.values: dict[int, float] = {
            cv2.CAP_PROP_FRAME_WIDTH: 1280.0,
            cv2.CAP_PROP_FRAME_HEIGHT: 720.0,
            cv2.CAP_PROP_FPS: 30.0,
        }
        self.code = cv2.VideoWriter.fourcc(*code)
        self.refuses = refuses
        self.pictures: list[np.ndarray | None] = []
        self.age_ms = 20.0

    def isOpened(self) -> bool:  # noqa: N802
        return True

    def set(self, propId: int, value: float, /) -> bool:
        if propId in self.refuses:
            return False
        self.values[propId] = value
        return True

    def get(self, propId: int, /) -> float:
        if propId == cv2.CAP_PROP_FOURCC:
            return float(self.code)
        if propId == cv2.CAP_PROP_POS_MSEC:
            return time.monotonic_ns() / NS_PER_MS - self.age_ms
        return self.values.get(propId, 0.0)

    def read(self) -> tuple[bool, np.ndarray | None]:
        picture = self.pictures.pop(0) if self.pictures else None
        return picture is not None, picture

    def release(self) -> None:
        self.values.clear()


def test_settings_reach_the_driver():
    options = UvcOptions(exposure_us=8000, gain=12, white_balance_k=4600)
    capture = Scripted()
    size = UvcCamera("wrist", options).configure(capture, CameraFormat(640, 480, 60, ""))
    assert (size.width, size.height, size.fps) == (640, 480, 60)
    assert capture.values[cv2.CAP_PROP_AUTO_EXPOSURE] == 1 and capture.values[cv2.CAP_PROP_EXPOSURE] == 80
    assert capture.values[cv2.CAP_PROP_GAIN] == 12 and capture.values[cv2.CAP_PROP_WB_TEMPERATURE] == 4600
    automatic = Scripted()
    assert UvcCamera("wrist", UvcOptions()).configure(automatic, ANY).text == "1280x720"
    assert automatic.values[cv2.CAP_PROP_AUTO_EXPOSURE] == 3 and automatic.values[cv2.CAP_PROP_AUTO_WB] == 1


def test_what_the_camera_refuses_is_named():
    with pytest.raises(DeviceError, match="Camera 'wrist' does not send YUYV. Set pixel_format"):
        UvcCamera("wrist", UvcOptions(pixel_format="YUYV")).configure(Scripted(), ANY)
    refusing = Scripted(refuses=(cv2.CAP_PROP_EXPOSURE, cv2.CAP_PROP_GAIN))
    with pytest.raises(DeviceError, match="refuses exposure_us, gain. Leave it out"):
        UvcCamera("wrist", UvcOptions(exposure_us=8000, gain=1)).configure(refusing, ANY)


def test_stamps_of_the_monotonic_clock_are_used_and_others_are_not():
    camera, capture = UvcCamera("wrist", UvcOptions()), Scripted()
    camera.configure(capture, ANY)
    picture = np.zeros((720, 1280, 3), np.uint8)
    picture[:] = (10, 20, 30)
    capture.pictures = [picture, picture]
    frame = camera.read(0.1)
    assert frame is not None and frame.image[0, 0].tolist() == [30, 20, 10]
    assert 15 * NS_PER_MS < frame.receive_ns - frame.capture_ns < 500 * NS_PER_MS
    capture.age_ms = -3_600_000.0
    other = camera.read(0.1)
    assert other is not None and other.capture_ns == 0 and other.device_ns > other.receive_ns


def test_an_unplugged_camera_is_lost():
    camera = UvcCamera("wrist", UvcOptions())
    with pytest.raises(DeviceError, match="is not open"):
        camera.read(0.1)
    camera.configure(Scripted(), ANY)
    assert camera.read(0.1) is None and camera.read(0.1) is None
    with pytest.raises(DeviceError, match="Camera 'wrist' does not deliver any more. Check its cable"):
        camera.read(0.1)
    camera.close()
    camera.close()


def test_every_camera_driver_is_labelled_honestly():
    labels = {name: find_driver(DriverKind.CAMERA, name) for name in ("uvc", "stream", "realsense", "oak")}
    assert labels["uvc"].verification is labels["oak"].verification is Verification.IMPORT_ONLY
    assert "no video device has been tried" in labels["uvc"].proof
    assert labels["stream"].verification is labels["realsense"].verification is Verification.EMULATOR
