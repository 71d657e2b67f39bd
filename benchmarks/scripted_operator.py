"""How often and how fast the scripted operator solves each task, in lock step with the control loop.

Run: python benchmarks/scripted_operator.py [TASK ...] [--seeds N]
"""

import argparse
import time

from devices.inputs.plans import PLANS
from devices.inputs.scripted import ScriptedOperator
from devices.sim.cell import Cell
from teleop_app.station.lockstep import LockstepCell, attempt


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", default=list(PLANS))
    parser.add_argument("--seeds", type=int, default=20)
    arguments = parser.parse_args()
    print(f"{'task':12} {'solved':>8} {'solved after [s]':>20} {'whole [s]':>14} {'speed':>7}")
    for task in arguments.tasks:
        solved, ended, failures = [], [], []
        started = time.perf_counter()
        for seed in range(arguments.seeds):
            rig = LockstepCell(Cell("primitive", task, seed))
            operator = ScriptedOperator(rig.cell.model, ("left", "right"), rig.clock, seed=seed)
            result = attempt(rig, operator)
            ended.append(result.ended_s)
            if result.solved_s > 0:
                solved.append(result.solved_s)
            else:
                failures.append(f"{seed}: {result.state} {result.text or rig.cell.task_state().reason}")
        wall = time.perf_counter() - started
        spread = f"{min(solved):.1f} .. {max(solved):.1f}" if solved else "-"
        whole = f"{min(ended):.1f} .. {max(ended):.1f}"
        share, speed = f"{len(solved)}/{arguments.seeds}", sum(ended) / wall
        print(f"{task:12} {share:>8} {spread:>20} {whole:>14} {speed:6.1f}x", flush=True)
        for failure in failures:
            print("   ", failure)


if __name__ == "__main__":
    main()
