"""Torque of a servo's output shaft by its motor current."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from devices.servos.bus import Array

_UNKNOWN: Final = 1.0

# Stall torque over stall current at the rated voltage, from the makers' data sheets (ROBOTIS e-manual,
# Feetech STS3215 12 V) [N m/A].
_N_M_PER_A: Final = {
    "XL330-M077": 0.215 / 1.47,
    "XL330-M288": 0.52 / 1.47,
    "XC330-M181": 0.60 / 1.80,
    "XC330-M288": 0.93 / 1.80,
    "XC330-T181": 0.76 / 0.80,
    "XC330-T288": 0.92 / 0.80,
    "XC430-W150": 1.6 / 1.4,
    "XC430-W240": 1.9 / 1.3,
    "XM430-W210": 3.0 / 2.3,
    "XM430-W350": 4.1 / 2.3,
    "XM540-W150": 7.3 / 4.4,
    "XM540-W270": 10.6 / 4.4,
    "STS3215": 2.94 / 2.7,
}


def torque_constants(models: Sequence[str]) -> Array:
    """[N m/A] of each servo, shape (n,); 1 for servos that are not known or tell only their load."""
    return np.array([_N_M_PER_A.get(model, _UNKNOWN) for model in models])
