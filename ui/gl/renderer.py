"""The OpenGL side of the 3-D view: one buffer for all parts, one draw call for the solids.

Each corner carries the index of its part; matrices and colours of all parts sit in a texture
buffer that is rewritten each frame. So the cost of a frame in Python does not grow with the
number of geoms. All methods need the view's context to be current.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import OpenGL
from numpy.typing import NDArray

OpenGL.ERROR_CHECKING = False
OpenGL.ERROR_LOGGING = False

from OpenGL import GL  # noqa: E402  (the flags above act at import)
from OpenGL.raw.GL.VERSION.GL_2_0 import glVertexAttribPointer  # noqa: E402

from ui.gl import meshes  # noqa: E402

_PART_TEXELS = 4
"""Three matrix rows and one colour, RGBA32F each."""

_SOLID_VERTEX = """#version 330 core
layout(location = 0) in vec3 position;
layout(location = 1) in vec3 normal;
layout(location = 2) in float part;
uniform mat4 clip_T_world;
uniform samplerBuffer parts;
out vec3 world_normal;
out vec3 world_position;
flat out vec4 rgba;
void main() {
    int first = int(part) * 4;
    vec4 row0 = texelFetch(parts, first);
    vec4 row1 = texelFetch(parts, first + 1);
    vec4 row2 = texelFetch(parts, first + 2);
    rgba = texelFetch(parts, first + 3);
    vec4 p = vec4(position, 1.0);
    world_position = vec3(dot(row0, p), dot(row1, p), dot(row2, p));
    world_normal = vec3(dot(row0.xyz, normal), dot(row1.xyz, normal), dot(row2.xyz, normal));
    gl_Position = clip_T_world * vec4(world_position, 1.0);
}
"""

_SOLID_FRAGMENT = """#version 330 core
in vec3 world_normal;
in vec3 world_position;
flat in vec4 rgba;
uniform vec3 eye;
uniform float lit;
out vec4 color;
void main() {
    vec3 n = normalize(world_normal);
    vec3 to_eye = normalize(eye - world_position);
    if (dot(n, to_eye) < 0.0) n = -n;
    vec3 key = normalize(vec3(0.35, -0.45, 0.85));
    float light = 0.42 + 0.45 * max(dot(n, key), 0.0) + 0.18 * max(dot(n, to_eye), 0.0);
    // Robots are often near black; lifted so that they stand out from a dark page.
    color = vec4(pow(rgba.rgb, vec3(0.8)) * mix(1.0, light, lit), rgba.a);
}
"""

_LINE_VERTEX = """#version 330 core
layout(location = 0) in vec3 position;
layout(location = 1) in vec4 rgba;
uniform mat4 clip_T_world;
out vec4 line_rgba;
void main() {
    line_rgba = rgba;
    gl_Position = clip_T_world * vec4(position, 1.0);
}
"""

_LINE_FRAGMENT = """#version 330 core
in vec4 line_rgba;
out vec4 color;
void main() { color = line_rgba; }
"""


class ShaderError(RuntimeError):
    """A shader was refused by the driver; the message is the driver's log."""


def _program(vertex: str, fragment: str) -> int:
    program = GL.glCreateProgram()
    for kind, source in ((GL.GL_VERTEX_SHADER, vertex), (GL.GL_FRAGMENT_SHADER, fragment)):
        shader = GL.glCreateShader(kind)
        GL.glShaderSource(shader, source)
        GL.glCompileShader(shader)
        if not GL.glGetShaderiv(shader, GL.GL_COMPILE_STATUS):
            raise ShaderError(_text(GL.glGetShaderInfoLog(shader)))
        GL.glAttachShader(program, shader)
        GL.glDeleteShader(shader)
    GL.glLinkProgram(program)
    if not GL.glGetProgramiv(program, GL.GL_LINK_STATUS):
        raise ShaderError(_text(GL.glGetProgramInfoLog(program)))
    return int(program or 0)


def _text(log: bytes | str) -> str:
    return log.decode(errors="replace") if isinstance(log, bytes) else str(log)


@dataclass(slots=True)
class _Batch:
    """Parts drawn by one call."""

    array: int
    vertex_buffer: int
    part_buffer: int
    texture: int
    corners: int
    parts: int


class Renderer:
    """GL objects of one view; made in `initializeGL`, released with `release`."""

    def __init__(self) -> None:
        self._solid = _program(_SOLID_VERTEX, _SOLID_FRAGMENT)
        self._line = _program(_LINE_VERTEX, _LINE_FRAGMENT)
        self._solid_at = {
            name: GL.glGetUniformLocation(self._solid, name)
            for name in ("clip_T_world", "parts", "eye", "lit")
        }
        self._line_clip = GL.glGetUniformLocation(self._line, "clip_T_world")
        self._batches: dict[str, _Batch] = {}
        self._line_array = int(GL.glGenVertexArrays(1))
        self._line_buffer = int(GL.glGenBuffers(1))
        GL.glBindVertexArray(self._line_array)
        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, self._line_buffer)
        _attributes((3, 4))
        GL.glBindVertexArray(0)

    def begin(self, background: tuple[float, float, float], width: int, height: int) -> None:
        """Clears the picture; sizes in device pixels."""
        GL.glViewport(0, 0, width, height)
        GL.glClearColor(*background, 1.0)
        GL.glClear(int(GL.GL_COLOR_BUFFER_BIT) | int(GL.GL_DEPTH_BUFFER_BIT))  # pyright: ignore[reportArgumentType]
        GL.glEnable(GL.GL_DEPTH_TEST)
        GL.glDepthFunc(GL.GL_LEQUAL)
        GL.glDisable(GL.GL_CULL_FACE)
        GL.glBlendFunc(GL.GL_SRC_ALPHA, GL.GL_ONE_MINUS_SRC_ALPHA)

    def upload(self, name: str, soups: Sequence[meshes.Soup]) -> None:
        """Stores the triangles of a batch of parts under a name, once."""
        corners = np.concatenate(
            [
                np.concatenate([soup, np.full((len(soup), 1), index, dtype=np.float32)], axis=1)
                for index, soup in enumerate(soups)
            ]
        ).astype(np.float32)
        array = int(GL.glGenVertexArrays(1))
        vertex_buffer, part_buffer = (int(b) for b in GL.glGenBuffers(2))
        texture = int(GL.glGenTextures(1))
        GL.glBindVertexArray(array)
        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, vertex_buffer)
        GL.glBufferData(GL.GL_ARRAY_BUFFER, corners.nbytes, corners, GL.GL_STATIC_DRAW)
        _attributes((3, 3, 1))
        GL.glBindVertexArray(0)
        GL.glBindBuffer(GL.GL_TEXTURE_BUFFER, part_buffer)
        GL.glBufferData(GL.GL_TEXTURE_BUFFER, len(soups) * _PART_TEXELS * 16, None, GL.GL_STREAM_DRAW)
        GL.glBindTexture(GL.GL_TEXTURE_BUFFER, texture)
        GL.glTexBuffer(GL.GL_TEXTURE_BUFFER, GL.GL_RGBA32F, part_buffer)
        GL.glBindBuffer(GL.GL_TEXTURE_BUFFER, 0)
        self._batches[name] = _Batch(array, vertex_buffer, part_buffer, texture, len(corners), len(soups))

    def has(self, name: str) -> bool:
        """Whether a batch was stored under this name."""
        return name in self._batches

    def draw(
        self,
        name: str,
        clip_T_world: NDArray[np.float64],
        eye: NDArray[np.float64],
        transforms: NDArray[np.float32],
        rgba: NDArray[np.float32],
        *,
        translucent: bool = False,
        hollow: bool = False,
        lit: float = 1.0,
    ) -> None:
        """Draws a batch.

        Args:
            name: Given to `upload`.
            clip_T_world: Projection times view, 4x4.
            eye: Position of the camera in the world frame [m].
            transforms: `world_T_part`, shape (parts, 3, 4).
            rgba: Colours, shape (parts, 4).
            translucent: Blend over what is there and leave the depth as it is.
            hollow: When translucent, only the surface nearest to the eye is seen, not what is inside; it
                hides what is drawn behind it later.
            lit: 1 shaded, 0 flat colour.
        """
        batch = self._batches[name]
        data = np.empty((batch.parts, _PART_TEXELS, 4), dtype=np.float32)
        data[:, :3] = transforms
        data[:, 3] = rgba
        GL.glBindBuffer(GL.GL_TEXTURE_BUFFER, batch.part_buffer)
        GL.glBufferData(GL.GL_TEXTURE_BUFFER, data.nbytes, data, GL.GL_STREAM_DRAW)
        GL.glUseProgram(self._solid)
        self._set_matrix(self._solid_at["clip_T_world"], clip_T_world)
        GL.glUniform3f(self._solid_at["eye"], *(float(v) for v in eye))
        GL.glUniform1f(self._solid_at["lit"], lit)
        GL.glActiveTexture(GL.GL_TEXTURE0)
        GL.glBindTexture(GL.GL_TEXTURE_BUFFER, batch.texture)
        GL.glUniform1i(self._solid_at["parts"], 0)
        GL.glBindVertexArray(batch.array)
        if hollow:
            GL.glColorMask(GL.GL_FALSE, GL.GL_FALSE, GL.GL_FALSE, GL.GL_FALSE)
            GL.glDrawArrays(GL.GL_TRIANGLES, 0, batch.corners)
            GL.glColorMask(GL.GL_TRUE, GL.GL_TRUE, GL.GL_TRUE, GL.GL_TRUE)
        self._blend(translucent)
        GL.glDrawArrays(GL.GL_TRIANGLES, 0, batch.corners)
        GL.glBindVertexArray(0)
        self._blend(False)

    def draw_ribbons(
        self, clip_T_world: NDArray[np.float64], corners: NDArray[np.float32], *, over: bool = False
    ) -> None:
        """Draws coloured triangles made afresh each frame, rows x y z r g b a.

        Args:
            clip_T_world: Projection times view, 4x4.
            corners: Three rows a triangle.
            over: Also where something is in front of them.
        """
        if not len(corners):
            return
        corners = np.ascontiguousarray(corners, dtype=np.float32)
        GL.glUseProgram(self._line)
        self._set_matrix(self._line_clip, clip_T_world)
        GL.glBindVertexArray(self._line_array)
        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, self._line_buffer)
        GL.glBufferData(GL.GL_ARRAY_BUFFER, corners.nbytes, corners, GL.GL_STREAM_DRAW)
        self._blend(True)
        GL.glDepthFunc(GL.GL_ALWAYS if over else GL.GL_LEQUAL)
        GL.glDrawArrays(GL.GL_TRIANGLES, 0, len(corners))
        GL.glDepthFunc(GL.GL_LEQUAL)
        self._blend(False)
        GL.glBindVertexArray(0)

    @staticmethod
    def finish() -> None:
        """Waits for the picture, so that the cost of drawing in software can be measured."""
        GL.glFinish()

    def release(self) -> None:
        """Gives back all GL objects."""
        for batch in self._batches.values():
            GL.glDeleteVertexArrays(1, [batch.array])
            GL.glDeleteBuffers(2, [batch.vertex_buffer, batch.part_buffer])
            GL.glDeleteTextures(1, [batch.texture])
        self._batches.clear()
        GL.glDeleteVertexArrays(1, [self._line_array])
        GL.glDeleteBuffers(1, [self._line_buffer])
        GL.glDeleteProgram(self._solid)
        GL.glDeleteProgram(self._line)

    @staticmethod
    def _blend(on: bool) -> None:
        if on:
            GL.glEnable(GL.GL_BLEND)
            GL.glDepthMask(GL.GL_FALSE)
        else:
            GL.glDisable(GL.GL_BLEND)
            GL.glDepthMask(GL.GL_TRUE)

    @staticmethod
    def _set_matrix(location: int, matrix: NDArray[np.float64]) -> None:
        GL.glUniformMatrix4fv(location, 1, GL.GL_TRUE, np.ascontiguousarray(matrix, dtype=np.float32))


def _attributes(sizes: tuple[int, ...]) -> None:
    stride = 4 * sum(sizes)
    offset = 0
    for index, size in enumerate(sizes):
        GL.glEnableVertexAttribArray(index)
        glVertexAttribPointer(index, size, GL.GL_FLOAT, GL.GL_FALSE, stride, ctypes.c_void_p(offset))
        offset += 4 * size


def ribbon(
    points: NDArray[np.float64],
    rgba: NDArray[np.float64],
    eye: NDArray[np.float64],
    width_per_metre: float,
) -> NDArray[np.float32]:
    """Returns camera-facing triangles along a line of points, constant width on screen.

    Core profiles draw lines one pixel wide, which is lost on dense displays.

    Args:
        points: World points, shape (n, 3).
        rgba: Colour a point, shape (n, 4).
        eye: Camera position in the world frame.
        width_per_metre: Half width [m] a metre of distance from the eye.

    Returns:
        Rows x y z r g b a, shape (6 * (n - 1), 7).
    """
    if len(points) < 2:
        return np.empty((0, 7), dtype=np.float32)
    start, end = points[:-1], points[1:]
    to_eye = eye - (start + end) / 2
    distance = np.linalg.norm(to_eye, axis=1, keepdims=True)
    side = np.cross(end - start, to_eye)
    side *= width_per_metre * distance / np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-12)
    corners = np.stack([start - side, start + side, end + side, start - side, end + side, end - side], axis=1)
    first, last = rgba[:-1], rgba[1:]
    colors = np.stack([first, first, last, first, last, last], axis=1)
    return np.concatenate([corners, colors], axis=2).reshape(-1, 7).astype(np.float32)
