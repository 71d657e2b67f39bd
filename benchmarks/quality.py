"""How near a decoded picture is to its source: PSNR and SSIM. Needs nothing but NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from devices.sim.barcode import barcode_box

Image = NDArray[np.uint8]
_WINDOW = 7
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def psnr_db(image: Image, source: Image) -> float:
    """Peak signal to noise ratio over all pixels and channels, without the rows of the barcode [dB]."""
    clear = _clear_rows(source)
    error = image[clear].astype(np.float64) - source[clear]
    return 10.0 * float(np.log10(255.0**2 / max(float(np.mean(error**2)), 1e-9)))


def ssim(image: Image, source: Image) -> float:
    """Mean structural similarity of the luma (Wang et al. 2004), windows of 7x7, without the barcode."""
    clear = _clear_rows(source)
    x, y = _luma(image[clear]), _luma(source[clear])
    mean_x, mean_y = _mean(x), _mean(y)
    spread_x, spread_y = _mean(x * x) - mean_x**2, _mean(y * y) - mean_y**2
    shared = _mean(x * y) - mean_x * mean_y
    likeness = (2 * mean_x * mean_y + _C1) * (2 * shared + _C2)
    return float(np.mean(likeness / ((mean_x**2 + mean_y**2 + _C1) * (spread_x + spread_y + _C2))))


def _clear_rows(source: Image) -> slice:
    return slice(0, barcode_box(*source.shape[:2])[1])


def _luma(image: Image) -> NDArray[np.float64]:
    return image @ np.array([0.299, 0.587, 0.114])


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of every window that fits."""
    total = np.pad(values, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    return (
        total[_WINDOW:, _WINDOW:]
        - total[:-_WINDOW, _WINDOW:]
        - total[_WINDOW:, :-_WINDOW]
        + total[:-_WINDOW, :-_WINDOW]
    ) / _WINDOW**2
