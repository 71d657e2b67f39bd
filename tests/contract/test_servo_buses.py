"""Both vendors' buses, over the genuine SDKs and a pseudo-terminal, against emulated servos."""

from __future__ import annotations

import math
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from devices.emulators.dynamixel import DynamixelChain
from devices.emulators.feetech import FeetechChain
from devices.emulators.pty_port import PtyPort
from devices.servos.bus import ServoMode
from devices.servos.dynamixel_bus import DynamixelBus, OperatingMode
from devices.servos.feetech_bus import FeetechBus
from teleop_app.core.clock import FakeClock
from teleop_app.core.errors import DeviceError

IDS = [1, 2, 3, 4]
PATIENT_MS = 300.0
TICK = 2 * math.pi / 4096

Chain = DynamixelChain | FeetechChain
Bus = DynamixelBus | FeetechBus


class Rig:
    """A chain, its port, and a bus on it."""

    def __init__(self, vendor: str, link: Path) -> None:
        self.chain: Chain = (
            DynamixelChain(dict.fromkeys(IDS, 1020))
            if vendor == "dynamixel"
            else FeetechChain(dict.fromkeys(IDS, 777))
        )
        self.clock = FakeClock()
        self.port = PtyPort(self.chain, link=link).open()
        self.bus = self.new_bus()
        self.bus.open()

    def new_bus(self, baud: int = 1_000_000, patience_ms: float = PATIENT_MS) -> Bus:
        """Another bus on the same port."""
        kind = DynamixelBus if isinstance(self.chain, DynamixelChain) else FeetechBus
        return kind(self.port.path, baud, self.clock, answer_slack_ms=patience_ms)

    def hurry(self) -> Bus:
        """The bus again, with the short time-out of the product."""
        self.bus.close()
        self.bus = self.new_bus(patience_ms=16.0)
        self.bus.open()
        return self.bus

    def close(self) -> None:
        self.bus.close()
        self.port.close()


@pytest.fixture(params=["dynamixel", "feetech"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(request.param, tmp_path / "arm")
    yield made
    made.close()


def _eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10.0
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.005)
    return False


def test_a_servo_is_known_by_its_id_and_model(rig: Rig) -> None:
    model = rig.bus.ping(2)
    assert model is not None
    assert rig.bus.model_name(model) == ("XM430-W350" if isinstance(rig.chain, DynamixelChain) else "STS3215")
    assert rig.hurry().ping(9) is None
    assert list(rig.bus.scan(6)) == IDS
    assert rig.bus.model_name(9999) == "model 9999"


def test_positions_come_in_the_order_they_are_asked_for(rig: Rig) -> None:
    for servo in IDS:
        rig.chain.servos[servo].turn_by_hand(servo * 1.0)
    states = rig.bus.read([3, 1, 4])
    np.testing.assert_allclose(states.position, [3.0, 1.0, 4.0], atol=TICK)
    assert states.missing == () and states.alarms == {}
    assert np.isfinite(states.velocity).all() and np.isfinite(states.current).all()
    late_ns = rig.clock.now_ns() - states.capture_ns
    assert 0 < late_ns < 3 * 30 * 10_000


def test_torque_goes_on_where_the_servo_stands_and_it_then_follows_its_goal(rig: Rig) -> None:
    for servo in IDS:
        rig.chain.servos[servo].turn_by_hand(2.0)
    rig.bus.set_torque(IDS, True)
    assert all(servo.torque_on for servo in rig.chain.servos.values())
    np.testing.assert_allclose(rig.bus.read(IDS).position, 2.0, atol=2 * TICK)
    rig.bus.write_positions(IDS, np.array([1.5, 2.5, 2.0, 2.1]))
    assert _eventually(lambda: np.allclose(rig.bus.read(IDS).position, [1.5, 2.5, 2.0, 2.1], atol=2 * TICK))
    rig.bus.set_torque(IDS, False)
    assert not any(servo.torque_on for servo in rig.chain.servos.values())


def test_velocity_and_current_have_their_signs(rig: Rig) -> None:
    rig.bus.set_torque([1, 2], True)
    rig.bus.write_positions([1, 2], np.array([0.1, 6.0]))
    states = rig.bus.read([1, 2])
    assert states.velocity[0] < -1.0 < 1.0 < states.velocity[1]
    assert states.current[0] < 0.0 < states.current[1]


def test_a_silent_servo_is_listed_and_the_others_are_read(rig: Rig) -> None:
    bus = rig.hurry()
    rig.chain.servos[2].silent = True
    assert _eventually(lambda: bus.read(IDS).missing == (2,))
    states = bus.read(IDS)
    assert np.isnan(states.position[1]) and np.isfinite(states.position[[0, 2, 3]]).all()
    rig.chain.servos[2].silent = False
    rig.clock.advance(3.0)
    assert _eventually(lambda: bus.read(IDS).missing == ())


def test_when_nothing_answers_for_some_cycles_the_port_and_rate_are_named(rig: Rig) -> None:
    bus = rig.hurry()
    bus.read(IDS)
    for servo in rig.chain.servos.values():
        servo.silent = True
    states = bus.read(IDS)
    assert states.missing == tuple(IDS) and np.isnan(states.position).all()
    sentence = r"No servo on .* answers at 1000000 bit/s: asked 1, 2, 3, 4\. Check supply"
    with pytest.raises(DeviceError, match=sentence):
        for _ in range(4):
            bus.read(IDS)
    for servo in rig.chain.servos.values():
        servo.silent = False
    rig.clock.advance(3.0)
    assert _eventually(lambda: bus.read(IDS).missing == ())


def test_a_slow_servo_is_late_but_not_lost(rig: Rig) -> None:
    rig.chain.servos[3].delay_s = 0.01
    assert rig.bus.read(IDS).missing == ()


def test_an_answer_that_comes_after_its_time_is_not_taken_for_the_next_one(rig: Rig) -> None:
    bus = rig.hurry()
    rig.chain.servos[1].put_mode(1)
    bus.set_torque([1], True)
    rig.chain.servos[1].delay_s = 0.025
    with pytest.raises(DeviceError, match="1: its torque is on"):
        bus.set_mode([1], ServoMode.POSITION)
    bus.set_torque([1], False)
    bus.set_mode([1], ServoMode.POSITION)
    assert rig.chain.servos[1].mode != 1


def test_damaged_answers_are_counted_and_asked_for_again(rig: Rig) -> None:
    for servo in IDS:
        rig.chain.servos[servo].turn_by_hand(servo * 1.0)
    bus = rig.hurry()
    bus.read(IDS)
    rig.port.corrupt_rate = 0.2
    complete = 0
    for _ in range(30):
        try:
            states = bus.read(IDS)
        except DeviceError:
            continue
        there = np.isfinite(states.position)
        np.testing.assert_allclose(states.position[there], np.array(IDS)[there], atol=TICK)
        complete += not states.missing
    assert bus.damaged > 0
    assert complete > 0


def test_an_id_that_two_servos_have_is_said(rig: Rig) -> None:
    bus = rig.hurry()
    rig.chain.duplicates.add(3)
    with pytest.raises(
        DeviceError, match=r"answers of servo 3 on .* damaged every time: two servos have this ID"
    ):
        bus.ping(3)
    with pytest.raises(DeviceError, match="servo 3"):
        bus.scan(5)
    assert bus.ping(1) is not None


def test_a_wrong_rate_hears_nothing(rig: Rig) -> None:
    rig.bus.close()
    rig.bus = rig.new_bus(115_200, patience_ms=16.0)
    rig.bus.open()
    assert rig.bus.ping(1) is None
    with pytest.raises(DeviceError, match="115200 bit/s"):
        rig.bus.read(IDS)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_is_sent_to_nobody(rig: Rig, value: float) -> None:
    rig.bus.set_torque(IDS, True)
    with pytest.raises(
        DeviceError, match=r"Servo 2 on .* not a number \[rad\]: nothing was sent to any servo"
    ):
        rig.bus.write_positions(IDS, np.array([1.0, value, 1.0, 1.0]))
    np.testing.assert_allclose(rig.bus.read(IDS).position, math.pi, atol=2 * TICK)


@pytest.mark.parametrize("value", [-0.1, 6.4, 1e12])
def test_a_goal_beyond_the_limits_of_the_servo_is_refused_with_the_limits(rig: Rig, value: float) -> None:
    with pytest.raises(
        DeviceError, match=r"Servo 1 on .* cannot go to .* rad: its limits are 0\.000 to 6\.282 rad"
    ):
        rig.bus.write_positions([1], np.array([value]))


def test_a_servo_that_does_not_confirm_is_named_and_the_others_obey(rig: Rig) -> None:
    bus = rig.hurry()
    rig.chain.servos[2].silent = True
    with pytest.raises(
        DeviceError, match=r"Servo 2 on .* did not switch its torque on: 2: it does not answer"
    ):
        bus.set_torque(IDS, True)
    assert [rig.chain.servos[servo].torque_on for servo in IDS] == [True, False, True, True]


def test_an_overload_is_an_alarm_until_it_is_over(rig: Rig) -> None:
    rig.bus.set_torque(IDS, True)
    rig.chain.servos[4].fail(0x20)
    states = rig.bus.read(IDS)
    assert list(states.alarms) == [4] and "overload" in states.alarms[4]
    assert states.missing == ()
    if isinstance(rig.bus, DynamixelBus):
        with pytest.raises(DeviceError, match=r"4: overload; it let go"):
            rig.bus.set_torque(IDS, True)
        rig.bus.restart(4)
    else:
        rig.chain.servos[4].fail(0)
    assert rig.bus.read(IDS).alarms == {}
    rig.bus.set_torque(IDS, True)


def test_low_voltage_is_an_alarm_beside_good_readings(rig: Rig) -> None:
    rig.chain.servos[1].fail(0x01)
    states = rig.bus.read(IDS)
    assert states.alarms[1].startswith("input voltage out of its limits")
    assert np.isfinite(states.position).all()


def test_position_mode_is_set_only_with_torque_off(rig: Rig) -> None:
    rig.chain.servos[1].put_mode(1)
    rig.bus.set_torque([1], True)
    with pytest.raises(DeviceError, match=r"Servo 1 on .* 1: its torque is on"):
        rig.bus.set_mode(IDS, ServoMode.POSITION)
    rig.bus.set_torque([1], False)
    rig.bus.set_mode(IDS, ServoMode.POSITION)
    assert len({servo.mode for servo in rig.chain.servos.values()}) == 1


def test_a_servo_that_would_jump_when_torque_goes_on_is_refused(rig: Rig) -> None:
    rig.chain.servos[1].put_limits(1000, 3000)
    rig.chain.servos[1].turn_by_hand(900 * TICK)
    with pytest.raises(
        DeviceError, match=r"it stands at 900, outside of its limits 1000 to 3000, and would jump"
    ):
        rig.bus.set_torque([1], True)
    rig.chain.servos[1].turn_by_hand(990 * TICK)
    rig.bus.set_torque([1], True)


def test_an_unplugged_port_is_said_and_works_again_when_it_is_back(rig: Rig, tmp_path: Path) -> None:
    rig.port.close()
    with pytest.raises(DeviceError, match=r"The serial port .*arm has gone"):
        rig.bus.read(IDS)
    with pytest.raises(DeviceError, match=r"There is no serial port .*arm\. Plug"):
        rig.bus.open()
    rig.port = PtyPort(rig.chain, link=tmp_path / "arm").open()
    rig.bus.open()
    assert rig.bus.read(IDS).missing == ()


def test_unplugging_ends_a_read_that_waits(rig: Rig) -> None:
    for servo in rig.chain.servos.values():
        servo.silent = True
    unplug = threading.Timer(0.05, rig.port.close)
    unplug.start()
    with pytest.raises(DeviceError, match="has gone"):
        rig.bus.read(IDS)
    unplug.join()


def test_a_port_that_is_in_use_is_said(rig: Rig) -> None:
    other = rig.new_bus()
    with pytest.raises(
        DeviceError, match=r"serial port .* is used by another program: it is open in this program"
    ):
        other.open()
    rig.bus.close()
    other.open()
    assert other.ping(1) is not None
    other.close()
    other.close()


def test_a_port_that_another_process_uses_is_said_with_its_name(rig: Rig) -> None:
    rig.bus.close()
    context = multiprocessing.get_context("fork")
    opened, done = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(rig.port.path, opened, done))
    holder.start()
    assert opened.wait(20)
    with pytest.raises(DeviceError, match=rf"used by another program: it is open in .*\({holder.pid}\)"):
        rig.bus.open()
    done.set()
    holder.join(20)
    rig.bus.open()


def _hold(port: str, opened: threading.Event, done: threading.Event) -> None:
    bus = FeetechBus(port)
    bus.open()
    opened.set()
    done.wait(20)


def test_a_closed_bus_says_so(rig: Rig) -> None:
    rig.bus.close()
    with pytest.raises(DeviceError, match="the port is not open"):
        rig.bus.read(IDS)


@pytest.mark.parametrize("chained", [False, True])
def test_fast_sync_read_falls_back_for_good_on_old_firmware_and_for_a_cycle_on_silence(chained: bool) -> None:
    clock = FakeClock()
    for fast_firmware in (True, False):
        chain = DynamixelChain(dict.fromkeys(IDS, 1200), fast_sync_read=fast_firmware, chained=chained)
        with PtyPort(chain) as port:
            bus = DynamixelBus(port.path, 1_000_000, clock, answer_slack_ms=16.0)
            bus.open()
            assert _eventually(lambda bus=bus: bus.read(IDS).missing == ())
            chain.servos[3].silent = True
            assert _eventually(lambda bus=bus: bus.read(IDS).missing == (3,))
            chain.servos[3].silent = False
            clock.advance(3.0)
            assert _eventually(lambda bus=bus: bus.read(IDS).missing == ())
            bus.close()


def test_currents_go_to_servos_that_have_them_within_their_limit() -> None:
    chain = DynamixelChain({1: 1200, 2: 1020, 3: 1060})
    with PtyPort(chain) as port:
        bus = DynamixelBus(port.path, answer_slack_ms=PATIENT_MS)
        bus.open()
        assert [bus.can_current(servo) for servo in (1, 2, 3)] == [True, True, False]
        assert not bus.has_current_mode
        with pytest.raises(DeviceError, match="3: a XL430-W250 has no such mode"):
            bus.set_mode([1, 2, 3], ServoMode.CURRENT)
        bus.set_torque([1, 2], True)
        bus.write_currents([1, 2], np.array([0.1, -0.1]))
        assert _eventually(lambda: bool((abs(bus.read([1, 2]).velocity) > 0.2).all()))
        states = bus.read([1, 2])
        np.testing.assert_allclose(states.current, [0.1, -0.1], atol=0.002)
        assert states.velocity[0] > 0 > states.velocity[1]
        with pytest.raises(
            DeviceError, match=r"Servo 2 on .* was to be sent 9\.000 A: its current limit is 4\.7"
        ):
            bus.write_currents([1, 2], np.array([0.1, 9.0]))
        with pytest.raises(DeviceError, match="Servo 3 on .* is a XL430-W250, which has no current mode"):
            bus.write_currents([3], np.array([0.1]))
        with pytest.raises(DeviceError, match=r"not a number \[A\]"):
            bus.write_currents([1], np.array([math.nan]))
        bus.close()


def test_several_turns_are_counted_in_extended_mode() -> None:
    chain = DynamixelChain({1: 1200})
    with PtyPort(chain) as port:
        bus = DynamixelBus(
            port.path, position_mode=OperatingMode.EXTENDED_POSITION, answer_slack_ms=PATIENT_MS
        )
        bus.open()
        bus.set_mode([1], ServoMode.POSITION)
        chain.servos[1].turn_by_hand(-131_073 * TICK)
        bus.set_torque([1], True)
        assert bus.read([1]).position[0] == pytest.approx(-131_073 * TICK)
        bus.write_positions([1], np.array([-131_073 * TICK]))
        assert bus.read([1]).position[0] == pytest.approx(-131_073 * TICK)
        bus.close()


def test_a_feetech_servo_takes_its_place_as_the_middle_and_locks_its_eeprom_again() -> None:
    chain = FeetechChain({1: 777})
    with PtyPort(chain) as port:
        bus = FeetechBus(port.path, answer_slack_ms=PATIENT_MS)
        bus.open()
        for angle in (0.2, 6.1, 3.0):
            chain.servos[1].turn_by_hand(angle)
            bus.centre(1)
            assert bus.read([1]).position[0] == pytest.approx(math.pi, abs=2 * TICK)
        assert chain.servos[1].table(55, 1) == b"\x01"
        with pytest.raises(DeviceError, match="have no current mode"):
            bus.write_currents([1], np.array([0.1]))
        with pytest.raises(DeviceError, match="have no current mode"):
            bus.set_mode([1], ServoMode.CURRENT)
        bus.close()


def test_servos_limit_their_own_motion(rig: Rig) -> None:
    rig.bus.limit_motion(IDS, 0.5, 2.0)
    rig.bus.set_torque([1], True)
    rig.bus.write_positions([1], np.array([6.0]))
    assert _eventually(lambda: rig.bus.read([1]).velocity[0] > 0.3)
    assert rig.bus.read([1]).velocity[0] == pytest.approx(0.5, abs=0.03)
    rig.bus.limit_motion(IDS, 0.0, 0.0)
    assert rig.bus.read([1]).velocity[0] > 1.0
    with pytest.raises(ValueError, match="not nan"):
        rig.bus.limit_motion(IDS, math.nan, 1.0)


def test_a_watchdog_stops_the_servo_when_the_host_falls_silent(rig: Rig) -> None:
    if not isinstance(rig.bus, DynamixelBus):
        assert not rig.bus.has_watchdog
        with pytest.raises(DeviceError, match="have no watchdog"):
            rig.bus.set_watchdog(IDS, 0.1)
        return
    rig.bus.limit_motion([1], 1.0, 0.0)
    rig.bus.set_torque([1], True)
    rig.bus.set_watchdog([1], 0.02)
    rig.bus.write_positions([1], np.array([6.0]))
    time.sleep(0.1)
    stopped = rig.bus.read([1]).position[0]
    assert math.pi < stopped < 5.9
    rig.bus.write_positions([1], np.array([6.0]))
    assert rig.bus.read([1]).position[0] == pytest.approx(stopped, abs=2 * TICK)
    rig.bus.set_watchdog([1], 0.0)
    rig.bus.write_positions([1], np.array([6.0]))
    assert _eventually(lambda: rig.bus.read([1]).position[0] > stopped + 0.05)
    with pytest.raises(ValueError, match="waits 0 to 2.54 s"):
        rig.bus.set_watchdog([1], 3.0)
