"""A LeRobot teleoperator as an input: a leader arm by its joints, others by the steps that they give."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from pydantic import Field

from devices.leaders.leader_clutch import LeaderClutch
from devices.leaders.options import ClutchMode
from devices.leaders.pedal_clutch import PedalClutch
from devices.lerobot.client import START_S, LerobotWorker
from devices.lerobot.joint_map import JointMap, JointOptions
from devices.models.robot import RobotModel
from devices.protocols import Verification
from teleop_app.core.clock import NS_PER_MS, Clock
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import Actor, ArmInput, Array, ControlState, ControlTick, InputSample

logger = logging.getLogger(__name__)

_SILENT_NS: Final = 300 * NS_PER_MS
_DRIVEN: Final = (ControlState.ALIGNING, ControlState.ENGAGED)
_JOIN_S: Final = 5.0
_STEPS: Final = ("delta_x", "delta_y", "delta_z")
_CLOSE, _STAY, _OPEN = 0, 1, 2


class TeleoperatorOptions(JointOptions):
    """Settings of a LeRobot teleoperator.

    Attributes:
        clutch: What engages a leader arm, as for other leaders.
        speed_m_s: Speed of a full step of a teleoperator that gives steps, such as `gamepad`.
    """

    clutch: ClutchMode = ClutchMode.SQUEEZE
    speed_m_s: float = Field(default=0.15, gt=0.0, le=1.0)


@dataclass(frozen=True, slots=True)
class _Reading:
    seq: int
    capture_ns: int
    values: dict[str, float]


class LerobotTeleoperator:
    """An `InputDevice`, `Waiting`, `StationObserver` and `Reporting`; a thread asks its worker.

    Args:
        name: Source name.
        arm: The arm that it drives.
        model: Of that arm.
        options: Its settings.
        clock: The station's clock.
    """

    def __init__(
        self, name: str, arm: str, model: RobotModel, options: TeleoperatorOptions, clock: Clock
    ) -> None:
        self._name = name
        self._arm = arm
        self._model = model
        self._options = options
        self._clock = clock
        self._worker = LerobotWorker(name, options.python, "teleoperator", options.type, options.config)
        self._clutch = LeaderClutch(options.clutch)
        self._pedals = PedalClutch()
        self._map: JointMap | None = None
        self._thread: threading.Thread | None = None
        self._ending = threading.Event()
        self._arrived = threading.Event()
        self._newest: _Reading | None = None
        self._fault: DeviceError | None = None
        self._taken = 0
        self._heard_ns = 0
        self._released = True
        self._was_at_rest = False
        self._seq = 0

    @property
    def name(self) -> str:
        """Source name in samples."""
        return self._name

    @property
    def verification(self) -> Verification:
        """Proven with LeRobot itself and a device without hardware."""
        return Verification.EMULATOR

    @property
    def topics(self) -> tuple[str, ...]:
        """It sees what control does, and the pedals that engage it."""
        return ("tick", "input")

    def start(self) -> None:
        """Start LeRobot and connect the teleoperator there; takes some seconds.

        Raises:
            DeviceError: LeRobot refuses, or its features do not fit.
        """
        self._end()
        self._worker.start()
        actions = self._worker.ask("features")["actions"]
        steps = all(step in actions for step in _STEPS)
        self._map = None if steps else JointMap(self._name, self._options, self._model, actions)
        self._worker.ask("connect", START_S)
        self._newest, self._fault, self._taken = None, None, 0
        self._heard_ns, self._released, self._was_at_rest = self._clock.now_ns(), False, False
        self._ending.clear()
        self._thread = threading.Thread(target=self._work, name=f"lerobot-{self._name}", daemon=True)
        self._thread.start()

    def wait(self, timeout_s: float) -> None:
        """Return as soon as there is a new reading, at the latest after `timeout_s`."""
        self._arrived.wait(timeout_s)
        self._arrived.clear()

    def poll(self) -> InputSample | None:
        """The newest reading, None when there is nothing new; an invalid sample when it is lost.

        Raises:
            DeviceError: It is lost; `start` connects it anew.
        """
        now_ns = self._clock.now_ns()
        if self._thread is None:
            return None if self._released else self._let_go(now_ns)
        if self._fault is not None:
            if not self._released:
                return self._let_go(now_ns)
            fault = self._fault
            self._end()
            raise fault
        newest = self._newest
        if newest is None or newest.seq == self._taken:
            silent = now_ns - self._heard_ns > _SILENT_NS
            return self._let_go(now_ns) if silent and not self._released else None
        self._taken, self._heard_ns, self._released = newest.seq, now_ns, False
        asked = self._steps(newest.values) if self._map is None else self._joints(self._map, newest, now_ns)
        return self._sample(min(newest.capture_ns, now_ns), asked)

    def observe(self, value: object) -> None:
        """See what control does."""
        if isinstance(value, ControlTick):
            drives = value.source == self._name and value.state in _DRIVEN
            self._clutch.watch(drives, self._clock.now_ns())
            self._press(self._pedals.expire(value.tick_ns))
        elif isinstance(value, InputSample) and value.source != self._name:
            self._press(self._pedals.see(value, value.capture_ns))

    @property
    def state(self) -> str:
        """One word for what it does."""
        return "lost" if self._thread is None else "engaging" if self._clutch.held else "free"

    @property
    def sentence(self) -> str:
        """What is off, else empty."""
        return self._fault.sentence if self._fault is not None else ""

    @property
    def metrics(self) -> Mapping[str, float]:
        """None beside rate and age."""
        return {}

    @property
    def commands(self) -> Mapping[str, Callable[..., dict[str, Any]]]:
        """`engage{on}` works its clutch."""
        return {"engage": self.engage}

    def engage(self, on: bool = True) -> dict[str, Any]:
        """Ask control to engage it, or let go."""
        self._clutch.engage(bool(on), self._clock.now_ns())
        return {}

    def cue(self, kind: str) -> None:
        """It has no sign to give."""

    def stop(self) -> None:
        """Disconnect it and end the worker. May be called twice."""
        self._end()
        self._worker.stop()

    # Inside.

    def _end(self) -> None:
        """End the thread; LeRobot stays, since importing it is slow."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._ending.set()
            thread.join(_JOIN_S)
        self._clutch.let_go()

    def _press(self, edges: Sequence[tuple[bool, str]]) -> None:
        for on, arm in edges:
            if arm in ("", self._arm):
                self.engage(on)

    def _work(self) -> None:
        """The thread that asks the worker, which nobody else does meanwhile."""
        seq = 0
        try:
            while not self._ending.wait(1.0 / self._options.rate_hz):
                told: dict[str, Any] = self._worker.ask("action")
                seq += 1
                self._newest = _Reading(seq, int(told["capture_ns"]), told["values"])
                self._arrived.set()
        except DeviceError as error:
            logger.warning("%s", error.sentence)
            self._fault = error
            self._arrived.set()

    def _joints(self, mapped: JointMap, newest: _Reading, now_ns: int) -> ArmInput:
        q = mapped.to_ours(newest.values)
        self._clutch.squeeze(float(q[-1]), now_ns)
        first = self._seq == 0
        return ArmInput(clutch=self._clutch.held and not first, joints=q[:-1], gripper=float(q[-1]))

    def _steps(self, values: dict[str, float]) -> ArmInput:
        """LeRobot's steps, x ahead and y to the left, as a velocity: x right, y away, z up."""
        ahead, left, up = (min(1.0, max(-1.0, values.get(step, 0.0))) for step in _STEPS)
        twist: Array = np.array([-left, ahead, up, 0.0, 0.0, 0.0]) * self._options.speed_m_s
        moving = bool(np.any(twist))
        self._was_at_rest |= not moving  # seen released before it is seen pressed
        gripper = {_CLOSE: 0.0, _OPEN: 1.0}.get(round(values.get("gripper", _STAY)))
        return ArmInput(clutch=moving and self._was_at_rest, twist=twist, gripper=gripper)

    def _let_go(self, now_ns: int) -> InputSample:
        self._released = True
        self._clutch.let_go()
        return self._sample(now_ns, ArmInput(clutch=False, valid=False))

    def _sample(self, capture_ns: int, asked: ArmInput) -> InputSample:
        self._seq += 1
        return InputSample(
            source=self._name,
            actor=Actor.HUMAN,
            seq=self._seq,
            capture_ns=capture_ns,
            arms={self._arm: asked},
        )
