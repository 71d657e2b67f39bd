"""Which video devices this Linux machine has, by name, serial number and USB port; opens none of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from teleop_app.core.errors import DeviceError

SYSFS: Final = Path("/sys/class/video4linux")
DEV: Final = Path("/dev")


@dataclass(frozen=True, slots=True)
class VideoDevice:
    """A capture device.

    Attributes:
        node: e.g. `/dev/video0`; numbered anew at every start.
        name: The driver's name for it.
        serial: USB serial number, empty when it has none.
        port: USB port as the kernel names it, e.g. `1-4.2`; the same as long as it is plugged in there.
        usb_id: `vendor:product`, empty when it is not USB.
    """

    node: str
    name: str
    serial: str
    port: str
    usb_id: str

    @property
    def mark(self) -> str:
        """What names it in a station file: serial number, else USB port, else node."""
        return self.serial or self.port or self.node


def video_devices(sysfs: Path = SYSFS, dev: Path = DEV) -> list[VideoDevice]:
    """Every capture device, by node. Nodes of index above 0 carry metadata, no pictures."""
    found: list[VideoDevice] = []
    for entry in sorted(sysfs.glob("video*"), key=lambda each: (len(each.name), each.name)):
        if _text(entry / "index") not in ("", "0"):
            continue
        usb = _usb_parent(entry / "device")
        ids = (_text(usb / "idVendor"), _text(usb / "idProduct")) if usb else ("", "")
        found.append(
            VideoDevice(
                node=str(dev / entry.name),
                name=_text(entry / "name") or entry.name,
                serial=_text(usb / "serial") if usb else "",
                port=usb.name if usb else "",
                usb_id=":".join(ids) if all(ids) else "",
            )
        )
    return found


def find_video_device(wanted: str, camera: str, devices: list[VideoDevice]) -> VideoDevice:
    """The device that a station file means.

    Args:
        wanted: Serial number, USB port, node, path of a link to a node, or name; empty: the only one.
        camera: Camera name, for sentences.
        devices: Those that are there.

    Raises:
        DeviceError: None or several fit; the sentence names those that are there.
    """
    node = str(Path(wanted).resolve()) if wanted.startswith("/") else ""
    fits = [
        each
        for each in devices
        if not wanted or wanted in (each.serial, each.port, each.node) or node == each.node
    ]
    fits = fits or [each for each in devices if each.name == wanted]
    if len(fits) == 1:
        return fits[0]
    there = ", ".join(f"{each.mark} ({each.name})" for each in devices) or "none"
    if not fits:
        raise DeviceError(
            f"Camera '{camera}' is not there: no video device {wanted!r}"
            if wanted
            else f"Camera '{camera}' is not there",
            why=f"video devices: {there}",
            next_step="Plug it in, or correct `device` in its options",
        )
    raise DeviceError(
        f"Camera '{camera}' could be any of {len(fits)} video devices",
        why=there,
        next_step="Give `device` in its options: a serial number or USB port of these",
    )


def _usb_parent(device: Path) -> Path | None:
    """The USB device above an interface: the first folder with an idVendor."""
    if not device.exists():
        return None
    folder = device.resolve()
    for each in (folder, *folder.parents):
        if (each / "idVendor").exists():
            return each
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
