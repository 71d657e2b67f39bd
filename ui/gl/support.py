"""What OpenGL this display offers, asked once before the first view is made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from OpenGL import GL
from PyQt6.QtGui import QGuiApplication, QOffscreenSurface, QOpenGLContext, QSurfaceFormat

_SOFTWARE_NAMES = ("llvmpipe", "softpipe", "swiftshader", "software", "gdi generic", "basic render")
_WITHOUT_GL = ("offscreen", "minimal", "vnc", "linuxfb")
_SAMPLES_ON_HARDWARE = 4


@dataclass(frozen=True, slots=True)
class GlSupport:
    """Whether a core 3.3 context can be had, and how fast it will be.

    Attributes:
        usable: A 3-D view can be made.
        renderer: The driver's name of the device.
        software: Drawn by the processor; multisampling then triples the cost of a frame.
        problem: A sentence when not usable, else empty.
    """

    usable: bool
    renderer: str = ""
    software: bool = True
    problem: str = ""


def surface_format(samples: int = 0) -> QSurfaceFormat:
    """Returns the format of a core 3.3 context with a depth buffer."""
    fmt = QSurfaceFormat()
    fmt.setRenderableType(QSurfaceFormat.RenderableType.OpenGL)
    fmt.setProfile(QSurfaceFormat.OpenGLContextProfile.CoreProfile)
    fmt.setVersion(3, 3)
    fmt.setDepthBufferSize(24)
    fmt.setSamples(samples)
    fmt.setSwapInterval(0)
    return fmt


@cache
def gl_support() -> GlSupport:
    """Asks the display by making a context and throwing it away. GUI thread only."""
    platform = QGuiApplication.platformName()
    if platform in _WITHOUT_GL:
        return GlSupport(False, problem=f"The display plug-in '{platform}' has no OpenGL.")
    surface = QOffscreenSurface()
    surface.setFormat(surface_format())
    surface.create()
    context = QOpenGLContext()
    context.setFormat(surface_format())
    if not context.create() or not context.makeCurrent(surface):
        return GlSupport(
            False,
            problem="The 3-D view needs OpenGL 3.3, which this display does not offer. "
            "Install the graphics driver, or libgl1-mesa-dri for drawing in software.",
        )
    try:
        major, minor = context.format().version()
        if (major, minor) < (3, 3):
            return GlSupport(
                False,
                problem=f"The 3-D view needs OpenGL 3.3, this display offers {major}.{minor}. "
                "Update the graphics driver.",
            )
        name = GL.glGetString(GL.GL_RENDERER)
        renderer = name.decode(errors="replace") if isinstance(name, bytes) else str(name or "")
    finally:
        context.doneCurrent()
    software = any(word in renderer.lower() for word in _SOFTWARE_NAMES)
    return GlSupport(True, renderer=renderer, software=software)


def preferred_samples() -> int:
    """Returns the multisampling a view should ask for: none in software."""
    support = gl_support()
    return 0 if support.software else _SAMPLES_ON_HARDWARE
