"""From a headset's frames to input samples: clutch, gripper, buttons, sticks. Shared by WebXR and OpenXR."""

from __future__ import annotations

from typing import Final

import numpy as np

from devices.inputs.gamepad import shape_stick
from devices.vr.clutch import SqueezeClutch
from devices.vr.hand_pinch import INDEX_TIP, MIDDLE_TIP, WRIST, pinch
from devices.vr.options import VrOptions
from devices.vr.protocol import HANDS, Controller, XrFrame
from teleop_app.core.config import StationConfig
from teleop_app.core.errors import ConfigError
from teleop_app.core.types import Actor, ArmInput, Array, InputSample

_DEADZONE: Final = 0.15
_EXPO: Final = 0.5


class ControllerMapper:
    """Turns frames into samples, in order. One thread.

    Args:
        name: Source name.
        arms: Arms that the headset may drive, station order.
        options: Settings.
        config: The station file, for base and lift.

    Raises:
        ConfigError: A controller shall drive an arm that is not there.
    """

    def __init__(self, name: str, arms: tuple[str, ...], options: VrOptions, config: StationConfig) -> None:
        self._name = name
        self._options = options
        self._arm_of = assign_arms(name, arms, options)
        self._config = config
        self._clutches: dict[str, SqueezeClutch] = {
            hand: SqueezeClutch(options.engage, options.release) for hand in HANDS
        }
        self._precise: dict[str, bool] = dict.fromkeys(HANDS, False)
        self._down: frozenset[str] = frozenset()
        self._resets: int | None = None
        self._seq = 0
        self._frame_seq: int | None = None
        self.lost = 0

    @property
    def arm_of(self) -> dict[str, str]:
        """Arm by hand."""
        return self._arm_of

    @property
    def held(self) -> dict[str, bool]:
        """Whether each hand's clutch is held."""
        return {hand: clutch.held for hand, clutch in self._clutches.items()}

    @property
    def precise(self) -> dict[str, bool]:
        """Whether each hand is in precision mode."""
        return dict(self._precise)

    def sample(self, frame: XrFrame, receive_ns: int) -> InputSample:
        """The sample of a frame; `capture_ns` is when it arrived.

        Args:
            frame: Of the client that drives.
            receive_ns: When it arrived.
        """
        self._count(frame.seq)
        steady = frame.visible and self._resets in (None, frame.resets)
        self._resets = frame.resets
        pressed = self._pressed(frame) if frame.visible else frozenset[str]()
        self._switch_precision(pressed)
        arms = {arm: self._arm(frame, hand, steady=steady) for hand, arm in self._arm_of.items()}
        base_twist, lift_m_s = self._drive(frame)
        return InputSample(
            source=self._name,
            actor=Actor.HUMAN,
            seq=self._seq,
            capture_ns=receive_ns,
            arms=arms,
            buttons=self._actions(pressed),
            device_ns=frame.device_ns,
            base_twist=base_twist,
            lift_m_s=lift_m_s,
        )

    def nothing(self, now_ns: int, *, estop: bool = False) -> InputSample:
        """A sample that holds nothing: the headset is gone, asleep, or handed over."""
        self._seq += 1
        self._frame_seq = None
        self._resets = None
        self._down = frozenset()
        for clutch in self._clutches.values():
            clutch.drop()
        stop = XrFrame(0, 0, 0, 0, False, None, {})
        base_twist, lift_m_s = self._drive(stop)
        return InputSample(
            source=self._name,
            actor=Actor.HUMAN,
            seq=self._seq,
            capture_ns=now_ns,
            arms={arm: ArmInput(clutch=False, valid=False) for arm in self._arm_of.values()},
            buttons=("estop",) if estop else (),
            base_twist=base_twist,
            lift_m_s=lift_m_s,
        )

    def _count(self, frame_seq: int) -> None:
        step = 1 if self._frame_seq is None else max(1, frame_seq - self._frame_seq)
        self._frame_seq = frame_seq
        self._seq += step
        self.lost += step - 1

    def _arm(self, frame: XrFrame, hand: str, *, steady: bool) -> ArmInput:
        controller, clutch = frame.controllers.get(hand), self._clutches[hand]
        pose = _place(controller)
        if controller is None or pose is None or not steady:
            clutch.drop()
            return ArmInput(clutch=False, valid=False, precise=self._precise[hand])
        trigger, squeeze = self._levels(frame, controller)
        return ArmInput(
            clutch=clutch.update(squeeze, valid=True),
            pose=pose,
            gripper=None if controller.transient else 1.0 - trigger,
            precise=self._precise[hand],
            hand=controller.joints,
        )

    def _levels(self, frame: XrFrame, controller: Controller) -> tuple[float, float]:
        """Trigger and squeeze, of buttons or of pinches."""
        if controller.joints is None:
            return controller.trigger, controller.squeeze
        by = controller
        if self._options.hand_clutch == "other":
            other = frame.controllers.get(HANDS[1 - HANDS.index(controller.hand)])
            if other is None or other.joints is None:
                return pinch(controller.joints, INDEX_TIP), 0.0
            by = other
        squeeze = 0.0 if by.joints is None else pinch(by.joints, MIDDLE_TIP)
        return pinch(controller.joints, INDEX_TIP), squeeze

    def _pressed(self, frame: XrFrame) -> frozenset[str]:
        return frozenset(
            f"{hand}.{button}"
            for hand, controller in frame.controllers.items()
            for button in controller.pressed
        )

    def _switch_precision(self, pressed: frozenset[str]) -> None:
        for hand in HANDS:
            if f"{hand}.{self._options.precise}" in pressed - self._down:
                self._precise[hand] = not self._precise[hand]
        self._down = pressed

    def _actions(self, pressed: frozenset[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(act for key, act in self._options.actions.items() if key in pressed))

    def _drive(self, frame: XrFrame) -> tuple[Array | None, float | None]:
        """Velocity of base and lift, where the station has them: at rest unless a stick is pushed."""
        base, lift = self._config.mobile_base, self._config.lift
        left, right = (_stick(frame, hand) for hand in HANDS)
        twist = None
        if base.driver:
            ahead, leftward, turn = -left[1], -left[0], -right[0]
            twist = np.array(
                [ahead * base.max_speed_m_s, leftward * base.max_speed_m_s, turn * base.max_turn_rad_s]
            )
        return twist, -right[1] * lift.max_speed_m_s if lift.driver else None


def assign_arms(name: str, arms: tuple[str, ...], options: VrOptions) -> dict[str, str]:
    """Arm by hand.

    Raises:
        ConfigError: An arm that is named is not among `arms`, or both controllers drive the same one.
    """
    chosen: dict[str, str] = {}
    for hand, arm in options.arms.items():
        if arm not in arms:
            raise ConfigError(
                f"The {hand} controller of '{name}' cannot drive the arm {arm!r}",
                next_step=f"Choose one of: {', '.join(arms)}",
            )
        chosen[hand] = arm
    if len(set(chosen.values())) < len(chosen):
        raise ConfigError(f"Both controllers of '{name}' drive the arm {chosen['left']!r}")
    if not chosen:
        free = [arm for arm in arms if arm not in HANDS]
        for hand in HANDS:
            if hand in arms:
                chosen[hand] = hand
            elif free and hand == "right" and len(arms) == 1:
                chosen[hand] = free.pop(0)  # one arm: most people drive it with the right hand
            elif free and len(arms) > 1:
                chosen[hand] = free.pop(0)
    return chosen


def _place(controller: Controller | None) -> Array | None:
    """The pose that moves an arm: a bare hand's wrist, else the grip."""
    if controller is None or controller.joints is None:
        return controller.grip if controller else None
    return controller.joints[WRIST]


def _stick(frame: XrFrame, hand: str) -> tuple[float, float]:
    controller = frame.controllers.get(hand)
    if controller is None or not frame.visible:
        return 0.0, 0.0
    return shape_stick(*controller.stick, _DEADZONE, _EXPO)
