from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from devices.emulators.dynamixel import DynamixelChain
from devices.emulators.feetech import FeetechChain
from devices.emulators.pty_port import PtyPort
from devices.servos import port_faults
from devices.servos.discover import DYNAMIXEL, FEETECH, Port, discover, serial_ports
from devices.servos.feetech_bus import FeetechBus
from devices.servos.usb_latency import settle_latency


def test_chains_are_found_with_their_rate_and_ids_and_nothing_is_changed() -> None:
    chain = DynamixelChain({1: 1020, 2: 1020, 4: 1060}, baud=57_600)
    before = {number: servo.table(0, 124) for number, servo in chain.servos.items()}
    with PtyPort(chain) as port:
        (found,) = discover(DYNAMIXEL, [Port(port.path, "FT4TFT")], highest_id=5)
        assert found.title == (
            f"Dynamixel bus on {port.path}: 3 servos (2 XM430-W350, 1 XL430-W250), 57600 bit/s"
        )
        assert found.serial == "FT4TFT"
        assert found.options == {"port": port.path, "baud": 57_600, "ids": [1, 2, 4]}
        assert found.remark == "No servo has ID 3."
        assert discover(FEETECH, [Port(port.path)], bauds=[1_000_000], highest_id=2) == []
    assert {number: servo.table(0, 124) for number, servo in chain.servos.items()} == before


def test_each_vendor_finds_its_own() -> None:
    with PtyPort(FeetechChain({1: 777, 2: 777})) as port:
        (found,) = discover(FEETECH, [Port(port.path)], bauds=[500_000, 1_000_000], highest_id=3)
        assert found.title.endswith("2 servos (2 STS3215), 1000000 bit/s")
        assert discover(DYNAMIXEL, [Port(port.path)], bauds=[1_000_000], highest_id=3) == []


@pytest.mark.parametrize("vendor", [DYNAMIXEL, FEETECH])
def test_a_port_that_cannot_be_searched_is_remarked_on_and_the_next_one_searched(vendor: object) -> None:
    chain = DynamixelChain({1: 1200}) if vendor is DYNAMIXEL else FeetechChain({1: 777})
    vendor = DYNAMIXEL if vendor is DYNAMIXEL else FEETECH
    with PtyPort(chain) as port, PtyPort(chain) as used:
        holder = FeetechBus(used.path)
        holder.open()
        ports = [Port("/dev/no-such-port"), Port(used.path), Port(port.path)]
        missing, busy, there = discover(vendor, ports, bauds=[1_000_000], highest_id=2)
        holder.close()
    assert missing.remark.startswith("There is no serial port /dev/no-such-port.")
    assert "is used by another program" in busy.remark
    assert missing.options == busy.options == {}
    assert there.options["ids"] == [1]


@pytest.mark.parametrize("vendor", [DYNAMIXEL, FEETECH])
def test_a_doubled_id_is_remarked_on(vendor: object) -> None:
    chain = DynamixelChain({1: 1200, 2: 1200}) if vendor is DYNAMIXEL else FeetechChain({1: 777, 2: 777})
    chain.duplicates.add(2)
    with PtyPort(chain) as port:
        (found,) = discover(
            DYNAMIXEL if vendor is DYNAMIXEL else FEETECH, [Port(port.path)], bauds=[1_000_000], highest_id=3
        )
    assert "servo 2" in found.remark and "two servos have this ID" in found.remark


def test_only_usb_ports_are_searched() -> None:
    assert all(port.device.startswith("/dev/") for port in serial_ports())


def test_the_latency_timer_is_set_or_said(tmp_path: Path) -> None:
    timer = tmp_path / "ttyUSB0" / "latency_timer"
    timer.parent.mkdir()
    timer.write_text("16\n")
    assert settle_latency(Path("/dev/ttyUSB0"), tmp_path).milliseconds == 1
    assert timer.read_text() == "1"
    assert settle_latency(Path("/dev/ttyACM0"), tmp_path).milliseconds == 0
    timer.unlink()
    os.symlink("/proc/version", timer)
    assert settle_latency(Path("/dev/ttyUSB0"), tmp_path).remark == ""


def test_a_latency_timer_that_may_not_be_changed_is_remarked_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timer = tmp_path / "ttyUSB0" / "latency_timer"
    timer.parent.mkdir()
    timer.write_text("16\n")

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_text", refuse)
    found = settle_latency(Path("/dev/ttyUSB0"), tmp_path)
    assert found.milliseconds == 16
    assert found.remark.startswith("The adapter on /dev/ttyUSB0 keeps answers back for 16 ms")


def test_a_port_that_is_not_permitted_says_how_to_get_it() -> None:
    error = port_faults.open_error("/dev/null", 1_000_000, PermissionError(13, "Permission denied"))
    assert error.sentence == (
        "You may not open the serial port /dev/null: it belongs to another group. "
        "Run 'sudo usermod -aG dialout $USER', then log out and in again."
    )


def test_what_is_wrong_with_a_port_is_said_of_what_is_behind_it() -> None:
    busy, rate = OSError(16, "Could not exclusively lock port"), ValueError("Invalid baud rate")
    told = [port_faults.open_error("/dev/null", 9600, error).next_step for error in (busy, rate)]
    assert told == [
        "Close that program, or give each arm a port of its own in the station file",
        "Set a baud that the adapter and the servos know, e.g. 1000000",
    ]
    sensor = port_faults.SENSOR
    told = [port_faults.open_error("/dev/null", 9600, error, sensor).next_step for error in (busy, rate)]
    assert told == [
        "Close that program, or give each sensor a port of its own in the station file",
        "Set a baud that the sensor's adapter knows, e.g. 115200",
    ]


@pytest.mark.parametrize(
    ("module", "arm", "vendor", "count"),
    [("dynamixel", "gello", DYNAMIXEL, 8), ("feetech", "so101", FEETECH, 6)],
)
def test_an_emulated_arm_can_be_run_by_hand(
    module: str, arm: str, vendor: object, count: int, tmp_path: Path
) -> None:
    link = tmp_path / "arm"
    command = [
        sys.executable,
        "-m",
        f"devices.emulators.{module}",
        "--arm",
        arm,
        "--link",
        str(link),
        "--swing",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == str(link)
            chosen = DYNAMIXEL if vendor is DYNAMIXEL else FEETECH
            (found,) = discover(chosen, [Port(str(link))], bauds=[1_000_000], highest_id=9)
        finally:
            process.terminate()
    assert found.options["ids"] == list(range(1, count + 1))
    assert process.returncode == 0
    assert not link.exists()
