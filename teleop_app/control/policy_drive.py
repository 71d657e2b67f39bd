"""A policy at the control loop: its clock and proposals, who has the robot, what is asked of the arms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from teleop_app.autonomy.action_queue import Proposal
from teleop_app.autonomy.authority import Authority, Stage, Trigger
from teleop_app.control.authority_events import AuthorityEvents
from teleop_app.control.drives import ArmDrives
from teleop_app.control.policy_merge import PolicyMerge
from teleop_app.control.policy_proposals import PolicyProposals
from teleop_app.control.rewind_motion import RewindMotion
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.config import AutonomySection
from teleop_app.core.errors import StationError
from teleop_app.core.geometry import Array
from teleop_app.core.types import Actor, AuthorityMode, AutonomyPhase, AutonomyTick, Event, PolicyChunk
from teleop_app.mapping.retarget import ArmGoal
from teleop_app.safety.outcome import ArmRequest
from teleop_app.safety.supervisor import SafetySupervisor

Note = Callable[[str, int, str, dict[str, object]], None]

MOST_REFUSED: Final = 3
"""So many chunks refused in a row pause the policy."""

SOURCE: Final = "policy"
"""Source of the ticks at which a policy drives."""

_RETURN_S: Final = 10.0
_SILENT_NS: Final = 5 * NS_PER_S
_HOLD_NOTE_NS: Final = 3 * NS_PER_S // 10
_BOUND: Final = (Stage.POLICY, Stage.STARVED, Stage.RETURN, Stage.SHARED, Stage.FADING)
_MODES_TOGETHER: Final = (AuthorityMode.BLENDED, AuthorityMode.CORRECTIVE)


class PolicyDrive:
    """See the module. One thread; commands come between ticks.

    Args:
        supervisor: The only way to the followers.
        drives: Of the hands.
        config: Section of the station file.
        period_s: Of a tick.
        note: Writes an event: kind, time, text, fields.
    """

    def __init__(
        self,
        supervisor: SafetySupervisor,
        drives: ArmDrives,
        config: AutonomySection,
        period_s: float,
        note: Note,
    ) -> None:
        self._cell = supervisor.limits
        self._config = config
        self._period_s = period_s
        self._note = note
        self._authority = Authority(AutonomyPhase(config.takeover))
        self._story = AuthorityEvents(self._authority, note)
        self._chunks = PolicyProposals(supervisor, config, note)
        self._merge = PolicyMerge(supervisor, drives, config, period_s)
        self._speed = config.speed
        self._first_speed = min(config.first_run_speed, config.speed)
        self._policy_ns = 0
        self._chunk_ns = -_SILENT_NS
        self._since_ns = 0
        self._noted_hold = False
        self._ticking = False
        self._proposal: Proposal | None = None
        self._person = ""
        self.reason = ""

    # From the policy process.

    def offer(self, chunk: PolicyChunk, now_ns: int) -> None:
        """Take a chunk, or refuse it with an event."""
        self._chunk_ns = now_ns
        self._chunks.offer(chunk, self._policy_ns, now_ns)
        self._pause_if_refused(now_ns)

    def take_event(self, event: Event, now_ns: int) -> None:
        """Take an event of the policy process; all but these are left alone.

        `autonomy.help`: hold, if the station is set up so. `policy.loaded`: one that has not driven this
        station before (`seen`) starts slowly.
        """
        if event.kind == "policy.loaded":
            self._speed = self._config.speed if event.fields.get("seen") else self._first_speed
        if event.kind != "autonomy.help" or not self._config.help_holds:
            return
        if self._authority.stage not in (Stage.POLICY, Stage.STARVED, Stage.FADING):
            return
        asks = str(event.fields.get("kind", ""))[:60]
        text = f"The policy asks for help{f' ({asks})' if asks else ''}. Take over, or resume it."
        self._fire(Trigger.WAIT, now_ns, text)

    # Commands.

    @property
    def mode(self) -> AuthorityMode:
        """Who may drive."""
        return self._authority.mode

    @property
    def may_move(self) -> bool:
        """Whether the policy drives, or would as soon as it proposes."""
        return self._authority.policy_may_move

    def set_mode(self, mode: AuthorityMode, now_ns: int) -> None:
        """Change who may drive; whoever is engaged must have been made to let go."""
        text = "Paused. Resume the policy, or take over."
        if mode is not AuthorityMode.PAUSED:
            text = "The mode was changed. Resume the policy, or take over."
        self._change(lambda: self._authority.set_mode(mode), now_ns, text)

    def resume(self, now_ns: int) -> None:
        """Give the policy the robot; it drives from its next proposal on.

        Raises:
            StationError: The mode is manual.
        """
        if self.mode is AuthorityMode.MANUAL:
            raise StationError(
                "The policy cannot be resumed", why="the mode is manual", next_step="Choose supervised"
            )
        if self._change(self._authority.resume, now_ns, ""):
            self._note("autonomy.resumed", now_ns, "The policy was given the robot.", {})

    def stop(self, why: str, now_ns: int) -> None:
        """The robot was stopped: pause the policy."""
        text = f"The policy is paused: {why}. Resume it, or take over."
        self._change(self._authority.stop, now_ns, text)

    def begin_rewind(self, seconds: float, now_ns: int) -> None:
        """A rewind begins."""
        self._fire(Trigger.REWIND, now_ns)
        text = f"The robot goes back {seconds:.1f} s of its path."
        self._note("autonomy.rewind", now_ns, text, {"seconds": seconds})

    def set_blend(self, alpha: float) -> None:
        """Weight of the policy in blended mode, 0..1.

        Raises:
            StationError: It is out of range.
        """
        self._merge.blend = _within("The weight of the policy", alpha, 0.0)

    def set_speed(self, speed: float) -> None:
        """Share of full speed, 0.05..1.

        Raises:
            StationError: It is out of range.
        """
        self._speed = _within("The policy's speed", speed, 0.05)

    def explain(self, reason: str, takeover: int, now_ns: int) -> None:
        """Note why a person took over; 0 for the last time.

        Raises:
            StationError: There is no such reason or takeover.
        """
        self._story.explain(reason, takeover, now_ns)

    def mark(self, phase: str, now_ns: int) -> None:
        """Say whether the person recovers or corrects from now on.

        Raises:
            StationError: There is no such phase, or no takeover.
        """
        if phase not in (AutonomyPhase.RECOVER, AutonomyPhase.CORRECT):
            raise StationError(f"There is no phase {phase!r} of a takeover", next_step="recover or correct")
        if not self._authority.mark(AutonomyPhase(phase)):
            raise StationError("Nobody has taken over", next_step="Engage to take the robot over")
        self._note("autonomy.phase", now_ns, f"From here on: {phase}.", {"phase": phase})

    def status(self) -> dict[str, object]:
        """Mode, phase and settings, for windows and scripts."""
        return {
            "mode": self.mode.value,
            "phase": self._authority.phase.value,
            "takeover": self._authority.takeover,
            "speed": self._speed,
            "blend": self._merge.blend,
            "reason": self.reason if self.holds else "",
        }

    # The tick.

    @property
    def drives(self) -> bool:
        """Whether what is commanded comes from the policy, at least in part."""
        return self._authority.policy_drives

    @property
    def holds(self) -> bool:
        """Whether the policy should drive and does not, or waits for a person; `reason` says why."""
        return self._authority.stage in (Stage.WAITING, Stage.STARVED, Stage.RETURN)

    @property
    def together(self) -> bool:
        """Whether a person who engages drives together with the policy: only changes of leaders count."""
        return self.mode in _MODES_TOGETHER and self.drives

    def actor(self, person: Actor) -> Actor:
        """Who drives, given who holds the engage control."""
        return self._authority.actor(person)

    def begin_tick(self, now_ns: int, missed: int, person: str, lost: str, rewind: str) -> None:
        """Follow people and proposals, before anything is asked of the arms.

        Args:
            now_ns: The tick.
            missed: Ticks left out before it.
            person: Source that drives by hand, empty for none.
            lost: Why inputs were lost, as a sentence; empty when they are well.
            rewind: `rewind` while one goes on, else why the last motion by command was ended early.
        """
        self._person, self._ticking = person, True
        if self._idle(now_ns):
            self._proposal = None
        else:
            rate = self._speed if self.drives else 1.0
            self._policy_ns += round(self._period_s * NS_PER_S * rate * (1 + missed))
        if person:
            self._fire(Trigger.SEIZE, now_ns)
        elif self._authority.stage in (Stage.TAKEN, Stage.SHARED, Stage.DEMONSTRATE):
            self._released(lost, now_ns)
        if self._authority.stage is Stage.REWIND and rewind != RewindMotion.name:
            how = f"The rewind stopped: {rewind}." if rewind else "The robot went back."
            self._fire(Trigger.WAIT, now_ns, f"{how} Resume the policy, or take over.")
        if not self._idle(now_ns):
            self._follow_policy(now_ns)
        self._ticking = False

    def requests(
        self, now_ns: int, goals: Sequence[ArmGoal | None], asked: Sequence[ArmRequest | None]
    ) -> Sequence[ArmRequest | None]:
        """What is asked of each arm.

        Args:
            now_ns: The tick.
            goals: What the person asks.
            asked: The same as requests; given back as they are while the person drives alone.
        """
        stage, proposal = self._authority.stage, self._proposal
        if stage is Stage.POLICY and proposal is not None:
            return self._merge.alone(proposal, now_ns)
        if stage in (Stage.SHARED, Stage.FADING):
            weighed = self.mode is AuthorityMode.BLENDED
            requests = self._merge.together(proposal, goals, asked, now_ns, weighed=weighed)
            if stage is Stage.FADING and self._merge.faded:
                self._fire(Trigger.FADED, now_ns)
            return requests
        return asked

    def tick(self, now_ns: int, goals: Sequence[ArmGoal | None]) -> tuple[AutonomyTick | None, Array | None]:
        """The policy's part of the tick's message, and its proposal; None while no policy is in use."""
        if self._idle(now_ns):
            return None, None
        authority, proposal = self._authority, self._proposal
        alpha = {Stage.POLICY: 1.0, Stage.SHARED: self._merge.alpha, Stage.FADING: self._merge.alpha}
        part = AutonomyTick(
            mode=authority.mode,
            phase=authority.phase,
            takeover=authority.takeover,
            alpha=alpha.get(authority.stage, 0.0),
            chunk=proposal.chunk if proposal is not None else 0,
            index=proposal.index if proposal is not None else -1.0,
            policy_ns=self._policy_ns,
            speed=self._speed,
            human=self._led(goals),
        )
        return part, None if proposal is None else proposal.vector

    # Inside.

    def _idle(self, now_ns: int) -> bool:
        """No policy is in use: nothing is computed then."""
        silent = self._chunks.empty and now_ns - self._chunk_ns >= _SILENT_NS
        return self.mode is AuthorityMode.MANUAL and silent

    def _released(self, lost: str, now_ns: int) -> None:
        if lost and self._authority.stage is Stage.SHARED:
            self._fire(Trigger.WAIT, now_ns, lost)
            return
        text = "You let go. Resume the policy, engage again, or rewind."
        if self.mode is AuthorityMode.PAUSED:
            text = "You let go; the policy is paused. Resume it, or engage again."
        self._fire(Trigger.RELEASE, now_ns, lost or text)
        waits = self._authority.stage is Stage.WAITING and self.mode is not AuthorityMode.PAUSED
        if waits and self._config.return_on_release and not lost:
            self.resume(now_ns)

    def _follow_policy(self, now_ns: int) -> None:
        proposal = self._proposal = self._chunks.at(self._policy_ns, now_ns, self._is_bound)
        self._pause_if_refused(now_ns)
        if not self.may_move:
            return
        if proposal is not None:
            self._fire(Trigger.PROPOSE, now_ns)
            return
        self._fire(Trigger.STARVE, now_ns, "The policy has no valid proposal; the arms hold.")
        waited_ns = now_ns - self._since_ns
        if self._authority.stage is Stage.STARVED:
            if waited_ns > self._config.starve_pause_s * NS_PER_S:
                self.stop(f"it had no valid proposal for {self._config.starve_pause_s:g} s", now_ns)
            elif waited_ns > _HOLD_NOTE_NS and not self._noted_hold:
                self._noted_hold = True
                self._note("autonomy.hold", now_ns, self.reason, {})
        elif self._authority.stage is Stage.RETURN:
            most_s = max(_RETURN_S, self._config.starve_pause_s)
            if waited_ns > most_s * NS_PER_S:
                self.stop(f"it proposed nothing within {most_s:g} s", now_ns)

    def _is_bound(self, arm: int) -> bool:
        """Whether the arm goes where the policy says; where a person has a share, it may be elsewhere."""
        return self._authority.stage in _BOUND and not self._merge.shared(arm)

    def _pause_if_refused(self, now_ns: int) -> None:
        chunks = self._chunks
        if not self.may_move or self._person:
            chunks.refused = 0
        elif chunks.refused >= MOST_REFUSED:
            chunks.refused, why = 0, chunks.why.rstrip(".")
            self.stop(f"{MOST_REFUSED} of its chunks in a row were refused, the last one so: {why}", now_ns)

    def _led(self, goals: Sequence[ArmGoal | None]) -> Array | None:
        """Joint vector that leaders ask for; NaN for other arms."""
        if all(goal is None or goal.joints is None for goal in goals):
            return None
        vector = np.full(self._cell.size, np.nan)
        for arm, goal in enumerate(goals):
            if goal is not None and goal.joints is not None:
                vector[self._cell.joint_at[self._cell.joints_of(arm)]] = goal.joints
                vector[self._cell.gripper_at[arm]] = goal.gripper
        return vector

    def _fire(self, trigger: Trigger, now_ns: int, reason: str = "") -> bool:
        return self._change(lambda: self._authority.fire(trigger), now_ns, reason)

    def _change(self, change: Callable[[], bool], now_ns: int, reason: str) -> bool:
        """Change the authority and tell what became of it; returns whether anything did."""
        if not change():
            return False
        stage = self._authority.stage
        waits = stage is Stage.RETURN or not reason  # nothing is asked of people then
        self.reason = "Waits for the policy's next proposal." if waits else reason
        self._since_ns, self._noted_hold = now_ns, False
        self._story.tell(self._person, self.reason, now_ns)
        if stage in (Stage.TAKEN, Stage.RETURN):
            # Between ticks, what was observed at the last one was observed before.
            self._chunks.flush(self._policy_ns if self._ticking else self._policy_ns + 1)
            self._proposal = None
        if stage not in (Stage.SHARED, Stage.FADING):
            self._merge.clear()
        return True


def _within(what: str, value: float, least: float) -> float:
    if not least <= value <= 1.0:
        raise StationError(f"{what} cannot be {value:g}", why=f"it lies between {least:g} and 1")
    return float(value)
