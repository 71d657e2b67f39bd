"""The OpenXR driver against Monado, a real runtime, with the controllers of its remote driver.

Needs pyopenxr and Debian's `monado-service` with a Vulkan driver (`mesa-vulkan-drivers` draws in software).
"""

import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from devices.driver import DeviceContext, DriverKind
from devices.registry import make_device
from devices.vr.openxr import OpenXrHeadset
from teleop_app.core.calibration import CalibrationStore
from teleop_app.core.clock import MonotonicClock
from teleop_app.core.config import StationConfig
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import ArmInput, InputSample

pytest.importorskip("xr", reason="pyopenxr is not installed: pip install 'teleop-app[openxr]'")
MONADO = shutil.which("monado-service")
pytestmark = [
    pytest.mark.skipif(MONADO is None, reason="monado-service is not installed"),
    pytest.mark.timeout(120),
]

PORT = 4242
PATIENCE_S = 15.0
Hand = tuple[tuple[float, float, float], float, float, bool, bool]
"""Position, trigger, squeeze, whether it is switched on, whether A is pressed."""


class Monado:
    """The runtime, and what its remote driver is told: views, head and both controllers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open()

    def _open(self) -> None:
        environment = {**os.environ, "P_OVERRIDE_ACTIVE_CONFIG": "remote", "XRT_COMPOSITOR_NULL": "1"}
        with (self._folder / "monado.log").open("w") as log:
            self._process = subprocess.Popen(
                [str(MONADO)], env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log
            )
        deadline = time.monotonic() + PATIENCE_S
        while True:
            log = (self._folder / "monado.log").read_text()
            if "service has started" in log:
                self._socket = socket.create_connection(("127.0.0.1", PORT))
                return
            if time.monotonic() > deadline or self._process.poll() is not None:
                pytest.fail(log[-2000:])
            time.sleep(0.05)

    def tell(self, left: Hand, right: Hand) -> None:
        view = struct.pack("<4f7f4x", -0.8, 0.8, 0.8, -0.8, 0, 0, 0, 1, 0, 0, 0)
        head = struct.pack("<7f4x", 0, 0, 0, 1, 0, 1.6, 0)
        self._socket.sendall(b"mndrmt3\0" + view + view + head + _hand(*left) + _hand(*right))

    def restart(self) -> None:
        self.end()
        self._open()

    def end(self) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.wait(10)
        if self._process.stdin is not None:
            self._process.stdin.close()


def _hand(
    position: tuple[float, float, float], trigger: float, squeeze: float, active: bool, a: bool
) -> bytes:
    levels = (trigger, squeeze, 0.0, 0.5, 0.9, 0.0, 0.0, 0.0)
    flags = bytes([0, active, 0, 0, a, 0, 0, 0, trigger > 0.5, 0, 0, 0, 0, 0, 0, 0])
    return struct.pack("<7f11f8f", 0, 0, 0, 1, *position, *[0.0] * 11, *levels) + flags


@pytest.fixture
def monado(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Monado]:
    sockets = tmp_path / "run"
    sockets.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(sockets))
    found = Monado(tmp_path)
    yield found
    found.end()


REST: Hand = ((-0.2, 1.2, -0.4), 0.0, 0.0, True, False)
OPEN: Hand = ((0.2, 1.2, -0.4), 0.0, 0.0, True, False)


def until(
    device: OpenXrHeadset, monado: Monado, right: Hand, holds: Callable[[ArmInput], bool]
) -> InputSample:
    """The first sample whose right arm is so while the right hand is as given."""
    deadline, last = time.monotonic() + PATIENCE_S, None
    while time.monotonic() < deadline:
        monado.tell(REST, right)
        if (sample := device.poll()) is not None:
            last = sample
            if holds(sample.arms["right"]):
                return sample
        time.sleep(0.01)
    pytest.fail(f"waited in vain; the last sample is {last}")


def test_a_real_runtime_gives_hands_buttons_and_losses(monado: Monado, tmp_path: Path) -> None:
    store = CalibrationStore(tmp_path / "calibrations")
    context = DeviceContext("tether", ("left", "right"), StationConfig(), store, MonotonicClock())
    device: OpenXrHeadset = make_device(DriverKind.INPUT, "openxr", context, {})
    device.start()

    rest = until(device, monado, OPEN, lambda arm: arm.valid and not arm.clutch)
    np.testing.assert_allclose(rest.arms["left"].pose[:3], [-0.2, 0.4, -0.4], atol=1e-5)

    held: Hand = ((0.2, 1.3, -0.5), 0.6, 1.0, True, True)
    sample = until(device, monado, held, lambda arm: arm.clutch and arm.gripper < 0.5)
    np.testing.assert_allclose(sample.arms["right"].pose[:3], [0.2, 0.5, -0.3], atol=1e-5)
    assert sample.arms["right"].gripper == pytest.approx(0.4, abs=1e-6)
    assert sample.buttons == ("record",) and sample.device_ns is None
    assert abs(time.monotonic_ns() - sample.capture_ns) < 5e9
    device.cue("record")
    until(device, monado, held, lambda arm: arm.clutch)

    until(device, monado, (*held[:3], False, False), lambda arm: not arm.valid and not arm.clutch)
    back = until(device, monado, held, lambda arm: arm.valid)
    assert not back.arms["right"].clutch, "still squeezed: not a new squeeze"
    until(device, monado, OPEN, lambda arm: arm.valid)
    until(device, monado, held, lambda arm: arm.clutch)

    monado.end()
    let_go = device.poll()
    assert let_go is not None and not any(arm.clutch or arm.valid for arm in let_go.arms.values())
    with pytest.raises(DeviceError, match="The OpenXR headset 'tether' was lost"):
        device.poll()
    with pytest.raises(DeviceError, match=r"No OpenXR runtime answers.*monado-service"):
        device.start()

    monado.restart()
    device.start()
    again = until(device, monado, held, lambda arm: arm.valid)
    assert not again.arms["right"].clutch
    until(device, monado, OPEN, lambda arm: arm.valid)
    until(device, monado, held, lambda arm: arm.clutch)
    device.stop()
    device.stop()
