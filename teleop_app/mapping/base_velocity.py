"""What a driver asks of base and lift: its sticks' velocities, slower in precision mode."""

from __future__ import annotations

from collections.abc import Collection

from teleop_app.core.config import MappingSection
from teleop_app.core.geometry import Array
from teleop_app.core.types import InputSample


def asked_twist(sample: InputSample, engaged: Collection[str], mapping: MappingSection) -> Array | None:
    """Velocity of the base (vx, vy, wz) [m/s, rad/s] in its own frame; None when the input has no say in it.

    Args:
        sample: The driver's newest.
        engaged: Arms that the driver holds; one in precision mode slows the base as well.
        mapping: Section of the station file.
    """
    return None if sample.base_twist is None else sample.base_twist * _pace(sample, engaged, mapping)


def asked_lift_m_s(sample: InputSample, engaged: Collection[str], mapping: MappingSection) -> float | None:
    """Velocity of the lift [m/s], up positive; None when the input has no say in it."""
    return None if sample.lift_m_s is None else sample.lift_m_s * _pace(sample, engaged, mapping)


def _pace(sample: InputSample, engaged: Collection[str], mapping: MappingSection) -> float:
    precise = any(sample.arms[arm].precise for arm in engaged if arm in sample.arms)
    return mapping.precision_scale if precise else 1.0
