"""A LeRobot device in its worker, seen from here. One thread; calls block until answer or time-out."""

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

from teleop_app.core.errors import DeviceError

logger = logging.getLogger(__name__)

WORKER: Final = Path(__file__).parent / "worker.py"
START_S: Final = 60.0
"""Importing LeRobot, and with it torch, takes 3 to 20 s."""
ANSWER_S: Final = 2.0
_END_S: Final = 3.0
_LENGTHS: Final = struct.Struct(">II")
_MOST_BYTES: Final = 1 << 28


class LerobotWorker:
    """Starts the worker and talks to it.

    Args:
        name: Of the device, for sentences.
        python: Interpreter that has LeRobot.
        kind: `robot`, `teleoperator` or `camera`.
        type: LeRobot's name of the device, e.g. `so101_follower`.
        config: Its settings as LeRobot names them.
        watchdog_s: A robot that is not commanded for so long is held where it is [s].
    """

    def __init__(
        self,
        name: str,
        python: str,
        kind: str,
        type: str,
        config: dict[str, Any],
        watchdog_s: float = 0.0,
    ) -> None:
        self._name = name
        self._python = python
        self._kind = kind
        self._type = type
        self._config = config
        self._watchdog_s = watchdog_s
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._made = False
        self.version = ""

    @property
    def running(self) -> bool:
        """Whether the worker runs."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """Of the worker, 0 when there is none."""
        return self._process.pid if self._process is not None else 0

    def start(self) -> None:
        """Start the worker and make the device there; nothing is connected.

        Where LeRobot refuses, the worker stays for the next try: importing LeRobot is the slow part.

        Raises:
            DeviceError: There is no such interpreter, it has no LeRobot, or LeRobot refuses the device.
        """
        if self._process is None:
            self._spawn()
        if not self._made:
            wanted = {"kind": self._kind, "type": self._type, "config": self._config}
            made = self.ask("make", START_S, watchdog_s=self._watchdog_s, **wanted)
            self._made, self.version = True, str(made["version"])
            logger.info("%s: LeRobot %s, %s", self._name, self.version, made["class"])

    def _spawn(self) -> None:
        python = shutil.which(os.path.expanduser(self._python))
        if python is None:
            raise DeviceError(
                f"The LeRobot device {self._name!r} cannot be started",
                why=f"there is no Python at {self._python}",
                next_step="Name the interpreter that has LeRobot in the option python",
            )
        plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(  # noqa: S603
            [python, "-u", str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=plain,
            bufsize=0,
        )

    def ask(self, do: str, timeout_s: float = ANSWER_S, **arguments: Any) -> dict[str, Any]:
        """Ask for something; what the device says.

        Raises:
            DeviceError: It refuses, LeRobot raises, nothing comes in time, or the worker has ended.
        """
        return self.ask_bytes(do, timeout_s, **arguments)[0]

    def ask_bytes(self, do: str, within_s: float, **arguments: Any) -> tuple[dict[str, Any], bytes]:
        """As `ask`, with the bytes that come with the answer."""
        process = self._process
        if process is None or process.stdin is None:
            raise DeviceError(f"The LeRobot device {self._name!r} is not connected")
        text = json.dumps({"do": do, **arguments}, allow_nan=False).encode()
        try:
            process.stdin.write(_LENGTHS.pack(len(text), 0) + text)
        except OSError as error:
            raise self._ended(do) from error
        deadline = time.monotonic() + within_s
        texts, blobs = _LENGTHS.unpack(self._receive(_LENGTHS.size, do, deadline))
        if texts + blobs > _MOST_BYTES:
            self.stop()
            raise DeviceError(
                f"The LeRobot device {self._name!r} answers nonsense", why=f"{texts + blobs} bytes"
            )
        answer = json.loads(self._receive(texts, do, deadline))
        blob = self._receive(blobs, do, deadline)
        if answer.get("error", "").startswith("No module named 'lerobot'"):
            self.stop()
            raise DeviceError(
                f"The LeRobot device {self._name!r} cannot be started",
                why=f"{self._python} has no LeRobot",
                next_step="Install it there with: pip install lerobot; or name another interpreter in python",
            )
        if "ok" not in answer:
            raise DeviceError(
                f"LeRobot's {self._type!r} ({self._name!r}) {_FAILED.get(do, 'failed')}",
                why=str(answer["error"]),
            )
        return answer["ok"], blob

    def stop(self) -> None:
        """End the worker; it holds and disconnects its device. May be called twice."""
        process, self._process, self._made = self._process, None, False
        if process is None:
            return
        with contextlib.suppress(OSError):
            if process.stdin is not None:
                process.stdin.close()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            logger.warning("the LeRobot device %s does not end; it is killed", self._name)
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
        if self._errors is not None:
            self._errors.close()
            self._errors = None

    # Inside.

    def _receive(self, count: int, do: str, deadline: float) -> bytes:
        process = self._process
        if process is None or process.stdout is None:
            raise DeviceError(f"The LeRobot device {self._name!r} is not connected")
        received = bytearray()
        while len(received) < count:
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0 or not select.select([process.stdout], [], [], remaining_s)[0]:
                process.kill()
                self.stop()
                raise DeviceError(
                    f"LeRobot's {self._type!r} ({self._name!r}) does not answer",
                    why=f"{do!r} took too long; its process was ended",
                    next_step="Check the device; it is started again by itself",
                )
            part = os.read(process.stdout.fileno(), count - len(received))
            if not part:
                raise self._ended(do)
            received += part
        return bytes(received)

    def _ended(self, do: str) -> DeviceError:
        """The sentence for a worker that is no longer there, with its last words."""
        process = self._process
        if process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_END_S)
        words = self._last_words()
        code = process.returncode if process is not None else None
        self.stop()
        return DeviceError(
            f"The process of LeRobot's {self._type!r} ({self._name!r}) ended during {do!r}",
            why=words or f"exit status {code}",
            next_step="It is started again by itself",
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
}
