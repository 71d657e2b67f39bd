"""Driving by keys and mouse: held keys and a dragged target become `InputSample`s. No widgets.

A clutch is never left engaged by accident: losing the window's focus, the end of a drag and a
change of arm all send a released clutch. Each engagement begins with one released sample, the
edge that control waits for, so that the mapping takes a new reference and nothing jumps when
keys and drag follow each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from teleop_app.core.config import MappingSection
from teleop_app.core.types import Actor, ArmInput, InputSample
from ui.viewmodels.key_bodies import BODY_ACTIONS, NO_BODIES, KeyBodies

SOURCE = "keyboard"
SAMPLE_INTERVAL_MS = 16
RELEASE_SAMPLES = 3
"""A release is said this often, should one sample be lost."""

GRIPPER_RATE_PER_S = 1.2
"""Strokes a second while a gripper key is held."""

_MOVES: dict[str, tuple[int, float]] = {
    "move.right": (0, 1.0),
    "move.left": (0, -1.0),
    "move.forward": (1, 1.0),
    "move.back": (1, -1.0),
    "move.up": (2, 1.0),
    "move.down": (2, -1.0),
    "tilt.up": (3, 1.0),
    "tilt.down": (3, -1.0),
    "roll.right": (4, 1.0),
    "roll.left": (4, -1.0),
    "turn.left": (5, 1.0),
    "turn.right": (5, -1.0),
}
"""Axis of the twist and its sign; x right, y away, z up as the operator faces the cell."""

_GRIPPER = {"gripper.close": -1.0, "gripper.open": 1.0}
NUDGES: dict[str, tuple[str, int]] = {
    "nudge.right": ("x", 1),
    "nudge.left": ("x", -1),
    "nudge.forward": ("y", 1),
    "nudge.back": ("y", -1),
    "nudge.up": ("z", 1),
    "nudge.down": ("z", -1),
    "nudge.tilt_up": ("roll", 1),
    "nudge.tilt_down": ("roll", -1),
    "nudge.roll_right": ("pitch", 1),
    "nudge.roll_left": ("pitch", -1),
    "nudge.turn_left": ("yaw", 1),
    "nudge.turn_right": ("yaw", -1),
}
"""Axis and sign of one step, along and about the same axes as the moves."""

HELD_ACTIONS = frozenset(_MOVES) | frozenset(_GRIPPER) | BODY_ACTIONS


class KeyDriver:
    """State of the keyboard and mouse as an input device.

    Args:
        arms: Names in station order.
        mapping: Speeds, and the scale and yaw that a dragged pose must undo.
        bodies: What the keys ask of base and lift while an arm is engaged.

    Attributes:
        precise: Precision mode: motion is scaled down by `mapping.precision_scale`.
    """

    def __init__(self, arms: Sequence[str], mapping: MappingSection, bodies: KeyBodies = NO_BODIES) -> None:
        if not arms:
            raise ValueError("Driving needs at least one arm.")
        self._arms = tuple(arms)
        self._mapping = mapping
        self._bodies = bodies
        self.precise = False
        self._selected = self._arms[0]
        self._engaged: str | None = None
        self._held: set[str] = set()
        self._drag: tuple[str, NDArray[np.float64]] | None = None
        self._gripper: dict[str, float] = {}
        self._measured_gripper: dict[str, float] = {}
        self._releasing: dict[str, int] = {}
        self._seq = 0
        self._last_ns: int | None = None

    @property
    def arms(self) -> tuple[str, ...]:
        """Names in station order."""
        return self._arms

    @property
    def selected(self) -> str:
        """The arm the keys move."""
        return self._selected

    @property
    def engaged(self) -> str | None:
        """The arm whose clutch is held by `Space`, None when none is."""
        return self._engaged

    @property
    def dragging(self) -> str | None:
        """The arm whose target the mouse holds."""
        return self._drag[0] if self._drag is not None else None

    @property
    def active(self) -> bool:
        """Whether samples have to be sent."""
        return self._engaged is not None or self._drag is not None or bool(self._releasing)

    def configure(self, mapping: MappingSection) -> None:
        """Takes new speeds, scale and yaw; lets go, since a new scale under a held clutch would jump."""
        self.release_all()
        self._mapping = mapping

    def set_measured_gripper(self, arm: str, opening: float) -> None:
        """Tells where a gripper is; used as the start while nobody moves it from here."""
        if math.isfinite(opening):
            self._measured_gripper[arm] = min(max(opening, 0.0), 1.0)

    def toggle_clutch(self) -> bool:
        """Engages the selected arm, or releases; returns whether it is engaged now."""
        if self._engaged is not None:
            self._let_go(self._engaged)
            self._engaged = None
            return False
        self._engage(self._selected)
        return True

    def _engage(self, arm: str) -> None:
        self._engaged = arm
        self._releasing[arm] = 1
        self._gripper[arm] = self._measured_gripper.get(arm, self._gripper.get(arm, 1.0))

    def select(self, arm: str) -> None:
        """Gives the keys to an arm; an engaged clutch is released, never carried over.

        Raises:
            ValueError: No arm has this name.
        """
        if arm not in self._arms:
            raise ValueError(f"There is no arm '{arm}'. Arms are: {', '.join(self._arms)}.")
        if arm == self._selected:
            return
        if self._engaged is not None:
            self._let_go(self._engaged)
            self._engaged = None
        self._selected = arm

    def select_next(self) -> str:
        """Gives the keys to the next arm and returns its name."""
        following = self._arms[(self._arms.index(self._selected) + 1) % len(self._arms)]
        self.select(following)
        return following

    def press(self, action: str) -> None:
        """A held key went down."""
        if action in HELD_ACTIONS:
            self._held.add(action)

    def release(self, action: str) -> None:
        """A held key went up."""
        self._held.discard(action)

    def toggle_gripper(self) -> None:
        """Opens the selected arm's gripper when it is more closed than open, else closes it."""
        arm = self.dragging or self._selected
        opening = self._gripper.get(arm, self._measured_gripper.get(arm, 1.0))
        self._gripper[arm] = 1.0 if opening < 0.5 else 0.0

    def grab(self, arm: str, world_T_target: NDArray[np.float64]) -> None:
        """The mouse took hold of an arm's target: its button is the clutch."""
        if arm not in self._arms:
            return
        if self._engaged is not None:
            self._let_go(self._engaged)
            self._engaged = None
        self._releasing[arm] = 1
        self._selected = arm
        self._gripper[arm] = self._measured_gripper.get(arm, self._gripper.get(arm, 1.0))
        self._drag = (arm, np.array(world_T_target, dtype=np.float64))

    def move_target(self, arm: str, world_T_target: NDArray[np.float64]) -> None:
        """The mouse moved the target it holds."""
        if self._drag is not None and self._drag[0] == arm:
            self._drag = (arm, np.array(world_T_target, dtype=np.float64))

    def drop(self) -> None:
        """The mouse let go of the target."""
        if self._drag is not None:
            self._let_go(self._drag[0])
            self._drag = None

    def release_all(self) -> None:
        """Lets go of everything: the window lost the focus, or the page is left."""
        self._held.clear()
        self.drop()
        if self._engaged is not None:
            self._let_go(self._engaged)
            self._engaged = None

    def _let_go(self, arm: str) -> None:
        self._releasing[arm] = RELEASE_SAMPLES

    def sample(self, now_ns: int) -> InputSample | None:
        """Returns what the hand asks now, None when it has let go. Call about 60 times a second."""
        dt_s = 0.0 if self._last_ns is None else min((now_ns - self._last_ns) / 1e9, 0.1)
        self._last_ns = now_ns if self.active else None
        arms: dict[str, ArmInput] = {}
        for arm, left in list(self._releasing.items()):
            arms[arm] = ArmInput(clutch=False, gripper=self._gripper.get(arm))
            if left <= 1:
                del self._releasing[arm]
            else:
                self._releasing[arm] = left - 1
        driven = self.dragging or self._engaged
        if driven is not None and driven not in arms:
            self._move_gripper(driven, dt_s)
            gripper = self._gripper.get(driven)
            if self._drag is not None:
                arms[driven] = ArmInput(
                    True, pose=self._hand_pose(self._drag[1]), gripper=gripper, precise=self.precise
                )
            else:
                arms[driven] = ArmInput(True, twist=self._twist(), gripper=gripper, precise=self.precise)
        return self._numbered(now_ns, arms) if arms else None

    def resting(self, now_ns: int) -> InputSample:
        """Returns a sample that holds nothing, to be sent now and then while nobody drives.

        Control counts a clutch only after it has seen it released, and the first messages of a
        new connection may be lost; a device that is heard before it is needed avoids both.
        """
        return self._numbered(now_ns, {arm: ArmInput(clutch=False) for arm in self._arms})

    def _numbered(self, now_ns: int, arms: dict[str, ArmInput]) -> InputSample:
        self._seq += 1
        holds = any(each.clutch for each in arms.values())
        return InputSample(
            source=SOURCE,
            actor=Actor.HUMAN,
            seq=self._seq,
            capture_ns=now_ns,
            arms=arms,
            base_twist=self._bodies.twist(self._held) if holds else None,
            lift_m_s=self._bodies.lift(self._held) if holds else None,
        )

    def _twist(self) -> NDArray[np.float64]:
        twist = np.zeros(6)
        for action in self._held:
            if action in _MOVES:
                axis, sign = _MOVES[action]
                twist[axis] += sign
        for part, speed in (
            (twist[:3], self._mapping.key_speed_m_s),
            (twist[3:], self._mapping.key_turn_rad_s),
        ):
            length = float(np.linalg.norm(part))
            if length > 0:
                part *= speed / length
        return twist

    def _move_gripper(self, arm: str, dt_s: float) -> None:
        rate = sum(sign for action, sign in _GRIPPER.items() if action in self._held)
        if rate and arm in self._gripper:
            opening = self._gripper[arm] + rate * GRIPPER_RATE_PER_S * dt_s
            self._gripper[arm] = min(max(opening, 0.0), 1.0)

    def _hand_pose(self, world_T_target: NDArray[np.float64]) -> NDArray[np.float64]:
        """Undoes the mapping's scale and yaw, so that the arm follows the target as it is drawn."""
        half = -math.radians(self._mapping.yaw_deg) / 2.0
        cos, sin = math.cos(half), math.sin(half)
        turn = np.array([[cos * cos - sin * sin, -2 * sin * cos], [2 * sin * cos, cos * cos - sin * sin]])
        pose = np.array(world_T_target, dtype=np.float64)
        pose[:2] = turn @ pose[:2]
        pose[:3] /= self._mapping.scale
        w, x, y, z = world_T_target[3:]
        pose[3:] = [cos * w - sin * z, cos * x - sin * y, cos * y + sin * x, cos * z + sin * w]
        return pose
