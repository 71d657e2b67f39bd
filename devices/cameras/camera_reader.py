"""The thread of one real camera: reads it, checks its pictures, opens it again when it was lost."""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import replace
from typing import Final

from devices.cameras.frame_check import FrameCheck, FrameCounts, with_sound_times
from devices.cameras.source import CameraFormat
from devices.protocols import Camera, CameraFrame
from teleop_app.core.clock import NS_PER_S, Clock
from teleop_app.core.errors import DeviceError, TeleopError

logger = logging.getLogger(__name__)

REOPEN_S: Final = 1.0
WAITING: Final = 4
_READ_S: Final = 0.25
_SILENT_NS: Final = NS_PER_S // 2
_SETTLED: Final = 90
_PATIENCE_S: Final = 2.0


class CameraReader:
    """Reads one camera in a thread of its own; nobody who asks for its pictures ever waits for it.

    Of the pictures that nobody takes the oldest are dropped. Pictures wait longer than need be when the
    camera runs a little faster than they are taken: after some seconds of that, one is dropped.

    Args:
        name: Camera name.
        camera: Not yet open.
        clock: The station's clock.
    """

    def __init__(self, name: str, camera: Camera, clock: Clock) -> None:
        self._name = name
        self._camera = camera
        self._clock = clock
        self._lock = threading.Lock()
        self._tried, self._stop = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._waiting: deque[CameraFrame] = deque()
        self._backlog = 0
        self._since_ns = 0
        self._fault = ""
        self._check: FrameCheck | None = None
        self._refused = ""
        self.wanted: CameraFormat | None = None
        self.size: CameraFormat | None = None
        self.counts = FrameCounts()

    def start(self, wanted: CameraFormat) -> None:
        """Begin to open it."""
        self.wanted = wanted
        self._since_ns = self._clock.now_ns()
        self._thread = threading.Thread(target=self._run, name=f"camera-{self._name}", daemon=True)
        self._thread.start()

    def wait_opened(self, timeout_s: float) -> str:
        """Wait until it was opened, or could not be; why not, empty when it is open."""
        if not self._tried.wait(timeout_s):
            return f"Camera '{self._name}' has not opened within {timeout_s:.0f} s."
        with self._lock:
            return self._fault

    def assume(self, size: CameraFormat) -> None:
        """It is not there yet; when it comes, it is to deliver this size."""
        with self._lock:
            if self.size is None:
                self.size = size

    def peek(self, due_ns: int) -> CameraFrame | None:
        """The oldest picture that waits and had come by `due_ns`; None when there is none."""
        with self._lock:
            if self._waiting and self._waiting[0].receive_ns <= due_ns:
                return self._waiting[0]
            return None

    def take(self) -> CameraFrame | None:
        """Take the picture that `peek` showed."""
        with self._lock:
            if not self._waiting:
                return None
            frame = self._waiting.popleft()
            self._backlog = self._backlog + 1 if self._waiting else 0
            if self._backlog >= _SETTLED:
                self._waiting.popleft()
                self.counts.dropped += 1
                self._backlog = 0
            return frame

    def fault(self, now_ns: int) -> str:
        """Why no pictures come, as a sentence; empty when they do."""
        with self._lock:
            if self._fault:
                return self._fault
            silent_ns = now_ns - self._since_ns
            period_ns = NS_PER_S // max(self.size.fps, 1) if self.size is not None else 0
            if silent_ns <= max(_SILENT_NS, 5 * period_ns):
                return ""
            if self._refused:
                return self._refused
            text = f"Camera '{self._name}' delivers no new picture since {silent_ns / NS_PER_S:.0f} s"
            if self._check is not None and self._check.repeats:
                return f"{text}: it gives the same one again and again. Unplug it and plug it in again."
            return f"{text}. Check its cable, or unplug it and plug it in again."

    @property
    def remark(self) -> str:
        """Something odd about pictures that do come, as a sentence; else empty."""
        with self._lock:
            return self._check.remark if self._check is not None else ""

    def close(self) -> None:
        """Stop the thread and release the camera; gives up on one that hangs. May be called twice."""
        self._stop.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(_PATIENCE_S)
            if thread.is_alive():
                logger.error("camera %s hangs in its driver and was left behind", self._name)

    # The thread.

    def _run(self) -> None:
        opened_before = False
        while not self._stop.is_set():
            try:
                self._open()
                if opened_before:
                    self.counts.reopened += 1
                opened_before = True
                while not self._stop.is_set():
                    self._read()
            except TeleopError as error:
                self._lose(error.sentence)
            except Exception as error:  # a driver's bug must not silence its camera without a word
                logger.exception("the driver of camera %s failed", self._name)
                self._lose(f"The driver of camera '{self._name}' failed: {type(error).__name__}: {error}.")
            finally:
                self._close_camera()
            self._stop.wait(REOPEN_S)

    def _open(self) -> None:
        wanted = self.wanted
        if wanted is None:
            return
        found = self._camera.open(wanted)
        # H.264 wants even sizes; an odd camera loses its last column or row.
        size = replace(found, width=found.width & ~1, height=found.height & ~1, depth=wanted.depth)
        with self._lock:
            fixed = self.size or (wanted if wanted.width else None)
            if fixed is not None and (fixed.width, fixed.height) != (size.width, size.height):
                raise DeviceError(
                    f"Camera '{self._name}' delivers {size.text} instead of {fixed.text}",
                    next_step="Set width and height in the station file to a size that it has, or to 0",
                )
            if self.size is None:
                self.size = size
            self._check = FrameCheck(self._name, size)
            self._fault = self._refused = ""
            self._since_ns = self._clock.now_ns()
        self._tried.set()

    def _read(self) -> None:
        frame = self._camera.read(_READ_S)
        check, size = self._check, self.size
        if frame is None or check is None or size is None:
            return
        image, depth = frame.image, frame.depth
        if (
            image.ndim == 3
            and image.shape[0] - size.height in (0, 1)
            and image.shape[1] - size.width in (0, 1)
        ):
            cut = slice(size.height), slice(size.width)
            image, depth = image[cut], None if depth is None else depth[cut]
        frame = with_sound_times(replace(frame, image=image, depth=depth), self._clock.now_ns())
        with self._lock:
            self._refused = check.refusal(frame)
            if self._refused:
                self.counts.rejected += 1
                return
            if check.is_repeat(frame):
                self.counts.repeated += 1
                return
            check.look(frame)
            self._waiting.append(frame)
            self.counts.taken += 1
            if len(self._waiting) > WAITING:
                self._waiting.popleft()
                self.counts.dropped += 1
            self._since_ns = frame.receive_ns

    def _lose(self, sentence: str) -> None:
        if sentence != self._fault:
            logger.warning("%s", sentence)
        with self._lock:
            self._fault = sentence
            self._check = None
        self._tried.set()

    def _close_camera(self) -> None:
        try:
            self._camera.close()
        except Exception:
            logger.exception("camera %s did not close", self._name)
