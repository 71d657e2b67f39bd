"""The gamepad through SDL's own virtual joystick: sticks, buttons, unplugging."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest

os.environ["SDL_VIDEODRIVER"] = "dummy"
os.environ["PYGAME_HIDE_SUPPORT_PROMPT"] = "1"

import pygame
from hypothesis import given
from hypothesis import strategies as st
from pygame._sdl2 import controller

from devices.inputs.gamepad import (
    AXES,
    BUTTONS,
    Gamepad,
    GamepadLayout,
    connected_gamepads,
    shape_stick,
)
from devices.testing import InputContract
from teleop_app.core.clock import FakeClock, MonotonicClock
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import Actor

ARMS = ("left", "right")


def _sdl() -> ctypes.CDLL:
    folder = Path(pygame.__file__).parents[1] / "pygame_ce.libs"
    found = sorted(folder.glob("libSDL2-2*"))
    if not found:
        pytest.skip("this build of pygame-ce does not bundle SDL beside itself")
    lib = ctypes.CDLL(str(found[0]))
    lib.SDL_JoystickOpen.restype = ctypes.c_void_p
    lib.SDL_JoystickClose.argtypes = [ctypes.c_void_p]
    lib.SDL_JoystickSetVirtualAxis.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int16]
    lib.SDL_JoystickSetVirtualButton.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint8]
    return lib


class VirtualPad:
    """A gamepad that SDL believes in."""

    def __init__(self) -> None:
        self._sdl = _sdl()
        self._handle: int | None = None

    def plug(self) -> None:
        game_controller = 1
        self._index = self._sdl.SDL_JoystickAttachVirtual(game_controller, len(AXES), len(BUTTONS), 0)
        self._handle = self._sdl.SDL_JoystickOpen(self._index)

    def unplug(self) -> None:
        if self._handle is not None:
            self._sdl.SDL_JoystickClose(self._handle)
            self._sdl.SDL_JoystickDetachVirtual(self._index)
            self._handle = None

    def axis(self, name: str, value: float) -> None:
        self._sdl.SDL_JoystickSetVirtualAxis(self._handle, AXES[name], round(value * 32767))

    def button(self, name: str, down: bool) -> None:
        self._sdl.SDL_JoystickSetVirtualButton(self._handle, BUTTONS[name], int(down))


@contextmanager
def plugged_pad() -> Iterator[VirtualPad]:
    pygame.display.init()
    controller.init()
    pad = VirtualPad()
    pad.plug()
    yield pad
    pad.unplug()
    controller.quit()
    pygame.display.quit()


@pytest.fixture
def pad() -> Iterator[VirtualPad]:
    with plugged_pad() as pad:
        yield pad


class TestGamepadContract(InputContract):
    """The suite that drivers of third parties must pass."""

    def setup_method(self) -> None:
        self._stage = ExitStack()
        self.pad = self._stage.enter_context(plugged_pad())
        self.plug, self.unplug = self.pad.plug, self.pad.unplug

    def teardown_method(self) -> None:
        self._stage.close()

    def make(self) -> Gamepad:
        return Gamepad(self.arms, MonotonicClock())

    def move(self) -> None:
        self.pad.axis("left_x", 0.7)
        self.pad.button("left_shoulder", True)


@pytest.fixture
def gamepad(pad: VirtualPad) -> Iterator[Gamepad]:
    device = Gamepad(ARMS, FakeClock())
    device.start()
    yield device
    device.stop()


def _poll(device: Gamepad):
    sample = device.poll()
    assert sample is not None
    return sample


def test_sticks_move_the_selected_arm_only(pad: VirtualPad, gamepad: Gamepad) -> None:
    pad.axis("left_y", -1.0)
    pad.axis("right_x", 1.0)
    sample = _poll(gamepad)
    layout = GamepadLayout()
    assert sample.actor is Actor.HUMAN
    assert sample.arms["left"].twist == pytest.approx([0, layout.speed_m_s, 0, 0, 0, -layout.turn_rad_s])
    assert sample.arms["right"].twist is None
    assert not sample.arms["right"].clutch


def test_the_left_trigger_makes_the_left_stick_tilt(pad: VirtualPad, gamepad: Gamepad) -> None:
    pad.axis("left_trigger", 1.0)
    pad.axis("left_x", 1.0)
    twist = _poll(gamepad).arms["left"].twist
    assert twist == pytest.approx([0, 0, 0, 0, GamepadLayout().turn_rad_s, 0])


def test_the_right_trigger_closes_the_gripper(pad: VirtualPad, gamepad: Gamepad) -> None:
    assert _poll(gamepad).arms["left"].gripper == pytest.approx(1.0)
    pad.axis("right_trigger", 1.0)
    assert _poll(gamepad).arms["left"].gripper == pytest.approx(0.0)


def test_the_clutch_follows_its_button(pad: VirtualPad, gamepad: Gamepad) -> None:
    assert not _poll(gamepad).arms["left"].clutch
    pad.button("left_shoulder", True)
    assert _poll(gamepad).arms["left"].clutch
    pad.button("left_shoulder", False)
    assert not _poll(gamepad).arms["left"].clutch


def test_a_clutch_held_over_an_arm_switch_does_not_hold_the_new_arm(
    pad: VirtualPad, gamepad: Gamepad
) -> None:
    _poll(gamepad)
    pad.button("left_shoulder", True)
    assert _poll(gamepad).arms["left"].clutch
    pad.button("right_shoulder", True)
    sample = _poll(gamepad)
    assert gamepad.selected_arm == "right"
    assert not sample.arms["left"].clutch
    assert not sample.arms["right"].clutch
    pad.button("left_shoulder", False)
    _poll(gamepad)
    pad.button("left_shoulder", True)
    assert _poll(gamepad).arms["right"].clutch
    assert gamepad.selected_arm == "right", "a held button switches once"


def test_a_clutch_held_while_plugging_in_does_not_hold(pad: VirtualPad) -> None:
    pad.button("left_shoulder", True)
    device = Gamepad(ARMS, FakeClock())
    device.start()
    assert not _poll(device).arms["left"].clutch
    device.stop()


@pytest.mark.parametrize(("button", "action"), sorted(GamepadLayout().actions.items()))
def test_buttons_ask_for_actions(pad: VirtualPad, gamepad: Gamepad, button: str, action: str) -> None:
    pad.button(button, True)
    assert _poll(gamepad).buttons == (action,)


def test_unplugging_lets_go_says_so_and_heals(pad: VirtualPad, gamepad: Gamepad) -> None:
    _poll(gamepad)
    pad.button("left_shoulder", True)
    assert _poll(gamepad).arms["left"].clutch
    pad.unplug()
    sample = _poll(gamepad)
    assert not any(arm.clutch or arm.valid for arm in sample.arms.values())
    with pytest.raises(DeviceError, match="unplugged"):
        gamepad.poll()
    with pytest.raises(DeviceError, match="No gamepad is connected"):
        gamepad.start()
    pad.plug()
    gamepad.start()
    assert _poll(gamepad).seq > sample.seq


def test_a_gamepad_that_is_stopped_lets_go_once_and_is_not_lost(pad: VirtualPad, gamepad: Gamepad) -> None:
    _poll(gamepad)
    pad.button("left_shoulder", True)
    assert _poll(gamepad).arms["left"].clutch
    gamepad.stop()
    sample = _poll(gamepad)
    assert not any(arm.clutch or arm.valid for arm in sample.arms.values()) and not sample.buttons
    assert gamepad.poll() is None
    gamepad.start()
    assert not _poll(gamepad).arms["left"].clutch, "it was held while it was stopped"


def test_nothing_connected_is_said_in_a_sentence() -> None:
    device = Gamepad(ARMS, FakeClock())
    with pytest.raises(DeviceError, match="No gamepad is connected"):
        device.start()
    assert connected_gamepads() == ()
    assert device.poll() is None
    device.stop()
    device.stop()


def test_connected_gamepads_are_listed_by_name(pad: VirtualPad) -> None:
    assert connected_gamepads() == ("Virtual Controller",)


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_a_shaped_stick_keeps_its_direction_and_never_exceeds_one(x: float, y: float) -> None:
    shaped = np.array(shape_stick(x, y, 0.12, 0.5))
    raw = np.array([x, y])
    assert np.linalg.norm(shaped) <= 1.0 + 1e-9
    assert float(shaped @ raw) == pytest.approx(float(np.linalg.norm(shaped) * np.linalg.norm(raw)))
    if np.linalg.norm(raw) <= 0.12:
        assert not shaped.any()
