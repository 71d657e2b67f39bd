"""Whether an arm on a servo bus is the expected one, whole, and calibrated; each finding is a sentence."""

from __future__ import annotations

from typing import Final

import numpy as np

from devices.servos.arm_joints import ArmJoints
from devices.servos.arm_layouts import ArmLayout
from devices.servos.bus import Array, ServoBus, ServoStates
from teleop_app.core.calibration import ArmCalibration, CalibrationStore
from teleop_app.core.errors import ConfigError, DeviceError

OUTSIDE_RAD: Final = 0.2
"""A joint farther outside the range it was calibrated with cannot be calibrated as it is now."""

DRIFT_RAD: Final = 0.10
"""A joint farther from where it stood in the rest posture has drifted."""

_TRIES: Final = 2
_ELSEWHERE_RAD: Final = 0.7
"""An arm with a joint farther off is not in its rest posture."""


def check_servos(bus: ServoBus, layout: ArmLayout, arm: str) -> dict[int, int]:
    """Every servo of the layout answers; returns model numbers by ID.

    Raises:
        DeviceError: Servos are missing, or one ID answers twice.
    """
    wanted = [*layout.servos, *layout.shadows.values()]
    found: dict[int, int] = {}
    for _ in range(_TRIES):
        missing = [servo for servo in wanted if servo not in found]
        found |= {servo: number for servo in missing if (number := bus.ping(servo)) is not None}
        if not found:
            break
    missing = [servo for servo in wanted if servo not in found]
    if len(missing) == len(wanted):
        raise DeviceError(
            f"No servo of the arm {arm!r} answers on {bus.port}",
            why="its power is off, or the baud rate is another",
            next_step="Switch it on, and look for its baud rate with: teleop devices find",
        )
    if missing:
        listed = ", ".join(layout.named(servo) for servo in missing)
        raise DeviceError(
            f"The arm {arm!r} on {bus.port} misses {listed}",
            why=f"{len(found)} of {len(wanted)} servos answer",
            next_step="Check the cable behind the last servo that answers, or its ID",
        )
    return found


def check_states(states: ServoStates, layout: ArmLayout, arm: str) -> None:
    """Nothing is silent and nothing reports an alarm.

    Raises:
        DeviceError: Otherwise.
    """
    if states.missing:
        listed = ", ".join(layout.named(servo) for servo in states.missing)
        raise DeviceError(
            f"The arm {arm!r} lost {listed}", why="no answer", next_step="Check its cable and power"
        )
    if states.alarms:
        listed = "; ".join(f"{layout.named(servo)}: {text}" for servo, text in sorted(states.alarms.items()))
        raise DeviceError(
            f"The arm {arm!r} reports an alarm",
            why=listed,
            next_step="Relieve it and switch its power off and on",
        )


def load_calibration(
    store: CalibrationStore, serial: str, driver: str, layout: ArmLayout, arm: str
) -> ArmCalibration:
    """The calibration of an arm.

    Raises:
        DeviceError: It has none, a malformed one, or one of another serial number, driver, model or set of
            servos.
    """
    remedy = f"Calibrate it with: teleop calibrate arm {arm}"
    try:
        calibration = store.load(ArmCalibration, serial)
    except ConfigError as error:
        raise DeviceError(error.what, why=error.why, next_step=remedy) from error
    if calibration is None:
        raise DeviceError(
            f"The arm {arm!r} is not calibrated", why=f"nothing is stored for {serial!r}", next_step=remedy
        )
    wanted = {"driver": driver, "model": layout.model, "servos": layout.servos, "joints": layout.names}
    stored = {
        "driver": calibration.driver,
        "model": calibration.model,
        "servos": tuple(joint.servo for joint in calibration.joints),
        "joints": tuple(joint.name for joint in calibration.joints),
    }
    wrong = [
        f"its {key} are {stored[key]}, this arm's {wanted[key]}"
        for key in wanted
        if stored[key] != wanted[key]
    ]
    if wrong:
        raise DeviceError(
            f"The calibration stored for {serial!r} is of another arm than {arm!r}",
            why="; ".join(wrong).replace("driver are", "driver is").replace("model are", "model is"),
            next_step=remedy,
        )
    return calibration


def drift_sentence(joints: ArmJoints, calibration: ArmCalibration, q: Array, arm: str) -> str:
    """What speaks against the calibration in this posture, empty when nothing does.

    A joint outside its range is found in any posture. Whether the others still read what they read in the
    rest posture can only be seen there: when most of the arm is in it.

    Args:
        joints: The arm's conversion.
        calibration: The arm's.
        q: Its joint vector now, shape (n,).
        arm: Its name.
    """
    remedy = f"Calibrate it with: teleop calibrate arm {arm}"
    outside = joints.outside_rad(q)
    if (outside > OUTSIDE_RAD).any():
        worst = int(np.argmax(outside))
        low, high = joints.lower[worst], joints.upper[worst]
        return DeviceError(
            f"The calibration of the arm {arm!r} no longer fits",
            why=f"{joints.names[worst]} reads {q[worst]:.2f} rad, its range is {low:.2f} to {high:.2f}",
            next_step=remedy,
        ).sentence
    rest = np.array(calibration.rest_rad)
    if rest.size == 0 or rest.size > q.size:
        return ""
    off = np.abs(q[: rest.size] - rest)
    drifted = np.flatnonzero(off > DRIFT_RAD)
    resting = np.count_nonzero(off < DRIFT_RAD) > rest.size // 2 and off.max() <= _ELSEWHERE_RAD
    if not drifted.size or not resting:
        return ""
    listed = ", ".join(f"{joints.names[i]} by {q[i] - rest[i]:+.2f} rad" for i in drifted)
    return DeviceError(
        f"The arm {arm!r} has drifted since it was calibrated",
        why=f"in its rest posture {listed}",
        next_step=f"If it does rest: {remedy[0].lower()}{remedy[1:]}",
    ).sentence
