"""What ties each arm to the source that drives it, and what that source asks of it at a tick."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from teleop_app.control.arbitration import Source
from teleop_app.control.holds import Holds
from teleop_app.control.mapping_watch import MappingWatch
from teleop_app.core.config import MappingSection
from teleop_app.core.geometry import Array
from teleop_app.core.types import Actor, ArmInput
from teleop_app.mapping.retarget import ArmGoal, ArmRetargeter
from teleop_app.mapping.symmetry import MirrorPlane
from teleop_app.safety.input_guard import ArmGuard
from teleop_app.safety.outcome import ArmRequest, Intervention, Outcome
from teleop_app.safety.supervisor import SafetySupervisor
from teleop_app.safety.watchdog import Freshness

Note = Callable[[str, int, str, dict[str, object]], None]


@dataclass(slots=True)
class _Tie:
    """What an arm is tied to.

    Attributes:
        source: Name of the driver, empty when the arm is free.
        engagement: Its engage edge.
        ties: Its last tie of hand and arm.
        leader: The arm that this one mirrors, -1 for none.
        paused: Its input is held.
        aligning: It is on its way to its leader.
        home: Pose at which it was tied, shape (7,).
        serial: Number of the tie.
    """

    source: str = ""
    engagement: int = -1
    ties: int = -1
    leader: int = -1
    paused: bool = False
    aligning: bool = False
    home: Array | None = None
    serial: int = 0


class ArmDrives:
    """Goals of all arms from the samples of the driver.

    With `mapping.symmetry` a driver that holds one of two arms drives both: the other mirrors it.

    Attributes:
        relative: Only the changes of goals count: leaders need no alignment.
        watch: Hand positions, while somebody looks at them.

    Args:
        arms: Arm names in station order.
        joint_names: Of each arm, for sentences.
        supervisor: Tells where the arms are commanded to.
        mapping: Section of the station file.
        period_s: Of a tick.
        plane: Of symmetry between the two arms; None where there is none.
        note: Writes an event: kind, time, text, fields.
    """

    def __init__(
        self,
        arms: Sequence[str],
        joint_names: Sequence[Sequence[str]],
        supervisor: SafetySupervisor,
        mapping: MappingSection,
        period_s: float,
        plane: MirrorPlane | None,
        note: Note,
    ) -> None:
        self._arms = tuple(arms)
        self._supervisor = supervisor
        self._plane = plane if len(self._arms) == 2 else None
        self._note = note
        self._retargeters = [ArmRetargeter(mapping, period_s, names) for names in joint_names]
        as_seen = MappingSection(filter=False)  # what is mirrored was scaled, turned and filtered already
        self._images = [ArmRetargeter(as_seen, period_s) for _ in self._arms]
        self._ties = [_Tie() for _ in self._arms]
        self._goals: list[ArmGoal | None] = [None] * len(self._arms)
        self.watch = MappingWatch()
        self.relative = False
        self._tied = 0
        self.set_mapping(mapping)

    def set_mapping(self, mapping: MappingSection) -> None:
        """Take new settings; engaged arms are tied anew under them."""
        self._mapping = mapping
        for arm, retargeter in enumerate(self._retargeters):
            retargeter.configure(mapping)
            self._images[arm].release()
            self._ties[arm] = _Tie()

    @property
    def mapping(self) -> MappingSection:
        """The settings in force."""
        return self._mapping

    @property
    def aligning(self) -> str:
        """Which arms are on their way to their leaders, as a sentence; empty when none is."""
        found = zip(self._arms, self._goals, strict=True)
        return " ".join(f"Arm '{name}' {goal.aligning}." for name, goal in found if goal and goal.aligning)

    def mirrors(self, arm: int) -> bool:
        """Whether the arm mirrors the other one now."""
        return self._ties[arm].leader >= 0

    def driven(self, arm: int) -> bool:
        """Whether somebody drives the arm now."""
        return bool(self._ties[arm].source)

    def tie(self, arm: int) -> tuple[int, Array] | None:
        """Number of the arm's present tie, and the pose at which it was made; None while it is free."""
        tie = self._ties[arm]
        return None if tie.home is None else (tie.serial, tie.home)

    def grips(self, arm: int) -> bool:
        """Whether the gripper control was moved since the arm was engaged."""
        return (self._images if self.mirrors(arm) else self._retargeters)[arm].grips

    def nudge(self, arm: int, axis: str, sign: int) -> None:
        """Move the goal of a driven arm by one small step.

        Raises:
            ValueError: A leader drives the arm.
        """
        (self._images if self.mirrors(arm) else self._retargeters)[arm].nudge(axis, sign)

    def goals(
        self, driver: Source | None, now_ns: int, holds: Holds
    ) -> tuple[list[ArmGoal | None], list[ArmRequest | None], list[Intervention]]:
        """What the driver asks of each arm at this tick, as goals and as requests to the supervisor.

        Args:
            driver: The source that drives, if any.
            now_ns: The tick.
            holds: Learns which arms are held.
        """
        notes: list[Intervention] = []
        goals: list[ArmGoal | None] = [self._direct(arm, driver, now_ns, holds, notes) for arm in self._each]
        by = list(self._each)
        if self._plane is not None and self._mapping.symmetry and driver is not None:
            for arm in self._each:
                lead = 1 - arm
                if not self._guard(driver, arm).engaged and self._guard(driver, lead).engaged:
                    goals[arm] = self._image(arm, lead, goals[lead], driver, self._plane)
                    by[arm] = lead
        requests: list[ArmRequest | None] = [None] * len(goals)
        for arm, goal in enumerate(goals):
            if goal is not None and driver is not None:
                capture_ns = self._guard(driver, by[arm]).capture_ns
                requests[arm] = ArmRequest(capture_ns, goal.pose, goal.joints, goal.gripper, goal.speed_rad_s)
        self._goals = goals
        return goals, requests, notes

    def give_back(self, requests: Sequence[ArmRequest | None], outcome: Outcome) -> None:
        """Tell the retargeters where their goals were limited to."""
        for retargeter, request, pose in zip(self._retargeters, requests, outcome.limited_poses, strict=True):
            if request is not None and pose is not None and request.pose is not None:
                if (pose != request.pose).any():
                    retargeter.limited(pose)

    @property
    def _each(self) -> range:
        return range(len(self._arms))

    def _guard(self, driver: Source, arm: int) -> ArmGuard:
        return driver.guard.arms[self._arms[arm]]

    def _direct(
        self, arm: int, driver: Source | None, now_ns: int, holds: Holds, notes: list[Intervention]
    ) -> ArmGoal | None:
        tie, retargeter = self._ties[arm], self._retargeters[arm]
        guard = self._guard(driver, arm) if driver is not None else None
        if driver is None or guard is None or not guard.engaged or guard.good is None:
            if tie.source and tie.leader < 0:
                self._free(arm)
            elif tie.leader >= 0 and (driver is None or not self._guard(driver, tie.leader).engaged):
                self._free(arm)
            return None
        freshness = guard.freshness(now_ns)
        if freshness is not Freshness.FRESH:
            notes.append(self._pause(arm, driver, guard, freshness, now_ns, holds))
            return None
        self._tie(arm, driver, guard)
        try:
            rest = self._supervisor.rest(arm) if guard.good.joints is not None else None
            rest = guard.good.joints if self.relative else rest
            goal = retargeter.goal(guard.good, guard.capture_ns, rest)
        except ValueError as error:
            guard.revoke()
            holds.refuse(self._arms[arm], str(error), guard)
            self._note(
                "control.align_refused" if guard.good.joints is not None else "control.refused",
                now_ns,
                holds.reason,
                {"arm": self._arms[arm], "source": driver.name},
            )
            return None
        self._follow_alignment(arm, goal, driver, now_ns)
        if self.watch.active(now_ns) and guard.good.pose is not None and retargeter.filtered is not None:
            raw, filtered = guard.good.pose, retargeter.filtered
            self.watch.add(driver.name, self._arms[arm], guard.capture_ns, raw, filtered)
        return goal

    def _image(
        self, arm: int, lead: int, goal: ArmGoal | None, driver: Source, plane: MirrorPlane
    ) -> ArmGoal | None:
        guard = self._guard(driver, lead)
        if goal is None or goal.pose is None:  # paused, or led joint for joint
            self._ties[arm].paused = True
            return None
        self._tie(arm, driver, guard, lead)
        asked = guard.good.gripper if guard.good is not None else None
        image = ArmInput(clutch=True, pose=plane.mirrored(goal.pose), gripper=asked)
        return self._images[arm].goal(image, guard.capture_ns)

    def _tie(self, arm: int, driver: Source, guard: ArmGuard, leader: int = -1) -> None:
        """Tie hand and arm where they are now, if they are not tied already."""
        tie = self._ties[arm]
        wanted = (driver.name, guard.engagement, leader)
        new = (tie.source, tie.engagement, tie.leader) != wanted
        if not new and not tie.paused and tie.ties == guard.ties:
            return
        anchor = self._supervisor.anchor(arm)
        present = ArmGoal(anchor.pose, anchor.joints, anchor.gripper)
        retargeter = (self._images if leader >= 0 else self._retargeters)[arm]
        if new:
            retargeter.engage(present, pickup=driver.actor is Actor.HUMAN)
        else:
            retargeter.reference(present)
        self._tied += 1
        self._ties[arm] = _Tie(
            driver.name, guard.engagement, guard.ties, leader, home=anchor.pose, serial=self._tied
        )

    def _free(self, arm: int) -> None:
        self._retargeters[arm].release()
        self._images[arm].release()
        self._ties[arm] = _Tie()

    def _pause(
        self, arm: int, driver: Source, guard: ArmGuard, freshness: Freshness, now_ns: int, holds: Holds
    ) -> Intervention:
        name = self._arms[arm]
        age_ms = (now_ns - guard.capture_ns) / 1e6
        self._ties[arm].paused = True
        if freshness is Freshness.HOLD:
            return holds.pause(name, driver.name, age_ms)
        guard.revoke()
        lost = holds.lose(name, driver.name, age_ms, guard)
        self._note("safety.released", now_ns, holds.reason, {"arm": name, "source": driver.name})
        return lost

    def _follow_alignment(self, arm: int, goal: ArmGoal, driver: Source, now_ns: int) -> None:
        tie, name = self._ties[arm], self._arms[arm]
        if goal.joints is None or tie.aligning == bool(goal.aligning):
            return
        tie.aligning = bool(goal.aligning)
        fields: dict[str, object] = {"arm": name, "source": driver.name}
        if tie.aligning:
            self._note("control.aligning", now_ns, f"Arm '{name}' {goal.aligning}.", fields)
        else:
            self._note("control.aligned", now_ns, f"Arm '{name}' follows its leader.", fields)
