"""The latency timer of FTDI adapters, which by default keeps every short answer back for 16 ms.

Source: FTDI AN232B-04 "Data Throughput, Latency and Handshaking"; Linux shows it as
`/sys/bus/usb-serial/devices/<tty>/latency_timer` [ms]. Adapters without the file (CDC ACM, CH34x) have none.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

DEVICES = Path("/sys/bus/usb-serial/devices")
WANTED_MS = 1


@dataclass(frozen=True, slots=True)
class LatencyTimer:
    """What was found and done.

    Attributes:
        milliseconds: The timer as it is now [ms]; 0 where there is none.
        remark: A sentence when it stays too long; else empty.
    """

    milliseconds: int
    remark: str = ""


def settle_latency(port: Path, devices: Path = DEVICES) -> LatencyTimer:
    """Set the timer of a port to 1 ms where that is permitted. Never fails: a port without one is fine."""
    file = devices / Path(os.path.realpath(port)).name / "latency_timer"
    try:
        now_ms = int(file.read_text())
    except (OSError, ValueError):
        return LatencyTimer(0)
    if now_ms <= WANTED_MS:
        return LatencyTimer(now_ms)
    try:
        file.write_text(str(WANTED_MS))
        return LatencyTimer(int(file.read_text()))
    except (OSError, ValueError):
        return LatencyTimer(
            now_ms,
            f"The adapter on {port} keeps answers back for {now_ms} ms and this user may not change it. "
            f"Run 'echo {WANTED_MS} | sudo tee {file}', or add the udev rule of docs/devices.md.",
        )
