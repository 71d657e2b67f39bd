"""Force-torque and tactile sensors against byte-level emulators on a pseudo-terminal, and their decoders."""

import struct
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.emulators.sensor_port import SensorPort
from devices.emulators.tactile import EmulatedTactile
from devices.emulators.wrench import EmulatedBota, EmulatedFt300
from devices.sensors import bota, robotiq_ft300, serial_sensor
from devices.sensors.checksums import crc16_modbus, crc16_x25
from devices.sensors.discovery import listen
from devices.sensors.number_lines import LineDecoder, checked
from devices.sensors.readings import Batcher, Reading
from devices.sensors.serial_tactile import SerialTactile, TactileOptions
from devices.sensors.serial_wrench import DRIVER, SerialWrench, WrenchOptions
from devices.sensors.stream_port import StreamPort
from devices.sensors.tactile_frames import TactileDecoder, encode, stuff, unstuff
from teleop_app.core.clock import MonotonicClock
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import StreamBatch

WRENCH = (12.5, -3.25, -150.0, 0.5, -1.125, 2.0)


def test_checksums_are_the_published_ones() -> None:
    assert crc16_modbus(b"123456789") == 0x4B37
    assert crc16_x25(b"123456789") == 0x906E


def test_the_start_of_an_ft300_is_the_request_of_its_manual() -> None:
    assert robotiq_ft300.START_STREAM.hex(" ") == "09 10 01 9a 00 01 02 02 00 cd ca"


# Decoders, without a port.


def bota_frame(stamp_us: int, status: int = 0, wrench: tuple[float, ...] = WRENCH) -> bytes:
    body = struct.pack("<H6fIf", status, *wrench, stamp_us % 2**32, 25.0)
    return b"\xaa" + body + crc16_x25(body).to_bytes(2, "little")


def ft300_frame(wrench: tuple[float, ...] = WRENCH) -> bytes:
    sensor = EmulatedFt300()
    sensor.wrench = wrench
    return sensor.frame()


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.binary(max_size=40))
def test_frames_may_be_split_anywhere_and_joined_in_the_middle(cuts: list[int], before: bytes) -> None:
    before = before.replace(b"\x20", b"").replace(b"\xaa", b"")
    for decoder, frame in (
        (robotiq_ft300.Ft300Decoder(), ft300_frame()),
        (bota.BotaDecoder(100.0), bota_frame(10_000)),
    ):
        stream = before + frame[5:].replace(b"\xaa", b"").replace(b"\x20", b"") + frame * 4
        readings: list[Reading] = []
        at = 0
        for cut in [*cuts, len(stream)]:
            readings += decoder.feed(stream[at : at + cut])
            at += cut
        assert len(readings) == 4
        assert all(reading.values == pytest.approx(WRENCH) for reading in readings)
        assert readings[0].missed == 0


@given(st.binary(max_size=300))
def test_noise_is_never_a_reading(noise: bytes) -> None:
    assert not robotiq_ft300.Ft300Decoder().feed(noise.replace(b"\x4e", b""))
    assert not LineDecoder(6).feed(noise.replace(b",", b""))
    assert not TactileDecoder().feed(noise + b"\0") or crc16_x25(noise) == 0x0F47


def test_a_damaged_ft300_frame_is_one_lost_sample() -> None:
    decoder = robotiq_ft300.Ft300Decoder()
    damaged = bytearray(ft300_frame())
    damaged[7] ^= 0x10
    readings = decoder.feed(ft300_frame() + bytes(damaged) + ft300_frame())
    assert [reading.missed for reading in readings] == [0, 1]
    assert decoder.refused == 1


def test_bota_losses_show_in_its_stamps_also_where_they_wrap() -> None:
    decoder = bota.BotaDecoder(100.0)
    stamps = [2**32 - 20_000, 2**32 - 10_000, 30_000, 40_000]  # three frames are missing before the third
    readings = decoder.feed(b"".join(map(bota_frame, stamps)))
    assert [reading.missed for reading in readings] == [0, 0, 3, 0]
    device_ns = [reading.device_ns or 0 for reading in readings]
    assert np.diff(device_ns).tolist() == [10_000_000, 40_000_000, 10_000_000]


def test_bota_frames_that_are_invalid_or_not_finite_are_gaps_not_values() -> None:
    decoder = bota.BotaDecoder(100.0)
    frames = [
        bota_frame(10_000),
        bota_frame(20_000, status=bota.Status.INVALID),
        bota_frame(30_000, wrench=(float("nan"), 0, 0, 0, 0, 0)),
        bota_frame(40_000, wrench=(float("inf"), 0, 0, 0, 0, 0)),
        bota_frame(50_000, status=bota.Status.OVER_RANGE),
    ]
    readings = decoder.feed(b"".join(frames))
    assert [reading.missed for reading in readings] == [0, 3]
    assert decoder.refused == 3
    assert readings[1].remark == "The force sensor is loaded beyond its range"


@pytest.mark.parametrize(
    ("lines", "missed", "refused"),
    [
        (b"1,2,3\n4,5,6\n7,8,9\n", [0, 0, 0], 0),
        (b"7,1,2,3\n8,4,5,6\n11,7,8,9\n", [0, 0, 2], 0),
        (b"65535,1,2,3\n0,4,5,6\n2,7,8,9\n", [0, 0, 1], 0),
        (b"1,2,3\n4,x,6\n7,8,9\n1,nan,3\n7,8,9\n", [0, 1, 1], 2),
        (
            b"# made at home\n" + checked("1,2,3") + checked("4,5,6").replace(b"4", b"8") + b"7,8,9\n",
            [0, 1],
            1,
        ),
        (b"2,3\n1,2,3\n", [0], 0),
    ],
)
def test_lines_of_text(lines: bytes, missed: list[int], refused: int) -> None:
    decoder = LineDecoder(3)
    readings = [reading for at in range(len(lines)) for reading in decoder.feed(lines[at : at + 1])]
    assert [reading.missed for reading in readings] == missed
    assert decoder.refused == refused


def test_a_line_with_counter_and_stamp() -> None:
    readings = LineDecoder(3).feed(b"5,4294967295,1,2,3\n6,9999,1,2,3\n")
    assert (readings[1].device_ns or 0) - (readings[0].device_ns or 0) == 10_000_000
    assert readings[1].values.tolist() == [1, 2, 3]


@given(st.binary(max_size=700))
def test_stuffing_has_no_zero_inside_and_an_inverse(data: bytes) -> None:
    stuffed = stuff(data)
    assert stuffed.index(0) == len(stuffed) - 1
    assert unstuff(stuffed[:-1]) == data


def test_stuffing_is_the_published_one() -> None:
    assert stuff(b"\x11\x22\x00\x33").hex() == "031122023300"
    assert stuff(b"\x00").hex() == "010100"


def test_tactile_frames_that_are_lost_are_counted() -> None:
    decoder = TactileDecoder()
    pressures = np.arange(12, dtype=np.uint16).reshape(3, 4)
    stream = b"".join(encode(pressures, counter, counter * 10_000) for counter in (65534, 65535, 3, 4))
    readings = decoder.feed(b"half a frame\0" + stream)
    assert [reading.missed for reading in readings] == [0, 0, 3, 0]
    assert readings[0].values.tolist() == list(range(12))
    assert decoder.refused == 0


def test_a_gap_starts_a_new_batch_and_its_numbers_leave_room() -> None:
    batcher = Batcher("s", 100.0)
    readings = [Reading(np.zeros(1)), Reading(np.zeros(1)), Reading(np.ones(1), missed=3)]
    first, second = batcher.batches(readings, 1_000_000_000)
    assert (first.seq, len(first.values), second.seq) == (0, 2, 5)
    assert batcher.lost == 3
    stamps = [*first.capture_ns, *second.capture_ns]
    assert stamps == [980_000_000, 990_000_000, 1_000_000_000]
    (third,) = batcher.batches([Reading(np.zeros(1))] * 5, 1_001_000_000)
    assert third.seq == 6
    assert np.all(np.diff([stamps[-1], *third.capture_ns]) > 0)


# Sensors, on a pseudo-terminal.


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sensor counts as silent after a shorter time, so that the tests of it do not wait."""
    monkeypatch.setattr(serial_sensor, "SILENCE_S", 0.3)


def gather(sensor: SerialWrench | SerialTactile, samples: int) -> list[StreamBatch]:
    """Read until so many samples came."""
    batches: list[StreamBatch] = []
    deadline = time.monotonic() + 10.0
    while sum(len(batch.values) for batch in batches) < samples:
        assert time.monotonic() < deadline, "samples did not come"
        batches += [batch for batch in sensor.read(0.2) if isinstance(batch, StreamBatch)]
    return batches


def wrench_sensor(port: SensorPort, protocol: str, **options: object) -> SerialWrench:
    values = {"port": port.path, "protocol": protocol, **options}
    return SerialWrench("tool", WrenchOptions.model_validate(values), MonotonicClock())


@pytest.fixture
def ft300() -> Iterator[SensorPort]:
    device = EmulatedFt300()
    device.wrench = WRENCH
    with SensorPort(device) as port:
        port.stream(device.frame, 100.0)
        yield port


@pytest.fixture
def bota_port() -> Iterator[SensorPort]:
    device = EmulatedBota()
    device.wrench = WRENCH
    with SensorPort(device) as port:
        port.stream(device.frame, 200.0)
        yield port


def test_an_ft300_is_started_and_read(ft300: SensorPort) -> None:
    sensor = wrench_sensor(ft300, "robotiq-ft300", frame="left/tool")
    sensor.start()
    sensor.start()
    batches = gather(sensor, 10)
    (setup,) = sensor.streams
    assert (setup.name, setup.kind, setup.unit, setup.rate_hz) == ("tool/wrench", "wrench", "N, N m", 100.0)
    assert setup.values == ("fx", "fy", "fz", "tx", "ty", "tz")
    assert setup.frame == "left/tool"
    values = np.concatenate([batch.values for batch in batches])
    assert values == pytest.approx(np.tile(WRENCH, (len(values), 1)))
    stamps = np.concatenate([batch.capture_ns for batch in batches])
    assert np.all(np.diff(stamps) > 0)
    assert batches[0].device_ns is None
    assert sensor.metrics == {"missed": 0.0, "refused": 0.0}
    assert sensor.values["fz"] == pytest.approx(-150.0)
    sensor.stop()
    sensor.stop()


def test_a_bota_sensor_is_set_up_and_read(bota_port: SensorPort) -> None:
    sensor = wrench_sensor(bota_port, "bota", sinc=256)
    sensor.start()
    batches = gather(sensor, 25)
    device = bota_port.chain
    assert isinstance(device, EmulatedBota)
    assert device.commands == ["C", "c,0,1,0,4", "f,256,0,0,1", "R"]
    assert sensor.streams[0].rate_hz == 200.0
    stamps = np.concatenate([batch.device_ns for batch in batches if batch.device_ns is not None])
    assert set(np.diff(stamps)) == {5_000_000}
    with bota_port.lock:
        device.skip(7)
    gather(sensor, 10)
    assert sensor.metrics["missed"] == 7.0
    sensor.stop()


def test_corrupt_bytes_are_gaps_not_values(ft300: SensorPort) -> None:
    sensor = wrench_sensor(ft300, "robotiq-ft300")
    sensor.start()
    ft300.corrupt_rate = 0.3
    batches = gather(sensor, 40)
    values = np.concatenate([batch.values for batch in batches])
    assert values == pytest.approx(np.tile(WRENCH, (len(values), 1)))
    assert sensor.metrics["missed"] >= 3
    assert batches[-1].seq + len(batches[-1].values) == len(values) + sensor.metrics["missed"]
    sensor.stop()


def test_zeroing_takes_the_load_at_rest_and_refuses_a_moving_one(ft300: SensorPort) -> None:
    sensor = wrench_sensor(ft300, "robotiq-ft300", tare=True)
    sensor.start()
    gather(sensor, 30)
    assert sensor.zero == pytest.approx(WRENCH)
    assert gather(sensor, 1)[-1].values[-1] == pytest.approx(np.zeros(6))
    device = ft300.chain
    assert isinstance(device, EmulatedFt300)
    zero = sensor.zero
    sensor.tare()
    gather(sensor, 5)
    device.wrench = (100.0, *WRENCH[1:])
    gather(sensor, 40)
    assert sensor.zero is zero
    assert sensor.remark.startswith("The force sensor 'tool' was not zeroed: fx varied by 87.50")
    sensor.stop()


def test_overload_is_said_and_recorded(ft300: SensorPort) -> None:
    device = ft300.chain
    assert isinstance(device, EmulatedFt300)
    sensor = wrench_sensor(ft300, "robotiq-ft300")
    sensor.start()
    gather(sensor, 2)
    assert sensor.remark == ""
    device.wrench = (0, 0, -320.0, 0, 0, 0)
    batches = gather(sensor, 10)
    assert batches[-1].values[-1, 2] == pytest.approx(-320.0)
    assert sensor.remark == ("The force sensor 'tool' is overloaded: fz is -320.0 N, its range is 300 N.")
    sensor.stop()


def test_unplugging_is_a_sentence_and_the_sensor_comes_back(tmp_path: Path) -> None:
    link = tmp_path / "ttyFT"
    device = EmulatedFt300()
    port = SensorPort(device, link=link).open()
    port.stream(device.frame, 100.0)
    sensor = wrench_sensor(port, "robotiq-ft300")
    sensor.start()
    before = gather(sensor, 5)
    port.close()
    with pytest.raises(
        DeviceError, match=r"The serial port .* has gone.* supply of the sensor; it is opened"
    ):
        gather(sensor, 1000)
    with pytest.raises(DeviceError, match=r"There is no serial port .*Plug the sensor in"):
        sensor.start()
    with SensorPort(device, link=link) as again:
        again.stream(device.frame, 100.0)
        sensor.start()
        after = gather(sensor, 5)
        away_ns = after[0].capture_ns[0] - before[-1].capture_ns[-1]
        missing = after[0].seq - before[-1].seq - len(before[-1].values)
        assert missing == round(away_ns * 100.0 / 1e9) - 1
        assert sensor.metrics["missed"] == missing
        sensor.stop()


def test_a_silent_sensor_is_a_sentence(bota_port: SensorPort) -> None:
    sensor = wrench_sensor(bota_port, "bota")
    sensor.start()
    bota_port.halt()
    with pytest.raises(DeviceError, match=r"The sensor 'tool' on .* is silent: nothing came for 0.3 s"):
        gather(sensor, 1000)


def test_another_device_is_not_taken_for_a_sensor(bota_port: SensorPort) -> None:
    wrong = wrench_sensor(bota_port, "robotiq-ft300", baud=460_800)
    with pytest.raises(DeviceError, match="does not stop to stream when an FT 300 would"):
        wrong.start()
    lines = wrench_sensor(bota_port, "lines", baud=460_800)
    with pytest.raises(DeviceError, match=r"What comes from .* is not understood"):
        lines.start()


def test_a_port_in_use_is_a_sentence(ft300: SensorPort) -> None:
    held = StreamPort(ft300.path, 19200)
    held.open()
    with pytest.raises(DeviceError, match="is used by another program"):
        wrench_sensor(ft300, "robotiq-ft300").start()
    held.close()


@pytest.fixture
def tactile() -> Iterator[SensorPort]:
    device = EmulatedTactile(4, 3)
    device.pressures[:] = np.arange(12).reshape(4, 3)
    with SensorPort(device) as port:
        port.stream(device.frame, 100.0)
        yield port


def tactile_sensor(port: SensorPort, **options: object) -> SerialTactile:
    return SerialTactile(
        "pad", TactileOptions.model_validate({"port": port.path, **options}), MonotonicClock()
    )


def test_a_tactile_array_says_its_size(tactile: SensorPort) -> None:
    sensor = tactile_sensor(tactile, scale=0.5, unit="kPa")
    sensor.start()
    batches = gather(sensor, 10)
    (setup,) = sensor.streams
    assert (setup.name, setup.kind, setup.unit) == ("pad/tactile", "tactile", "kPa")
    assert setup.values[:4] == ("r0c0", "r0c1", "r0c2", "r1c0") and len(setup.values) == 12
    assert batches[0].values[0] == pytest.approx(0.5 * np.arange(12))
    device = tactile.chain
    assert isinstance(device, EmulatedTactile)
    with tactile.lock:
        device.skip(4)
    gather(sensor, 10)
    assert sensor.metrics["missed"] == 4.0
    sensor.stop()


def test_a_tactile_array_of_another_size_is_refused(tactile: SensorPort) -> None:
    with pytest.raises(DeviceError, match="sends 4 x 3 values: 2 x 3 were expected"):
        tactile_sensor(tactile, rows=2, columns=3).start()
    sensor = tactile_sensor(tactile)
    sensor.start()
    device = tactile.chain
    assert isinstance(device, EmulatedTactile)
    with tactile.lock:
        device.pressures = np.zeros((2, 2), np.uint16)
    with pytest.raises(DeviceError, match="sends 2 x 2 values: 4 x 3 were expected"):
        gather(sensor, 1000)


def test_sensors_are_found_by_listening(bota_port: SensorPort, tactile: SensorPort) -> None:
    kinds = [
        ("Bota", "bota", bota.BAUD, lambda: bota.BotaDecoder(200.0)),
        ("Tactile array", "frames", 921_600, TactileDecoder),
    ]
    found = listen(kinds, [(bota_port.path, "B1"), (tactile.path, ""), ("/dev/absent", "")])
    assert [(each.title, each.serial) for each in found] == [
        (f"Bota on {bota_port.path}", "B1"),
        (f"Tactile array on {tactile.path}", ""),
    ]
    assert DRIVER.options.model_validate(found[0].options)
    device = bota_port.chain
    assert isinstance(device, EmulatedBota)
    assert device.commands == []
