"""The emulators against the vendors' SDKs as they are, port handlers included."""

from __future__ import annotations

import math
import time

import dynamixel_sdk
import pytest
import scservo_sdk

from devices.emulators.dynamixel import DynamixelChain
from devices.emulators.feetech import FeetechChain
from devices.emulators.pty_port import PtyPort
from devices.servos.feetech_bus import FeetechBus
from teleop_app.core.errors import DeviceError

TICK = 2 * math.pi / 4096


def test_dynamixel_as_the_sdk_sees_it() -> None:
    chain = DynamixelChain({1: 1020, 2: 1060})
    with PtyPort(chain) as emulated:
        port = dynamixel_sdk.PortHandler(emulated.path)
        assert port.openPort() and port.setBaudRate(1_000_000)
        sdk = dynamixel_sdk.PacketHandler(2.0)
        assert sdk.ping(port, 1) == (1020, 0, 0)
        assert sdk.read4ByteTxRx(port, 1, 132) == (2048, 0, 0)
        assert sdk.regWriteTxRx(port, 1, 116, 4, [0, 4, 0, 0]) == (0, 0)
        assert sdk.read4ByteTxRx(port, 1, 116)[0] == 2048
        sdk.action(port, dynamixel_sdk.BROADCAST_ID)
        assert sdk.read4ByteTxRx(port, 1, 116)[0] == 1024
        assert sdk.write1ByteTxRx(port, 1, 64, 1) == (0, 0)
        assert sdk.write1ByteTxRx(port, 1, 11, 4) == (0, 7), "the EEPROM is locked while torque is on"
        assert sdk.write4ByteTxRx(port, 1, 116, 5000) == (0, 6), "beyond the position limit"
        assert sdk.write1ByteTxRx(port, 2, 11, 0) == (0, 4), "an XL430 has no current mode"
        chain.servos[1].fail(0x20)
        assert sdk.read1ByteTxRx(port, 1, 70) == (0x20, 0, 0x80)
        assert sdk.write1ByteTxRx(port, 1, 64, 1) == (0, 0x87)
        assert sdk.reboot(port, 1)[0] == 0
        assert sdk.read1ByteTxRx(port, 1, 70) == (0, 0, 0)
        read = dynamixel_sdk.GroupSyncRead(port, sdk, 132, 4)
        write = dynamixel_sdk.GroupSyncWrite(port, sdk, 116, 4)
        for servo in (1, 2):
            read.addParam(servo)
            write.addParam(servo, [0xE8, 0x03, 0, 0])
        assert write.txPacket() == 0
        assert sdk.read4ByteTxRx(port, 2, 116)[0] == 1000
        assert read.txRxPacket() == 0 and read.getData(2, 132, 4) == 2048
        assert read.fastSyncRead() == 0 and read.getData(1, 132, 4) == 2048
        sdk.write1ByteTxRx(port, 1, 68, 0)
        assert sdk.ping(port, 1)[1] == 0, "status return level 0 still answers pings"
        assert sdk.read1ByteTxRx(port, 1, 64)[1] == dynamixel_sdk.COMM_RX_TIMEOUT
        port.closePort()


def test_a_secondary_id_obeys_writes_without_an_answer() -> None:
    chain = DynamixelChain({1: 1020, 2: 1020})
    with PtyPort(chain) as emulated:
        port = dynamixel_sdk.PortHandler(emulated.path)
        port.openPort()
        sdk = dynamixel_sdk.PacketHandler(2.0)
        assert sdk.write1ByteTxRx(port, 2, 12, 1) == (0, 0)
        assert sdk.write1ByteTxRx(port, 1, 64, 1) == (0, 0)
        assert chain.servos[2].torque_on
        port.closePort()


def test_feetech_as_the_sdk_sees_it() -> None:
    chain = FeetechChain({1: 777, 2: 777})
    with PtyPort(chain) as emulated:
        port = scservo_sdk.PortHandler(emulated.path)
        assert port.openPort() and port.setBaudRate(1_000_000)
        sdk = scservo_sdk.sms_sts(port)
        assert sdk.ping(1) == (777, 0, 0)
        assert sdk.ReadPos(1) == (2048, 0, 0)
        sdk.write1ByteTxRx(1, 33, 3)
        assert sdk.read1ByteTxRx(1, 33)[0] == 0, "the EEPROM is locked"
        sdk.unLockEprom(1)
        sdk.write1ByteTxRx(1, 33, 3)
        assert sdk.read1ByteTxRx(1, 33)[0] == 3
        sdk.write1ByteTxRx(1, 33, 0)
        sdk.LockEprom(1)
        sdk.write1ByteTxRx(1, 40, 1)
        assert sdk.RegWritePosEx(1, 1000, 2000, 50) == (0, 0)
        assert sdk.ReadPos(1)[0] == 2048
        sdk.RegAction()
        deadline = time.monotonic() + 10
        fastest = 0
        while sdk.ReadPos(1)[0] != 1000 and time.monotonic() < deadline:
            fastest = min(fastest, sdk.ReadSpeed(1)[0])
        assert sdk.ReadPos(1)[0] == 1000
        assert -2000 <= fastest < -500, "speeds are sign and magnitude"
        chain.servos[2].silent = True
        read = scservo_sdk.GroupSyncRead(sdk, 56, 2)
        read.addParam(1)
        read.addParam(2)
        read.txRxPacket()
        assert read.isAvailable(1, 56, 2)[0] and not read.isAvailable(2, 56, 2)[0]
        port.closePort()


def test_servos_that_confirm_no_writes_are_read_back() -> None:
    chain = FeetechChain({1: 777})
    with PtyPort(chain) as emulated:
        bus = FeetechBus(emulated.path, answer_slack_ms=20.0)
        bus.open()
        chain.servos[1].put_return_level(0)
        bus.set_torque([1], True)
        assert chain.servos[1].torque_on
        bus.close()


def test_motion_under_a_load_and_by_hand() -> None:
    chain = DynamixelChain({1: 1200})
    servo = chain.servos[1]
    servo.motion.load = lambda angle: 0.1
    servo.motion.push(0.1, 1.0)
    assert servo.motion.velocity == 0.0, "the current carries the load"
    servo.motion.push(0.0, 1.0)
    assert servo.motion.velocity < 0.0, "without it the load falls"
    start = servo.motion.angle
    servo.motion.follow(start + 1.0, 0.1)
    once = servo.motion.angle
    servo.motion.angle = start
    for _ in range(10):
        servo.motion.follow(start + 1.0, 0.01)
    assert math.isclose(servo.motion.angle, once, rel_tol=1e-9), "steps of any length lead to the same place"


def test_another_package_of_the_same_name_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(scservo_sdk, "sms_sts")
    with pytest.raises(
        DeviceError, match="is not the one of 'ftservo-python-sdk': 'feetech-servo-sdk' brings"
    ):
        FeetechBus("/dev/null")
