"""The template package for devices of one's own: built, installed into a clean environment, driven."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "docs/plugin-template"

pytestmark = pytest.mark.system

DRIVE = """
import json, socket, sys, threading, time
from pathlib import Path
from devices.driver import DeviceContext, DriverKind
from devices.registry import all_drivers, find_driver, make_device
from teleop_app.core.bus import Endpoints, Subscriber
from teleop_app.core.calibration import CalibrationStore
from teleop_app.core.clock import MonotonicClock
from teleop_app.core.config import StationConfig
from teleop_app.core.paths import DataDir
from teleop_app.station.operator import InputProcess
from teleop_app.station.process import ProcessContext
from teleop_app.station.sensor import SensorProcess

folder, port = Path(sys.argv[1]), int(sys.argv[2])
drivers, broken = all_drivers()
config, endpoints = StationConfig(), Endpoints(folder)

def context(name):
    return ProcessContext(name, config, DataDir(folder / "data"), endpoints, folder)

def made(kind, driver, name, **options):
    store = CalibrationStore(folder / "none")
    return make_device(kind, driver, DeviceContext(name, ("left",), config, store, MonotonicClock()), options)

hand = InputProcess(context("input-stick"), made(DriverKind.INPUT, "udp-hand", "stick", port=port))
load = SensorProcess(
    context("sensor-host"), made(DriverKind.SENSOR, "host-load", "host", rate_hz=50.0), "host", "host-load"
)
hand.open(), load.open()
control = Subscriber([endpoints.inputs()], ("input",), bind=True)
recorder = Subscriber([endpoints.publish("sensor-host")])
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
samples, batches, clutch = [], [], 0
deadline = time.monotonic() + 20
while (len(samples) < 20 or len(batches) < 5) and time.monotonic() < deadline:
    sender.sendto(f"0 0 0.02 0 0 0 {clutch} 0.5".encode(), ("127.0.0.1", port))
    clutch = int(len(samples) > 5)
    hand.turn(), load.turn()
    samples += [value for _, value in control.drain(100)]
    batches += [value for topic, value in recorder.drain(100) if topic.startswith("batch/")]
status = [hand.status(), load.status()]
hand.close(), load.close(), control.close(), recorder.close(), sender.close()
print(json.dumps({
    "titles": [driver.title for driver in drivers if driver.name in ("udp-hand", "host-load")],
    "broken": [each.sentence for each in broken if each.package == "teleop-my-lab"],
    "home": sys.modules["teleop_my_lab"].__file__,
    "samples": len(samples),
    "clutched": sum(sample.arms["left"].clutch for sample in samples),
    "twist": list(samples[-1].arms["left"].twist),
    "stream": batches[-1].stream,
    "batches": len(batches),
    "texts": [each["text"] for each in status],
}))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of its own that has teleop-app and the template, installed as a wheel."""
    folder = tmp_path_factory.mktemp("plugin")
    source = folder / "source"
    shutil.copytree(TEMPLATE, source, ignore=shutil.ignore_patterns("__pycache__"))
    (wheel,) = WheelBuilder(str(source)).build(directory=str(folder / "dist"), versions=["standard"])
    venv.create(folder / "venv", symlinks=os.name != "nt")
    scripts = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    packages = next((folder / "venv").rglob("site-packages"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    ours = [sysconfig.get_path("purelib"), str(ROOT)]
    (packages / "teleop-app.pth").write_text("\n".join(ours))
    return scripts / Path(sys.executable).name


def run(python: Path, *arguments: str, cwd: Path) -> str:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(python), *arguments], capture_output=True, text=True, timeout=120, cwd=cwd, env=plain
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_drivers_are_found_and_driven(python: Path, tmp_path: Path, free_port: int) -> None:
    said = json.loads(run(python, "-c", DRIVE, str(tmp_path), str(free_port), cwd=tmp_path))
    assert sorted(said["titles"]) == ["Load of this computer", "Velocities by UDP"]
    assert said["broken"] == [] and said["texts"] == ["", ""]
    assert "site-packages" in said["home"]
    assert said["samples"] >= 20 and 0 < said["clutched"] < said["samples"]
    assert said["twist"] == [0, 0, 0.02, 0, 0, 0]
    assert said["stream"] == "host/load" and said["batches"] >= 5


def test_its_own_tests_pass(python: Path, tmp_path: Path) -> None:
    tests = tmp_path / "tests"
    shutil.copytree(TEMPLATE / "tests", tests, ignore=shutil.ignore_patterns("__pycache__"))
    said = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests), cwd=tmp_path)
    assert " passed" in said and "failed" not in said


@pytest.fixture
def free_port() -> int:
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
