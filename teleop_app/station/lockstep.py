"""The cell, its control loop and an operator in one thread, on a clock that waits for them.

As fast as the machine allows and the same every time: for tests, benchmarks and checking a plan.
"""

from __future__ import annotations

from dataclasses import dataclass

from devices.inputs.scripted import OperatorState, ScriptedOperator
from devices.protocols import Array, FollowerState
from devices.sim.arms import ARMS
from devices.sim.cell import TIMESTEP_S, Cell
from devices.sim.model import build_spec
from teleop_app.control.assembly import ArmDescription, build_control_loop
from teleop_app.core.clock import NS_PER_S, FakeClock
from teleop_app.core.config import StationConfig
from teleop_app.core.types import ControlTick, InputSample, TaskStatus

_STEP_NS = round(TIMESTEP_S * NS_PER_S)
_TASK_PERIOD_NS = NS_PER_S // 10
_AFTER_END_NS = NS_PER_S // 2


class _CellFollower:
    """The cell as a follower: a command acts at the next physics step."""

    def __init__(self, cell: Cell, clock: FakeClock) -> None:
        self._cell = cell
        self._clock = clock

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Joint vector of the cell."""
        return self._cell.joint_names

    def read(self) -> FollowerState:
        """The present state."""
        return FollowerState(*self._cell.read(), self._clock.now_ns())

    def send(self, target: Array) -> None:
        """Set the targets."""
        self._cell.set_targets(target)


class LockstepCell:
    """A cell under its real control loop; call `tick` as often as you like.

    Args:
        cell: The cell; owned by this object from here on.
        config: The station file.
    """

    def __init__(self, cell: Cell, config: StationConfig | None = None) -> None:
        self.config = config or StationConfig()
        self.cell = cell
        self.clock = FakeClock()
        self.described = [
            ArmDescription(arm.side, arm.joint_names, arm.gripper_name, arm.tcp_site_name, arm.home_q)
            for arm in ARMS
        ]
        follower = _CellFollower(cell, self.clock)
        self.spec = build_spec("primitive")
        self.loop = build_control_loop(self.config, self.described, self.spec, [follower], self.clock)
        self._period_ns = NS_PER_S // self.config.control.rate_hz
        self._physics_ns = self.clock.now_ns()
        self._status: TaskStatus | None = None

    def tick(self, *samples: InputSample) -> ControlTick:
        """Offer samples, run one control tick, and the physics up to the next."""
        now_ns = self.clock.now_ns()
        for sample in samples:
            self.loop.offer(sample, now_ns)
        tick = self.loop.tick(now_ns)
        self.clock.sleep_until(now_ns + self._period_ns)
        while self._physics_ns + _STEP_NS <= self.clock.now_ns():
            self.cell.step()
            self._physics_ns += _STEP_NS
        return tick

    def task_status(self) -> TaskStatus:
        """The task as the simulation process publishes it: ten times a second, and on a change."""
        now_ns = self.clock.now_ns()
        state = self.cell.task_state()
        known = self._status
        if known is not None and now_ns - known.capture_ns < _TASK_PERIOD_NS:
            if (known.success, known.failed) == (state.success, state.failed):
                return known
        self._status = TaskStatus(
            task=self.cell.task_name,
            seed=self.cell.seed,
            scene=1,
            instruction=self.cell.instruction,
            success=state.success,
            failed=state.failed,
            capture_ns=now_ns,
            truth=self.cell.truth(),
        )
        return self._status


@dataclass(frozen=True, slots=True)
class Attempt:
    """How the scripted operator fared.

    Attributes:
        solved_s: When the success check first held; negative when it never did.
        ended_s: When the operator let go.
        state: How it ended.
        text: What it said.
    """

    solved_s: float
    ended_s: float
    state: OperatorState
    text: str


def attempt(rig: LockstepCell, operator: ScriptedOperator, limit_s: float = 60.0) -> Attempt:
    """Let the scripted operator work on the rig's present task until it ends, or `limit_s` have passed."""
    start_ns = rig.clock.now_ns()
    solved_ns, ended_ns = -1, -1
    operator.go()
    tick = rig.tick()
    samples: tuple[InputSample, ...] = ()
    for turn in range(round(limit_s * rig.config.control.rate_hz)):
        if turn % 2 == 0:  # an input process polls at half the control rate
            samples = (operator.step(rig.clock.now_ns(), tick, rig.task_status()),)
        tick = rig.tick(*samples)
        samples = ()
        now_ns = rig.clock.now_ns()
        if solved_ns < 0 and rig.cell.task_state().success:
            solved_ns = now_ns
        if ended_ns < 0 and operator.state not in (OperatorState.CLUTCHING, OperatorState.WORKING):
            ended_ns = now_ns
        if ended_ns >= 0 and now_ns - ended_ns > _AFTER_END_NS:
            break

    def seconds(stamp_ns: int) -> float:
        return (stamp_ns - start_ns) / NS_PER_S if stamp_ns >= 0 else -1.0

    return Attempt(seconds(solved_ns), seconds(ended_ns), operator.state, operator.text)
