"""The threads of this process that decode: FFmpeg works outside Python's lock."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")
_MAX_THREADS = 8
_A_CORE = 2
"""Threads a core: with three cameras on two cores, the core that is done first takes part of the third."""
_pool: ThreadPoolExecutor | None = None


def in_decoding_thread(work: Callable[[], Result]) -> Future[Result]:
    """Have work done in one of the threads, or here and now where each core has a process of its own.

    Returns:
        What gives the result, or raises what the work raised.
    """
    cores = _cores()
    if cores > 1:
        return _threads(cores).submit(work)
    done: Future[Result] = Future()
    try:
        done.set_result(work())
    except Exception as error:
        done.set_exception(error)
    return done


def _threads(cores: int) -> ThreadPoolExecutor:
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(min(_MAX_THREADS, _A_CORE * cores), "decode")
    return _pool


def _cores() -> int:
    """Cores for this process: the workers of a torch DataLoader share them."""
    cores = os.cpu_count() or 1
    loader: Any = sys.modules.get("torch.utils.data")
    worker = None if loader is None else loader.get_worker_info()
    return cores if worker is None else max(1, cores // worker.num_workers)


def _forget_threads() -> None:
    global _pool
    _pool = None  # a forked child has none of them


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
