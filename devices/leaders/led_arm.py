"""One arm of a leader: the thread on its bus, its newest reading, and its clutch."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from devices.leaders.leader_arm import DROPOUT_NS, Drive, LeaderArm, LeaderReading
from devices.leaders.leader_clutch import LeaderClutch
from devices.leaders.options import LeaderOptions
from devices.servos.arm_layouts import ArmLayout
from teleop_app.core.clock import NS_PER_MS, NS_PER_S, Clock
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import ArmInput, Array, AuthorityMode, ControlTick

logger = logging.getLogger(__name__)

_SILENT_NS: Final = 250 * NS_PER_MS
_RESUME_NS: Final = 300 * NS_PER_MS
_RETRY_S: Final = 1.0
_JOIN_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a leader's arm stands in the station.

    Attributes:
        source: Name of the input.
        name: Of the leader arm, for sentences.
        arm: The arm that it leads.
        index: Of that arm.
        span: Of that arm in the station's joint vector.
        pose_of: End effector of the leader in its base frame for its joints, for an arm of other kinematics;
            None where the arm repeats its joints.
    """

    source: str
    name: str
    arm: str
    index: int
    span: slice
    pose_of: Callable[[Array], Array] | None


class LedArm:
    """Polled from the input's thread; its bus is read by a thread of its own, which opens it again when lost.

    Args:
        place: In the station.
        layout: Of the leader.
        options: Of the leader.
        make_arm: Makes the arm on its bus: finds the adapter, loads the calibration; called at every
            connection.
        clock: The station's clock.
        arrived: Set at every reading.
    """

    def __init__(
        self,
        place: Place,
        layout: ArmLayout,
        options: LeaderOptions,
        make_arm: Callable[[], LeaderArm],
        clock: Clock,
        arrived: threading.Event,
    ) -> None:
        self.place = place
        self._layout = layout
        self._make_arm = make_arm
        self._clock = clock
        self._arrived = arrived
        self._period_ns = round(NS_PER_S / options.rate_hz)
        self._clutch = LeaderClutch(options.clutch)
        self._thread: threading.Thread | None = None
        self._ending = threading.Event()
        self._arm: LeaderArm | None = None
        self._newest: LeaderReading | None = None
        self._fault: DeviceError | None = None
        self._taken: LeaderReading | None = None
        self._whole_ns = self._heard_ns = self._invalid_ns = 0
        self._seen_ns = -_SILENT_NS
        self._valid = False
        self._policy = False
        self._text = ""
        self.lost = 0

    @property
    def state(self) -> str:
        """`free`, `gravity`, `follow` (driven to its arm), `aligned` (and there), or `lost`."""
        arm = self._arm
        if arm is None:
            return "lost"
        return "aligned" if arm.drive is Drive.FOLLOW and arm.aligned else arm.drive.value

    @property
    def fault(self) -> DeviceError | None:
        """Why it is lost, None while it is there or was not started."""
        return self._fault

    @property
    def sentence(self) -> str:
        """What is off: the bus, a lost servo, an alarm, drift."""
        fault, arm = self._fault, self._arm
        if fault is not None:
            return fault.sentence
        return self._text or (arm.remark if arm is not None else "")

    def start(self, *, anyway: bool = False) -> None:
        """Connect and begin to read.

        Args:
            anyway: Do not complain when it cannot be reached, but keep trying.

        Raises:
            DeviceError: It cannot be reached, is not whole, or is not calibrated.
        """
        self.stop()
        arm: LeaderArm | None = None
        try:
            arm = self._connect()
        except DeviceError as error:
            if not anyway:
                raise
            self._fault = error
        self._heard_ns = self._whole_ns = self._clock.now_ns()
        self._ending = threading.Event()
        name = f"bus-{self.place.name}"
        self._thread = threading.Thread(target=self._work, args=(arm, self._ending), name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let the arm go and close the bus. May be called twice."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._ending.set()
            thread.join(_JOIN_S)
            if thread.is_alive():
                logger.error("the bus of the leader %s does not let go", self.place.name)
        self._arm = None
        self._fault = None
        self._clutch.let_go()

    def poll(self) -> tuple[ArmInput, int] | None:
        """What it asks, and when that was so; None when there is nothing new."""
        now_ns, newest = self._clock.now_ns(), self._newest
        if self._thread is None:
            return self._invalid(now_ns, "") if self._valid else None
        if newest is None or newest is self._taken:
            silent = self._fault is not None or now_ns - self._heard_ns > _SILENT_NS
            if silent and self._valid:
                return self._invalid(now_ns, f"The leader {self.place.name!r} does not answer.")
            return None
        self._taken, self._heard_ns = newest, now_ns
        if newest.alarms:
            listed = "; ".join(
                f"{self._layout.named(servo)}: {text}" for servo, text in newest.alarms.items()
            )
            sentence = f"The leader {self.place.name!r} reports an alarm: {listed}."
            return self._invalid(now_ns, f"{sentence} Switch its power off and on.")
        if not newest.whole:
            self.lost += 1
            if now_ns - self._whole_ns <= DROPOUT_NS:
                return None
            listed = ", ".join(self._layout.named(servo) for servo in newest.missing)
            sentence = f"The leader {self.place.name!r} lost {listed}: no answer. Check its cable and power."
            return self._invalid(now_ns, sentence)
        if not self._valid and now_ns - self._invalid_ns > _RESUME_NS:
            self._clutch.drop()
        self._whole_ns, self._valid, self._text = now_ns, True, ""
        return self._asked(newest, now_ns), newest.capture_ns

    def observe(self, tick: ControlTick) -> None:
        """See where its arm is, and whether control drives it by this leader."""
        now_ns, place = self._clock.now_ns(), self.place
        drives = tick.source == place.source and tick.engaged[place.index]
        self._clutch.watch(drives, now_ns)
        arm, measured = self._arm, tick.measured[place.span]
        self._policy = tick.autonomy is not None and tick.autonomy.mode is not AuthorityMode.MANUAL
        if arm is not None and arm.pushed:
            arm.pushed = False
            if self._policy:
                self._seize(arm, now_ns)
        alike = place.pose_of is None and measured.size == len(self._layout.joints)
        if arm is not None and alike and np.isfinite(measured).all():
            self._seen_ns = now_ns
            arm.lead_to(measured, now_ns)

    def engage(self, on: bool) -> None:
        """Ask control to engage this leader, or let go. In use beside a policy, it is set free for that.

        Raises:
            DeviceError: It is driven by its motors.
        """
        arm = self._arm
        if on and arm is not None and arm.drive is Drive.FOLLOW:
            if self._policy:
                self._seize(arm, self._clock.now_ns())
                return
            raise DeviceError(
                f"The leader {self.place.name!r} is driven to its arm", next_step="Set it free first"
            )
        self._clutch.engage(on, self._clock.now_ns())

    def follow(self, on: bool) -> None:
        """Drive the leader to where its arm is, and hold it there; or set it free again.

        Raises:
            DeviceError: It is not connected, or its joints are not those of the arm.
        """
        arm = self._arm
        if arm is None:
            raise DeviceError(f"The leader {self.place.name!r} is not connected", next_step="Plug it in")
        if on and self._clock.now_ns() - self._seen_ns > _SILENT_NS:
            other = self.place.pose_of is not None
            raise DeviceError(
                f"The leader {self.place.name!r} cannot be driven to the arm {self.place.arm!r}",
                why="its joints are others than the leader's"
                if other
                else "control does not say where it is",
            )
        self._clutch.drop()
        arm.want(on)

    # Inside.

    def _seize(self, arm: LeaderArm, now_ns: int) -> None:
        """A person takes the leader that follows what a policy does: it is set free, and asks to engage."""
        logger.info("the leader %s takes over", self.place.name)
        arm.want(False)
        self._clutch.engage(True, now_ns)

    def _asked(self, reading: LeaderReading, now_ns: int) -> ArmInput:
        gripper, joints = float(reading.q[-1]), reading.q[:-1].copy()
        driven = self._arm is not None and self._arm.drive is Drive.FOLLOW
        if not driven:
            self._clutch.squeeze(gripper, now_ns)
        clutch = self._clutch.held and not driven
        if self.place.pose_of is None:
            return ArmInput(clutch=clutch, joints=joints, gripper=gripper)
        return ArmInput(clutch=clutch, pose=self.place.pose_of(joints), gripper=gripper)

    def _invalid(self, now_ns: int, sentence: str) -> tuple[ArmInput, int]:
        if sentence and sentence != self._text:
            logger.warning("%s", sentence)
        if self._valid:
            self._invalid_ns = now_ns
        self._valid, self._text = False, sentence
        # The clutch stays held: control shall hold and say why, not take it for a release.
        return ArmInput(clutch=self._clutch.held and self._thread is not None, valid=False), now_ns

    # The thread of the bus.

    def _connect(self) -> LeaderArm:
        arm = self._make_arm()
        try:
            arm.begin()
        except BaseException:
            arm.end()
            raise
        if arm.remark:
            logger.warning("%s", arm.remark)
        self._arm, self._fault = arm, None
        return arm

    def _work(self, arm: LeaderArm | None, ending: threading.Event) -> None:
        while not ending.is_set():
            try:
                self._read(arm or self._connect(), ending)
                return
            except DeviceError as error:
                self._lose(error)
            except Exception as error:
                logger.exception("the bus of the leader %s failed", self.place.name)
                why = f"{type(error).__name__}: {error}"
                self._lose(DeviceError(f"The leader {self.place.name!r} failed", why=why))
            arm = None
            ending.wait(_RETRY_S)

    def _read(self, arm: LeaderArm, ending: threading.Event) -> None:
        try:
            due_ns = self._clock.now_ns()
            while not ending.is_set():
                reading = arm.turn()
                if reading is not None:
                    self._newest = reading
                    self._arrived.set()
                due_ns = max(due_ns + self._period_ns, self._clock.now_ns())
                self._clock.sleep_until(due_ns)
        finally:
            arm.end()

    def _lose(self, error: DeviceError) -> None:
        if self._fault is None or error.sentence != self._fault.sentence:
            logger.warning("%s", error.sentence)
        self._arm, self._fault = None, error
        self._arrived.set()
