"""The live values of an input, as Setup shows them."""

from __future__ import annotations

from teleop_app.core.types import Array, InputSample

_AXES = ("x", "y", "z")


def live_values(sample: InputSample | None) -> dict[str, float]:
    """Numbers of a sample by name, e.g. `left.clutch`; empty before the first."""
    if sample is None:
        return {}
    values: dict[str, float] = {}
    for name, arm in sample.arms.items():
        values[f"{name}.clutch"] = float(arm.clutch)
        values[f"{name}.valid"] = float(arm.valid)
        if arm.gripper is not None:
            values[f"{name}.gripper"] = arm.gripper
        if arm.precise:
            values[f"{name}.precise"] = 1.0
        _add(values, name, _AXES, arm.pose)
        _add(values, name, tuple(f"v{axis}" for axis in _AXES), arm.twist)
        if arm.joints is not None:
            _add(values, name, tuple(f"joint_{i + 1}" for i in range(len(arm.joints))), arm.joints)
    for button in sample.buttons:
        values[button] = 1.0
    _add(values, "base", ("vx", "vy", "wz"), sample.base_twist)
    if sample.lift_m_s is not None:
        values["lift.speed"] = sample.lift_m_s
    return values


def _add(values: dict[str, float], prefix: str, names: tuple[str, ...], numbers: Array | None) -> None:
    if numbers is not None:
        values.update({f"{prefix}.{name}": float(x) for name, x in zip(names, numbers, strict=False)})
