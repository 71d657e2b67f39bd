"""The relative clutch: from engage on, the end effector repeats the hand's changes, not its place.

With the operator's yaw C and the scale s, hand poses (p_c, R_c) and the pose at engage (index 0):
`p = p_home + s C (p_c - p_c0)` and `R = C (R_c R_c0^-1) C^T R_home`. Only translation is scaled. The
rotation is a change in the operator's frame, multiplied from the left: a fixed offset multiplied from the
right would add up with every new clutch.
"""

from __future__ import annotations

from teleop_app.core.geometry import (
    Array,
    make_pose,
    quat_conjugate,
    quat_multiply,
    quat_normalise,
    quat_rotate,
)
from teleop_app.mapping.frames import yaw_quat


class RelativeClutch:
    """Maps hand poses to end-effector poses, both shape (7,), the latter in the world frame.

    Args:
        scale: Hand metres to robot metres.
        yaw_deg: Calibrated yaw of the operator's frame against the world.
    """

    def __init__(self, scale: float = 1.0, yaw_deg: float = 0.0) -> None:
        self._scale = scale
        self._world_from_operator = yaw_quat(yaw_deg)
        self._hand: Array | None = None
        self._home: Array | None = None

    @property
    def engaged(self) -> bool:
        """Whether `target` may be called."""
        return self._hand is not None

    def engage(self, hand: Array, world_T_home: Array) -> None:
        """Tie the hand's present pose to the end effector's: the next target of `hand` is `world_T_home`."""
        self._hand = hand.copy()
        self._home = world_T_home.copy()

    def release(self) -> None:
        """Untie; the arm is engaged anew with its then present poses."""
        self._hand = self._home = None

    def shift(self, step_m: Array, turn: Array) -> None:
        """Move every target by a step and turn it [world frame] about itself; nothing while released."""
        if self._home is not None:
            self._home = make_pose(
                self._home[:3] + step_m, quat_normalise(quat_multiply(turn, self._home[3:]))
            )

    def target(self, hand: Array) -> Array:
        """End-effector pose for a hand pose.

        Raises:
            ValueError: Not engaged.
        """
        if self._hand is None or self._home is None:
            msg = "the clutch is not engaged"
            raise ValueError(msg)
        turn = self._world_from_operator
        moved = quat_rotate(turn, hand[:3] - self._hand[:3])
        turned = quat_multiply(hand[3:], quat_conjugate(self._hand[3:]))
        in_world = quat_multiply(quat_multiply(turn, turned), quat_conjugate(turn))
        return make_pose(
            self._home[:3] + self._scale * moved,
            quat_normalise(quat_multiply(in_world, self._home[3:])),
        )
