"""The vendors' packet handlers on damaged and awkward bytes: what is accepted is what was sent.

The line here is a loop in memory: the genuine SDK parses what the emulated chain answers, bit by bit.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.emulators import dynamixel_frames as frames
from devices.emulators import feetech
from devices.emulators.dynamixel import DynamixelChain
from devices.emulators.feetech import FeetechChain
from devices.emulators.pty_port import Chain
from devices.servos.dynamixel_packets import DynamixelPackets
from devices.servos.feetech_packets import FeetechPackets
from devices.servos.serial_line import SerialLine

IDS = (1, 2, 3)
AWKWARD = st.lists(st.sampled_from((0xFF, 0xFF, 0xFD, 0x00, 0x55)), min_size=1, max_size=24).map(bytes)
NOISE = st.lists(st.integers(0, 0xFE), max_size=12).map(bytes)


class LoopLine(SerialLine):
    """A line in memory: what is written is answered at once, changed by `damage`."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        super().__init__("loop", 1_000_000)
        self.damage: Callable[[bytes], bytes] = bytes
        self._answer = answer
        self._waiting = b""

    def clearPort(self) -> None:  # noqa: N802
        self._waiting = b""

    def writePort(self, packet: list[int]) -> int:  # noqa: N802
        self._waiting = self.damage(self._answer(bytes(packet)))
        return len(packet)

    def readPort(self, length: int) -> bytes:  # noqa: N802
        taken, self._waiting = self._waiting[:length], self._waiting[length:]
        self.received += len(taken)
        return taken

    def isPacketTimeout(self) -> bool:  # noqa: N802
        return not self._waiting


def _answers(chain: Chain) -> Callable[[bytes], bytes]:
    return lambda data: b"".join(reply.data for reply in chain.receive(data))


def _poses(chain: DynamixelChain | FeetechChain) -> None:
    for servo in chain.servos.values():
        servo.turn_by_hand(0.3 + servo.number)


def _flip(bit: int) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        return bytes(changed)

    return change


@pytest.mark.parametrize("kind", ["dynamixel", "dynamixel fast", "feetech"])
def test_no_flipped_bit_is_ever_taken_for_a_reading(kind: str) -> None:
    if kind == "feetech":
        chain: DynamixelChain | FeetechChain = FeetechChain(dict.fromkeys(IDS, 777))
        line = LoopLine(_answers(chain))
        packets = FeetechPackets(line)
        ask = lambda: packets.sync_read(IDS, 56, 15)  # noqa: E731
    else:
        chain = DynamixelChain(dict.fromkeys(IDS, 1020))
        line = LoopLine(_answers(chain))
        wire = DynamixelPackets(line)
        call = wire.fast_sync_read if kind.endswith("fast") else wire.sync_read
        ask = lambda: call(IDS, 126, 10)  # noqa: E731
    _poses(chain)
    sizes: list[int] = []

    def weigh(data: bytes) -> bytes:
        sizes.append(len(data))
        return data

    line.damage = weigh
    truth = ask()
    assert set(truth) == set(IDS)
    losses = 0
    for bit in range(8 * sizes[0]):
        line.damage = _flip(bit)
        got = ask()
        assert all(got[servo] == truth[servo] for servo in got), f"bit {bit}"
        losses += len(got) < len(IDS)
    assert losses == 8 * sizes[0]


@given(first=st.integers(0, 8 * 44), pattern=st.integers(1, 0xFFFF))
def test_no_burst_of_up_to_sixteen_bits_gets_past_the_crc(first: int, pattern: int) -> None:
    chain = DynamixelChain(dict.fromkeys(IDS, 1020))
    _poses(chain)
    line = LoopLine(_answers(chain))
    packets = DynamixelPackets(line)
    truth = packets.sync_read(IDS, 126, 10)

    def burst(data: bytes) -> bytes:
        value = int.from_bytes(data, "big") ^ pattern << first
        return value.to_bytes(len(data) + 8, "big")[-len(data) :]

    line.damage = burst
    got = packets.sync_read(IDS, 126, 10)
    assert all(got[servo] == truth[servo] for servo in got)


@given(data=AWKWARD)
def test_headers_in_the_data_are_stuffed_when_they_are_sent(data: bytes) -> None:
    sent: list[bytes] = []
    packets = DynamixelPackets(LoopLine(lambda request: bytes(sent.append(request) or b"")))
    packets.write(1, 116, data)
    assert sent == [frames.wrap(1, 3, frames.stuffed((116).to_bytes(2, "little") + data))]


def test_headers_in_the_data_are_read_as_they_were() -> None:
    """Every mixture of the bytes that matter; the SDK's own handler misreads `FF FF FD 00 FF FD FD`."""
    body = b""
    packets = DynamixelPackets(LoopLine(lambda _: frames.wrap(1, 0x55, frames.stuffed(b"\x00" + body))))
    for mixture in itertools.product((0xFF, 0xFD, 0x00), repeat=7):
        body = bytes(mixture)
        status = packets.read(1, 126, len(body))
        assert status is not None and status.data == body


@given(data=st.binary(max_size=40), cut=st.integers(0, 60), noise=NOISE)
def test_packets_are_found_in_pieces_and_behind_noise(data: bytes, cut: int, noise: bytes) -> None:
    packet = frames.wrap(7, 3, frames.stuffed(data))
    parser = frames.FrameParser()
    stream = noise + packet
    found = [*parser.feed(stream[:cut]), *parser.feed(stream[cut:])]
    assert found == [frames.Frame(7, 3, data)]
    small = feetech.FrameParser()
    stream = noise + feetech.wrap(7, 3, data)
    found_small = [*small.feed(stream[:cut]), *small.feed(stream[cut:])]
    assert found_small == [feetech.Frame(7, 3, data)]


def test_checksums_are_those_of_the_manuals() -> None:
    """Examples printed in the e-manual (ping of ID 1) and in Feetech's protocol (ping of ID 1)."""
    assert frames.wrap(1, 1, b"") == bytes.fromhex("FFFFFD00010300 01 194E".replace(" ", ""))
    assert feetech.wrap(1, 1, b"") == bytes.fromhex("FFFF010201FB")
