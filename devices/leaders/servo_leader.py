"""A leader arm as an input device: a thread on its bus, the newest reading, and its clutch."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from devices.leaders.leader_arm import DROPOUT_NS, Drive, LeaderArm, LeaderReading
from devices.leaders.leader_clutch import LeaderClutch
from devices.leaders.options import LeaderOptions
from devices.protocols import Verification
from devices.servos.arm_layouts import ArmLayout
from teleop_app.core.clock import NS_PER_MS, NS_PER_S, Clock
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import Actor, ArmInput, Array, ControlTick, InputSample

logger = logging.getLogger(__name__)

_SILENT_NS: Final = 250 * NS_PER_MS
_JOIN_S: Final = 2.0


class ServoLeader:
    """An `InputDevice`, `Waiting`, `StationObserver` and `Reporting`. Its bus has a thread of its own.

    A sample always carries a reading of its own; nothing is repeated. A reading that misses a servo gives no
    sample, and when that lasts longer than `DROPOUT_NS`, invalid samples and a sentence.

    Args:
        name: Source name.
        arm: The arm it leads.
        span: Of that arm in the station's joint vector.
        pose_of: The leader's end effector in its base frame for its joints, for an arm of other kinematics;
            None where the arm repeats its joints.
        layout: Of the leader.
        options: Of the leader.
        make_arm: Makes the arm on its bus: loads its calibration; called at every `start`.
        clock: The station's clock.
    """

    def __init__(
        self,
        name: str,
        arm: str,
        span: slice,
        pose_of: Callable[[Array], Array] | None,
        layout: ArmLayout,
        options: LeaderOptions,
        make_arm: Callable[[], LeaderArm],
        clock: Clock,
    ) -> None:
        self._name = name
        self._arm_name = arm
        self._span = span
        self._pose_of = pose_of
        self._layout = layout
        self._make_arm = make_arm
        self._clock = clock
        self._period_ns = round(NS_PER_S / options.rate_hz)
        self._clutch = LeaderClutch(options.clutch)
        self._arm: LeaderArm | None = None
        self._thread: threading.Thread | None = None
        self._ending = threading.Event()
        self._arrived = threading.Event()
        self._newest: LeaderReading | None = None
        self._fault: DeviceError | None = None
        self._taken = 0
        self._whole_ns = 0
        self._heard_ns = 0
        self._invalid = True
        self._seq = 0
        self._text = ""
        self._seen_ns = -_SILENT_NS
        self._lost = 0

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
        """It follows its arm."""
        return ("tick",)

    @property
    def state(self) -> str:
        """`free`, `gravity`, `follow` (driven to its arm), `aligned` (and there), or `lost`."""
        arm = self._arm
        if arm is None or self._fault is not None:
            return "lost"
        return "aligned" if arm.drive is Drive.FOLLOW and arm.aligned else arm.drive.value

    @property
    def sentence(self) -> str:
        """What is off: a lost servo, an alarm, drift."""
        return self._text or (self._arm.remark if self._arm is not None else "")

    @property
    def metrics(self) -> Mapping[str, float]:
        """`lost`: readings that missed a servo."""
        return {"lost": float(self._lost)}

    @property
    def commands(self) -> Mapping[str, Callable[..., dict[str, Any]]]:
        """`engage{on}` works its clutch; `follow{on}` drives it to its arm, or sets it free."""
        return {"engage": self.engage, "follow": self.follow}

    def start(self) -> None:
        """Open the bus, check the arm and begin to read it.

        Raises:
            DeviceError: It cannot be reached, is not whole, or is not calibrated.
        """
        self.stop()
        arm = self._make_arm()
        try:
            arm.begin()
        except BaseException:
            arm.end()
            raise
        now_ns = self._clock.now_ns()
        self._newest, self._fault, self._taken, self._text = None, None, 0, ""
        self._whole_ns = self._heard_ns = now_ns
        self._invalid = False
        if arm.remark:
            logger.warning("%s", arm.remark)
        self._arm = arm
        self._ending.clear()
        self._thread = threading.Thread(target=self._work, args=(arm,), name=f"bus-{self._name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let the arm go and close the bus. May be called twice."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._ending.set()
            thread.join(_JOIN_S)
            if thread.is_alive():
                logger.error("the bus of the leader %s does not let go", self._name)
        self._arm = None
        self._clutch.drop()

    def wait(self, timeout_s: float) -> None:
        """Return as soon as there is a new reading, at the latest after `timeout_s`."""
        self._arrived.wait(timeout_s)
        self._arrived.clear()

    def poll(self) -> InputSample | None:
        """The newest reading, None when there is nothing new; an invalid sample when the arm is silent.

        Raises:
            DeviceError: The bus is lost; `start` opens it anew.
        """
        now_ns = self._clock.now_ns()
        if self._arm is None:
            return None if self._invalid else self._invalid_sample(now_ns, "")
        if self._fault is not None:
            if not self._invalid:
                return self._invalid_sample(now_ns, self._fault.sentence)
            raise self._fault
        newest = self._newest
        if newest is None or newest.seq == self._taken:
            if now_ns - self._heard_ns > _SILENT_NS and not self._invalid:
                return self._invalid_sample(now_ns, f"The leader {self._name!r} does not answer.")
            return None
        self._taken, self._heard_ns = newest.seq, now_ns
        if newest.alarms:
            listed = "; ".join(
                f"{self._layout.named(servo)}: {text}" for servo, text in newest.alarms.items()
            )
            sentence = f"The leader {self._name!r} reports an alarm: {listed}."
            return self._invalid_sample(now_ns, f"{sentence} Switch its power off and on.")
        if not newest.whole:
            self._lost += 1
            if now_ns - self._whole_ns <= DROPOUT_NS:
                return None
            return self._invalid_sample(now_ns, self._missing_sentence(newest))
        return self._sample(newest, now_ns)

    def observe(self, value: object) -> None:
        """See where the arm is and what control does."""
        if not isinstance(value, ControlTick):
            return
        now_ns = self._clock.now_ns()
        self._clutch.watch(value.state, now_ns)
        measured = value.measured[self._span]
        alike = self._pose_of is None and measured.size == len(self._layout.joints)
        if self._arm is not None and alike and np.isfinite(measured).all():
            self._seen_ns = now_ns
            self._arm.lead_to(measured, now_ns)

    def engage(self, on: bool = True) -> dict[str, Any]:
        """Ask control to engage this leader, or let go.

        Raises:
            DeviceError: It is driven by its motors.
        """
        if on and self._arm is not None and self._arm.drive is Drive.FOLLOW:
            raise DeviceError(
                f"The leader {self._name!r} is driven to its arm",
                next_step="Set it free with follow{on: false}",
            )
        self._clutch.engage(on, self._clock.now_ns())
        return {}

    def follow(self, on: bool = True) -> dict[str, Any]:
        """Drive the leader to where the follower is, and hold it there; or set it free again.

        Raises:
            DeviceError: It is not connected, or its joints are not those of the arm.
        """
        if self._arm is None:
            raise DeviceError(f"The leader {self._name!r} is not connected", next_step="Plug it in")
        if on and self._clock.now_ns() - self._seen_ns > _SILENT_NS:
            other = (
                "its joints are others than the leader's" if self._pose_of else "control says nothing of it"
            )
            raise DeviceError(
                f"The leader {self._name!r} cannot be driven to the arm {self._arm_name!r}", why=other
            )
        self._clutch.drop()
        self._arm.want(on)
        return {}

    def cue(self, kind: str) -> None:
        """A leader has nothing to give a sign with."""

    # Inside.

    def _work(self, arm: LeaderArm) -> None:
        due_ns = self._clock.now_ns()
        try:
            while not self._ending.is_set():
                reading = arm.turn()
                if reading is not None:
                    self._newest = reading
                    self._arrived.set()
                due_ns = max(due_ns + self._period_ns, self._clock.now_ns())
                self._clock.sleep_until(due_ns)
        except DeviceError as error:
            self._fault = error
        except Exception as error:
            logger.exception("the bus of the leader %s failed", self._name)
            self._fault = DeviceError(
                f"The leader {self._name!r} failed", why=f"{type(error).__name__}: {error}"
            )
        finally:
            arm.end()
            self._arrived.set()

    def _sample(self, reading: LeaderReading, now_ns: int) -> InputSample:
        self._whole_ns, self._invalid, self._text = now_ns, False, ""
        gripper = float(reading.q[-1])
        driven = self._arm is not None and self._arm.drive is Drive.FOLLOW
        if not driven:
            self._clutch.squeeze(gripper, now_ns)
        clutch, joints = self._clutch.held and not driven, reading.q[:-1].copy()
        if self._pose_of is None:
            arm = ArmInput(clutch=clutch, joints=joints, gripper=gripper)
        else:
            arm = ArmInput(clutch=clutch, pose=self._pose_of(joints), gripper=gripper)
        return self._numbered(arm, reading.capture_ns)

    def _invalid_sample(self, now_ns: int, sentence: str) -> InputSample:
        if sentence and sentence != self._text:
            logger.warning("%s", sentence)
        self._invalid, self._text = True, sentence
        self._clutch.drop()
        return self._numbered(ArmInput(clutch=False, valid=False), now_ns)

    def _numbered(self, arm: ArmInput, capture_ns: int) -> InputSample:
        self._seq += 1
        return InputSample(self._name, Actor.HUMAN, self._seq, capture_ns, {self._arm_name: arm})

    def _missing_sentence(self, reading: LeaderReading) -> str:
        listed = ", ".join(self._layout.named(servo) for servo in reading.missing)
        return f"The leader {self._name!r} lost {listed}: no answer. Check its cable and power."
