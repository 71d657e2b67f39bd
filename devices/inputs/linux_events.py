"""Linux input events (evdev): reading /dev/input/event* without a package.

Source: linux/input.h, linux/input-event-codes.h, Documentation/input/input.rst. One event is a struct of a
time (two C longs), type and code (16 bit each) and value (32 bit, signed), in the machine's own order.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from teleop_app.core.clock import NS_PER_S
from teleop_app.core.errors import DeviceError

EVENT: Final = struct.Struct("@llHHi")
SYN: Final = 0
KEY: Final = 1
SYN_DROPPED: Final = 3
DOWN, UP, REPEAT = 1, 0, 2
_KEYS: Final = 0x300
_GRAB: Final = 0x40044590  # EVIOCGRAB, _IOW('E', 0x90, int)
_SET_CLOCK: Final = 0x400445A0  # EVIOCSCLOCKID, _IOW('E', 0xa0, int)
_CLOCK_MONOTONIC: Final = 1
_US: Final = 1000

# linux/input-event-codes.h: keys that pedals and button boxes send, or can be set to send.
_LETTERS: Final = dict(zip("qwertyuiop", range(16, 26), strict=True)) | dict(
    zip("asdfghjkl", range(30, 39), strict=True)
)
KEY_CODES: Final[dict[str, int]] = (
    {"esc": 1, "minus": 12, "equal": 13, "backspace": 14, "tab": 15, "enter": 28, "space": 57}
    | {str(digit): 1 + digit for digit in range(1, 10)}
    | {"0": 11}
    | _LETTERS
    | dict(zip("zxcvbnm", range(44, 51), strict=True))
    | {"leftctrl": 29, "leftshift": 42, "leftalt": 56, "rightshift": 54, "rightctrl": 97, "rightalt": 100}
    | {f"f{number}": 58 + number for number in range(1, 11)}
    | {"f11": 87, "f12": 88}
    | {f"f{number}": 170 + number for number in range(13, 25)}
    | {"home": 102, "up": 103, "pageup": 104, "left": 105, "right": 106, "end": 107, "down": 108}
    | {"pagedown": 109, "insert": 110, "delete": 111}
    | {"mouse_left": 0x110, "mouse_right": 0x111, "mouse_middle": 0x112}
    | {f"button_{number}": 0x100 + number for number in range(10)}
)


@dataclass(frozen=True, slots=True)
class InputEvent:
    """One event.

    Attributes:
        type: e.g. `KEY`.
        code: Which key.
        value: `DOWN`, `UP` or `REPEAT` of a key.
        stamp_ns: When, on the clock of the device file (CLOCK_MONOTONIC once set).
    """

    type: int
    code: int
    value: int
    stamp_ns: int


class EventFile:
    """An input device of Linux, read without blocking. One thread.

    Args:
        path: Device file.
        grab: Take the device for this process alone, so that its keys do not type.
    """

    def __init__(self, path: str, grab: bool) -> None:
        self.path = path
        self._grab = grab
        self._descriptor = -1
        self._waiting = b""
        self.monotonic = False

    @property
    def is_open(self) -> bool:
        """Whether it is open."""
        return self._descriptor >= 0

    def open(self) -> None:
        """Open it.

        Raises:
            DeviceError: It does not exist, is not permitted, or another program has taken it.
        """
        try:
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise _open_error(self.path, error) from error
        self._waiting = b""
        self.monotonic = self._control(_SET_CLOCK, _CLOCK_MONOTONIC)
        if self._grab and not self._control(_GRAB, 1):
            self.close()
            raise DeviceError(
                f"The input device {self.path} cannot be taken",
                why="another program has taken it",
                next_step="Close that program, or set grab = false (then its keys also type)",
            )

    def read(self) -> list[InputEvent]:
        """The events since the last call. Never blocks.

        Raises:
            DeviceError: The device is gone.
        """
        try:
            while received := os.read(self._descriptor, 64 * EVENT.size):
                self._waiting += received
                if len(received) < EVENT.size:
                    break
            else:
                raise OSError(errno.ENODEV, "it was closed")
        except BlockingIOError:
            pass
        except OSError as error:
            self.close()
            raise DeviceError(
                f"The input device {self.path} was unplugged",
                why=error.strerror or "",
                next_step="Plug it in again; it is opened by itself",
            ) from error
        whole = len(self._waiting) // EVENT.size * EVENT.size
        events, self._waiting = self._waiting[:whole], self._waiting[whole:]
        return [
            InputEvent(kind, code, value, seconds * NS_PER_S + micros * _US)
            for seconds, micros, kind, code, value in EVENT.iter_unpack(events)
        ]

    def keys_down(self) -> set[int] | None:
        """Codes of the keys that are down now; None where the kernel does not say."""
        size = _KEYS // 8
        state = ctypes.create_string_buffer(size)
        try:
            fcntl.ioctl(self._descriptor, 0x80000000 | size << 16 | 0x4518, state)  # EVIOCGKEY(size)
        except OSError:
            return None
        return {code for code in range(_KEYS) if state.raw[code // 8] >> code % 8 & 1}

    def close(self) -> None:
        """Close it. May be called twice."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _control(self, request: int, value: int) -> bool:
        try:
            argument = value if request == _GRAB else struct.pack("@i", value)
            fcntl.ioctl(self._descriptor, request, argument)
        except OSError as error:
            return error.errno == errno.ENOTTY  # no event device: a pipe, in tests; there nothing types
        return True


@dataclass(frozen=True, slots=True)
class EventDevice:
    """An input device that is there.

    Attributes:
        path: Of its event file, by a name that stays where there is one.
        name: As it calls itself.
    """

    path: str
    name: str


def event_devices(root: Path = Path("/")) -> Iterator[EventDevice]:
    """The input devices of this machine.

    Args:
        root: Of the file system; tests give another.
    """
    named = {
        os.path.realpath(link): str(link) for link in sorted((root / "dev/input/by-id").glob("*-event-*"))
    }
    for folder in sorted((root / "sys/class/input").glob("event*")):
        path = str(root / "dev/input" / folder.name)
        try:
            name = (folder / "device/name").read_text().strip()
        except OSError:
            continue
        yield EventDevice(named.get(os.path.realpath(path), path), name)


def _open_error(path: str, error: OSError) -> DeviceError:
    if error.errno == errno.ENOENT:
        return DeviceError(
            f"There is no input device {path}",
            next_step="Plug it in; 'teleop devices' lists those that are there",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return DeviceError(
            f"You may not read the input device {path}",
            next_step="Run 'sudo usermod -aG input $USER', then log out and in again",
        )
    return DeviceError(f"The input device {path} cannot be opened", why=error.strerror or str(error))
