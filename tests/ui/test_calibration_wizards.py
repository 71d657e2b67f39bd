"""Setup, Calibration: an arm on an emulated bus, a camera that sees rendered boards, and their panels."""

import time

import cv2
import numpy as np
import pytest

from devices.cameras.camera_calibrator import CameraCalibrator
from devices.cameras.charuco import Board
from devices.emulators.arms import FEETECH_ARMS
from devices.emulators.servo_arm import EmulatedArm
from devices.leaders.calibrating import arm_calibrator
from teleop_app.core.calibration import ArmCalibration, CalibrationStore, CameraCalibration
from teleop_app.core.clock import FakeClock
from teleop_app.core.config import StationConfig
from teleop_app.core.errors import DeviceError, StationError
from teleop_app.core.geometry import quat_from_rotvec, quat_to_matrix
from teleop_app.core.types import ProcessState, ProcessStatus, StationStatus
from teleop_app.station.camera_calibration import Looked
from ui.viewmodels.arm_wizard import ArmWizard
from ui.viewmodels.camera_wizard import CameraTask, CameraWizard
from ui.viewmodels.devices import DevicesModel
from ui.viewmodels.driver_catalog import DriverCatalog
from ui.viewmodels.setup import SetupModel
from ui.widgets.arm_wizard_panel import ArmWizardPanel
from ui.widgets.calibration_editor import CalibrationEditor
from ui.widgets.camera_wizard_panel import CameraWizardPanel


@pytest.fixture
def store(tmp_path):
    return CalibrationStore(tmp_path / "calibrations")


@pytest.fixture
def arm(tmp_path):
    emulated = EmulatedArm("so101", FEETECH_ARMS["so101"], tmp_path / "bus")
    with emulated.port:
        yield emulated


@pytest.fixture
def setup(qtbot, tmp_path, arm, direct_port):
    options = {"port": arm.port.path, "serial": "C1", "layout": "so101"}
    config = StationConfig(
        inputs={
            "devices": [{"name": "lead", "driver": "feetech-leader", "arms": ["left"], "options": options}]
        }
    )
    model = SetupModel(tmp_path / "station.toml", direct_port)
    model.set_value("inputs.devices", config.model_dump(mode="json")["inputs"]["devices"])
    assert model.save()
    return model


@pytest.fixture
def devices(qtbot, setup):
    catalog = DriverCatalog(lambda: ([], []))
    made = DevicesModel(setup, catalog)
    yield made
    made.close()
    catalog.close()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def wizard(qtbot, setup, devices, store, clock, direct_port):
    made = ArmWizard(
        setup, devices, store, lambda config, name: arm_calibrator(config, name, clock), direct_port
    )
    made.open(next(device for device in devices.devices() if device.name == "lead"))
    yield made
    made.close()


def settle(qtbot, wizard, clock):
    """The arm is read a few times while the clock goes on."""
    for _ in range(4):
        clock.advance(0.3)
        with qtbot.waitSignal(wizard.changed):
            pass


def step(qtbot, wizard, expected):
    before = wizard.view.complaint
    wizard.advance()
    qtbot.waitUntil(lambda: wizard.view.step == expected or wizard.view.complaint not in ("", before))
    assert wizard.view.step == expected, wizard.view.complaint


def running(name):
    return StationStatus("Cell", 0, (ProcessStatus(name, 1, ProcessState.RUNNING, 0),), 1)


def test_an_arm_is_calibrated_stored_and_given_back(qtbot, wizard, arm, clock, store, devices, direct_port):
    panel = ArmWizardPanel(wizard)
    qtbot.addWidget(panel)
    devices.on_station(running("input-lead"))
    panel.start.click()
    assert direct_port.calls[0] == ("station", "suspend", {"process": "input-lead"})
    qtbot.waitUntil(lambda: wizard.view.step == "start")
    assert not panel.go_on.isHidden()
    panel.go_on.click()
    qtbot.waitUntil(lambda: wizard.view.step == "centre")
    arm.pose(np.append(np.zeros(len(arm.layout.joints) - 1), 0.5))
    settle(qtbot, wizard, clock)
    step(qtbot, wizard, "rest")
    rest = np.array([*(joint.rest_rad for joint in arm.layout.joints[:-1]), 0.5])
    q = rest.copy()
    arm.pose(q)
    settle(qtbot, wizard, clock)
    step(qtbot, wizard, "sign")
    assert set(wizard.view.live) == set(arm.layout.names)
    for number, name in enumerate(arm.layout.names[:-1]):
        assert wizard.view.joint == name
        q[number] += 0.5
        arm.pose(q)
        settle(qtbot, wizard, clock)
        wizard.advance()
        qtbot.waitUntil(lambda n=name: wizard.view.joint != n)
    assert wizard.view.step == "sweep"
    step_refused = "not moved through"
    wizard.advance()
    qtbot.waitUntil(lambda: step_refused in wizard.view.complaint)
    assert step_refused in panel.complaint.text()
    for end in (-1.5, 1.8):
        for part in np.linspace(q, np.append(np.full(len(q) - 1, end), 0.5), 5)[1:]:
            arm.pose(part)
            for _ in range(2):
                with qtbot.waitSignal(wizard.changed):
                    pass
        q = part.copy()
    step(qtbot, wizard, "close")
    for gripper, following in ((0.0, "open"), (1.0, "done")):
        q[-1] = gripper
        arm.pose(q)
        settle(qtbot, wizard, clock)
        wizard.advance()
        qtbot.waitUntil(lambda f=following: wizard.view.step == f)
    qtbot.waitUntil(lambda: not wizard.running)
    assert wizard.view.done
    found = store.load(ArmCalibration, "C1")
    assert [joint.name for joint in found.joints] == list(arm.layout.names)
    assert direct_port.calls[-1] == ("station", "restart", {"process": "input-lead"})
    assert panel.start.text() == "Calibrate anew"


def test_giving_up_stores_nothing_and_gives_the_port_back(qtbot, wizard, store, devices, direct_port):
    devices.on_station(running("input-lead"))
    wizard.start()
    qtbot.waitUntil(lambda: wizard.view.step == "start")
    with qtbot.waitSignal(wizard.told) as told:
        wizard.cancel()
    assert "nothing was stored" in told.args[0]
    assert not wizard.running
    assert store.files() == ()
    assert direct_port.calls[-1][1] == "restart"
    wizard.start()  # the bus is free again
    qtbot.waitUntil(lambda: wizard.view.step == "start")


def test_a_leader_of_two_arms_is_calibrated_arm_by_arm(qtbot, wizard, setup, devices):
    setup.set_value("inputs.devices[0].arms", [])
    setup.save()
    wizard.open(next(device for device in devices.devices() if device.name == "lead"))
    panel = ArmWizardPanel(wizard)
    qtbot.addWidget(panel)
    assert wizard.targets == ("lead/left", "lead/right")
    assert panel.target.count() == 2
    assert not panel.target.isHidden()


def test_a_port_that_is_away_is_a_sentence(qtbot, wizard, setup):
    setup.set_value("inputs.devices[0].options", {"port": "/dev/ttyNONE", "serial": "C1", "layout": "so101"})
    setup.save()
    wizard.start()
    qtbot.waitUntil(lambda: bool(wizard.view.complaint))
    assert "/dev/ttyNONE" in wizard.view.complaint
    assert not wizard.running


def test_a_station_that_does_not_let_go_is_a_sentence(qtbot, wizard, devices, direct_port):
    direct_port.errors["suspend"] = StationError("This station has no process 'input-lead'")
    devices.on_station(running("input-lead"))
    wizard.start()
    assert "no process" in wizard.view.complaint
    assert not wizard.running


def test_an_arm_that_is_not_saved_is_not_calibrated(qtbot, wizard, setup, devices):
    setup.set_value("inputs.devices[0].options", {"port": "/dev/other"})
    wizard.open(next(device for device in devices.devices() if device.name == "lead"))
    wizard.start()
    assert "Save it first" in wizard.view.complaint


# Cameras

WIDTH, HEIGHT = 640, 480
K = np.array([[570.0, 0.0, 320.0], [0.0, 570.0, 240.0], [0.0, 0.0, 1.0]])
VIEWS = [
    (0.0, 0.0, 0.35, 0, 0), (-0.08, -0.05, 0.42, 25, 0), (0.08, -0.05, 0.42, -25, 0),
    (0.08, 0.06, 0.42, 0, 28),
    (-0.08, 0.06, 0.42, 0, -28), (0.0, 0.0, 0.45, 20, 20), (-0.13, -0.09, 0.45, -18, 18),
    (0.13, -0.09, 0.45, 15, -20), (0.13, 0.09, 0.46, -20, -15), (-0.13, 0.09, 0.46, 12, 22),
    (0.0, 0.08, 0.50, 30, 0), (0.0, -0.08, 0.40, -30, 6), (0.05, 0.0, 0.60, 0, 35),
    (-0.15, 0.0, 0.44, 5, -5), (0.15, 0.0, 0.44, -8, 10), (0.0, 0.0, 0.38, -22, -22),
]  # fmt: skip


def rendered(x, y, distance, tilt_x, tilt_y):
    """A pinhole picture of the board, its middle at x, y [m], tilted [deg]."""
    board, px = Board(), 40
    texture = cv2.copyMakeBorder(board.picture(px), px, px, px, px, cv2.BORDER_CONSTANT, value=255)
    turn = quat_to_matrix(quat_from_rotvec(np.deg2rad([tilt_x, tilt_y, 0.0])))
    middle = np.array([4.5, 3.0, 0.0]) * board.square_m
    plane = np.column_stack([turn[:, 0], turn[:, 1], np.array([x, y, distance]) - turn @ middle])
    scale = board.square_m / px
    to_metres = np.array([[scale, 0, -px * scale], [0, scale, -px * scale], [0, 0, 1.0]])
    grey = cv2.warpPerspective(texture, K @ plane @ to_metres, (WIDTH, HEIGHT), borderValue=120)
    noise = np.random.default_rng(3).normal(0.0, 2.0, grey.shape)
    return np.repeat(np.clip(grey + noise, 0, 255).astype(np.uint8)[..., None], 3, axis=-1)


class RenderedSession:
    """Stands for a session with a station: the real calibrator looks at rendered pictures."""

    def __init__(self, store, task, pictures):
        self.calibrator = CameraCalibrator(task.camera, WIDTH, HEIGHT, task.board, settle=False)
        self.store, self.pictures, self.closed = store, pictures, False

    def turn(self, timeout_s):
        if not self.pictures:
            time.sleep(0.01)
            return None
        image = self.pictures.pop(0)
        return Looked(image, self.calibrator.offer(image))

    def finish(self):
        result = self.calibrator.solve()
        return result, self.store.save(result.calibration)

    def close(self):
        self.closed = True


@pytest.fixture(scope="module")
def pictures():
    return [rendered(*view) for view in VIEWS]


@pytest.fixture
def camera(qtbot, store, pictures):
    sessions = []

    def make(task):
        sessions.append(RenderedSession(store, task, list(pictures)))
        return sessions[-1]

    made = CameraWizard(store, make)
    made.sessions = sessions
    made.open("wrist")
    yield made
    made.close()


def test_a_camera_is_calibrated_with_corners_coverage_and_verdict(qtbot, camera, store, tmp_path):
    panel = CameraWizardPanel(camera, lambda: ("left/gripper",), tmp_path / "board.pdf")
    qtbot.addWidget(panel)
    panel.show()
    panel.start.click()
    qtbot.waitUntil(lambda: camera.view.views >= len(VIEWS) - 2, timeout=20_000)
    assert len(camera.view.corners) >= 6
    assert camera.view.coverage.mean() > 0.7
    assert panel.count.text().startswith(f"{camera.view.views} views")
    assert not panel.picture.grab().isNull()
    with qtbot.waitSignal(camera.stored, timeout=20_000):
        panel.finish.click()
    assert "px" in panel.verdict.text()
    found = store.load(CameraCalibration, "wrist")
    assert found.reprojection_px < 0.5
    assert found.matrix[0] == pytest.approx(570.0, rel=0.01)
    assert camera.sessions[0].closed


def test_too_few_views_are_a_sentence_and_it_goes_on(qtbot, camera, pictures):
    camera.start(CameraTask("wrist"))
    qtbot.waitUntil(lambda: bool(camera.sessions))
    camera.sessions[0].pictures[1:] = []
    camera.finish()
    qtbot.waitUntil(lambda: bool(camera.view.problem))
    assert "too few" in camera.view.problem
    assert camera.running
    camera.cancel()
    qtbot.waitUntil(lambda: not camera.running)
    assert camera.sessions[0].closed


def test_a_camera_that_is_away_is_a_sentence(qtbot, store):
    def make(task):
        raise DeviceError(f"The station has no camera {task.camera!r}")

    wizard = CameraWizard(store, make)
    wizard.open("wrist")
    wizard.start(CameraTask("wrist"))
    qtbot.waitUntil(lambda: not wizard.running)
    assert "no camera 'wrist'" in wizard.view.problem
    wizard.close()


def test_without_a_station_a_camera_cannot_be_calibrated(qtbot, store, tmp_path):
    wizard = CameraWizard(store)
    wizard.open("wrist")
    panel = CameraWizardPanel(wizard, tuple, tmp_path / "board.pdf")
    qtbot.addWidget(panel)
    assert not panel.start.isEnabled()
    assert "running station" in panel.sentence.text()


def test_a_board_that_cannot_be_is_a_sentence(qtbot, camera, tmp_path):
    panel = CameraWizardPanel(camera, tuple, tmp_path / "board.pdf")
    qtbot.addWidget(panel)
    panel.square.setValue(500.0)
    panel.columns.setValue(14)
    panel.paper.click()
    assert "A1" in panel.verdict.text()
    assert not (tmp_path / "board.pdf").exists()


def test_the_list_says_what_is_known_and_opens_the_wizard(
    qtbot, setup, devices, store, wizard, camera, tmp_path
):
    store.save(
        ArmCalibration(
            serial="C1", driver="feetech-leader", model="so101", measured_utc="2026-11-22T10:00:00+00:00",
            joints=[{"name": "shoulder_pan", "servo": 1}],
        )
    )  # fmt: skip
    wizard.leave()
    panel = ArmWizardPanel(wizard)
    camera_panel = CameraWizardPanel(camera, tuple, tmp_path / "board.pdf")
    editor = CalibrationEditor(devices, store, wizard, panel, camera, camera_panel)
    qtbot.addWidget(editor)
    assert list(editor.buttons) == ["lead"]
    editor.buttons["lead"].click()
    assert wizard.device.name == "lead"
    assert camera.camera == ""
    assert "Have the whole arm free" in panel.instruction.text()
