"""Leader arms as an input device: each arm on a bus and a thread of its own, all in one source."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from devices.leaders.led_arm import LedArm
from devices.leaders.pedal_clutch import PedalClutch
from devices.protocols import Verification
from teleop_app.core.errors import ConfigError, DeviceError
from teleop_app.core.types import Actor, ControlTick, InputSample

logger = logging.getLogger(__name__)


class ServoLeader:
    """An `InputDevice`, `Waiting`, `StationObserver` and `Reporting`.

    A sample carries one reading of one arm, and no reading twice; an arm that is silent, slow or unplugged
    does not hold up the other one. A reading that misses a servo gives no sample, and when that lasts longer
    than `DROPOUT_NS`, invalid samples and a sentence.

    Args:
        name: Source name.
        arms: Its arms.
        arrived: Set by them at every reading.
    """

    def __init__(self, name: str, arms: Sequence[LedArm], arrived: threading.Event) -> None:
        self._name = name
        self._arms = tuple(arms)
        self._arrived = arrived
        self._pedals = PedalClutch()
        self._turn = 0
        self._seq = 0
        self._capture_ns = 0

    @property
    def name(self) -> str:
        """Source name in samples."""
        return self._name

    @property
    def verification(self) -> Verification:
        """Proven with emulated servos and the vendor's SDK."""
        return Verification.EMULATOR

    @property
    def topics(self) -> tuple[str, ...]:
        """It follows its arms, and the pedals that engage it."""
        return ("tick", "input")

    @property
    def state(self) -> str:
        """Of its arms: `free`, `gravity`, `follow`, `aligned` or `lost`; of several that differ, each."""
        states = [arm.state for arm in self._arms]
        if len(set(states)) == 1:
            return states[0]
        return ", ".join(f"{arm.place.arm} {state}" for arm, state in zip(self._arms, states, strict=True))

    @property
    def sentence(self) -> str:
        """What is off: a bus, a lost servo, an alarm, drift."""
        return " ".join(arm.sentence for arm in self._arms if arm.sentence)

    @property
    def metrics(self) -> Mapping[str, float]:
        """`lost`: readings that missed a servo."""
        return {"lost": float(sum(arm.lost for arm in self._arms))}

    @property
    def commands(self) -> Mapping[str, Callable[..., dict[str, Any]]]:
        """`engage{on, arm}` works its clutch; `follow{on, arm}` drives it to its arm, or sets it free."""
        return {"engage": self.engage, "follow": self.follow}

    def start(self) -> None:
        """Open the buses, check the arms and begin to read them.

        Raises:
            DeviceError: Not one of them can be reached, is whole and calibrated. One that is not is tried
                again every second while others work.
        """
        errors: dict[str, DeviceError] = {}
        for arm in self._arms:
            try:
                arm.start()
            except DeviceError as error:
                errors[arm.place.arm] = error
        if len(errors) == len(self._arms):
            raise next(iter(errors.values()))
        for arm in self._arms:
            if arm.place.arm in errors:
                arm.start(anyway=True)

    def stop(self) -> None:
        """Let the arms go and close the buses. May be called twice."""
        for arm in self._arms:
            arm.stop()

    def wait(self, timeout_s: float) -> None:
        """Return as soon as there is a new reading, at the latest after `timeout_s`."""
        self._arrived.wait(timeout_s)
        self._arrived.clear()

    def poll(self) -> InputSample | None:
        """A reading that was not handed out yet, None when there is none; invalid ones of a silent arm.

        Raises:
            DeviceError: Not one of its arms is there any more. Those that are missing beside others that are
                there are looked for every second.
        """
        for _ in self._arms:
            arm = self._arms[self._turn]
            self._turn = (self._turn + 1) % len(self._arms)
            found = arm.poll()
            if found is not None:
                asked, capture_ns = found
                self._seq += 1
                # Samples of a source go by their times; readings of two buses may come a moment out of order.
                self._capture_ns = max(capture_ns, self._capture_ns + 1)
                return InputSample(
                    self._name, Actor.HUMAN, self._seq, self._capture_ns, {arm.place.arm: asked}
                )
        faults = [arm.fault for arm in self._arms if arm.fault is not None]
        if len(faults) == len(self._arms):
            raise faults[0]
        return None

    def observe(self, value: object) -> None:
        """See where the arms are, what control does, and what pedals ask."""
        if isinstance(value, ControlTick):
            for arm in self._arms:
                arm.observe(value)
            self._press(self._pedals.expire(value.tick_ns))
        elif isinstance(value, InputSample) and value.source != self._name:
            self._press(self._pedals.see(value, value.capture_ns))

    def engage(self, on: bool = True, arm: str = "") -> dict[str, Any]:
        """Ask control to engage an arm's leader, or let go; every one without `arm`.

        Raises:
            ConfigError: It leads no such arm.
            DeviceError: It is driven by its motors.
        """
        for each in self._chosen(arm):
            each.engage(bool(on))
        return {}

    def follow(self, on: bool = True, arm: str = "") -> dict[str, Any]:
        """Drive a leader to where its arm is, and hold it there, or set it free; every one without `arm`.

        Raises:
            ConfigError: It leads no such arm.
            DeviceError: It is not connected, or its joints are not those of the arm.
        """
        for each in self._chosen(arm):
            each.follow(bool(on))
        return {}

    def cue(self, kind: str) -> None:
        """A leader has nothing to give a sign with."""

    def _press(self, edges: Sequence[tuple[bool, str]]) -> None:
        for on, name in edges:
            for arm in self._arms:
                if name in ("", arm.place.arm):
                    try:
                        arm.engage(on)
                    except DeviceError as error:
                        logger.warning("%s", error.sentence)

    def _chosen(self, name: str) -> tuple[LedArm, ...]:
        chosen = tuple(arm for arm in self._arms if name in ("", arm.place.arm))
        if not chosen:
            known = ", ".join(arm.place.arm for arm in self._arms)
            raise ConfigError(
                f"The leader {self._name!r} leads no arm {name!r}", next_step=f"It leads {known}"
            )
        return chosen
