"""DYNAMIXEL Protocol 2.0 by the vendor's `dynamixel_sdk`, answer by answer.

The SDK's `GroupSyncRead` gives up at the first servo that is silent and then hands out nothing, so the
answers are taken here one by one with the SDK's packet handler. Two defects of that handler (4.1.0) are put
right in `_Handler`. Source: ROBOTIS e-manual, "DYNAMIXEL Protocol 2.0".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from dynamixel_sdk import protocol2_packet_handler as sdk

from devices.servos.packets import Ping, Status
from devices.servos.serial_line import SerialLine

INSTRUCTION = 7
ERROR = 8
PARAMETERS = 9
HEADER = bytes((0xFF, 0xFF, 0xFD))
PING_ANSWER_BYTES = 14
DUPLICATE_WAIT_MS = 3.0
BROADCAST_BASE_MS = 30.0
BROADCAST_SLOT_MS = 3.0


class _Handler(sdk.Protocol2PacketHandler):
    """The SDK's handler with byte stuffing as the protocol has it.

    The SDK stuffs a copy of an outgoing packet and sends the packet itself, and takes bytes out of an
    incoming one after looking at bytes that it has already moved.
    """

    def addStuffing(self, packet: list[int]) -> list[int]:  # noqa: N802
        """Double the 0xFD of every header that stands in the instruction and its parameters."""
        body = bytes(packet[INSTRUCTION:-2]).replace(HEADER, HEADER + b"\xfd")
        packet[INSTRUCTION:-2] = body
        packet[5:7] = (len(body) + 2).to_bytes(2, "little")
        return packet

    def removeStuffing(self, packet: list[int]) -> list[int]:  # noqa: N802
        """Inverse of `addStuffing`."""
        body = bytes(packet[INSTRUCTION:-2]).replace(HEADER + b"\xfd", HEADER)
        packet[INSTRUCTION:-2] = body
        packet[5:7] = (len(body) + 2).to_bytes(2, "little")
        return packet


class DynamixelPackets:
    """See `devices.servos.packets.Packets`."""

    def __init__(self, line: SerialLine) -> None:
        self.damaged = 0
        self._line = line
        self._handler = _Handler()

    def ping(self, servo: int) -> Ping:
        """Ask one ID, and listen on for a second answer."""
        model, result, _ = self._handler.ping(self._line, servo)
        if result != sdk.COMM_SUCCESS:
            damaged = result == sdk.COMM_RX_CORRUPT
            self.damaged += damaged
            return Ping(None, damaged, answers=0)
        self._line.setPacketTimeoutMillis(DUPLICATE_WAIT_MS)
        again = self._line.readPort(PING_ANSWER_BYTES)
        return Ping(model, damaged=bool(again), answers=2 if again else 1)

    def broadcast_ping(self, highest_id: int) -> tuple[dict[int, int], bool]:
        """Model numbers by ID of all that answer, and whether anything came damaged.

        A servo answers 3 ms times its ID after the question; the SDK always waits for ID 252.
        """
        before = self._line.received
        self._line.cap(
            BROADCAST_BASE_MS + highest_id * (BROADCAST_SLOT_MS + PING_ANSWER_BYTES * self._line.ms_per_byte)
        )
        try:
            found, _ = self._handler.broadcastPing(self._line)
        finally:
            self._line.cap(math.inf)
        damaged = self._line.received - before != PING_ANSWER_BYTES * len(found)
        return {servo: model for servo, (model, _) in found.items()}, damaged

    def read(self, servo: int, address: int, length: int) -> Status | None:
        """Read registers of a servo."""
        data, result, error = self._handler.readTxRx(self._line, servo, address, length)
        return self._status(result, error, bytes(data), length)

    def write(self, servo: int, address: int, data: bytes) -> Status | None:
        """Write registers of a servo."""
        result, error = self._handler.writeTxRx(self._line, servo, address, len(data), list(data))
        return self._status(result, error, b"", 0)

    def reboot(self, servo: int) -> Status | None:
        """Start a servo anew, which clears its hardware error."""
        result, error = self._handler.reboot(self._line, servo)
        return self._status(result, error, b"", 0)

    def sync_read(self, servos: Sequence[int], address: int, length: int) -> dict[int, Status]:
        """Read the same registers of several servos, each answering with a packet of its own."""
        ids = list(servos)
        result = self._handler.syncReadTx(self._line, address, length, ids, len(ids), False)
        found: dict[int, Status] = {}
        while result == sdk.COMM_SUCCESS and len(found) < len(ids):
            packet, got = self._handler.rxPacket(self._line, False)
            if got == sdk.COMM_SUCCESS:
                if packet[4] in ids and len(packet) == PARAMETERS + length + 2:
                    found[packet[4]] = Status(packet[ERROR], bytes(packet[PARAMETERS:-2]))
            else:
                self.damaged += got == sdk.COMM_RX_CORRUPT
                if self._line.isPacketTimeout():
                    break
        return found

    def fast_sync_read(self, servos: Sequence[int], address: int, length: int) -> dict[int, Status]:
        """Read the same registers of several servos, all in one packet: all of them or nothing."""
        ids = list(servos)
        result = self._handler.syncReadTx(self._line, address, length, ids, len(ids), True)
        if result != sdk.COMM_SUCCESS:
            return {}
        block = length + 4
        data, result, _ = self._handler.fastSyncReadRx(self._line, sdk.BROADCAST_ID, block * len(ids))
        self.damaged += result == sdk.COMM_RX_CORRUPT
        if result != sdk.COMM_SUCCESS or len(data) != block * len(ids):
            return {}
        blocks = [bytes(data[start : start + block]) for start in range(0, len(data), block)]
        if [part[1] for part in blocks] != ids:
            return {}
        return {part[1]: Status(part[0], part[2 : 2 + length]) for part in blocks}

    def sync_write(self, address: int, data: Mapping[int, bytes]) -> None:
        """Write the same registers of several servos."""
        length = len(next(iter(data.values())))
        body = [byte for servo, part in data.items() for byte in (servo, *part)]
        self._handler.syncWriteTxOnly(self._line, address, length, body, len(body))

    def _status(self, result: int, error: int, data: bytes, length: int) -> Status | None:
        self.damaged += result == sdk.COMM_RX_CORRUPT
        if result != sdk.COMM_SUCCESS or (len(data) != length and not error & 0x7F):
            return None
        return Status(error, data)
