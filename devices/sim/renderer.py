"""Draws the simulated cameras off-screen from a state of the cell."""

from typing import Any, Final

import mujoco
import numpy as np
from numpy.typing import NDArray

from devices.sim.gl_context import device_name, make_context
from devices.sim.model import CAMERA_NAMES
from teleop_app.core.errors import ConfigError, DeviceError
from teleop_app.core.geometry import Array

Image = NDArray[np.uint8]

_COSTLY_FLAGS: Final = (
    mujoco.mjtRndFlag.mjRND_SHADOW,
    mujoco.mjtRndFlag.mjRND_REFLECTION,
    mujoco.mjtRndFlag.mjRND_SKYBOX,
    mujoco.mjtRndFlag.mjRND_FOG,
    mujoco.mjtRndFlag.mjRND_HAZE,
)
# MuJoCo and OpenGL look along -z with y up; OpenCV along +z with y down.
_FLIP: Final = np.diag([1.0, -1.0, -1.0])


class CellRenderer:
    """Renders cameras of the cell. Belongs to the thread that made it; `render` blocks for a frame.

    Args:
        model: A compiled cell in the wanted look.
        width: Image width [px].
        height: Image height [px].

    Raises:
        DeviceError: No off-screen OpenGL here.
        ConfigError: The size exceeds the model's off-screen buffer.
    """

    def __init__(self, model: mujoco.MjModel, width: int, height: int) -> None:
        limit = (int(model.vis.global_.offwidth), int(model.vis.global_.offheight))
        if not (0 < width <= limit[0] and 0 < height <= limit[1]):
            raise ConfigError(
                f"The simulated cameras cannot deliver {width}x{height}",
                why=f"the largest size is {limit[0]}x{limit[1]}",
            )
        self.width = width
        self.height = height
        self._model = model
        self._data = mujoco.MjData(model)
        self._cameras = {name: self._fixed_camera(name) for name in CAMERA_NAMES}
        self._option = mujoco.MjvOption()
        self._scene = mujoco.MjvScene(model, maxgeom=model.ngeom + 64)
        for flag in _COSTLY_FLAGS:
            self._scene.flags[flag] = 0
        self._rect = mujoco.MjrRect(0, 0, width, height)
        self._gl: Any = make_context(width, height)
        self._context: Any = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        self._upside_down = np.empty((height, width, 3), dtype=np.uint8)
        self._raw_depth = np.empty((height, width), dtype=np.float32)
        self.device = device_name()

    @property
    def software(self) -> bool:
        """Whether the processor draws, not a graphics card."""
        return any(word in self.device.lower() for word in ("llvmpipe", "softpipe", "swrast", "swr"))

    def render(self, qpos: Array, camera: str, out: Image | None = None) -> Image:
        """Draws one camera's view of a state.

        Args:
            qpos: State of the cell, shape (nq,).
            camera: One of `CAMERA_NAMES`.
            out: Image to draw into, uint8 (height, width, 3), else a new one is made.

        Returns:
            The image, RGB, first row on top.

        Raises:
            ConfigError: Unknown camera.
            DeviceError: The renderer was closed, or the state does not fit the model.
        """
        self.pose_scene(qpos)
        return self.render_posed(camera, out)

    def pose_scene(self, qpos: Array) -> None:
        """Poses the scene once for several `render_posed`."""
        if np.shape(qpos) != (self._model.nq,):
            raise DeviceError(
                f"The simulated cameras cannot draw a state of shape {np.shape(qpos)}",
                why=f"the cell's state has {self._model.nq} values",
            )
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)

    def render_posed(
        self, camera: str, out: Image | None = None, depth_m: NDArray[np.float32] | None = None
    ) -> Image:
        """Draws one camera's view of the posed scene; see `render`.

        Args:
            camera: One of `CAMERA_NAMES`.
            out: Image to draw into.
            depth_m: Takes the distance along the optical axis [m], shape (height, width), infinite where
                nothing is seen.
        """
        if self._context is None:
            raise DeviceError("The simulated cameras cannot draw", why="their renderer was closed")
        if camera not in self._cameras:
            raise _no_camera(camera)
        self._gl.make_current()
        mujoco.mjv_updateScene(
            self._model,
            self._data,
            self._option,
            None,
            self._cameras[camera],
            mujoco.mjtCatBit.mjCAT_ALL.value,
            self._scene,
        )
        mujoco.mjr_render(self._rect, self._scene, self._context)
        raw = None if depth_m is None else self._raw_depth
        mujoco.mjr_readPixels(self._upside_down, raw, self._rect, self._context)
        if depth_m is not None:
            self._metric(depth_m)
        image = np.empty_like(self._upside_down) if out is None else out
        np.copyto(image, self._upside_down[::-1])
        return image

    def _metric(self, out: NDArray[np.float32]) -> None:
        """The depth buffer (0 at the near plane, 1 at the far one) as metres, first row on top."""
        extent = float(self._model.stat.extent)
        near = float(self._model.vis.map.znear) * extent
        far = float(self._model.vis.map.zfar) * extent
        raw = self._raw_depth[::-1]
        np.multiply(raw, near / far - 1.0, out=out)
        np.divide(near, out + 1.0, out=out)
        out[raw >= 1.0] = np.inf

    def intrinsics(self, camera: str) -> Array:
        """Camera matrix K [px], shape (3, 3): square pixels, no distortion."""
        return intrinsics(self._model, camera, self.width, self.height)

    def close(self) -> None:
        """Frees the graphics memory; further calls are harmless."""
        if self._context is not None:
            self._gl.make_current()
            self._context.free()
            self._context = None
            self._gl.free()

    def __enter__(self) -> "CellRenderer":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _fixed_camera(self, name: str) -> mujoco.MjvCamera:
        camera = mujoco.MjvCamera()
        camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        camera.fixedcamid = _camera_id(self._model, name)
        return camera


def intrinsics(model: mujoco.MjModel, camera: str, width: int, height: int) -> Array:
    """Camera matrix K [px], shape (3, 3), of a camera at an image size."""
    fovy = np.deg2rad(model.cam_fovy[_camera_id(model, camera)])
    focal = 0.5 * height / np.tan(0.5 * fovy)
    return np.array([[focal, 0.0, 0.5 * width], [0.0, focal, 0.5 * height], [0.0, 0.0, 1.0]])


def camera_mount(model: mujoco.MjModel, camera: str) -> tuple[str, Array]:
    """Where a camera is mounted.

    Returns:
        The body that carries it (`world` for the fixed ones), and the camera's pose on it, shape (7,),
        in OpenCV axes: x right, y down, z ahead.
    """
    camera_id = _camera_id(model, camera)
    rotation = np.empty(9)
    mujoco.mju_quat2Mat(rotation, model.cam_quat[camera_id])
    quat = np.empty(4)
    mujoco.mju_mat2Quat(quat, (rotation.reshape(3, 3) @ _FLIP).ravel())
    body = model.body(int(model.cam_bodyid[camera_id])).name
    return body, np.concatenate([model.cam_pos[camera_id], quat])


def _camera_id(model: mujoco.MjModel, name: str) -> int:
    camera_id = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, name)
    if camera_id < 0:
        raise _no_camera(name)
    return camera_id


def _no_camera(name: str) -> ConfigError:
    return ConfigError(
        f"The simulated cell has no camera '{name}'", next_step=f"Choose one of: {', '.join(CAMERA_NAMES)}"
    )
