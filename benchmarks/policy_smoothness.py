"""How smoothly a policy's chunks are joined when its answers come late.

Run: python -m benchmarks.policy_smoothness [--seconds 20] [--runs 3] [--delays-ms 0 100 200 400] [--markdown]

A stochastic flow policy with two ways to go (`benchmarks.flow_policy`) drives an arm of the simulated cell
through the real action queue, control loop and safety supervisor, in lockstep on a fake clock. `naive` begins
each chunk at its action 0 when it arrives. A step of the proposal is from one control tick to the next; jerk
and acceleration are those of the joint targets that were sent, whose peak jerk the supervisor bounds.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.command import parser, run
from benchmarks.figures import Figures, NotMeasuredError
from benchmarks.flow_policy import HORIZON, RATE_HZ, SPEED_RAD_S, FlowPolicy, away_from_ways
from devices.sim.cell import Cell
from teleop_app.autonomy.policy_file import PolicyFile
from teleop_app.core.config import StationConfig
from teleop_app.core.geometry import Array
from teleop_app.core.types import Actor, PolicyChunk, SafetyFlag
from teleop_app.station.lockstep import LockstepCell
from teleop_app.station.lockstep_policy import LockstepPolicy

NAIVE: Final = "naive"
EXECUTIONS: Final = ("sync", NAIVE, "switch", "ensemble", "rtc")
_EXECUTE: Final = 8
_SETTLE_S: Final = 2.0
_JOINTS: Final = slice(0, 6)


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__, runs=3)
    options.add_argument("--seconds", type=float, default=20.0, help="of control time, each setting")
    options.add_argument("--delays-ms", type=float, nargs="+", default=[0.0, 100.0, 200.0, 400.0])
    return run("policy_smoothness", measure, options.parse_args(argv))


def measure(arguments: argparse.Namespace, _folder: Path, figures: Figures) -> dict[str, Any]:
    """Every execution at every delay, each from home, with the same draws in a run."""
    for seed in range(arguments.runs):
        for delay_ms in arguments.delays_ms:
            for execution in EXECUTIONS:
                _measure_one(execution, delay_ms, seed, arguments.seconds, figures)
    return {
        "seconds": arguments.seconds,
        "runs": arguments.runs,
        "delays_ms": arguments.delays_ms,
        "policy rate": RATE_HZ,
        "horizon": HORIZON,
        "execute": _EXECUTE,
        "control rate": 200,
    }


def _measure_one(execution: str, delay_ms: float, seed: int, seconds: float, figures: Figures) -> None:
    config = StationConfig()
    config.autonomy.help_per_minute = 0.0
    rig = LockstepCell(Cell("primitive", "pick-place", seed), config)
    policy = LockstepPolicy(rig, FlowPolicy(seed), _file(execution), delay_ms / 1e3)
    if execution == NAIVE:
        _begin_on_arrival(rig, policy)
    policy.drive()
    period_s = 1.0 / config.control.rate_hz
    sent: list[Array] = []
    measured: list[Array] = []
    steps: list[float] = []
    proposed: Array | None = None
    driven, flags = 0, 0
    for index in range(round((_SETTLE_S + seconds) / period_s)):
        tick = policy.tick()
        before, proposed = proposed, tick.policy if tick.policy is not None else proposed
        if index * period_s < _SETTLE_S:
            continue
        sent.append(tick.sent[_JOINTS])
        measured.append(tick.measured[_JOINTS])
        if before is not None and proposed is not None:
            steps.append(float(np.abs(proposed - before)[_JOINTS].max()))
        driven += tick.actor is Actor.POLICY
        flags |= tick.flags
    policy.close()
    if not driven:
        raise NotMeasuredError(f"The policy never drove ({execution}, {delay_ms:g} ms)")
    acceleration = np.diff(np.array(sent), n=2, axis=0) / period_s**2
    jerk = np.abs(np.diff(np.array(sent), n=3, axis=0)) / period_s**3
    moved = float(np.abs(np.diff(np.array(sent)[:, 0])).sum())
    name = f"{execution} at {delay_ms:g} ms"
    figures.add(f"{name}: largest step of the proposal", "mrad", 1e3 * max(steps))
    figures.add(f"{name}: acceleration RMS", "rad/s2", _rms(acceleration[:, :2]))
    figures.add(f"{name}: jerk RMS", "rad/s3", _rms(jerk[:, :2]))
    figures.add(f"{name}: jerk peak", "rad/s3", float(jerk.max()))
    figures.add(f"{name}: off the ways RMS", "mrad", 1e3 * _rms(away_from_ways(np.array(measured))))
    figures.add(f"{name}: waist travelled", "rad/s", moved / seconds, note=f"{SPEED_RAD_S:g} as asked for")
    figures.add(f"{name}: driven", "%", 100.0 * driven / len(sent))
    passed = SafetyFlag(flags & ~SafetyFlag.RATE_LIMIT)
    if passed:
        figures.note(f"{name}: interventions: {passed.name}")


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _begin_on_arrival(rig: LockstepCell, policy: LockstepPolicy) -> None:
    """Make control take each chunk as if its observation were of now: what is called naive asynchronous."""
    drive = rig.loop.policy
    offer = drive.offer

    def late(chunk: PolicyChunk, now_ns: int) -> None:
        part = policy.last.autonomy
        offer(replace(chunk, start_policy_ns=part.policy_ns if part else 0), now_ns)

    drive.offer = late


def _file(execution: str) -> PolicyFile:
    parts = ["left/joints", "left/gripper"]
    return PolicyFile.model_validate(
        {
            "name": "flow",
            "driver": "flow",
            "rate_hz": RATE_HZ,
            "horizon": HORIZON,
            "execute": _EXECUTE,
            "execution": "switch" if execution == NAIVE else execution,
            "observation": {"prompt": "", "states": [{"key": "state", "parts": parts}]},
            "action": {"parts": parts},
        }
    )


if __name__ == "__main__":
    raise SystemExit(main())
