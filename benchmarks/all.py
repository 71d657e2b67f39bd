"""The whole set of benchmarks, one after the other; the results go into benchmarks/results/.

Run: python -m benchmarks.all [--peers] [--quick] [--only record read] [--resume] [--markdown]

About 50 minutes, with the peers up to 5 hours; a quick run takes about 4 (15 with the peers) and shows only
that everything works. The results so far are written after each benchmark.
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

from benchmarks.command import first_line, leaving_in_order
from benchmarks.table import tables

RESULTS = Path(__file__).parent / "results"
FULL = {
    "record": ["--seconds", "10", "120", "--runs", "3"],
    "record-sim": ["--cameras", "sim", "--seconds", "30", "--runs", "3"],
    "sync_error": ["--seconds", "20", "--runs", "3"],
    "control_jitter": ["--seconds", "30", "--runs", "3", "--load", "0", "2"],
    "supervisor_cost": ["--seconds", "20", "--runs", "3"],
    "memory": ["--minutes", "10"],
    "long_episode": ["--seconds", "10", "300", "3600", "--runs", "3"],
    "export": ["--episodes", "4", "--seconds", "30", "--runs", "3"],
    "read": ["--seconds", "60", "--runs", "5"],
    "servo_bus": ["--seconds", "5", "--runs", "3"],
    "takeover": ["--moments", "1000", "--seizes", "100"],
    "policy_smoothness": ["--seconds", "20", "--runs", "3"],
    "policy_station": ["--seconds", "30", "--runs", "3"],
}
QUICK = {
    "record": ["--seconds", "3", "6", "--runs", "1"],
    "record-sim": ["--cameras", "sim", "--seconds", "4", "--runs", "1"],
    "sync_error": ["--seconds", "4", "--calibrate-seconds", "3", "--runs", "1"],
    "control_jitter": ["--seconds", "3", "--runs", "1", "--load", "0", "1"],
    "supervisor_cost": ["--seconds", "2", "--runs", "1"],
    "memory": ["--minutes", "0.3"],
    "long_episode": ["--seconds", "2", "6", "--segment-s", "3", "--runs", "1"],
    "export": ["--episodes", "1", "--seconds", "4", "--runs", "1"],
    "read": ["--seconds", "4", "--runs", "2", "--jumps", "20"],
    "servo_bus": ["--seconds", "1", "--runs", "1"],
    "takeover": ["--moments", "15", "--seizes", "8"],
    "policy_smoothness": ["--seconds", "2", "--runs", "1", "--delays-ms", "0", "200"],
    "policy_station": ["--seconds", "3", "--runs", "1"],
}
PEERS_FULL = {
    "peer_crash": ["--budget-minutes", "40"],
    "peer_sync": ["--budget-minutes", "20"],
    "peer_read": ["--budget-minutes", "40"],
    "peer_history": ["--budget-minutes", "40"],
    "peer_record": ["--budget-minutes", "150"],
    "policy_client": [],
}
PEERS_QUICK = {
    "peer_crash": ["--seconds", "2", "--saved", "1", "--runs", "1", "--sides", "ours", "stream-h264"],
    "peer_sync": ["--seconds", "3", "--runs", "1"],
    "peer_read": ["--seconds", "2", "--items", "24", "--runs", "1"],
    "peer_history": ["--seconds", "1", "--episodes", "8", "--peer-episodes", "4", "--runs", "1"],
    "peer_record": ["--seconds", "2", "--runs", "1", "--load", "0"],
    "policy_client": ["--runs", "1", "--questions", "50"],
}
"""Arguments by name; what stands before a dash is the module."""


def main(argv: list[str] | None = None) -> int:
    """Each benchmark in a process of its own. Exit code 1 when one of them failed."""
    options = argparse.ArgumentParser(description=first_line(__doc__))
    options.add_argument("--quick", action="store_true", help="short: shows that all of them run")
    options.add_argument("--peers", action="store_true", help="also side by side with LeRobot")
    options.add_argument("--only", nargs="+", choices=(*FULL, *PEERS_FULL), help="just these")
    options.add_argument("--resume", action="store_true", help="skip the peers' parts that were run before")
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
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{started:%Y-%m-%dT%H%M%S}-{os.cpu_count()}-cores{'-quick' * arguments.quick}.json"
    for name in arguments.only or (*FULL, *(PEERS_FULL if arguments.peers else ())):
        words = _words(name, quick=arguments.quick, resume=arguments.resume)
        print(f"{name} {' '.join(words)} ...", file=sys.stderr, flush=True)
        with leaving_in_order():
            report, sentence = _run(name, words, arguments.folder)
        if report is None:
            results["failed"][name] = sentence
            print(f"{name} failed: {sentence}", file=sys.stderr, flush=True)
        else:
            results["reports"].append(report)
        path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"Results: {path}", file=sys.stderr)
    print(tables(results) if arguments.markdown else json.dumps(results, indent=1))
    return 1 if results["failed"] else 0


def _words(name: str, *, quick: bool, resume: bool) -> list[str]:
    """Arguments of a benchmark."""
    words = ((QUICK | PEERS_QUICK) if quick else (FULL | PEERS_FULL))[name]
    if name in PEERS_FULL and resume:
        return [*words, "--resume", str(RESULTS / f"{name}{'-quick' * quick}.jsonl")]
    return words


def _run(name: str, words: list[str], folder: Path | None) -> tuple[dict[str, Any] | None, str]:
    """The report, or None and the sentence that says why there is none."""
    argv = [sys.executable, "-m", f"benchmarks.{name.split('-')[0]}", *words]
    if folder is not None:
        argv += ["--folder", str(folder)]
    process = subprocess.Popen(
        argv,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.DEVNULL,
    )
    try:
        out, err = process.communicate()
    except BaseException:  # whoever ends this run ends what it started, in order
        process.terminate()
        process.wait()
        raise
    if process.returncode != 0:
        said = err.strip().splitlines()
        return None, said[-1] if said else f"It ended with code {process.returncode}."
    return json.loads(out) | {"benchmark": name}, ""


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
