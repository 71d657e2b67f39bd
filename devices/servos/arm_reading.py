"""A reading of a whole arm: what one cycle missed is asked for again before it counts as lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from devices.servos.bus import ServoBus, ServoStates
from teleop_app.core.errors import DeviceError

_AGAIN: Final = 2


def read_whole(bus: ServoBus, servos: Sequence[int]) -> ServoStates:
    """One sync read; servos that it missed are asked alone, twice at most.

    A bus leaves a servo out for a while once it was silent, so that the others keep their rate. An arm is of
    no use without each of them, and a moment's silence must not cost it that while.

    Raises:
        DeviceError: The port is gone, or nothing at all answers.
    """
    states = bus.read(servos)
    for _ in range(_AGAIN):
        if not states.missing:
            break
        try:
            late = bus.read(states.missing)
        except DeviceError:
            continue  # they stay missing; a port that is gone says so at the next reading
        states = _merged(states, late, list(servos))
    return states


def _merged(states: ServoStates, late: ServoStates, servos: list[int]) -> ServoStates:
    position, velocity, current = (np.array(r) for r in (states.position, states.velocity, states.current))
    for column, servo in enumerate(states.missing):
        place = servos.index(servo)
        position[place], velocity[place] = late.position[column], late.velocity[column]
        current[place] = late.current[column]
    alarms = states.alarms | late.alarms
    return ServoStates(position, velocity, current, late.missing, alarms, states.capture_ns)
