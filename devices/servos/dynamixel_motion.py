"""Registers of a DYNAMIXEL X servo by which it limits its own motion and watches over the host.

Source: ROBOTIS e-manual, control table of the X series: Profile Acceleration (108) in 214.577 rev/min^2,
Profile Velocity (112) in 0.229 rev/min, Bus Watchdog (98) in 20 ms, 1 to 127.
"""

from __future__ import annotations

import math

from devices.servos.packet_bus import limit_units

DRIVE_MODE, TIME_BASED = 10, 0x04
PROFILE = 108
WATCHDOG = 98
LONGEST_WATCHDOG_S = 127 * 0.02

_RAD_S2_PER_UNIT = 214.577 * 2 * math.pi / 3600
_RAD_S_PER_UNIT = 0.229 * 2 * math.pi / 60
_HIGHEST = 32767


def profile_bytes(velocity_rad_s: float, acceleration_rad_s2: float) -> bytes:
    """Both profile registers; 0 is no cap, and a cap is never rounded up to none.

    The manual wants the acceleration at most half of the velocity, counted in units; more is as good as none.
    """
    acceleration = limit_units(acceleration_rad_s2, _RAD_S2_PER_UNIT, _HIGHEST)
    velocity = limit_units(velocity_rad_s, _RAD_S_PER_UNIT, _HIGHEST)
    return acceleration.to_bytes(4, "little") + velocity.to_bytes(4, "little")


def watchdog_units(timeout_s: float) -> int:
    """Value of the register, rounded up to a whole 20 ms.

    Raises:
        ValueError: It is longer than the servo can wait.
    """
    if not 0 <= timeout_s <= LONGEST_WATCHDOG_S:
        raise ValueError(f"a bus watchdog waits 0 to {LONGEST_WATCHDOG_S} s, not {timeout_s} s")
    return math.ceil(round(timeout_s / 0.02, 6))
