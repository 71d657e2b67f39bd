"""The cameras of the simulated cell: each instant drawn from the physics state of that moment."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray

from devices.cameras.depth import MILLIMETRE_M, DepthImage, to_counts
from devices.cameras.source import CameraFormat, Image
from devices.cameras.time_mark import check_room
from devices.sim.barcode import barcode_box, draw_barcode
from devices.sim.link import WORLD_RING
from devices.sim.model import Look, load_model
from devices.sim.render_probe import probe
from devices.sim.renderer import CellRenderer, camera_mount, intrinsics
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.errors import DeviceError
from teleop_app.core.ring import RingReader
from teleop_app.core.types import Array

_FARTHEST_NS = NS_PER_S // 4


class SimFrameSource:
    """Draws the cell's cameras, with the physics time as a barcode in a corner.

    Args:
        look: What the cell looks like.
        rings: Folder of the station's rings.
    """

    def __init__(self, look: Look, rings: Path) -> None:
        self._look: Look = look
        self._rings = rings
        self._model: mujoco.MjModel | None = None
        self._world: RingReader | None = None
        self._renderers: dict[tuple[int, int], CellRenderer] = {}
        self._formats: dict[str, CameraFormat] = {}
        self._posed: set[tuple[int, int]] = set()
        self._depths: dict[str, NDArray[np.float32]] = {}
        self._vector: Array | None = None
        self._capture_ns = 0

    def suggest(self, cameras: int) -> CameraFormat:
        """The largest format whose drawing fits the budget of this machine; blocks for about a second.

        Raises:
            DeviceError: No off-screen OpenGL here.
        """
        choice = probe(self._look, max(1, cameras))
        return CameraFormat(choice.width, choice.height, choice.fps, choice.reason, choice.fits)

    def open(self, formats: dict[str, CameraFormat]) -> None:
        """Make a renderer for every size that is asked for.

        Raises:
            ConfigError: No such camera, or a size beyond the model's buffer.
            DeviceError: No off-screen OpenGL here.
        """
        model = self._model = load_model(self._look)
        check_room(formats, barcode_box)
        self._formats = dict(formats)
        for camera, size in formats.items():
            camera_mount(model, camera)
            key = (size.width, size.height)
            if key not in self._renderers:
                self._renderers[key] = CellRenderer(model, *key)
            # The first frame of a renderer compiles shaders: slow, and better now than on the grid.
            self._renderers[key].render(model.qpos0, camera)
            if size.depth:
                self._depths[camera] = np.empty((size.height, size.width), np.float32)
        self._world = RingReader(self._rings / WORLD_RING)

    def intrinsics(self, camera: str) -> Array:
        """Camera matrix K [px], shape (3, 3)."""
        size = self._formats[camera]
        return intrinsics(self._opened(), camera, size.width, size.height)

    def mount(self, camera: str) -> tuple[str, Array]:
        """The body that carries the camera, and its pose there in OpenCV axes."""
        return camera_mount(self._opened(), camera)

    def latch(self, due_ns: int) -> bool:
        """Take the physics state nearest to `due_ns`; False when there is no new one near it."""
        record = None if self._world is None else self._world.nearest(due_ns)
        if record is None or record.stamp_ns == self._capture_ns:
            return False
        if abs(record.stamp_ns - due_ns) > _FARTHEST_NS:  # the simulation is gone, or has yet to start
            return False
        self._vector = np.frombuffer(record.payload, "<f8")
        self._capture_ns = record.stamp_ns
        self._posed.clear()
        return True

    def grab(self, camera: str, out: Image) -> int:
        """Draw a camera's view of the latched state into `out`.

        Raises:
            DeviceError: Nothing was latched, or the state is not one of this cell.
        """
        if self._vector is None:
            raise DeviceError("The simulated cameras have no physics state to draw")
        size = self._formats[camera]
        key = (size.width, size.height)
        renderer = self._renderers[key]
        if key not in self._posed:
            renderer.pose_scene(self._vector[1:])
            self._posed.add(key)
        renderer.render_posed(camera, out, self._depths.get(camera))
        draw_barcode(out, round(float(self._vector[0]) * 1e6))
        return self._capture_ns

    def depth_unit_m(self, camera: str) -> float:
        """A millimetre a count."""
        del camera
        return MILLIMETRE_M

    def grab_depth(self, camera: str, out: DepthImage) -> None:
        """The depth that was drawn with the camera's last frame.

        Raises:
            DeviceError: The camera was opened without depth.
        """
        depth = self._depths.get(camera)
        if depth is None:
            raise DeviceError(f"The simulated camera '{camera}' was opened without depth")
        to_counts(depth, MILLIMETRE_M, out)

    def close(self) -> None:
        """Free the graphics memory. May be called twice."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()
        if self._world is not None:
            self._world.close()
            self._world = None

    def _opened(self) -> mujoco.MjModel:
        if self._model is None:
            raise DeviceError("The simulated cameras are not open")
        return self._model
