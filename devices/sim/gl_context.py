"""An off-screen OpenGL context for the renderer: EGL, or OSMesa where there is no EGL."""

import ctypes.util
import os
from typing import Any, Final

from teleop_app.core.errors import ConfigError, DeviceError

_LIBRARIES: Final = {"egl": "EGL", "osmesa": "OSMesa"}


def choose_backend() -> str:
    """Names the OpenGL backend: the `MUJOCO_GL` variable if set, else `egl`, else `osmesa`.

    Raises:
        ConfigError: `MUJOCO_GL` names something that cannot draw off-screen.
        DeviceError: The machine has neither library.
    """
    wanted = os.environ.get("MUJOCO_GL", "").lower()
    if wanted in _LIBRARIES:
        return wanted
    if wanted:
        raise ConfigError(
            f"The simulated cameras cannot draw with MUJOCO_GL={wanted}",
            why="they draw off-screen",
            next_step=f"Unset MUJOCO_GL, or set it to one of: {', '.join(_LIBRARIES)}",
        )
    for backend, library in _LIBRARIES.items():
        if ctypes.util.find_library(library):
            return backend
    raise DeviceError(
        "The simulated cameras cannot draw",
        why="neither libEGL nor libOSMesa is installed",
        next_step="Install the system packages libegl1 and libgl1",
    )


def make_context(width: int, height: int) -> Any:
    """Makes an OpenGL context current in this thread, without touching MuJoCo's own choice.

    Must not share a process with Qt's OpenGL: PyOpenGL serves one platform a process.

    Raises:
        DeviceError: The driver refuses.
    """
    backend = choose_backend()
    try:
        if backend == "egl":
            from mujoco.egl import GLContext
        else:
            from mujoco.osmesa import GLContext
        context = GLContext(width, height)
        context.make_current()
    except (ImportError, RuntimeError, AttributeError) as error:
        raise DeviceError(
            f"The simulated cameras cannot draw with {backend}",
            why=str(error),
            next_step="Set MUJOCO_GL to the other of egl and osmesa, or install libegl1 and libgl1",
        ) from error
    return context


def device_name() -> str:
    """Name of what draws in the current context, e.g. `llvmpipe (LLVM 15.0.6, 256 bits)`."""
    from OpenGL.GL import GL_RENDERER, glGetString

    name = glGetString(GL_RENDERER)
    return name.decode(errors="replace") if isinstance(name, bytes) else "unknown"
