"""What can be wrong with a serial port, as sentences."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from teleop_app.core.errors import DeviceError


def open_error(port: str, baud: int, error: Exception) -> DeviceError:
    """The sentence for a port that does not open."""
    number = getattr(error, "errno", None)
    text = str(error)
    if not os.path.exists(port):
        return DeviceError(
            f"There is no serial port {port}",
            next_step="Plug the adapter in; 'teleop devices' lists the ports that are there",
        )
    if "exclusively lock" in text or number in (errno.EBUSY, errno.EAGAIN):
        return DeviceError(
            f"The serial port {port} is used by another program",
            why=_holders(port),
            next_step="Close that program, or give each arm a port of its own in the station file",
        )
    if number in (errno.EACCES, errno.EPERM):
        return DeviceError(
            f"You may not open the serial port {port}",
            why="it belongs to another group",
            next_step="Run 'sudo usermod -aG dialout $USER', then log out and in again",
        )
    if isinstance(error, (ValueError, NotImplementedError)):
        return DeviceError(
            f"The serial port {port} does not know the rate {baud} bit/s",
            next_step="Set a baud that the adapter and the servos know, e.g. 1000000",
        )
    return DeviceError(
        f"The serial port {port} cannot be opened",
        why=text,
        next_step="Check that it is the servo adapter's port",
    )


def gone_error(port: str, why: str) -> DeviceError:
    """The sentence for a port that went away while it was used."""
    return DeviceError(
        f"The serial port {port} has gone",
        why=why,
        next_step="Check the USB cable and the adapter's supply; it is opened again when it is back",
    )


def _holders(port: str) -> str:
    """Which processes have the port open, as far as this user may see it."""
    real = os.path.realpath(port)
    names: list[str] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            files = os.listdir(folder / "fd")
            name = (folder / "comm").read_text().strip()
        except OSError:
            continue
        if any(_target(folder / "fd" / file) == real for file in files):
            names.append("this program" if folder.name == str(os.getpid()) else f"{name} ({folder.name})")
    return f"it is open in {', '.join(sorted(names))}" if names else "it is locked"


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""
