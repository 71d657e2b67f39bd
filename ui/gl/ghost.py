"""The robot as a policy is about to move it: postures on the way, the tools' paths and their steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ui.gl import meshes
from ui.gl.kinematics import Part
from ui.gl.renderer import ribbon
from ui.gl.vector_kinematics import Array, VectorKinematics

MOST_POINTS = 24
"""Of a path; a chunk with more steps is thinned to this."""

_STRENGTH = (0.6, 0.2)
"""Opacity of the end posture and of the one half way there."""

_SEEN_FROM_M, _WHOLE_FROM_M = 0.006, 0.04
"""A part that moves less than the first is not drawn, one that moves more than the second is in full."""

_FAINTEST = 0.25
_MOST_MARKS = 10
_TRIANGLE_BUDGET = 4_000
"""A shape seen through needs no detail, and is drawn several times."""


class Ghost:
    """What is drawn of a chunk. `set_vectors` works out the postures; the triangles never change.

    Args:
        kinematics: Of the joint vectors; used by nobody else.
        parts: Of the scene; those that the vector moves are drawn.
        body_of_geom: Body of each geom of the model.
    """

    def __init__(
        self, kinematics: VectorKinematics, parts: Sequence[Part], body_of_geom: Sequence[int]
    ) -> None:
        self._kinematics = kinematics
        self.indices = [
            index for index, part in enumerate(parts) if kinematics.moves(int(body_of_geom[part.geom]))
        ]
        self._geoms = [parts[index].geom for index in self.indices]
        triangles = sum(len(parts[index].soup) // 3 for index in self.indices)
        keep = min(1.0, _TRIANGLE_BUDGET / max(triangles, 1))
        self.soups = [_lighter(parts[index].soup, keep) for index in self.indices]
        self._postures: list[tuple[NDArray[np.float32], float]] = []
        self._paths: Array = np.empty((0, 0, 3))

    @property
    def shown(self) -> bool:
        """Whether there is something to draw."""
        return bool(self._postures)

    @property
    def paths(self) -> Array:
        """Tool points of the vectors, world frame [m], shape (arms, k, 3)."""
        return self._paths

    def set_vectors(self, vectors: Array | None) -> None:
        """Takes joint vectors in the order of time, shape (k, n); None or none of them shows nothing.

        Raises:
            ValueError: Their length is not the station's.
        """
        self._postures.clear()
        self._paths = np.empty((0, 0, 3))
        if vectors is None:
            return
        vectors = np.asarray(vectors, dtype=np.float64)
        if vectors.ndim != 2 or vectors.shape[1] != self._kinematics.length:
            raise ValueError(
                f"The 3-D view was asked to show joint vectors of shape {vectors.shape}, "
                f"but the station's have {self._kinematics.length} values."
            )
        vectors = thinned(vectors[np.isfinite(vectors).all(axis=1)])
        if not len(vectors):
            return
        self._paths = self._kinematics.paths(vectors)
        for strength, step in zip(_STRENGTH, (len(vectors) - 1, (len(vectors) - 1) // 2), strict=True):
            self._kinematics.pose(vectors[step])
            self._postures.append((self._kinematics.transforms(self._geoms), strength))

    def postures(
        self, now: NDArray[np.float32], rgb: NDArray[np.float64]
    ) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Returns transforms and colours of each posture, the last of the chunk first.

        Args:
            now: Transforms of the same parts as they are, shape (parts, 3, 4).
            rgb: Colour, shape (3,).
        """
        drawn: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        for transforms, strength in self._postures:
            moved = np.linalg.norm(transforms[:, :, 3] - now[:, :, 3], axis=1)
            # A part that turns about its own origin, such as a wrist, moves as far as its edge.
            turned = np.linalg.norm(transforms[:, :, :3] - now[:, :, :3], axis=(1, 2)) * 0.04
            share = (np.maximum(moved, turned) - _SEEN_FROM_M) / (_WHOLE_FROM_M - _SEEN_FROM_M)
            share = np.clip(share, 0.0, 1.0)
            colors = np.empty((len(transforms), 4), dtype=np.float32)
            colors[:, :3] = rgb
            colors[:, 3] = strength * share
            shown = transforms.copy()
            shown[share <= 0.0] = 0.0  # shrunk to a point: nothing is drawn
            drawn.append((shown, colors))
        return drawn

    def ribbons(
        self, rgb: NDArray[np.float64], eye: NDArray[np.float64], width_per_metre: float
    ) -> NDArray[np.float32]:
        """Returns triangles of the paths, paler the further ahead, and of marks equal times apart.

        Args:
            rgb: Colour, shape (3,).
            eye: Position of the camera in the world frame.
            width_per_metre: Half width of a line [m] a metre of distance from the eye.
        """
        pieces: list[NDArray[np.float32]] = [np.empty((0, 7), dtype=np.float32)]
        count = self._paths.shape[1]
        rgba = np.empty((count, 4))
        rgba[:, :3] = rgb
        rgba[:, 3] = np.linspace(1.0, _FAINTEST, count)
        marked = np.arange(count - 1, 0, -max(-(-count // _MOST_MARKS), 1))[::-1]
        for points in self._paths:
            pieces.append(ribbon(points, rgba, eye, width_per_metre))
            pieces.append(_marks(points[marked], rgba[marked], eye, width_per_metre))
        return np.concatenate(pieces)


def _lighter(soup: meshes.Soup, keep: float) -> meshes.Soup:
    return meshes.thin(soup, keep) if keep < 1.0 and len(soup) > 600 else soup


def thinned(vectors: Array) -> Array:
    """Returns at most `MOST_POINTS` rows, evenly spread, with the first and the last."""
    if len(vectors) <= MOST_POINTS:
        return vectors
    return vectors[np.round(np.linspace(0, len(vectors) - 1, MOST_POINTS)).astype(int)]


def _marks(
    points: Array, rgba: NDArray[np.float64], eye: NDArray[np.float64], width_per_metre: float
) -> NDArray[np.float32]:
    """Returns a diamond facing the eye at each point, of one size on the screen, the last twice as large."""
    to_eye = eye - points
    distance = np.linalg.norm(to_eye, axis=1, keepdims=True)
    size = 2.6 * width_per_metre * distance
    size[-1:] *= 1.8
    across = np.cross(to_eye, (0.0, 0.0, 1.0))
    across *= size / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-12)
    upward = np.cross(across, to_eye)
    upward *= size / np.maximum(np.linalg.norm(upward, axis=1, keepdims=True), 1e-12)
    corners = np.stack(
        [
            points - across,
            points + upward,
            points + across,
            points - across,
            points + across,
            points - upward,
        ],
        axis=1,
    )
    colors = np.repeat(rgba[:, None, :], 6, axis=1)
    return np.concatenate([corners, colors], axis=2).reshape(-1, 7).astype(np.float32)
