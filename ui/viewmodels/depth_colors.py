"""Depth images in false colours: near is warm, far is cool, no reading is black."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

_NEAR_SHARE, _FAR_SHARE = 2.0, 98.0
"""Percentiles that get the ends of the scale."""
_LOOKED_AT = 5
Range = tuple[float, float]


def depth_range(image: Callable[[int], NDArray[np.uint16]], count: int) -> Range:
    """Returns the nearest and farthest count to tell apart in an episode, from a few images spread over it.

    Args:
        image: Returns an image by its number, shape (height, width).
        count: How many there are, at least 1.
    """
    numbers = dict.fromkeys(np.linspace(0, count - 1, _LOOKED_AT).astype(int).tolist())
    seen = np.concatenate([counts[counts > 0] for counts in map(image, numbers)])
    if not len(seen):
        return 1.0, 2.0
    near, far = np.percentile(seen, [_NEAR_SHARE, _FAR_SHARE])
    return float(near), max(float(far), float(near) + 1.0)


def depth_colors(counts: NDArray[np.uint16], shown: Range) -> NDArray[np.uint8]:
    """Returns an RGB image, shape (height, width, 3), of counts, shape (height, width); 0 is no reading."""
    near, far = shown
    share = np.clip((far - counts.astype(np.float32)) / (far - near), 0.0, 1.0)
    colors = cv2.applyColorMap((share * 255).astype(np.uint8), cv2.COLORMAP_TURBO)[:, :, ::-1]
    return np.where((counts > 0)[:, :, None], colors, 0).astype(np.uint8)
