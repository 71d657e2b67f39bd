"""The whole set of benchmarks, one after the other; the results go into benchmarks/results/.

Run: python -m benchmarks.all [--quick] [--only record read] [--markdown]

About 35 minutes; a quick run takes under 3 and shows only that everything works.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.command import first_line
from benchmarks.figures import markdown

RESULTS = Path(__file__).parent / "results"
FULL = {
    "record": ["--seconds", "10", "120", "--runs", "3"],
    "record-sim": ["--cameras", "sim", "--seconds", "30", "--runs", "3"],
    "control_jitter": ["--seconds", "30", "--runs", "3", "--load", "0", "2"],
    "memory": ["--minutes", "10"],
    "export": ["--episodes", "4", "--seconds", "30", "--runs", "3"],
    "read": ["--seconds", "60", "--runs", "5"],
}
QUICK = {
    "record": ["--seconds", "3", "6", "--runs", "1"],
    "record-sim": ["--cameras", "sim", "--seconds", "4", "--runs", "1"],
    "control_jitter": ["--seconds", "3", "--runs", "1", "--load", "0", "1"],
    "memory": ["--minutes", "0.3"],
    "export": ["--episodes", "1", "--seconds", "4", "--runs", "1"],
    "read": ["--seconds", "4", "--runs", "2", "--jumps", "20"],
}
"""Arguments by name; what stands before a dash is the module."""


def main(argv: list[str] | None = None) -> int:
    """Each benchmark in a process of its own. Exit code 1 when one of them failed."""
    options = argparse.ArgumentParser(description=first_line(__doc__))
    options.add_argument("--quick", action="store_true", help="short: shows that all of them run")
    options.add_argument("--only", nargs="+", choices=tuple(FULL), default=list(FULL))
    options.add_argument("--folder", type=Path, help="on the disk that shall be measured")
    options.add_argument("--markdown", action="store_true", help="print tables instead of JSON")
    arguments = options.parse_args(argv)
    started = datetime.now(UTC)
    results: dict[str, Any] = {
        "started_utc": started.isoformat(timespec="seconds"),
        "revision": _revision(),
        "quick": arguments.quick,
        "reports": [],
        "failed": {},
    }
    for name in arguments.only:
        words = (QUICK if arguments.quick else FULL)[name]
        print(f"{name} {' '.join(words)} ...", file=sys.stderr, flush=True)
        report, sentence = _run(name, words, arguments.folder)
        if report is None:
            results["failed"][name] = sentence
            print(f"{name} failed: {sentence}", file=sys.stderr, flush=True)
        else:
            results["reports"].append(report)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{started:%Y-%m-%dT%H%M%S}-{os.cpu_count()}-cores{'-quick' * arguments.quick}.json"
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"Results: {path}", file=sys.stderr)
    tables = "\n".join(markdown(report) for report in results["reports"])
    print(tables if arguments.markdown else json.dumps(results, indent=1))
    return 1 if results["failed"] else 0


def _run(name: str, words: list[str], folder: Path | None) -> tuple[dict[str, Any] | None, str]:
    """The report, or None and the sentence that says why there is none."""
    argv = [sys.executable, "-m", f"benchmarks.{name.split('-')[0]}", *words]
    if folder is not None:
        argv += ["--folder", str(folder)]
    done = subprocess.run(
        argv,
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        return None, said[-1] if said else f"It ended with code {done.returncode}."
    return json.loads(done.stdout) | {"benchmark": name}, ""


def _revision() -> str:
    """Short commit of the checkout, with `-dirty` where files differ from it; empty outside of one."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parent,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
