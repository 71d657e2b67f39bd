"""Whether pictures look like those that a policy was trained on: a score that is 1 at the edge of them.

Small fixed features (a colour thumbnail and its gradients) of each camera, their principal components, and
how far a picture lies from the training pictures: within the components by its variance, beyond them by the
rest. That sees another light, a moved camera, a missing or foreign object; it does not see small things.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from teleop_app.core.errors import PolicyError
from teleop_app.core.geometry import Array

Picture = NDArray[np.uint8]

ROWS: Final = 12
COLUMNS: Final = 16
FEATURES: Final = ROWS * COLUMNS * 3 + ROWS * (COLUMNS - 1) + (ROWS - 1) * COLUMNS
MAX_PICTURES: Final = 1200
"""Of a camera; more are thinned out evenly."""
_COMPONENTS: Final = 24
_FOLDS: Final = 4
_QUANTILE: Final = 0.99
_FLOOR: Final = 1e-3
"""Deviation of a feature (1 is black to white) below which it is camera noise."""
_MAX_CAMERAS: Final = 16
_MAX_BYTES: Final = 64 << 20
_FORMAT: Final = "teleop-novelty-1"


def features(picture: Picture) -> Array:
    """Thumbnail and brightness gradients of a picture (height, width, 3), shape (FEATURES,)."""
    height, width = picture.shape[:2]
    stride = max(1, min(height // (4 * ROWS), width // (4 * COLUMNS)))
    small = picture[::stride, ::stride].astype(np.float64) / 255.0
    rows = np.linspace(0, small.shape[0], ROWS, endpoint=False).astype(int)
    columns = np.linspace(0, small.shape[1], COLUMNS, endpoint=False).astype(int)
    sums = np.add.reduceat(np.add.reduceat(small, rows, axis=0), columns, axis=1)
    counts = np.outer(np.diff([*rows, small.shape[0]]), np.diff([*columns, small.shape[1]]))
    thumbnail = sums / np.maximum(counts, 1)[:, :, None]
    grey = thumbnail.mean(axis=2)
    gradients = (np.diff(grey, axis=1).ravel(), np.diff(grey, axis=0).ravel())
    return np.concatenate([thumbnail.ravel(), *gradients])


@dataclass(frozen=True, slots=True)
class CameraPictures:
    """What the pictures of one camera look like.

    Attributes:
        mean: Of the features, shape (FEATURES,).
        components: Orthonormal rows, shape (k, FEATURES).
        deviation: Of the pictures along each, shape (k,).
        rest: Typical distance beyond the components.
        edge: Raw score of the 99th percentile.
    """

    mean: Array
    components: Array
    deviation: Array
    rest: float
    edge: float = 1.0

    def score(self, found: Array) -> float:
        """Of the features of a picture; 1 at the edge of what is known."""
        off = found - self.mean
        along = self.components @ off
        beyond = float(np.linalg.norm(off - along @ self.components)) / self.rest
        inside = float(np.linalg.norm(along / self.deviation)) / np.sqrt(len(self.deviation))
        return float(np.hypot(inside, beyond)) / self.edge


class Novelty:
    """Scores the pictures of a station. Made by `fit` or `load`.

    Args:
        cameras: By name.
    """

    def __init__(self, cameras: Mapping[str, CameraPictures]) -> None:
        self._cameras = dict(cameras)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Those that it knows."""
        return tuple(self._cameras)

    def score(self, pictures: Mapping[str, Picture]) -> float:
        """The score of the strangest picture; NaN when it knows none of the cameras."""
        scores = [
            known.score(features(pictures[name])) for name, known in self._cameras.items() if name in pictures
        ]
        return max(scores, default=float("nan"))

    @classmethod
    def fit(cls, episodes: Mapping[str, Sequence[Array]]) -> Novelty:
        """From the features of training pictures.

        The edge is found on episodes that were left out: pictures of one episode are too alike to tell how
        far those of the next may lie.

        Args:
            episodes: By camera, one array an episode, shape (pictures, FEATURES).

        Raises:
            PolicyError: A camera has fewer than two episodes, or too few pictures.
        """
        return cls({name: _fit(name, list(found)) for name, found in episodes.items()})

    def save(self, path: Path) -> None:
        """Write the statistics; an existing file is replaced at once."""
        arrays: dict[str, NDArray[np.generic]] = {"format": np.array(_FORMAT)}
        for name, camera in self._cameras.items():
            arrays[f"{name}/mean"] = camera.mean
            arrays[f"{name}/components"] = camera.components
            arrays[f"{name}/deviation"] = camera.deviation
            arrays[f"{name}/scale"] = np.array([camera.rest, camera.edge])
        temporary = path.with_suffix(".new")
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        temporary.replace(path)

    @classmethod
    def load(cls, path: Path) -> Novelty:
        """Read statistics.

        Raises:
            PolicyError: They are not there, damaged, or too large.
        """
        try:
            with zipfile.ZipFile(path) as archive:
                if sum(entry.file_size for entry in archive.infolist()) > _MAX_BYTES:
                    raise PolicyError(f"The picture statistics {path.name} are larger than 64 MiB")
            with np.load(path, allow_pickle=False) as arrays:
                if "format" not in arrays or str(arrays["format"]) != _FORMAT:
                    raise PolicyError(f"{path.name} holds no picture statistics of this program")
                names = [key.removesuffix("/mean") for key in arrays.files if key.endswith("/mean")]
                return cls({name: _read(arrays, name) for name in names[:_MAX_CAMERAS]})
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise PolicyError(
                f"The picture statistics {path} cannot be read",
                why=str(error),
                next_step="Make them with `teleop policy novelty`, or clear `novelty` in the policy file",
            ) from error


def _read(arrays: Mapping[str, NDArray[np.float64]], name: str) -> CameraPictures:
    mean, components, deviation, scale = (
        np.asarray(arrays[f"{name}/{part}"], dtype=np.float64)
        for part in ("mean", "components", "deviation", "scale")
    )
    count = len(deviation)
    shapes = (mean.shape, components.shape, deviation.shape, scale.shape)
    sound = shapes == ((FEATURES,), (count, FEATURES), (count,), (2,)) and count > 0
    finite = all(np.isfinite(part).all() for part in (mean, components, deviation, scale))
    if not sound or not finite or deviation.min() <= 0.0 or scale.min() <= 0.0:
        msg = f"the numbers of camera {name} make no sense"
        raise ValueError(msg)
    return CameraPictures(mean, components, deviation, float(scale[0]), float(scale[1]))


def _fit(camera: str, episodes: list[Array]) -> CameraPictures:
    episodes = _thinned([each for each in episodes if len(each)])
    if len(episodes) < 2 or sum(map(len, episodes)) < 20:
        raise PolicyError(
            f"There are too few pictures of camera '{camera}' to tell what is usual",
            why=f"{len(episodes)} episodes with {sum(map(len, episodes))} pictures; 2 and 20 are needed",
            next_step="Choose more episodes",
        )
    raw: list[float] = []
    folds = min(_FOLDS, len(episodes))
    for fold in range(folds):
        known = _components(np.concatenate([e for i, e in enumerate(episodes) if i % folds != fold]))
        raw += [known.score(found) for found in np.concatenate(episodes[fold::folds])]
    whole = _components(np.concatenate(episodes))
    edge = float(np.quantile(raw, _QUANTILE))
    return CameraPictures(whole.mean, whole.components, whole.deviation, whole.rest, max(edge, _FLOOR))


def _thinned(episodes: list[Array]) -> list[Array]:
    stride = -(-sum(map(len, episodes)) // MAX_PICTURES)
    return [each[::stride] for each in episodes] if stride > 1 else episodes


def _components(pictures: Array) -> CameraPictures:
    mean = pictures.mean(axis=0)
    off = pictures - mean
    _, sizes, axes = np.linalg.svd(off, full_matrices=False)
    count = min(_COMPONENTS, max(1, len(pictures) // 4))
    components = axes[:count]
    deviation = np.maximum(sizes[:count] / np.sqrt(len(pictures)), _FLOOR)
    beyond = np.linalg.norm(off - (off @ components.T) @ components, axis=1)
    floor = _FLOOR * np.sqrt(FEATURES)
    return CameraPictures(mean, components, deviation, max(float(np.sqrt(np.mean(beyond**2))), floor))
