"""Runs the fault matrix and reports what held.

python tests/faults/campaign.py [--only kills power-cuts ...] [--count N] [--minutes M] [--report FILE]

Exit code 0 when every row passed or was skipped with a reason, 1 when one failed or was interrupted.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # rows fork, and a forked process has one thread
os.environ.setdefault(
    "ARROW_DEFAULT_MEMORY_POOL", "system"
)  # the other one reserves what limited children lack
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from fault_matrix.report import CampaignReport  # noqa: E402
from fault_matrix.row import Budget, Row  # noqa: E402
from fault_matrix.rows import ROWS  # noqa: E402


def main() -> int:
    options = _options()
    seed = options.seed if options.seed is not None else int.from_bytes(os.urandom(4), "little")
    command = "python tests/faults/campaign.py " + " ".join(sys.argv[1:])
    report = CampaignReport(command.strip(), seed, _commit())
    print(f"seed {seed}, report {options.report}", flush=True)
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was found so far is reported
    folder = Path(tempfile.mkdtemp(prefix="teleop-faults-", dir=options.scratch))
    try:
        for row in ROWS:
            if options.only and row.name not in options.only:
                continue
            result = row.report(_budget(row, options, seed, folder / row.name))
            report.rows.append(result)
            report.write(options.report)
            print(f"{result.outcome:<12}{row.name}  {result.tries} faults, {result.seconds} s", flush=True)
            if result.interrupted:
                break
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(report.markdown())
    return int(report.failed)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    names = [row.name for row in ROWS]
    listed = "\n".join(f"{row.name:<14} {row.count:>5}  {row.title}" for row in ROWS)
    parser.add_argument("--only", nargs="+", choices=names, metavar="ROW", help=f"only these rows:\n{listed}")
    parser.add_argument("--count", type=int, help="faults a row, instead of its own number")
    parser.add_argument("--sample", action="store_true", help="the few faults of the test suite")
    parser.add_argument("--minutes", type=float, help="at most so long a row; length of the soak")
    parser.add_argument("--seed", type=int, help="repeats what a run with this seed drew")
    parser.add_argument("--report", type=Path, default=Path("fault-report.json"), help="JSON, and .md beside")
    parser.add_argument("--scratch", type=Path, help="folder for the stores that are broken")
    return parser.parse_args()


def _budget(row: Row, options: argparse.Namespace, seed: int, folder: Path) -> Budget:
    folder.mkdir(parents=True)
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:7.0f} s  {line}", flush=True)

    count = options.count or (row.sample if options.sample else row.count)
    return Budget(count, options.minutes, seed, folder, say)


def _commit() -> str:
    git = ["git", "-C", str(HERE), "describe", "--always", "--dirty"]
    done = subprocess.run(git, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
