"""Real-time scheduling of one process, as far as the machine allows it."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import resource
import sys

logger = logging.getLogger(__name__)

_MCL_CURRENT, _MCL_FUTURE = 1, 2
_COLLECT_NS = 5_000_000_000


def schedule_fifo(priority: int) -> str:
    """Give the calling thread SCHED_FIFO; threads it starts later stay normal.

    Returns:
        Empty when it worked, else a sentence that says why not and what to do.
    """
    if priority == 0:
        return "Real-time scheduling is off (control.realtime_priority is 0): ticks may be late."
    if sys.platform != "linux":
        return "Real-time scheduling is not available on this system: ticks may be late."
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return (
            f"Real-time scheduling was refused ({reason}): ticks may be late. "
            "Allow it with an rtprio limit for this user."
        )
    return ""


def lock_memory() -> bool:
    """Keep this process's memory from being paged out, where its limit allows all of it."""
    if sys.platform != "linux":
        return False
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft != resource.RLIM_INFINITY and os.geteuid() != 0:
        return False  # under a finite limit a later allocation would fail instead
    locked = ctypes.CDLL(None, use_errno=True).mlockall(_MCL_CURRENT | _MCL_FUTURE) == 0
    if not locked:
        logger.info("memory was not locked: %s", os.strerror(ctypes.get_errno()))
    return locked


class SlackCollector:
    """Collects garbage when there is time for it, instead of whenever Python likes to."""

    def __init__(self) -> None:
        self._due_ns = 0

    def start(self, now_ns: int) -> None:
        """Take everything alive out of collection and switch the automatic one off."""
        gc.collect()
        gc.freeze()
        gc.disable()
        self._due_ns = now_ns + _COLLECT_NS

    def slack(self, now_ns: int) -> None:
        """Call between ticks, with time to spare."""
        if now_ns >= self._due_ns:
            gc.collect(1)
            self._due_ns = now_ns + _COLLECT_NS

    def stop(self) -> None:
        """Give collection back to Python."""
        gc.enable()
        gc.unfreeze()
