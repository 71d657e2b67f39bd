"""The Feetech STS/SMS protocol by the vendor's `scservo_sdk` (`ftservo-python-sdk`), answer by answer.

The SDK's `GroupSyncRead` reports success for what it found and loses who was missing, so the answers are
taken here one by one with the SDK's packet handler. Source: Feetech, "SCS communication protocol".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import scservo_sdk as sdk

from devices.servos.packets import Ping, Status
from devices.servos.serial_line import SerialLine
from teleop_app.core.errors import DeviceError

ERROR = 4
PARAMETERS = 5
MODEL = (3, 2)
DUPLICATE_WAIT_MS = 3.0


class FeetechPackets:
    """See `devices.servos.packets.Packets`.

    Raises:
        DeviceError: Another package's `scservo_sdk` is installed.
    """

    def __init__(self, line: SerialLine) -> None:
        if not hasattr(sdk, "sms_sts"):
            raise DeviceError(
                "The installed package 'scservo_sdk' is not the one of 'ftservo-python-sdk'",
                why="'feetech-servo-sdk' brings another of this name, and the one installed last wins",
                next_step="Uninstall feetech-servo-sdk, then install ftservo-python-sdk again",
            )
        self.damaged = 0
        self._line = line
        self._handler = sdk.protocol_packet_handler(line, 0)

    def ping(self, servo: int) -> Ping:
        """Ask one ID for its model, and listen on for a second answer."""
        data, result, _ = self._handler.readTxRx(servo, *MODEL)
        if result != sdk.COMM_SUCCESS or len(data) != MODEL[1]:
            damaged = result == sdk.COMM_RX_CORRUPT
            self.damaged += damaged
            return Ping(None, damaged, answers=0)
        self._line.setPacketTimeoutMillis(DUPLICATE_WAIT_MS)
        again = self._line.readPort(8)
        return Ping(data[0] | data[1] << 8, damaged=bool(again), answers=2 if again else 1)

    def read(self, servo: int, address: int, length: int) -> Status | None:
        """Read registers of a servo."""
        data, result, error = self._handler.readTxRx(servo, address, length)
        return self._status(result, error, bytes(data), length)

    def write(self, servo: int, address: int, data: bytes) -> Status | None:
        """Write registers of a servo."""
        result, error = self._handler.writeTxRx(servo, address, len(data), list(data))
        return self._status(result, error, b"", 0)

    def sync_read(self, servos: Sequence[int], address: int, length: int) -> dict[int, Status]:
        """Read the same registers of several servos, each answering with a packet of its own."""
        ids = list(servos)
        result = self._handler.syncReadTx(address, length, ids, len(ids))
        self._line.setPacketTimeout((length + 6) * len(ids))
        found: dict[int, Status] = {}
        while result == sdk.COMM_SUCCESS and len(found) < len(ids):
            packet, got = self._handler.rxPacket()
            if got == sdk.COMM_SUCCESS:
                if packet[2] in ids and len(packet) == PARAMETERS + length + 1:
                    found[packet[2]] = Status(packet[ERROR], bytes(packet[PARAMETERS:-1]))
            else:
                self.damaged += got == sdk.COMM_RX_CORRUPT
                if self._line.isPacketTimeout():
                    break
        self._line.is_using = False
        return found

    def sync_write(self, address: int, data: Mapping[int, bytes]) -> None:
        """Write the same registers of several servos."""
        length = len(next(iter(data.values())))
        body = [byte for servo, part in data.items() for byte in (servo, *part)]
        self._handler.syncWriteTxOnly(address, length, body, len(body))

    def _status(self, result: int, error: int, data: bytes, length: int) -> Status | None:
        self.damaged += result == sdk.COMM_RX_CORRUPT
        if result != sdk.COMM_SUCCESS or len(data) != length:
            return None
        return Status(error, data)
