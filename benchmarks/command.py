"""What all benchmark commands share: options, the report around the figures, exit codes."""

from __future__ import annotations

import argparse
import json
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.figures import Figures, markdown
from benchmarks.machine import machine
from teleop_app.core.errors import TeleopError

Measure = Callable[[argparse.Namespace, Path, Figures], dict[str, Any]]


def first_line(doc: str | None) -> str:
    """Of a module's docstring: what the command does."""
    return (doc or "").partition("\n")[0]


def parser(doc: str | None, runs: int) -> argparse.ArgumentParser:
    """A parser with the common options, for the module with this docstring."""
    found = argparse.ArgumentParser(description=first_line(doc))
    found.add_argument("--runs", type=positive, default=runs, help="runs of every setting")
    found.add_argument("--markdown", action="store_true", help="print a table instead of JSON")
    found.add_argument(
        "--folder", type=Path, help="on the disk that shall be measured (else the temporary folder)"
    )
    return found


def positive(text: str) -> int:
    """A whole number above 0, for argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not above 0")
    return value


def run(name: str, measure: Measure, arguments: argparse.Namespace) -> int:
    """Measure in a temporary folder and print the report; the exit code.

    A failure prints its sentence on stderr and no figures at all.

    Args:
        name: Of the benchmark.
        measure: Fills the figures; returns the settings that a reader needs to repeat them.
        arguments: Parsed.
    """
    started_utc, started = datetime.now(UTC), time.monotonic()
    figures = Figures()
    try:
        with (
            leaving_in_order(),
            tempfile.TemporaryDirectory(prefix="teleop-bench-", dir=arguments.folder) as folder,
        ):
            where = machine(Path(folder))
            settings = measure(arguments, Path(folder), figures)
    except TeleopError as error:
        print(error.sentence, file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"{name} was not measured: {error}", file=sys.stderr)
        return 1
    report = {
        "benchmark": name,
        "started_utc": started_utc.isoformat(timespec="seconds"),
        "machine": where,
        "settings": settings,
        "wall_s": round(time.monotonic() - started, 1),
        "cpu_s": round(processor_s(), 1),
        "side_by_side": figures.side_by_side(),
        "figures": [figure.as_dict() for figure in figures.done()],
        "not_measured": figures.missing,
        "notes": figures.notes,
    }
    print(markdown(report) if arguments.markdown else json.dumps(report, indent=1))
    return 0


@contextmanager
def leaving_in_order() -> Iterator[None]:
    """SIGTERM ends the block through its context managers, so that no station stays behind."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def processor_s() -> float:
    """Processor time of this process and of all that it started and that has ended [s]."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in spent)
