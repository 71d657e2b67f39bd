"""The control loop: input -> arbitration -> mapping -> supervisor -> followers, one tick at a time.

It knows no process, socket or timer: samples are offered, `tick` is called, messages are returned.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from teleop_app.control.arbitration import Arbiter, Source
from teleop_app.control.flag_events import FlagEvents
from teleop_app.control.holds import Holds
from teleop_app.control.home_motion import HomeMotion
from teleop_app.control.states import ControlStates, Trigger
from teleop_app.core.config import MappingSection, SafetySection
from teleop_app.core.errors import StationError
from teleop_app.core.geometry import Array
from teleop_app.core.types import Actor, ControlState, ControlTick, Event, InputSample, SafetyFlag
from teleop_app.mapping.retarget import ArmGoal, ArmRetargeter
from teleop_app.safety.input_guard import ArmGuard, SourceGuard
from teleop_app.safety.outcome import ArmRequest, Intervention, Outcome
from teleop_app.safety.supervisor import SafetySupervisor
from teleop_app.safety.watchdog import Freshness

logger = logging.getLogger(__name__)
_MAX_SOURCES = 32
_ESTOP_BUTTON = "estop"


@dataclass(slots=True)
class _Drive:
    """What ties one arm to its driver.

    Attributes:
        source: Name of the driver, empty when the arm is free.
        engagement: Its engage edge.
        ties: Its last tie of hand and arm.
        paused: Its input is held.
    """

    source: str = ""
    engagement: int = -1
    ties: int = -1
    paused: bool = False


class ControlLoop:
    """See the module. One thread.

    Args:
        arms: Arm names in station order.
        home: Home posture of each arm [rad].
        home_height_m: Height of each tool centre point at home, world frame.
        supervisor: The only way to the followers.
        mapping: Section of the station file.
        safety: Section of the station file.
        period_s: Of a tick.
        origin: Process name in events.
    """

    def __init__(
        self,
        arms: Sequence[str],
        home: Sequence[Array],
        home_height_m: Sequence[float],
        supervisor: SafetySupervisor,
        mapping: MappingSection,
        safety: SafetySection,
        period_s: float,
        origin: str = "control",
    ) -> None:
        self._arms = tuple(arms)
        self._home = [np.asarray(posture, dtype=np.float64) for posture in home]
        self._home_height_m = list(home_height_m)
        self._supervisor = supervisor
        self._safety = safety
        self._period_s = period_s
        self._origin = origin
        self._retargeters = [ArmRetargeter(mapping, period_s) for _ in self._arms]
        self._drives = [_Drive() for _ in self._arms]
        self._sources: dict[str, Source] = {}
        self._refused: set[str] = set()
        self._arbiter = Arbiter()
        self._driver: Source | None = None
        self._states = ControlStates()
        self._flags = FlagEvents(origin)
        self._motion: HomeMotion | None = None
        self._holds = Holds(safety)
        self._events: list[Event] = []
        self._rejected: list[Intervention] = []
        self._seq = 0
        self._at_rest = True
        self.input_age_ms = 0.0

    # Inputs.

    def offer(self, sample: InputSample, now_ns: int) -> None:
        """Take one sample of any source, before the tick. `estop` in it latches, however old it is."""
        if _ESTOP_BUTTON in sample.buttons and not self._supervisor.estopped:
            self.estop(f"pressed on '{sample.source}'", now_ns)
        source = self._source(sample)
        if source is None:
            return
        source.actor = sample.actor
        for button in source.guard.offer(sample, now_ns):
            fields: dict[str, object] = {"button": button, "source": sample.source}
            self._note("input.button", now_ns, f"{button} pressed on {sample.source}", fields)
        for arm, guard in source.guard.arms.items():
            if guard.rejection is not None and arm in sample.arms:
                rejection = guard.rejection
                text = f"Arm '{arm}': {rejection.text}"
                self._rejected.append(Intervention(rejection.flag, arm, text))

    def _source(self, sample: InputSample) -> Source | None:
        if sample.actor not in (Actor.HUMAN, Actor.SCRIPT):
            self._refuse_source(sample.source, f"it claims to be {sample.actor.value!r}")
            return None
        known = self._sources.get(sample.source)
        if known is not None:
            return known
        if len(self._sources) >= _MAX_SOURCES and not self._forget_idle_source():
            self._refuse_source(sample.source, f"{_MAX_SOURCES} others are in use")
            return None
        guard = SourceGuard(self._arms, self._safety)
        seen = dict.fromkeys(self._arms, 0)
        self._sources[sample.source] = known = Source(sample.source, sample.actor, guard, seen)
        return known

    def _forget_idle_source(self) -> bool:
        """Make room for a new source: of those that hold nothing, the one silent for longest goes."""
        idle = [
            source
            for source in self._sources.values()
            if source is not self._driver and not source.active and not source.guard.buttons
        ]
        if not idle:
            return False
        del self._sources[min(idle, key=lambda source: source.guard.capture_ns).name]
        return True

    def _refuse_source(self, name: str, why: str) -> None:
        if name not in self._refused and len(self._refused) < _MAX_SOURCES:  # told once, not at every sample
            self._refused.add(name)
            logger.warning("input source %r is not taken: %s", name, why)

    # Commands.

    def estop(self, reason: str, now_ns: int) -> None:
        """Latch the e-stop; it acts at the coming tick."""
        already = self._supervisor.estopped
        self._supervisor.estop(reason)
        if not already:
            text = f"E-stop {self._supervisor.estop_reason}."
            self._note("safety.estop", now_ns, text, {"reason": self._supervisor.estop_reason})

    def reset_estop(self, now_ns: int) -> None:
        """Unlatch the e-stop. Nothing moves until somebody engages anew.

        Raises:
            StationError: The e-stop is still pressed on an input.
        """
        for source in self._sources.values():
            if _ESTOP_BUTTON in source.guard.buttons:
                raise StationError(
                    f"The e-stop is still pressed on '{source.name}'", next_step="Release it, then reset"
                )
        if self._supervisor.estopped:
            self._supervisor.reset_estop()
            self._note("safety.estop_reset", now_ns, "E-stop reset. Engage to move.", {})

    def release(self, now_ns: int) -> None:
        """Let go of every arm and end a home motion; each input needs a new engage edge."""
        for source in self._sources.values():
            source.guard.revoke()
        self._holds.forget()
        self._cancel_home(now_ns, "it was released")

    def start_home(self, now_ns: int) -> None:
        """Bring every arm home. `control.homed` follows when they are there.

        Raises:
            StationError: Somebody is engaged, the e-stop is latched, or a follower is lost.
        """
        state = self._states.state
        if self._supervisor.estopped or not self._supervisor.ready:
            reason = self._states.reason or "The followers have not reported yet"
            raise StationError("The arms cannot go home now", why=reason)
        if state is ControlState.ENGAGED or (self._driver is not None and self._driver.active):
            name = self._driver.name if self._driver else "an input"
            raise StationError(
                f"The arms cannot go home while '{name}' is engaged", next_step="Release it first"
            )
        self._holds.forget()
        self._motion = HomeMotion(self._supervisor, self._home, self._home_height_m, now_ns, self._period_s)

    def set_mapping(self, mapping: MappingSection) -> None:
        """Take new mapping settings; engaged arms are tied anew under them."""
        for retargeter, drive in zip(self._retargeters, self._drives, strict=True):
            retargeter.configure(mapping)
            drive.source = ""

    @property
    def at_rest(self) -> bool:
        """Whether nothing sent moved at the last tick."""
        return self._at_rest

    @property
    def estopped(self) -> bool:
        """Whether the e-stop is latched."""
        return self._supervisor.estopped

    @property
    def state(self) -> ControlState:
        """State after the last tick."""
        return self._states.state

    @property
    def reason(self) -> str:
        """Sentence for the state in HOLD, FAULT and ESTOP."""
        return self._states.reason

    def take_events(self) -> list[Event]:
        """Events since the last call, oldest first."""
        events, self._events = self._events, []
        return events

    # The tick.

    def tick(self, now_ns: int, due_ns: int | None = None, missed: int = 0) -> ControlTick:
        """One control tick.

        Args:
            now_ns: When it begins.
            due_ns: When it should have begun; None for now.
            missed: Ticks left out before it; they show as a gap in `seq`.
        """
        self._seq += 1 + missed
        if not self._supervisor.ready or self._supervisor.estopped:
            for source in self._sources.values():
                source.guard.revoke()
            self._holds.forget()
            self._cancel_home(now_ns, "the robot was stopped")
        self._arbitrate(now_ns)
        requests, goals = self._requests(now_ns)
        outcome = self._supervisor.tick(now_ns, requests)
        self._at_rest = outcome.at_rest
        self._give_back(requests, outcome)
        self._watch_home(now_ns)
        self._follow_states(now_ns, requests, outcome)
        notes = [*self._rejected, *outcome.interventions]
        self._rejected = []
        self._events += self._flags.update(now_ns, notes)
        return self._message(now_ns, due_ns or now_ns, goals, outcome, notes)

    def _arbitrate(self, now_ns: int) -> None:
        held = self._states.state is ControlState.HOLD
        before = self._driver
        decision = self._arbiter.decide(self._sources, driver_is_held=held)
        self._driver = decision.driver
        for source in decision.refused:
            driver = decision.driver.name if decision.driver else ""
            text = f"'{source.name}' cannot engage while '{driver}' drives. Release '{driver}' first."
            self._note("control.refused", now_ns, text, {"source": source.name, "driver": driver})
        if decision.driver is before:
            return
        if before is not None:
            by = decision.driver.name if decision.preempted is before and decision.driver else ""
            text = (
                f"'{before.name}' lost the robot to '{by}'." if by else f"'{before.name}' released the robot."
            )
            self._note("control.released", now_ns, text, {"source": before.name, "by": by})
        if decision.driver is not None:
            self._holds.forget()
            self._cancel_home(now_ns, f"'{decision.driver.name}' took over")
            fields: dict[str, object] = {
                "source": decision.driver.name,
                "actor": decision.driver.actor.value,
                "from": before.name if before is not None else "",
            }
            self._note("control.engaged", now_ns, f"'{decision.driver.name}' drives.", fields)

    def _requests(self, now_ns: int) -> tuple[list[ArmRequest | None], list[ArmGoal | None]]:
        self._holds.begin_tick()
        none: list[ArmGoal | None] = [None] * len(self._arms)
        if self._motion is not None:
            return self._motion.requests(now_ns), none
        requests: list[ArmRequest | None] = []
        goals: list[ArmGoal | None] = []
        for arm in range(len(self._arms)):
            goal = self._goal(arm, now_ns)
            goals.append(goal)
            if goal is None or self._driver is None:
                requests.append(None)
                continue
            capture_ns = self._driver.guard.arms[self._arms[arm]].capture_ns
            requests.append(ArmRequest(capture_ns, goal.pose, goal.joints, goal.gripper))
        return requests, goals

    def _goal(self, arm: int, now_ns: int) -> ArmGoal | None:
        drive, retargeter, driver = self._drives[arm], self._retargeters[arm], self._driver
        guard = driver.guard.arms[self._arms[arm]] if driver is not None else None
        if driver is None or guard is None or not guard.engaged or guard.good is None:
            if drive.source:
                retargeter.release()
                self._drives[arm] = _Drive()
            return None
        freshness = guard.freshness(now_ns)
        if freshness is not Freshness.FRESH:
            self._pause(arm, driver, guard, freshness, now_ns)
            return None
        self._tie(arm, driver, guard)
        try:
            return retargeter.goal(guard.good, guard.capture_ns)
        except ValueError as error:
            guard.revoke()
            self._holds.refuse(self._arms[arm], str(error), guard)
            return None

    def _tie(self, arm: int, driver: Source, guard: ArmGuard) -> None:
        """Tie hand and arm where they are now, if they are not tied already."""
        drive = self._drives[arm]
        new = (drive.source, drive.engagement) != (driver.name, guard.engagement)
        if not new and not drive.paused and drive.ties == guard.ties:
            return
        anchor = self._supervisor.anchor(arm)
        present = ArmGoal(anchor.pose, anchor.joints, anchor.gripper)
        if new:
            self._retargeters[arm].engage(present, pickup=driver.actor is Actor.HUMAN)
        else:
            self._retargeters[arm].reference(present)
        self._drives[arm] = _Drive(driver.name, guard.engagement, guard.ties)

    def _pause(self, arm: int, driver: Source, guard: ArmGuard, freshness: Freshness, now_ns: int) -> None:
        name = self._arms[arm]
        age_ms = (now_ns - guard.capture_ns) / 1e6
        self._drives[arm].paused = True
        if freshness is Freshness.HOLD:
            self._rejected.append(self._holds.pause(name, driver.name, age_ms))
            return
        guard.revoke()
        self._rejected.append(self._holds.lose(name, driver.name, age_ms, guard))
        self._note("safety.released", now_ns, self._holds.reason, {"arm": name, "source": driver.name})

    def _give_back(self, requests: Sequence[ArmRequest | None], outcome: Outcome) -> None:
        """Tell the retargeters where their goals were limited to."""
        for retargeter, request, pose in zip(self._retargeters, requests, outcome.limited_poses, strict=True):
            if request is not None and pose is not None and request.pose is not None:
                if (pose != request.pose).any():
                    retargeter.limited(pose)

    def _follow_states(self, now_ns: int, requests: Sequence[ArmRequest | None], outcome: Outcome) -> None:
        states, before = self._states, self._states.state
        driven = self._driver is not None and any(request is not None for request in requests)
        if self._supervisor.estopped:
            text = f"E-stop {self._supervisor.estop_reason}. Reset it, then engage anew."
            states.fire(Trigger.ESTOP, text)
        else:
            states.fire(Trigger.RESET)
            if outcome.fault:
                states.fire(Trigger.FAULT, f"{outcome.fault} The arms are held.")
            else:
                states.fire(Trigger.RECOVER)
                if driven:
                    states.fire(Trigger.ENGAGE)
                elif self._holds.reason:
                    states.fire(Trigger.PAUSE, self._holds.reason)
                else:
                    states.fire(Trigger.RELEASE)
        after = states.state
        if after is before:
            return
        if after is ControlState.HOLD:
            self._note("safety.hold", now_ns, states.reason, {})
        elif after is ControlState.FAULT:
            self._note("safety.fault", now_ns, states.reason, {})
        elif before is ControlState.FAULT and after is ControlState.IDLE:
            self._note("safety.recovered", now_ns, "The followers are back. Engage to move.", {})

    # Home.

    def _watch_home(self, now_ns: int) -> None:
        if self._motion is None:
            return
        if self._motion.finished():
            self._motion = None
            self._note("control.homed", now_ns, "The arms are home.", {})
        elif self._motion.overdue(now_ns):
            self._cancel_home(now_ns, "something is in the way")

    def _cancel_home(self, now_ns: int, why: str) -> None:
        if self._motion is not None:
            self._motion = None
            self._note("control.home_failed", now_ns, f"The arms did not get home: {why}.", {"why": why})

    # Messages.

    def _message(
        self,
        now_ns: int,
        due_ns: int,
        goals: Sequence[ArmGoal | None],
        outcome: Outcome,
        notes: Sequence[Intervention],
    ) -> ControlTick:
        poses = np.full((len(self._arms), 7), np.nan)
        grippers = np.full(len(self._arms), np.nan)
        for arm, goal in enumerate(goals):
            if goal is not None:
                grippers[arm] = goal.gripper
                if goal.pose is not None:
                    poses[arm] = goal.pose
        driver = self._driver
        engaged = tuple(driver is not None and driver.guard.arms[name].engaged for name in self._arms)
        used = [driver.guard.arms[name].capture_ns for name in self._arms] if driver is not None else []
        capture_ns = max(used, default=0)
        self.input_age_ms = (now_ns - capture_ns) / 1e6 if capture_ns else 0.0
        flags = SafetyFlag(0)
        for note in notes:
            flags |= note.flag
        return ControlTick(
            seq=self._seq,
            tick_ns=now_ns,
            due_ns=due_ns,
            state=self._states.state,
            actor=driver.actor if driver is not None else Actor.NONE,
            source=driver.name if driver is not None else ("home" if self._motion else ""),
            engaged=engaged,
            input_capture_ns=capture_ns,
            operator_pose=poses,
            operator_gripper=grippers,
            policy=None,
            commanded=outcome.commanded,
            sent=outcome.sent,
            sent_ns=outcome.sent_ns,
            measured=outcome.measured,
            measured_velocity=outcome.measured_velocity,
            measured_effort=outcome.measured_effort,
            measured_ns=outcome.measured_ns,
            flags=int(flags),
            reason=self._states.reason,
        )

    def _note(self, kind: str, now_ns: int, text: str, fields: dict[str, object]) -> None:
        self._events.append(Event(kind, now_ns, self._origin, text, fields))
