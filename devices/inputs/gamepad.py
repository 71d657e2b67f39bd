"""Any gamepad that SDL knows: two sticks steer one arm, a trigger its gripper."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from devices.protocols import Verification
from teleop_app.core.clock import Clock
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import Actor, ArmInput, Array, InputSample

logger = logging.getLogger(__name__)

NAME: Final = "gamepad"
_FULL_SCALE: Final = 32767.0
_RUMBLE: Final = {"clutch": (0.2, 0.5, 60), "limit": (0.6, 0.2, 120), "stale": (0.8, 0.8, 250)}
_RUMBLE_DEFAULT: Final = (0.3, 0.3, 100)

# SDL_GameControllerAxis and SDL_GameControllerButton (SDL_gamecontroller.h, 2.0).
AXES: Final = {
    "left_x": 0,
    "left_y": 1,
    "right_x": 2,
    "right_y": 3,
    "left_trigger": 4,
    "right_trigger": 5,
}
BUTTONS: Final = {
    "a": 0,
    "b": 1,
    "x": 2,
    "y": 3,
    "back": 4,
    "guide": 5,
    "start": 6,
    "left_stick": 7,
    "right_stick": 8,
    "left_shoulder": 9,
    "right_shoulder": 10,
    "dpad_up": 11,
    "dpad_down": 12,
    "dpad_left": 13,
    "dpad_right": 14,
}


def _default_actions() -> dict[str, str]:
    return {
        "a": "record",
        "x": "save",
        "b": "discard",
        "y": "redo",
        "back": "undo",
        "start": "next",
        "guide": "estop",
    }


@dataclass(frozen=True, slots=True)
class GamepadLayout:
    """What each control does; see docs/devices.md.

    Attributes:
        clutch: Button held to move the arm.
        switch_arm: Button that goes on to the next arm.
        tilt: Trigger that turns the left stick from sliding to tilting while it is pulled.
        grip: Trigger that closes the gripper.
        actions: App actions by button.
        deadzone: Stick deflection that counts as none, 0 .. 1.
        expo: Share of the cubic curve, for fine motion near the middle, 0 .. 1.
        speed_m_s: At full deflection.
        turn_rad_s: At full deflection.
    """

    clutch: str = "left_shoulder"
    switch_arm: str = "right_shoulder"
    tilt: str = "left_trigger"
    grip: str = "right_trigger"
    actions: dict[str, str] = field(default_factory=_default_actions)
    deadzone: float = 0.12
    expo: float = 0.5
    speed_m_s: float = 0.15
    turn_rad_s: float = 0.8


class Gamepad:
    """The first gamepad found. Runs in a process of its own, without a window; one thread.

    Velocities are in the operator's frame: x to the right, y away from the operator, z up.

    Args:
        arms: Arm names; the first is selected at start.
        clock: The station's clock.
        layout: What each control does.
    """

    def __init__(self, arms: tuple[str, ...], clock: Clock, layout: GamepadLayout | None = None) -> None:
        self._arms = arms
        self._clock = clock
        self._layout = layout or GamepadLayout()
        self._pad: Any = None
        self._selected = 0
        self._switch_was_down = False
        self._may_clutch = False
        self._gone = self._releasing = False
        self._seq = 0

    @property
    def name(self) -> str:
        """Source name in samples."""
        return NAME

    @property
    def verification(self) -> Verification:
        """Proven with SDL's virtual joystick."""
        return Verification.EMULATOR

    @property
    def selected_arm(self) -> str:
        """The arm that the sticks move."""
        return self._arms[self._selected]

    def start(self) -> None:
        """Open the first gamepad.

        Raises:
            DeviceError: There is none, or SDL cannot open it.
        """
        if self._pad is not None:
            return
        pygame, controller = _sdl()
        try:
            pygame.display.init()
            controller.init()
            pygame.event.pump()
            index = next((i for i in range(pygame.joystick.get_count()) if controller.is_controller(i)), None)
            if index is None:
                raise DeviceError("No gamepad is connected", next_step="Plug one in; it is found by itself")
            self._pad = controller.Controller(index)
        except pygame.error as error:
            raise DeviceError("The gamepad cannot be opened", why=str(error)) from error
        self._may_clutch = self._gone = self._releasing = False
        logger.info("gamepad: %s", self._pad.name)

    def poll(self) -> InputSample | None:
        """The present deflections; once an invalid sample when the gamepad was unplugged or stopped.

        Raises:
            DeviceError: The gamepad is gone; `start` finds it again.
        """
        if self._gone:
            raise DeviceError("The gamepad was unplugged", next_step="Plug it in again")
        if self._pad is None:
            releasing, self._releasing = self._releasing, False
            return self._sample(None, ()) if releasing else None
        import pygame

        pygame.event.pump()
        pygame.event.clear()
        if not self._pad.attached():
            self._pad, self._gone = None, True
            return self._sample(None, ())
        return self._sample(self._twist(), self._pressed())

    def cue(self, kind: str) -> None:
        """A rumble, if the gamepad can."""
        if self._pad is not None and self._pad.attached():
            self._pad.rumble(*_RUMBLE.get(kind, _RUMBLE_DEFAULT))

    def stop(self) -> None:
        """Close the gamepad; the next sample lets go of everything. May be called twice."""
        self._gone = False
        if self._pad is not None:
            self._pad.quit()
            self._pad, self._releasing = None, self._seq > 0

    # Inside.

    def _sample(self, twist: Array | None, buttons: tuple[str, ...]) -> InputSample:
        """The arm's sample; without a twist the gamepad is gone, and nothing is held or valid."""
        self._seq += 1
        arms: dict[str, ArmInput] = {}
        for arm in self._arms:
            if twist is None:
                arms[arm] = ArmInput(clutch=False, valid=False)
            elif arm == self.selected_arm:
                grip = self._trigger(self._layout.grip)
                arms[arm] = ArmInput(clutch=self._clutch(), twist=twist, gripper=1.0 - grip)
            else:
                arms[arm] = ArmInput(clutch=False)
        return InputSample(
            source=NAME,
            actor=Actor.HUMAN,
            seq=self._seq,
            capture_ns=self._clock.now_ns(),
            arms=arms,
            buttons=buttons,
        )

    def _clutch(self) -> bool:
        """Held, and let go of once since the gamepad was found or the arm was changed."""
        held = self._down(self._layout.clutch)
        if not held:
            self._may_clutch = True
        return held and self._may_clutch

    def _pressed(self) -> tuple[str, ...]:
        switch = self._down(self._layout.switch_arm)
        if switch and not self._switch_was_down:
            self._selected = (self._selected + 1) % len(self._arms)
            self._may_clutch = False
        self._switch_was_down = switch
        return tuple(action for button, action in self._layout.actions.items() if self._down(button))

    def _twist(self) -> Array:
        layout = self._layout
        left = shape_stick(self._axis("left_x"), -self._axis("left_y"), layout.deadzone, layout.expo)
        right = shape_stick(self._axis("right_x"), -self._axis("right_y"), layout.deadzone, layout.expo)
        twist = np.zeros(6)
        if self._trigger(layout.tilt) > 0.5:
            # The stick tilts the tool the way it is pushed: forward turns about -x, right about y.
            twist[3], twist[4] = -left[1] * layout.turn_rad_s, left[0] * layout.turn_rad_s
        else:
            twist[0], twist[1] = left[0] * layout.speed_m_s, left[1] * layout.speed_m_s
        twist[2] = right[1] * layout.speed_m_s
        twist[5] = -right[0] * layout.turn_rad_s
        return twist

    def _axis(self, name: str) -> float:
        return max(-1.0, self._pad.get_axis(AXES[name]) / _FULL_SCALE)

    def _trigger(self, name: str) -> float:
        return min(1.0, max(0.0, self._pad.get_axis(AXES[name]) / _FULL_SCALE))

    def _down(self, name: str) -> bool:
        return bool(self._pad.get_button(BUTTONS[name]))


def connected_gamepads() -> tuple[str, ...]:
    """Names of the gamepads that SDL finds now; SDL is shut down again.

    Raises:
        DeviceError: SDL cannot look.
    """
    pygame, controller = _sdl()
    try:
        pygame.display.init()
        controller.init()
        pygame.event.pump()
        indices = [i for i in range(pygame.joystick.get_count()) if controller.is_controller(i)]
        return tuple(_name(controller, index) for index in indices)
    except pygame.error as error:
        raise DeviceError("Gamepads cannot be looked for", why=str(error)) from error
    finally:
        controller.quit()
        pygame.display.quit()


def _name(controller: Any, index: int) -> str:
    pad = controller.Controller(index)
    try:
        return str(pad.name)
    finally:
        pad.quit()


def _sdl() -> tuple[Any, Any]:
    # SDL reads joysticks only beside a video subsystem; this one has no window.
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    os.environ.setdefault("SDL_JOYSTICK_ALLOW_BACKGROUND_EVENTS", "1")
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    import pygame
    from pygame._sdl2 import controller

    return pygame, controller


def shape_stick(x: float, y: float, deadzone: float, expo: float) -> tuple[float, float]:
    """A stick's deflection with a round dead zone and a gentle middle, each -1 .. 1.

    The length is shaped and the direction kept, so that the stick does not snap to its axes.
    """
    length = float(np.hypot(x, y))
    if length <= deadzone:
        return 0.0, 0.0
    beyond = min(1.0, (length - deadzone) / (1.0 - deadzone))
    shaped = (1.0 - expo) * beyond + expo * beyond**3
    return shaped * x / length, shaped * y / length
