"""The library that makes the k-th I/O call fail, built when it is needed."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("io_shim.c")


def why_not() -> str:
    """Why it cannot be used here, empty when it can."""
    if sys.platform != "linux":
        return "LD_PRELOAD is Linux"
    return "" if shutil.which("gcc") else "gcc, which builds the failing calls, is not installed"


def built(folder: Path, source: Path = SOURCE) -> Path:
    """Compile a library for LD_PRELOAD into `folder`.

    Raises:
        OSError: The compiler refuses.
    """
    library = folder / f"{source.stem}.so"
    command = ["gcc", "-shared", "-fPIC", "-O1", "-D_LARGEFILE64_SOURCE"]
    command += ["-o", str(library), str(source), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"the failing calls could not be built: {done.stderr.strip()}")
    return library


@dataclass(frozen=True, slots=True)
class Fault:
    """Which call fails, and how.

    Attributes:
        k: Number of the call, from 1; 0: none fails, they are only counted.
        code: errno.
        sticky: All later calls fail too.
        reads: Calls that read count as well.
    """

    k: int
    code: int
    sticky: bool
    reads: bool = False


class Shim:
    """The library inside a process that was started with it.

    Raises:
        OSError: The process was started without it.
    """

    def __init__(self) -> None:
        self._library = ctypes.CDLL(os.environ["LD_PRELOAD"])
        self._library.fault_calls.restype = ctypes.c_long
        self._library.fault_failed_ns.restype = ctypes.c_longlong
        self._library.fault_name.restype = ctypes.c_char_p
        self._library.fault_path.restype = ctypes.c_char_p
        self._library.fault_arm.argtypes = [ctypes.c_char_p, ctypes.c_long, *[ctypes.c_int] * 3]

    def arm(self, folder: Path, fault: Fault) -> None:
        """From now on count calls below `folder`, and let the fault happen."""
        self._library.fault_arm(os.fsencode(folder), fault.k, fault.code, fault.sticky, fault.reads)

    def disarm(self) -> None:
        self._library.fault_disarm()

    def calls(self) -> int:
        """Calls since `arm`."""
        return int(self._library.fault_calls())

    def failed(self) -> tuple[int, str]:
        """When the first call failed, CLOCK_MONOTONIC [ns], 0 when none did; and which."""
        what = f"{self._library.fault_name().decode()} {self._library.fault_path().decode()}"
        return int(self._library.fault_failed_ns()), what
