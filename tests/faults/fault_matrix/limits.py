"""A child process that may use only so much memory and processor time."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fault_matrix.forked import Channel, Forked

MEMORY_BYTES = 2 << 30
CPU_S = 20
WALL_S = 90.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a limited child ended.

    Attributes:
        said: All that it said, in one map; `crashed` when an exception left it.
        status: As `waitpid`; above 0 without `crashed`: a signal, or a limit that was reached.
    """

    said: dict[str, Any]
    status: int

    def problem(self) -> str:
        """What went wrong, empty when nothing did."""
        if "crashed" in self.said:
            return f"{self.said['crashed']}\n{self.said['trace']}"
        if self.status:
            signal_number = self.status & 0x7F
            return (
                f"it ended with signal {signal_number}" if signal_number else f"it ended with {self.status}"
            )
        return ""


def run_limited(work: Callable[[Channel], None]) -> Outcome:
    """Run `work` in a child with 2 GiB of addresses more than at its start, and 20 s of processor time."""
    forked = Forked(lambda channel: _limited(work, channel))
    said: dict[str, Any] = {}
    for line in forked.end(WALL_S):
        said.update(json.loads(line))
    return Outcome(said, forked.status or 0)


def _limited(work: Callable[[Channel], None], channel: Channel) -> None:
    with open("/proc/self/statm") as file:
        present = int(file.read().split()[0]) * resource.getpagesize()
    most = present + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    before = resource.getrusage(resource.RUSAGE_SELF)
    try:
        work(channel)
    finally:
        after = resource.getrusage(resource.RUSAGE_SELF)
        channel.say(
            memory_mb=(after.ru_maxrss - before.ru_maxrss) / 1024,
            cpu_s=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        )
