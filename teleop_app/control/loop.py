"""The control loop: input -> arbitration -> mapping -> supervisor -> followers, one tick at a time.

It knows no process, socket or timer: samples are offered, `tick` is called, messages are returned.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from typing import Protocol

from teleop_app.control.arbitration import Arbiter, Source
from teleop_app.control.authority_commands import AuthorityCommands
from teleop_app.control.drives import ArmDrives
from teleop_app.control.executed_path import ExecutedPath
from teleop_app.control.flag_events import FlagEvents
from teleop_app.control.holds import Holds
from teleop_app.control.home_motion import HomeMotion
from teleop_app.control.motions import Motions
from teleop_app.control.nudge_motion import NudgeMotion
from teleop_app.control.policy_drive import SOURCE, PolicyDrive
from teleop_app.control.rewind_motion import RewindMotion
from teleop_app.control.sources import ESTOP_BUTTON, Sources
from teleop_app.control.state_triggers import Seen, follow_states
from teleop_app.control.states import ControlStates
from teleop_app.control.tick_message import tick_message
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.config import AutonomySection, MappingSection, SafetySection
from teleop_app.core.errors import StationError
from teleop_app.core.geometry import Array
from teleop_app.core.types import (
    Actor,
    ControlState,
    ControlTick,
    Event,
    InputSample,
    SafetyFlag,
    StreamBatch,
    StreamSetup,
)
from teleop_app.mapping.nudge import nudge_step
from teleop_app.mapping.retarget import ArmGoal
from teleop_app.mapping.symmetry import MirrorPlane
from teleop_app.safety.outcome import ArmRequest, Intervention, Outcome
from teleop_app.safety.supervisor import SafetySupervisor

logger = logging.getLogger(__name__)


class Bodies(Protocol):
    """What the driver moves beside the arms: base, lift, hands. It has limits and stops of its own."""

    def connect(self) -> None:
        """Open the devices.

        Raises:
            DeviceError: One of them cannot be reached.
        """
        ...

    def watch(self, sample: InputSample) -> None:
        """See a sample of any source, whoever drives; moves nothing."""
        ...

    def tick(
        self, sample: InputSample | None, engaged: Collection[str], now_ns: int, stopped: bool
    ) -> Sequence[Intervention]:
        """One tick; what was refused or limited.

        Args:
            sample: The driver's newest sample, of whatever age; None when nobody drives.
            engaged: Arms that the driver holds.
            now_ns: The tick.
            stopped: E-stop, fault, or the enabling device is not held: come to rest.
        """
        ...

    def take_streams(self, now_ns: int) -> Sequence[StreamSetup | StreamBatch]:
        """What to publish of them now."""
        ...

    @property
    def at_rest(self) -> bool:
        """Whether nothing sent moves."""
        ...

    def disconnect(self) -> None:
        """Leave the devices at rest and close them. May be called twice."""
        ...


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
        joint_names: Of each arm, for sentences.
        plane: Of symmetry between two arms, None where there is none.
        bodies: What else the driver moves.
        autonomy: Section of the station file.

    Attributes:
        policy: The policy that drives, if any: its chunks, settings and takeovers.
        authority: Commands that say who drives.
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
        *,
        joint_names: Sequence[Sequence[str]] | None = None,
        plane: MirrorPlane | None = None,
        bodies: Bodies | None = None,
        autonomy: AutonomySection | None = None,
    ) -> None:
        self._arms = tuple(arms)
        self._supervisor = supervisor
        self._origin = origin
        names = joint_names or [()] * len(self._arms)
        self._drives = ArmDrives(self._arms, names, supervisor, mapping, period_s, plane, self._note)
        self._sources = Sources(self._arms, safety)
        self.bodies = bodies
        self._arbiter = Arbiter()
        self._driver: Source | None = None
        self._states = ControlStates()
        self._flags = FlagEvents(origin)
        self._motions = Motions(supervisor, home, home_height_m, period_s, self._note)
        self._autonomy = autonomy or AutonomySection()
        self.policy = PolicyDrive(supervisor, self._drives, self._autonomy, period_s, self._note)
        self._path = ExecutedPath(supervisor.limits.size)
        self.authority = AuthorityCommands(self._path, self._motions, self.policy, self, self._autonomy)
        self._holds = Holds(safety)
        self._events: list[Event] = []
        self._rejected: list[Intervention] = []
        self._seq = 0
        self._at_rest = True
        self.input_age_ms = 0.0

    # Inputs.

    def offer(self, sample: InputSample, now_ns: int) -> None:
        """Take one sample of any source, before the tick. `estop` in it latches, however old it is."""
        if ESTOP_BUTTON in sample.buttons and not self._supervisor.estopped:
            self.estop(f"pressed on '{sample.source}'", now_ns)

        def press(button: str, source: str) -> None:
            fields: dict[str, object] = {"button": button, "source": source}
            self._note("input.button", now_ns, f"{button} pressed on {source}", fields)

        self._rejected += self._sources.offer(sample, now_ns, self._driver, press)
        if self.bodies is not None:
            self.bodies.watch(sample)

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
        if holder := self._sources.estop_held_by():
            raise StationError(
                f"The e-stop is still pressed on '{holder}'", next_step="Release it, then reset"
            )
        if self._supervisor.estopped:
            self._supervisor.reset_estop()
            self._note("safety.estop_reset", now_ns, "E-stop reset. Engage to move.", {})

    def release(self, now_ns: int) -> None:
        """Let go of every arm, end a home motion, pause a policy; each input needs a new engage edge."""
        self._sources.revoke()
        self._holds.forget()
        self._motions.cancel(now_ns, "it was released")
        self.policy.stop("the robot was released", now_ns)

    def start_home(self, now_ns: int) -> None:
        """Bring every arm home. `control.homed` follows when they are there.

        Raises:
            StationError: Somebody is engaged, the e-stop is latched, or a follower is lost.
        """
        self.refuse_unless_ready("The arms cannot go home now")
        self._refuse_while_policy_moves("The arms cannot go home now")
        if self._states.state is ControlState.ENGAGED or self.is_driven:
            name = self._driver.name if self._driver else "an input"
            raise StationError(
                f"The arms cannot go home while '{name}' is engaged", next_step="Release it first"
            )
        self._holds.forget()
        self._motions.start_home(now_ns)

    def nudge(self, arm: str, axis: str, sign: int, now_ns: int) -> None:
        """Move one arm by a small step along, or turn about, an axis of the operator's.

        A driven arm keeps its hand: the step adds to where the hand has put it.

        Args:
            arm: Its name.
            axis: `x`, `y`, `z`, `roll`, `pitch` or `yaw`.
            sign: 1 or -1.
            now_ns: Now.

        Raises:
            StationError: The arm cannot be moved now, or a leader drives it.
        """
        if arm not in self._arms:
            raise StationError(f"There is no arm '{arm}'", next_step=f"Arms: {', '.join(self._arms)}")
        index, refusal = self._arms.index(arm), f"Arm '{arm}' was not nudged"
        try:
            step = nudge_step(self._drives.mapping, axis, sign)
        except ValueError as error:
            raise StationError(refusal, why=str(error)) from error
        self.refuse_unless_ready(refusal)
        if why := self._sources.disabled(now_ns):
            raise StationError(refusal, why=why, next_step="Hold it, then nudge again")
        if self.is_driven:
            if not self._drives.driven(index) or self._states.state is ControlState.HOLD:
                name = self._driver.name if self._driver else "an input"
                raise StationError(refusal, why=f"'{name}' is engaged and does not move it now")
            try:
                self._drives.nudge(index, axis, sign)
            except ValueError as error:
                raise StationError(refusal, why=str(error)) from error
            return
        self._refuse_while_policy_moves(refusal)
        if self._motions.name == HomeMotion.name:
            raise StationError(refusal, why="the arms are going home")
        self._motions.nudge(index, step, now_ns)

    def set_mapping(self, mapping: MappingSection) -> None:
        """Take new mapping settings; engaged arms are tied anew under them."""
        self._drives.set_mapping(mapping)
        self._supervisor.set_posture_weight(mapping.posture_weight)

    def watch_mapping(self, seconds: float, now_ns: int) -> None:
        """Give streams of raw and filtered hand positions for so long (`take_streams`)."""
        self._drives.watch.start(now_ns + round(seconds * NS_PER_S))

    def take_streams(self, now_ns: int) -> list[StreamSetup | StreamBatch]:
        """Numeric streams to publish: of the bodies, and of the mapping while somebody watches it."""
        bodies = self.bodies.take_streams(now_ns) if self.bodies is not None else ()
        return [*self._drives.watch.take(now_ns), *bodies]

    def hand_position(self, source: str, arm: str) -> tuple[int, Array] | None:
        """Capture time and position [m] of a hand in its device's frame, engaged or not; None if unknown."""
        known = self._sources.by_name.get(source)
        if known is None or known.sample is None or arm not in known.sample.arms:
            return None
        asked = known.sample.arms[arm]
        if asked.pose is None or not asked.valid:
            return None
        return known.sample.capture_ns, asked.pose[:3].copy()

    @property
    def at_rest(self) -> bool:
        """Whether nothing sent moved at the last tick."""
        return self._at_rest and (self.bodies is None or self.bodies.at_rest)

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
            self._sources.revoke()
            self._holds.forget()
            self._motions.cancel(now_ns, "the robot was stopped")
            stop = f"e-stop {self._supervisor.estop_reason}" if self._supervisor.estopped else self.reason
            self.policy.stop(stop.rstrip(".") or "the robot was stopped", now_ns)
            self._path.clear()
        disabled = self._sources.disabled(now_ns)
        if disabled:
            self._disable(disabled, now_ns)
        self._arbitrate(now_ns)
        person = self._driver.name if self._driver is not None else ""
        rewind = self._motions.name or self._motions.ended
        self.policy.begin_tick(now_ns, missed, person, self._holds.lost, rewind)
        requests, goals = self._requests(now_ns)
        outcome = self._supervisor.tick(now_ns, requests)
        self._at_rest = outcome.at_rest
        if not self.policy.drives:  # else the pose is not the hand's own
            self._drives.give_back(requests, outcome)
        self._motions.watch(now_ns, outcome)
        if self._motions.name != RewindMotion.name:
            self._path.record(outcome.sent, now_ns)
        self._follow_states(now_ns, requests, outcome)
        stopped = bool(disabled or outcome.fault or self._supervisor.estopped)
        notes = [*self._rejected, *outcome.interventions, *self._move_bodies(now_ns, stopped)]
        self._rejected = []
        self._events += self._flags.update(now_ns, notes)
        return self._message(now_ns, due_ns or now_ns, goals, outcome, notes)

    def _move_bodies(self, now_ns: int, stopped: bool) -> Sequence[Intervention]:
        if self.bodies is None:
            return ()
        if self._driver is None:
            return self.bodies.tick(None, (), now_ns, stopped)
        arms = self._driver.guard.arms.items()
        engaged = [arm for arm, guard in arms if guard.engaged]
        return self.bodies.tick(self._driver.sample, engaged, now_ns, stopped)

    def _disable(self, why: str, now_ns: int) -> None:
        """The enabling device is not held: whoever is engaged by hand lets go."""
        for source in self._sources:
            if source.actor is Actor.HUMAN and source.active:
                guard = next(arm for arm in source.guard.arms.values() if arm.engaged)
                source.guard.revoke()
                self._holds.disable(why, source.name, guard)
        if self._motions.name == NudgeMotion.name:
            self._motions.cancel(now_ns, why)
        if self._holds.disabled:
            text = f"{why[0].upper()}{why[1:]}."
            self._rejected.append(Intervention(SafetyFlag.DEADMAN, "", text))

    def _arbitrate(self, now_ns: int) -> None:
        held = self._states.state is ControlState.HOLD
        before = self._driver
        decision = self._arbiter.decide(self._sources.by_name, driver_is_held=held)
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
            self._motions.cancel(now_ns, f"'{decision.driver.name}' took over")
            fields: dict[str, object] = {
                "source": decision.driver.name,
                "actor": decision.driver.actor.value,
                "from": before.name if before is not None else "",
            }
            self._note("control.engaged", now_ns, f"'{decision.driver.name}' drives.", fields)

    def _requests(self, now_ns: int) -> tuple[Sequence[ArmRequest | None], list[ArmGoal | None]]:
        self._holds.begin_tick()
        moving = self._motions.requests(now_ns)
        if moving is not None:
            return moving, [None] * len(self._arms)
        self._drives.relative = self.policy.together
        goals, asked, notes = self._drives.goals(self._driver, now_ns, self._holds)
        self._rejected += notes
        return self.policy.requests(now_ns, goals, asked), goals

    def _follow_states(self, now_ns: int, requests: Sequence[ArmRequest | None], outcome: Outcome) -> None:
        policy = self.policy
        by_any = self._driver is not None or policy.drives
        seen = Seen(
            estop=self._supervisor.estop_reason,
            fault=outcome.fault,
            driven=by_any and any(request is not None for request in requests),
            aligning=self._drives.aligning,
            held=self._holds.reason,
            waiting=policy.reason if policy.holds else "",
        )
        follow_states(self._states, seen, lambda kind, text: self._note(kind, now_ns, text, {}))

    @property
    def is_driven(self) -> bool:
        """Whether an input drives."""
        return self._driver is not None and self._driver.active

    def refuse_unless_ready(self, refusal: str) -> None:
        """Nothing may be moved while the e-stop is latched or a follower is lost.

        Raises:
            StationError: It is so; `refusal` is its beginning.
        """
        if self._supervisor.estopped or not self._supervisor.ready:
            reason = self._states.reason or "The followers have not reported yet"
            raise StationError(refusal, why=reason)

    def _refuse_while_policy_moves(self, refusal: str) -> None:
        if self.policy.may_move:
            raise StationError(refusal, why="a policy has the robot", next_step="Pause it first")

    def let_go(self, now_ns: int, why: str) -> None:
        """Whoever is engaged lets go, and motions by command end; a policy is left alone."""
        self._sources.revoke()
        self._holds.forget()
        self._motions.cancel(now_ns, why)

    # Messages.

    def _message(
        self,
        now_ns: int,
        due_ns: int,
        goals: Sequence[ArmGoal | None],
        outcome: Outcome,
        notes: Sequence[Intervention],
    ) -> ControlTick:
        driver = self._driver
        engaged = tuple(
            driver is not None and (driver.guard.arms[name].engaged or self._drives.mirrors(arm))
            for arm, name in enumerate(self._arms)
        )
        message = tick_message(
            self._seq,
            now_ns,
            due_ns,
            self._states,
            driver,
            engaged,
            goals,
            outcome,
            notes,
            actor=self.policy.actor(driver.actor if driver is not None else Actor.NONE),
            source=SOURCE if self.policy.drives else self._motions.name,
            autonomy=self.policy.tick(now_ns, goals),
        )
        used = message.input_capture_ns
        self.input_age_ms = (now_ns - used) / 1e6 if used else 0.0
        return message

    def _note(self, kind: str, now_ns: int, text: str, fields: dict[str, object]) -> None:
        self._events.append(Event(kind, now_ns, self._origin, text, fields))
