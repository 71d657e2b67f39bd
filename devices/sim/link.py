"""The rings between physics, control and cameras."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from devices.followers.link import LinkedFollower
from devices.followers.rings import Array, command_ring, state_ring
from devices.protocols import Verification
from devices.sim.arms import JOINT_NAMES
from teleop_app.core.clock import Clock

_LINK = "sim"
STATE_RING = state_ring(_LINK)
COMMAND_RING = command_ring(_LINK)
WORLD_RING = "sim.world"


def sim_follower(rings: Path, clock: Clock) -> LinkedFollower:
    """The arms of the simulated cell as one follower."""
    return LinkedFollower(rings, _LINK, "The simulated arms", JOINT_NAMES, clock, Verification.SIMULATED)


def pack_world(sim_time_s: float, qpos: Array) -> Array:
    """Layout of `WORLD_RING`: [sim_time_s, qpos]."""
    return np.concatenate([[sim_time_s], qpos])
