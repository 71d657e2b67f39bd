"""What every input device must do."""

from __future__ import annotations

import re
import time
from typing import Final

import numpy as np

from devices.driver import DriverKind
from devices.protocols import InputDevice, Verification
from devices.testing.contract import DriverContract, eventually, fail, refused, require, usual_time_s
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import Actor, ArmInput, InputSample

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_CUES: Final = ("clutch", "limit", "stale", "record", "aligned", "estop")
_SHAPES: Final[dict[str, tuple[int, ...] | None]] = {
    "pose": (7,),
    "twist": (6,),
    "joints": None,
    "hand": (25, 7),
}


class InputContract(DriverContract):
    """Suite for `devices.protocols.InputDevice`.

    Attributes:
        longest_poll_s: `poll` never blocks; a usual call must be shorter [s].
        samples: How many samples are looked at.
    """

    kind = DriverKind.INPUT
    longest_poll_s: float = 0.01
    samples: int = 20

    def move(self) -> None:
        """Make the device give a sample: move the hand, press a button. Called again and again."""

    def test_it_says_what_it_is(self) -> None:
        """Name and proof."""
        device = self._make()
        require(
            _NAME.fullmatch(device.name), f"the name {device.name!r} must be lower case, as in station files"
        )
        require(isinstance(device.verification, Verification), "verification must be a Verification")

    def test_stopping_is_always_allowed(self) -> None:
        """Before the start, and twice."""
        device = self._make()
        device.stop()
        device.start()
        device.stop()
        device.stop()

    def test_starting_twice_is_starting_once(self) -> None:
        """The process may ask again."""
        device = self._make()
        device.start()
        device.start()
        self._next(device)
        device.stop()

    def test_it_can_be_started_again(self) -> None:
        """After a stop, its samples count on."""
        device = self._make()
        device.start()
        before = self._next(device)
        device.stop()
        device.start()
        after = self._next(device)
        require(after.seq > before.seq, f"seq went from {before.seq} back to {after.seq} after a restart")
        device.stop()

    def test_polling_does_not_block(self) -> None:
        """Neither with something new nor without."""
        device = self._make()
        device.start()
        for move in (lambda: None, self.move):
            move()
            spent_s = usual_time_s(device.poll)
            require(
                spent_s <= self.longest_poll_s,
                f"poll took {1e3 * spent_s:.1f} ms, at most {1e3 * self.longest_poll_s:g} ms are allowed",
            )
        device.stop()

    def test_the_clutch_is_not_held_at_first(self) -> None:
        """Nothing may move because a device was plugged in."""
        device = self._make()
        device.start()
        first = self._unasked(device) or self._next(device)
        for arm, asked in first.arms.items():
            require(not asked.clutch, f"the first sample already holds the clutch of {arm}")
        device.stop()

    def test_samples_are_sound(self) -> None:
        """Source, order, times, shapes, ranges, finite numbers."""
        device = self._make()
        device.start()
        last: InputSample | None = None
        started_ns = time.monotonic_ns()
        for _ in range(self.samples):
            sample = self._next(device)
            self._check(device, sample, started_ns)
            if last is not None:
                require(
                    sample.seq == last.seq + 1, f"seq went from {last.seq} to {sample.seq}; count up by one"
                )
                require(
                    sample.capture_ns >= last.capture_ns, "capture_ns went back: each sample has its own time"
                )
            last = sample
        device.stop()

    def test_a_stopped_device_holds_nothing(self) -> None:
        """A last sample may say that everything is let go of; then there is silence."""
        device = self._make()
        device.start()
        self._next(device)
        device.stop()
        for _ in range(3):
            try:
                sample = device.poll()
            except DeviceError as error:
                fail(f"a device that was stopped is not lost, but poll raised: {error.sentence}")
            if sample is not None:
                self._check_released(sample, "after stop")

    def test_every_sign_is_taken(self) -> None:
        """A sign it cannot give is left out, without an error."""
        device = self._make()
        device.start()
        for kind in _CUES:
            device.cue(kind)
        device.stop()

    def test_unplugging_lets_go_and_it_comes_back(self) -> None:
        """Nothing is held, a sentence says so, and starting finds it again."""
        device = self._make()
        device.start()
        seq = self._next(device).seq
        self.unplug()
        self._let_go(device)
        with refused("start without the device"):
            device.start()
        self.plug()
        eventually(lambda: _starts(device), "the device does not start again after it was plugged in", 0.05)
        require(self._next(device).seq > seq, "seq went back when the device came back")
        device.stop()

    # Inside.

    def _make(self) -> InputDevice:
        return self.make()

    def _unasked(self, device: InputDevice) -> InputSample | None:
        """The first sample of a device that speaks by itself."""
        deadline = time.monotonic() + 0.2
        while time.monotonic() < deadline:
            sample = device.poll()
            if sample is not None:
                return sample
            time.sleep(0.005)
        return None

    def _next(self, device: InputDevice) -> InputSample:
        def ask() -> InputSample | None:
            self.move()
            return device.poll()

        return eventually(ask, "no sample came")

    def _let_go(self, device: InputDevice) -> None:
        deadline = time.monotonic() + 3.0
        while time.monotonic() < deadline:
            try:
                with_sample = device.poll()
            except DeviceError:
                return
            if with_sample is not None and all(asked.valid for asked in with_sample.arms.values()):
                held = any(asked.clutch for asked in with_sample.arms.values()) or with_sample.buttons
                require(not held, "an unplugged device still holds a clutch or a button")
            time.sleep(0.01)
        fail("an unplugged device must raise a DeviceError from poll")

    def _check_released(self, sample: InputSample, when: str) -> None:
        require(not sample.buttons, f"buttons are down {when}: {sample.buttons}")
        for arm, asked in sample.arms.items():
            require(not asked.clutch, f"the clutch of {arm} is held {when}")

    def _check(self, device: InputDevice, sample: InputSample, started_ns: int) -> None:
        require(
            sample.source == device.name, f"source is {sample.source!r}, the device's name {device.name!r}"
        )
        require(sample.actor in (Actor.HUMAN, Actor.SCRIPT), f"the actor cannot be {sample.actor}")
        now_ns = time.monotonic_ns()
        require(
            started_ns - 1_000_000_000 <= sample.capture_ns <= now_ns,
            "capture_ns is not on the station's clock (CLOCK_MONOTONIC), or lies in the future",
        )
        require(
            all(isinstance(button, str) and button for button in sample.buttons),
            "buttons are names of actions",
        )
        unknown = set(sample.arms) - set(self.arms)
        require(not unknown, f"the sample names arms that it was not made for: {sorted(unknown)}")
        for arm, asked in sample.arms.items():
            _check_arm(arm, asked)
        if sample.base_twist is not None:
            _check_array("base_twist", sample.base_twist, (3,))
        if sample.lift_m_s is not None:
            require(np.isfinite(sample.lift_m_s), "lift_m_s is not finite")


def _check_arm(arm: str, asked: ArmInput) -> None:
    given = [name for name in ("pose", "twist", "joints") if getattr(asked, name) is not None]
    require(len(given) <= 1, f"{arm}: give one of pose, twist and joints, not {', '.join(given)}")
    if not asked.valid:
        return
    for name, shape in _SHAPES.items():
        values = getattr(asked, name)
        if values is not None:
            _check_array(f"{arm}: {name}", values, shape)
    if asked.pose is not None:
        length = float(np.linalg.norm(asked.pose[3:]))
        require(abs(length - 1.0) < 1e-3, f"{arm}: the quaternion of the pose has the length {length:.3f}")
    if asked.gripper is not None:
        require(0.0 <= asked.gripper <= 1.0, f"{arm}: gripper is {asked.gripper}, it goes from 0 to 1")


def _check_array(what: str, values: np.ndarray, shape: tuple[int, ...] | None) -> None:
    require(shape is None or values.shape == shape, f"{what} has the shape {values.shape}, not {shape}")
    require(np.all(np.isfinite(values)), f"{what} holds numbers that are not finite")


def _starts(device: InputDevice) -> bool | None:
    try:
        device.start()
    except DeviceError:
        return None
    return True
