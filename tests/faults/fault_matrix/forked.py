"""A function in a child process of its own, forked so that a thousand of them cost no thousand starts."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

_LIBRARY = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


class Channel:
    """Lines of JSON from the child to whoever started it; each is one write, so it is whole or absent."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def say(self, **fields: Any) -> None:
        os.write(self._descriptor, (json.dumps(fields) + "\n").encode())


class Forked:
    """Runs `work(channel)` in a child. The caller must have no other thread.

    Attributes:
        pid: Of the child.
        status: How it ended as `waitpid` says, None while it runs.
    """

    def __init__(self, work: Callable[[Channel], None]) -> None:
        self._read, write = os.pipe()
        self._rest = b""
        self.status: int | None = None
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._child(work, write)
        os.close(write)

    def _child(self, work: Callable[[Channel], None], write: int) -> None:
        code = 0
        gc.freeze()
        channel = Channel(write)
        with contextlib.suppress(BaseException):
            _LIBRARY.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # nobody is left behind
            os.close(self._read)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            try:
                work(channel)
            except BaseException as error:
                code = 70
                trace = "".join(traceback.format_exception(error)[-3:])[-2000:]
                channel.say(crashed=f"{type(error).__name__}: {error}"[:300], trace=trace)
        os._exit(code)

    def lines(self, timeout_s: float = 0.0) -> list[str]:
        """Whole lines that arrived, waiting at most so long for the first."""
        found: list[str] = []
        while select.select([self._read], [], [], 0.0 if found else timeout_s)[0]:
            block = os.read(self._read, 1 << 16)
            if not block:
                break
            self._rest += block
            *whole, self._rest = self._rest.split(b"\n")
            found += [line.decode() + "\n" for line in whole]
        return found

    def kill(self, signal_number: int = signal.SIGKILL) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal_number)

    def end(self, timeout_s: float = 30.0) -> list[str]:
        """Wait for its end, killing it when that takes too long; the lines it still said."""
        deadline = time.monotonic() + timeout_s
        found: list[str] = []
        while self.status is None:
            found += self.lines(0.005)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = status
            elif time.monotonic() > deadline:
                self.kill()
        found += self.lines()
        os.close(self._read)
        return found
