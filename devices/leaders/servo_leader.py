"""A leader arm as an input device: a thread on its bus, the newest reading, and its clutch."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

import numpy as np

from devices.leaders.leader_arm import DROPOUT_NS, Drive, LeaderArm, LeaderReading
from devices.leaders.leader_clutch import LeaderClutch
from devices.leaders.options import LeaderOptions
from devices.protocols import Verification
from devices.servos.arm_layouts import ArmLayout
from teleop_app.core.clock import NS_PER_MS, NS_PER_S, Clock
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import Actor, ArmInput, ControlTick, InputSample

logger = logging.getLogger(__name__)

_SILENT_NS: Final = 250 * NS_PER_MS
_JOIN_S: Final = 2.0


class ServoLeader:
    """An `InputDevice`, `Waiting`, `StationObserver` and `DrivenLeader`. Its bus has a thread of its own.

    A sample always carries a reading of its own; nothing is repeated. A reading that misses a servo gives no
    sample, and when that lasts longer than `DROPOUT_NS`, invalid samples and a sentence.

    Args:
        name: Source name.
        arm: The arm it leads.
        arms: Every arm of the station, in its order.
        layout: Of the leader.
        options: Of the leader.
        make_arm: Makes the arm on its bus: loads its calibration; called at every `start`.
        clock: The station's clock.
    """

    def __init__(
        self,
        name: str,
        arm: str,
        arms: tuple[str, ...],
        layout: ArmLayout,
        options: LeaderOptions,
        make_arm: Callable[[], LeaderArm],
        clock: Clock,
    ) -> None:
        self._name = name
        self._arm_name = arm
        self._place, self._arms = arms.index(arm), len(arms)
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
        self._alike = False
        self.lost = 0

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
    def report(self) -> tuple[str, str]:
        """State (`free`, `gravity`, `follow`, `aligned`, `lost`), and a sentence when something is off."""
        arm = self._arm
        if arm is None:
            return "lost", self._text
        state = "aligned" if arm.drive is Drive.FOLLOW and arm.aligned else arm.drive.value
        return state, self._text or arm.remark

    @property
    def values(self) -> dict[str, float]:
        """The newest joint angles [rad] and gripper, for the Setup page."""
        newest = self._newest
        if newest is None:
            return {}
        pairs = zip(self._layout.names, newest.q.tolist(), strict=True)
        return {name: value for name, value in pairs if np.isfinite(value)}

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
            self.lost += 1
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
        size = len(self._layout.joints)
        measured = value.measured[self._place * size : (self._place + 1) * size]
        self._alike = value.measured.size == self._arms * size
        if self._arm is not None and self._alike and np.isfinite(measured).all():
            self._arm.lead_to(measured, now_ns)

    def engage(self, on: bool) -> None:
        """Ask control to engage this leader, or let go."""
        self._clutch.engage(on, self._clock.now_ns())

    def follow(self, on: bool) -> None:
        """Drive the leader to where the follower is, and hold it there; or set it free again.

        Raises:
            DeviceError: It is not connected, or its joints are not those of the arm.
        """
        if self._arm is None:
            raise DeviceError(f"The leader {self._name!r} is not connected", next_step="Plug it in")
        if on and not self._alike:
            raise DeviceError(
                f"The leader {self._name!r} cannot be driven to the arm {self._arm_name!r}",
                why="they have other joints, or the arm is not known yet",
            )
        self._clutch.drop()
        self._arm.want(on)

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
        arm = ArmInput(clutch=self._clutch.held and not driven, joints=reading.q[:-1].copy(), gripper=gripper)
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
