"""What a tick of the safety supervisor costs, by stage, for two driven arms.

Run: python -m benchmarks.supervisor_cost [--seconds 20] [--runs 3] [--markdown]

Both arms of the simulated cell are driven by hands through the control loop on a fake clock: on circles in
free air, pushed against the table and each other (collision stages at work), and stretched (singularity).
Whole ticks and stages are measured in runs of their own, since looking at the clock costs time too. Stages
overlap where one calls another: the jerk limiter asks the collision guard about each step.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np

from benchmarks.command import parser, run
from benchmarks.figures import Figures
from devices.sim.arms import ARMS
from devices.sim.model import build_spec
from teleop_app.control.assembly import ArmDescription, build_control_loop
from teleop_app.control.loop import ControlLoop
from teleop_app.core.clock import FakeClock
from teleop_app.core.config import StationConfig
from teleop_app.core.types import Actor, ArmInput, InputSample, SafetyFlag

_GOAL_US = 1000.0
_STAGES = {
    "follower feedback": "_read",
    "freshness, finite, jump": "_admit",
    "workspace and speed": "_limit_poses",
    "inverse kinematics and singularity": "_solve",
    "joint limits and collision": "_limit_joints",
}
P = ParamSpec("P")
T = TypeVar("T")
Hand = Callable[[float], np.ndarray]
Costs = dict[str, list[float]]
Watch = Callable[[ControlLoop, Costs], None]


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__, runs=3)
    options.add_argument("--seconds", type=float, default=20.0, help="of control time, each motion")
    return run("supervisor_cost", measure, options.parse_args(argv))


def measure(arguments: argparse.Namespace, _folder: Path, figures: Figures) -> dict[str, Any]:
    """Every motion in turn, each from home."""
    for _ in range(arguments.runs):
        for motion, hands in _MOTIONS.items():
            ticks = round(arguments.seconds * 200)
            costs, flags = _drive(hands, ticks, _time_whole)
            stages, _ = _drive(hands, ticks, _time_stages)
            for stage, spent_us in (costs | stages).items():
                figures.add_spread(f"{motion}: {stage}", "us", spent_us)
            whole = float(np.percentile(costs["supervisor"], 99))
            figures.add(f"{motion}: supervisor p99", "us", whole, at_most=_GOAL_US)
            shown = ", ".join(flag.name or "" for flag in SafetyFlag(flags)) or "none"
            figures.notes.append(f"{motion}: interventions: {shown}")
    return {"seconds": arguments.seconds, "runs": arguments.runs, "control rate": 200}


class _Arms:
    """A follower that is where it was sent."""

    joint_names = tuple(name for arm in ARMS for name in (*arm.joint_names, arm.gripper_name))

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.position = np.array([value for arm in ARMS for value in (*arm.home_q, 1.0)])
        self.velocity = self.effort = np.zeros(len(self.position))

    @property
    def capture_ns(self) -> int:
        return self._clock.now_ns()

    def read(self) -> _Arms:
        return self

    def send(self, target: np.ndarray) -> None:
        self.position = target.copy()


def _drive(hands: tuple[Hand, Hand], ticks: int, watch: Watch) -> tuple[dict[str, list[float]], int]:
    clock = FakeClock()
    described = [
        ArmDescription(a.side, a.joint_names, a.gripper_name, a.tcp_site_name, a.home_q) for a in ARMS
    ]
    loop = build_control_loop(StationConfig(), described, build_spec("primitive"), [_Arms(clock)], clock)
    costs: dict[str, list[float]] = defaultdict(list)
    watch(loop, costs)
    flags = 0
    for tick in range(ticks + 1):
        arms = {
            arm.side: ArmInput(clutch=tick > 0, pose=np.array([*hand(tick / 200.0), 1.0, 0.0, 0.0, 0.0]))
            for arm, hand in zip(ARMS, hands, strict=True)
        }
        now_ns = clock.now_ns()
        loop.offer(InputSample("bench", Actor.HUMAN, tick, now_ns - 1_000_000, arms), now_ns)
        flags |= loop.tick(now_ns).flags
        clock.advance(0.005)
    return {stage: values[100:] for stage, values in costs.items() if values}, flags


def _time_whole(loop: ControlLoop, costs: Costs) -> None:
    supervisor = loop._supervisor  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    supervisor.tick = _timed(supervisor.tick, costs["supervisor"])
    loop.tick = _timed(loop.tick, costs["whole tick of control"])


def _time_stages(loop: ControlLoop, costs: Costs) -> None:
    supervisor = loop._supervisor  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    for stage, method in _STAGES.items():
        setattr(supervisor, method, _timed(getattr(supervisor, method), costs[stage]))
    collisions = supervisor._collisions  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    singularities = supervisor._singularities  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    parts = {
        "of these, collision slow-down": (collisions, "hold_back"),
        "of these, collision stop (a call)": (collisions, "refuses"),
        "of these, singularity slow-down": (singularities, "limit"),
    }
    for stage, (part, method) in parts.items():
        setattr(part, method, _timed(getattr(part, method), costs[stage]))


def _timed(call: Callable[P, T], spent_us: list[float]) -> Callable[P, T]:
    @functools.wraps(call)
    def timed(*args: P.args, **kwargs: P.kwargs) -> T:
        begin_ns = time.perf_counter_ns()
        try:
            return call(*args, **kwargs)
        finally:
            spent_us.append((time.perf_counter_ns() - begin_ns) / 1000.0)

    return timed


def _circle(side: float) -> Hand:
    def hand(t: float) -> np.ndarray:
        return np.array([0.06 * np.sin(2 * t) * side, 0.06 * np.cos(3 * t), 0.06 * np.sin(1.7 * t)])

    return hand


def _push(side: float) -> Hand:
    """In to the other arm and down to the table, and out again, over and over."""

    def hand(t: float) -> np.ndarray:
        return 0.15 * (1.0 - np.cos(t)) * np.array([side, 0.0, -1.0])

    return hand


def _stretch(side: float) -> Hand:
    def hand(t: float) -> np.ndarray:
        return 0.2 * (1.0 - np.cos(t)) * np.array([0.3 * side, 0.2, 1.0])

    return hand


_MOTIONS = {
    "free": (_circle(1.0), _circle(-1.0)),
    "near bodies": (_push(1.0), _push(-1.0)),
    "stretched": (_stretch(1.0), _stretch(-1.0)),
}

if __name__ == "__main__":
    raise SystemExit(main())
