"""A LeRobot camera."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from devices.cameras.source import CameraFormat
from devices.lerobot.client import START_S, LerobotWorker
from devices.lerobot.joint_map import LerobotOptions
from devices.lerobot.process import ANSWER_S
from devices.protocols import Array, CameraFrame
from teleop_app.core.errors import DeviceError

_USUAL_FPS: Final = 30


class LerobotCamera:
    """See `devices.protocols.Camera`. LeRobot stamps no frames: they count as taken when they arrive.

    Args:
        name: Of the camera.
        options: Its settings.
    """

    def __init__(self, name: str, options: LerobotOptions) -> None:
        self._name = name
        self._options = options
        self._worker: LerobotWorker | None = None
        self._format: CameraFormat | None = None

    def open(self, wanted: CameraFormat) -> CameraFormat:
        """Start LeRobot and its camera; what it delivers.

        Raises:
            DeviceError: LeRobot refuses, or the pictures have an odd size.
        """
        if self._worker is not None and self._format is not None:
            return self._format
        asked = {"width": wanted.width, "height": wanted.height, "fps": wanted.fps}
        config = {name: value for name, value in asked.items() if value} | self._options.config
        worker = LerobotWorker(self._name, self._options.python, "camera", self._options.type, config)
        worker.start()
        try:
            got = worker.ask("connect", START_S)
            width, height, fps = (round(float(got[key] or 0)) for key in ("width", "height", "fps"))
            if width < 2 or height < 2 or width % 2 or height % 2:
                raise DeviceError(
                    f"The LeRobot camera {self._name!r} delivers {width}x{height}",
                    why="both must be even for H.264",
                    next_step="Set width and height in the station file",
                )
        except DeviceError:
            worker.stop()
            raise
        self._worker = worker
        self._format = replace(wanted, width=width, height=height, fps=fps or _USUAL_FPS, depth=False)
        return self._format

    @property
    def intrinsics(self) -> Array | None:
        """LeRobot does not say."""
        return None

    @property
    def depth_unit_m(self) -> float:
        """No depth."""
        return 0.0

    def read(self, timeout_s: float) -> CameraFrame | None:
        """The next frame, None when none came in time.

        Raises:
            DeviceError: The camera is lost, or frames have another size than it said.
        """
        if self._worker is None or self._format is None:
            raise DeviceError(f"The LeRobot camera {self._name!r} is not open")
        told, blob = self._worker.ask_bytes("frame", timeout_s + ANSWER_S, timeout_s=timeout_s)
        if told["shape"] is None:
            return None
        shape = (self._format.height, self._format.width, 3)
        if tuple(told["shape"]) != shape:
            raise DeviceError(
                f"The LeRobot camera {self._name!r} sends frames of the wrong size",
                why=f"{told['shape']} instead of {list(shape)}",
            )
        return CameraFrame(np.frombuffer(blob, np.uint8).reshape(shape), int(told["receive_ns"]))

    def close(self) -> None:
        """Release the camera. May be called twice."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()
