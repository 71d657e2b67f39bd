"""Robotiq FT 300 and FT 300-S: Modbus RTU to start it, then a stream of 100 frames a second.

Source: Robotiq, "FT 300 Force Torque Sensor, Instruction Manual", chapter 4.7 (control over serial), and
the vendor's driver in ros-industrial-attic/robotiq (robotiq_ft_sensor/src/rq_sensor_com.cpp). 19200 bit/s
8N1, slave 9. Writing 0x0200 into register 410 starts the stream; 50 bytes 0xFF stop it. A frame is 0x20
0x4E, six signed 16-bit numbers low byte first (forces in 0.01 N, torques in 0.001 N m), and the CRC of
Modbus. Frames carry neither counter nor stamp.
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np

from devices.sensors.checksums import crc16_modbus
from devices.sensors.framing import FixedFrames
from devices.sensors.readings import Reading
from devices.sensors.stream_port import StreamPort
from teleop_app.core.errors import DeviceError

BAUD: Final = 19200
RATE_HZ: Final = 100.0
RANGE_N: Final = 300.0
RANGE_N_M: Final = 30.0
HEADER: Final = b"\x20\x4e"
FRAME: Final = struct.Struct("<2s6hH")
STOP_STREAM: Final = b"\xff" * 50
_UNITS: Final = np.array([0.01] * 3 + [0.001] * 3)
_SLAVE: Final = 9
_WRITE_REGISTERS: Final = 16
_STREAM_REGISTER: Final = 410
_STREAM_ON: Final = 0x0200
_ANSWER_S: Final = 1.0


def with_crc(message: bytes) -> bytes:
    """A Modbus RTU message with its checksum."""
    return message + crc16_modbus(message).to_bytes(2, "little")


START_STREAM: Final = with_crc(
    struct.pack(">BBHHBH", _SLAVE, _WRITE_REGISTERS, _STREAM_REGISTER, 1, 2, _STREAM_ON)
)
START_ECHO: Final = with_crc(struct.pack(">BBHH", _SLAVE, _WRITE_REGISTERS, _STREAM_REGISTER, 1))


def begin(port: StreamPort) -> None:
    """Stop what it streams, then start the stream.

    Raises:
        DeviceError: It does not fall silent, or does not answer.
    """
    port.write(STOP_STREAM)
    if not port.drain(quiet_s=0.1, timeout_s=1.0):
        raise DeviceError(
            f"The device on {port.path} does not stop to stream when an FT 300 would",
            next_step="Check protocol and baud in the station file",
        )
    port.write(START_STREAM)
    if port.read_until(START_ECHO, _ANSWER_S) is None:
        raise DeviceError(
            f"No Robotiq FT 300 answers on {port.path}",
            why="the command that starts its stream got no answer",
            next_step="Check its 24 V supply, its cable, and the port in the station file",
        )


class Ft300Decoder:
    """Frames of the FT 300. A frame with a wrong checksum counts as one lost sample."""

    def __init__(self) -> None:
        self._frames = FixedFrames(HEADER, FRAME.size, _is_sound)
        self._missed = 0
        self.refused = 0

    def feed(self, received: bytes) -> list[Reading]:
        """The readings that these bytes complete: forces [N], torques [N m]."""
        readings: list[Reading] = []
        for frame in self._frames.feed(received):
            if frame is None:
                self._missed += 1
                self.refused += 1
                continue
            counts = np.array(FRAME.unpack(frame)[1:7], dtype=np.float64)
            readings.append(Reading(counts * _UNITS, missed=self._missed))
            self._missed = 0
        return readings


def _is_sound(frame: bytes) -> bool:
    return crc16_modbus(frame[:-2]) == int.from_bytes(frame[-2:], "little")
