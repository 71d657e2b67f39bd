"""A disk of our own, whose power can be cut: ext4 in a loop device."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

FS_IOC_SHUTDOWN = 0x8004587D
NOLOGFLUSH = 2
"""Neither the cache nor the journal reaches the disk any more, as when the power goes."""


def why_not() -> str:
    """Why no such disk can be made here, empty when it can."""
    if sys.platform != "linux":
        return "loop devices and ext4 are Linux"
    if os.geteuid() != 0:
        return "mounting a loop device needs root"
    missing = [tool for tool in ("mkfs.ext4", "losetup", "mount", "umount") if _tool(tool) is None]
    return f"{', '.join(missing)} not found" if missing else ""


def _tool(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


class LoopDisk:
    """An ext4 file system in a file.

    Args:
        folder: Gets the mount point; the image lies in memory where the system offers it.
        megabytes: Size of the disk.

    Raises:
        OSError: The system does not let us.
    """

    def __init__(self, folder: Path, megabytes: int = 96) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        memory = Path("/dev/shm")
        self._image = (
            memory if memory.is_dir() else folder
        ) / f"teleop-fault-{os.getpid()}-{folder.name}.img"
        self.root = folder / "disk"
        self.root.mkdir()
        with self._image.open("wb") as file:
            file.truncate(megabytes << 20)
        self._run("mkfs.ext4", "-q", "-F", str(self._image))
        self._mounted = False
        self.mount()

    def mount(self) -> None:
        """Mount it; the journal is replayed."""
        self._run("mount", "-o", "loop", str(self._image), str(self.root))
        self._mounted = True

    def cut_power(self) -> None:
        """From now on nothing reaches the disk."""
        descriptor = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, FS_IOC_SHUTDOWN, struct.pack("I", NOLOGFLUSH))
        finally:
            os.close(descriptor)

    def unmount(self) -> None:
        if self._mounted:
            self._run("umount", str(self.root))
            self._mounted = False

    def remove(self) -> None:
        self.unmount()
        self._image.unlink(missing_ok=True)

    def __enter__(self) -> LoopDisk:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def _run(self, tool: str, *arguments: str) -> None:
        done = subprocess.run([_tool(tool) or tool, *arguments], capture_output=True, text=True)
        if done.returncode:
            raise OSError(f"{tool} failed: {done.stderr.strip()}")
