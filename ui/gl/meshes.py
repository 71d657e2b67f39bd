"""Triangles of primitives and of a MuJoCo model's geoms.

A triangle soup is an array of shape (3 * n, 6): position [m] and unit normal of each corner,
in the frame of its geom. Sizes follow MuJoCo's conventions (half lengths; capsules and
cylinders along z).
"""

from __future__ import annotations

import math

import mujoco
import numpy as np
from numpy.typing import NDArray

Soup = NDArray[np.float32]

TRIANGLE_BUDGET = 100_000
"""Above this the software rasteriser no longer holds 20 frames a second; meshes are thinned."""

SOFTWARE_TRIANGLE_BUDGET = 25_000
"""When the processor draws, a frame holds up the keys as well: a quarter keeps it below 20 ms."""

INFINITE_PLANE_HALF_M = 1.5
_AROUND = 24


def _soup(corners: NDArray[np.float64], normals: NDArray[np.float64]) -> Soup:
    joined = np.concatenate([corners.reshape(-1, 3), normals.reshape(-1, 3)], axis=1)
    return np.ascontiguousarray(joined, dtype=np.float32)


def _flat(triangles: NDArray[np.float64]) -> Soup:
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    keep = length[:, 0] > 1e-14
    triangles, normals = triangles[keep], normals[keep] / length[keep]
    return _soup(triangles, np.repeat(normals[:, None, :], 3, axis=1))


def box(half: NDArray[np.float64]) -> Soup:
    """Returns a box of half lengths (3,)."""
    faces = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            u, v = (axis + 1) % 3, (axis + 2) % 3
            quad = np.zeros((4, 3))
            quad[:, axis] = sign
            quad[:, u] = [-1, 1, 1, -1]
            quad[:, v] = [-1, -1, 1, 1]
            if sign < 0:
                quad = quad[::-1]
            faces += [quad[[0, 1, 2]], quad[[0, 2, 3]]]
    return _flat(np.array(faces) * np.asarray(half, dtype=np.float64))


def _revolve(profile: NDArray[np.float64], profile_normals: NDArray[np.float64]) -> Soup:
    """Turns a profile of (radius, z) points about z; normals are (radial, z) a point."""
    angle = np.linspace(0.0, math.tau, _AROUND + 1)
    cos, sin = np.cos(angle)[None, :], np.sin(angle)[None, :]

    def turn(line: NDArray[np.float64]) -> NDArray[np.float64]:
        radial, height = line[:, 0:1], line[:, 1:2]
        return np.stack([radial * cos, radial * sin, height + 0.0 * cos], axis=2)

    points, normals = turn(profile), turn(profile_normals)

    def quads(grid: NDArray[np.float64]) -> NDArray[np.float64]:
        a, b, c, d = grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]
        return np.stack([a, b, c, a, c, d], axis=2).reshape(-1, 3, 3)

    corners, corner_normals = quads(points), quads(normals)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    keep = area > 1e-14
    return _soup(corners[keep], corner_normals[keep])


def ellipsoid(radii: NDArray[np.float64]) -> Soup:
    """Returns an ellipsoid of three radii; equal radii give a sphere."""
    angle = np.linspace(-math.pi / 2, math.pi / 2, _AROUND // 2 + 1)
    line = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    unit = _revolve(line, line).astype(np.float64)
    radii = np.asarray(radii, dtype=np.float64)
    normals = unit[:, 3:] / radii
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return _soup(unit[:, :3] * radii, normals)


def capsule(radius: float, half_length: float) -> Soup:
    """Returns a capsule along z; `half_length` excludes the caps."""
    angle = np.linspace(-math.pi / 2, math.pi / 2, 13)
    normals = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    line = normals * radius
    line[:, 1] += np.where(angle < -1e-9, -half_length, half_length)
    middle = int(np.argmin(np.abs(angle)))
    line = np.insert(line, middle, [radius, -half_length], axis=0)
    return _revolve(line, np.insert(normals, middle, [1.0, 0.0], axis=0))


def cylinder(radius: float, half_length: float, *, tip_radius: float | None = None) -> Soup:
    """Returns a closed cylinder along z, or a cone when `tip_radius` differs."""
    top = radius if tip_radius is None else tip_radius
    slope = math.atan2(radius - top, 2.0 * half_length)
    side = [math.cos(slope), math.sin(slope)]
    parts = [
        _revolve(
            np.array([[0.0, -half_length], [radius, -half_length]]),
            np.array([[0.0, -1.0], [0.0, -1.0]]),
        ),
        _revolve(np.array([[radius, -half_length], [top, half_length]]), np.array([side, side])),
    ]
    if top > 0:
        parts.append(
            _revolve(np.array([[top, half_length], [0.0, half_length]]), np.array([[0.0, 1.0], [0.0, 1.0]]))
        )
    return np.concatenate(parts)


def plane(half_x: float, half_y: float) -> Soup:
    """Returns a rectangle in the x-y plane facing +z; 0 means endless and is cut off."""
    x = half_x or INFINITE_PLANE_HALF_M
    y = half_y or INFINITE_PLANE_HALF_M
    corners = np.array([[-x, -y, 0], [x, -y, 0], [x, y, 0], [-x, y, 0]], dtype=np.float64)
    return _flat(corners[[[0, 1, 2], [0, 2, 3]]])


def mesh(model: mujoco.MjModel, mesh_id: int) -> Soup:
    """Returns the triangles of a mesh asset with the normals its file brought."""
    vertex, count = model.mesh_vertadr[mesh_id], model.mesh_vertnum[mesh_id]
    face, faces = model.mesh_faceadr[mesh_id], model.mesh_facenum[mesh_id]
    normal, normals = model.mesh_normaladr[mesh_id], model.mesh_normalnum[mesh_id]
    points = model.mesh_vert[vertex : vertex + count].astype(np.float64)
    directions = model.mesh_normal[normal : normal + normals].astype(np.float64)
    corners = points[model.mesh_face[face : face + faces]]
    return _soup(corners, directions[model.mesh_facenormal[face : face + faces]])


def thin(soup: Soup, keep_fraction: float) -> Soup:
    """Returns fewer triangles by merging corners that share a cell of a grid.

    Args:
        soup: Triangles, shape (3 * n, 6).
        keep_fraction: Wanted share of triangles in 0..1; the result has at most about this.
    """
    triangles = soup.shape[0] // 3
    wanted = max(12, int(triangles * keep_fraction))
    if wanted >= triangles:
        return soup
    points = soup[:, :3].astype(np.float64)
    low = points.min(axis=0)
    span = float((points.max(axis=0) - low).max()) or 1.0
    fine, coarse = 512, 2
    best = soup
    for _ in range(9):
        cells = (fine + coarse) // 2
        key = np.floor((points - low) / span * cells).astype(np.int64)
        _, index, inverse = np.unique(key, axis=0, return_index=True, return_inverse=True)
        del index
        inverse = inverse.reshape(-1)
        total = np.bincount(inverse)
        centre = np.stack([np.bincount(inverse, points[:, i]) / total for i in range(3)], axis=1)
        corner = inverse.reshape(-1, 3)
        distinct = (
            (corner[:, 0] != corner[:, 1]) & (corner[:, 1] != corner[:, 2]) & (corner[:, 0] != corner[:, 2])
        )
        remaining = _flat(centre[corner[distinct]])
        if remaining.shape[0] // 3 > wanted:
            fine = cells
        else:
            best, coarse = remaining, cells
    return best


def geom_soup(model: mujoco.MjModel, geom: int) -> Soup | None:
    """Returns the triangles of a geom, None for types that are not drawn."""
    kind = mujoco.mjtGeom(model.geom_type[geom])
    size = model.geom_size[geom].astype(np.float64)
    match kind:
        case mujoco.mjtGeom.mjGEOM_PLANE:
            return plane(size[0], size[1])
        case mujoco.mjtGeom.mjGEOM_SPHERE:
            return ellipsoid(np.full(3, size[0]))
        case mujoco.mjtGeom.mjGEOM_ELLIPSOID:
            return ellipsoid(size)
        case mujoco.mjtGeom.mjGEOM_CAPSULE:
            return capsule(size[0], size[1])
        case mujoco.mjtGeom.mjGEOM_CYLINDER:
            return cylinder(size[0], size[1])
        case mujoco.mjtGeom.mjGEOM_BOX:
            return box(size)
        case mujoco.mjtGeom.mjGEOM_MESH:
            return mesh(model, int(model.geom_dataid[geom]))
        case _:
            return None


def geom_color(model: mujoco.MjModel, geom: int) -> NDArray[np.float32]:
    """Returns the RGBA of a geom; like MuJoCo's viewer, a material wins over the default grey."""
    rgba = model.geom_rgba[geom]
    material = int(model.geom_matid[geom])
    if material >= 0 and np.allclose(rgba, [0.5, 0.5, 0.5, 1.0]):
        rgba = model.mat_rgba[material]
    return np.asarray(rgba, dtype=np.float32)
