"""Tables from a results file: all of it, or the summary that docs/benchmarks.md shows.

Run: python -m benchmarks.table RESULTS.json [--summary benchmarks/summary.json] [--into docs/benchmarks.md]
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from benchmarks import comparison
from benchmarks.command import first_line
from benchmarks.figures import markdown
from teleop_app.core.errors import ConfigError, TeleopError

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
HEADLINES = {
    "record": (
        r"stop to durable",
        r"frames (due|lost)",
        r"first frame",
        r"ticks (due|missing|left out|driven)",
        r"control lateness",
        r"samples used (p50|p99)",
        r"another time than their stamp",
        r"file",
        r"processor, (recorder|cameras|control|all)",
        r"peak PSS, recorder",
    ),
    "record-sim": (r"frames (due|lost)", r"true sync error", r"cannot be read", r"processor, (cameras|all)"),
    "control_jitter": (r"lateness", r"ticks"),
    "supervisor_cost": (r"supervisor|whole tick",),
    "memory": (r"(recorder|cameras|control): ",),
    "long_episode": (r"stop to durable", r"private memory, second half", r"files"),
    "operator_latency": (r"stop|key to recording|cores|recorder,",),
    "sync_error": (r"p50|p95|p99", r"latency measured"),
    "export": (r"speed", r"write one episode"),
    "read": (r"open", r"frames in order$", r"random frames", r"random frame p"),
    "servo_bus": (r"sync reads", r"longest stall", r"others lost", r"beside a bus"),
    "peer_record": (
        r"frames (due|lost)",
        r"wrong picture",
        r"cannot be read",
        r"processor",
        r"stop to durable",
    ),
    "peer_history": (r"stop to durable",),
    "peer_read": (r"processor$",),
    "peer_crash": (r"readable|missing|open$",),
    "peer_sync": (r"p50|p95|p99|offset",),
}
"""Patterns of the figures in the summary, by benchmark."""
_BESIDE = re.compile(r"10 s[:,]|killed|read|stated|picture|stop")
"""Comparisons without a goal that the summary keeps."""
_SIDES = (
    "Medians. The ratio says how many times better ours is. What is counted on each side stands under "
    "[Side by side with LeRobot](#side-by-side-with-lerobot)."
)


def main(argv: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=first_line(__doc__))
    options.add_argument("results", type=Path, help="file that benchmarks.all wrote")
    options.add_argument("--summary", type=Path, help="write the headline figures here, as JSON")
    options.add_argument("--into", type=Path, help="put their tables between the marks of this document")
    arguments = options.parse_args(argv)
    try:
        results = _load(arguments.results)
        if arguments.summary is None and arguments.into is None:
            print(tables(results))
            return 0
        short = summary(results)
        if arguments.summary is not None:
            arguments.summary.write_text(json.dumps(short, indent=1) + "\n", encoding="utf-8")
        if arguments.into is not None:
            text = arguments.into.read_text(encoding="utf-8")
            arguments.into.write_text(placed(text, tables(short)), encoding="utf-8")
    except TeleopError as error:
        print(error.sentence, file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _load(path: Path) -> dict[str, Any]:
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path.name} is not a results file", why=str(error)) from error
    if not isinstance(results, dict) or "reports" not in results:
        raise ConfigError(
            f"{path.name} is not a results file", next_step="Make one with: python -m benchmarks.all"
        )
    return results


def summary(results: dict[str, Any]) -> dict[str, Any]:
    """The same results with the headline figures alone."""
    reports = []
    for report in results["reports"]:
        patterns = HEADLINES.get(report["benchmark"], ())
        kept = [row for row in report["figures"] if any(re.search(each, row["name"]) for each in patterns)]
        missing = {
            name: why
            for name, why in report["not_measured"].items()
            if any(re.search(each, name) for each in patterns)
        }
        beside = [row for row in report.get("side_by_side", ()) if row["goal"] or _BESIDE.match(row["what"])]
        reports.append({**report, "figures": kept, "not_measured": missing, "side_by_side": beside})
    return {**results, "reports": reports}


def tables(results: dict[str, Any]) -> str:
    """All reports as tables, with what failed."""
    kind = " A quick run: it shows that the benchmarks work and little more." if results["quick"] else ""
    head = f"Measured {results['started_utc']} at revision {results['revision'] or 'unknown'}.{kind}\n"
    failed = [f"{name} failed: {sentence}\n" for name, sentence in results["failed"].items()]
    rows = [row for report in results["reports"] for row in report.get("side_by_side", ())]
    beside = [f"### Side by side\n\n{_SIDES}\n\n{comparison.table(rows)}"] if rows else []
    return "\n".join([head, *beside, *(markdown(report) for report in results["reports"]), *failed])


def placed(document: str, text: str) -> str:
    """The document with `text` between its marks.

    Raises:
        ConfigError: It has no marks.
    """
    if document.count(BEGIN) != 1 or document.count(END) != 1:
        raise ConfigError("The document has no place for figures", next_step=f"Put {BEGIN} and {END} into it")
    head, rest = document.split(BEGIN)
    return f"{head}{BEGIN}\n{text.strip()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    sys.exit(main())
