"""A worker of ours in an interpreter that has LeRobot. Calls block until answer or time-out.

One thread talks to it; `kill` may be called from another one and ends a call that blocks.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import shutil
import struct
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO, Any, Final

from teleop_app.core.errors import TeleopError

logger = logging.getLogger(__name__)

WORKER: Final = Path(__file__).parent / "worker.py"
ANSWER_S: Final = 2.0
_END_S: Final = 3.0
_LENGTHS: Final = struct.Struct(">II")
_MOST_BYTES: Final = 1 << 28


class WorkerProcess:
    """Starts the worker and carries requests and answers.

    Args:
        python: Interpreter that has LeRobot.
        ours: What it works for, in sentences: `LeRobot device 'left'`.
        theirs: LeRobot's part of it: `LeRobot's 'so101_follower' ('left')`.
        error: Class of the errors.
        arguments: Of the worker's command line.
    """

    def __init__(
        self, python: str, ours: str, theirs: str, error: type[TeleopError], arguments: tuple[str, ...] = ()
    ) -> None:
        self._python = python
        self._ours = ours
        self._theirs = theirs
        self._error = error
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the worker runs."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """Of the worker, 0 when there is none."""
        return self._process.pid if self._process is not None else 0

    def spawn(self) -> None:
        """Start the worker.

        Raises:
            TeleopError: There is no such interpreter.
        """
        python = shutil.which(os.path.expanduser(self._python))
        if python is None:
            raise self._error(
                f"The {self._ours} cannot be started",
                why=f"there is no Python at {self._python}",
                next_step="Name the interpreter that has LeRobot in the option python",
            )
        plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(  # noqa: S603
            [python, "-u", str(WORKER), *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=plain,
            bufsize=0,
        )
        if self._process.stdin is not None:
            os.set_blocking(self._process.stdin.fileno(), False)

    def ask(self, do: str, timeout_s: float = ANSWER_S, **arguments: Any) -> dict[str, Any]:
        """Ask for something; what the worker says.

        Raises:
            TeleopError: It refuses, LeRobot raises, nothing comes in time, or the worker has ended.
        """
        return self.ask_bytes(do, timeout_s, **arguments)[0]

    def ask_bytes(
        self, do: str, within_s: float, *, blob: bytes = b"", **arguments: Any
    ) -> tuple[dict[str, Any], bytes]:
        """As `ask`, with bytes that go with the request and come with the answer."""
        text = json.dumps({"do": do, **arguments}, allow_nan=False).encode()
        deadline = time.monotonic() + within_s
        self._send(_LENGTHS.pack(len(text), len(blob)) + text + blob, do, deadline)
        texts, blobs = _LENGTHS.unpack(self._receive(_LENGTHS.size, do, deadline))
        if texts + blobs > _MOST_BYTES:
            self.stop()
            raise self._error(f"The {self._ours} answers nonsense", why=f"{texts + blobs} bytes")
        answer = json.loads(self._receive(texts, do, deadline))
        told = self._receive(blobs, do, deadline)
        if answer.get("error", "").startswith("No module named 'lerobot'"):
            self.stop()
            raise self._error(
                f"The {self._ours} cannot be started",
                why=f"{self._python} has no LeRobot",
                next_step="Install it there with: pip install lerobot; or name another interpreter in python",
            )
        if "ok" not in answer:
            raise self._error(f"{self._theirs} {_FAILED.get(do, 'failed')}", why=str(answer["error"]))
        return answer["ok"], told

    def kill(self) -> None:
        """End the worker at once; whoever waits for it is told so. From any thread."""
        process = self._process
        if process is not None:
            process.kill()

    def stop(self) -> None:
        """End the worker; it holds and disconnects its device. May be called twice."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError):
            if process.stdin is not None:
                process.stdin.close()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            logger.warning("the worker of the %s does not end; it is killed", self._ours)
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
        if self._errors is not None:
            self._errors.close()
            self._errors = None

    # Inside.

    def _send(self, message: bytes, do: str, deadline: float) -> None:
        process = self._process
        if process is None or process.stdin is None:
            raise self._error(f"The {self._ours} is not connected")
        left = memoryview(message)
        while left:
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0 or not select.select([], [process.stdin], [], remaining_s)[1]:
                raise self._too_slow(do, process)
            try:
                left = left[os.write(process.stdin.fileno(), left) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._ended(do) from error

    def _receive(self, count: int, do: str, deadline: float) -> bytes:
        process = self._process
        if process is None or process.stdout is None:
            raise self._error(f"The {self._ours} is not connected")
        received = bytearray()
        while len(received) < count:
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0 or not select.select([process.stdout], [], [], remaining_s)[0]:
                raise self._too_slow(do, process)
            part = os.read(process.stdout.fileno(), count - len(received))
            if not part:
                raise self._ended(do)
            received += part
        return bytes(received)

    def _too_slow(self, do: str, process: subprocess.Popen[bytes]) -> TeleopError:
        process.kill()
        self.stop()
        return self._error(
            f"{self._theirs} does not answer",
            why=f"{do!r} took too long; its process was ended",
            next_step=_AGAIN.get(do, "Check the device; it is started again by itself"),
        )

    def _ended(self, do: str) -> TeleopError:
        """The sentence for a worker that is no longer there, with its last words."""
        process = self._process
        if process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_END_S)
        words = self._last_words()
        code = process.returncode if process is not None else None
        self.stop()
        return self._error(
            f"The process of {self._theirs} ended during {do!r}",
            why=words or f"exit status {code}",
            next_step=_AGAIN.get(do, "It is started again by itself"),
        )

    def _last_words(self) -> str:
        if self._errors is None:
            return ""
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - 4000))
        lines = [line for line in self._errors.read().decode(errors="replace").splitlines() if line.strip()]
        return " ".join(lines[-1].split())[:300] if lines else ""


_FAILED: Final = {
    "make": "cannot be made",
    "connect": "cannot be connected",
    "observe": "cannot be read",
    "act": "did not take a target",
    "action": "cannot be read",
    "frame": "gives no picture",
    "hold": "cannot be held",
    "load": "cannot be loaded",
    "infer": "gives no actions",
    "reset": "cannot be reset",
}
_AGAIN: Final = {
    "load": "Load it again; a large checkpoint on a slow disk may need a longer load_s",
    "infer": "Load it again; a slow processor may need a longer timeout_s",
    "reset": "Load it again",
}
