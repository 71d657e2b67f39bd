"""What a figure was measured on: nothing that names the machine or its owner."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import psutil


def machine(folder: Path) -> dict[str, Any]:
    """Cores, load and memory at this moment.

    Args:
        folder: Where the benchmark writes; its kind of file system is named.
    """
    return {
        "cores": os.cpu_count() or 0,
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "processor": _processor(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "file_system": file_system(folder),
    }


def file_system(folder: Path) -> str:
    """Type of the file system that holds `folder`, e.g. `ext4`; `tmpfs` makes every sync free."""
    place = str(folder.resolve())
    holders = [
        part
        for part in psutil.disk_partitions(all=True)
        if place == part.mountpoint or place.startswith(part.mountpoint.rstrip("/") + "/")
    ]
    return max(holders, key=lambda part: len(part.mountpoint)).fstype if holders else "unknown"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
