"""A row of the fault matrix: what it tries, how often, and what it found."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

SHOWN_PROBLEMS = 20


@dataclass(slots=True)
class RowReport:
    """What one row found.

    Attributes:
        name: Of the row.
        title: What was done.
        wanted: What must hold.
        tries: How many faults were made.
        problems: Sentences; any of them fails the row.
        missed: Sentences on targets of time or memory that were missed; they fail nothing.
        figures: What was measured, by name with its unit.
        skipped: Why the row cannot run here, else empty.
        interrupted: Somebody stopped it.
        seconds: How long it took.
    """

    name: str
    title: str
    wanted: str
    tries: int = 0
    problems: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    skipped: str = ""
    interrupted: bool = False
    seconds: float = 0.0

    @property
    def outcome(self) -> str:
        """`passed`, `FAILED`, `skipped` or `interrupted`."""
        if self.problems:
            return "FAILED"
        if self.skipped:
            return "skipped"
        return "interrupted" if self.interrupted else "passed"

    def add(self, **amounts: int) -> None:
        """Count things."""
        for name, amount in amounts.items():
            self.figures[name] = self.figures.get(name, 0) + amount

    def spread(self, name: str, values: list[float]) -> None:
        """Keep the distribution of a measured value."""
        if values:
            p50, p95, worst = np.percentile(values, [50, 95, 100])
            self.figures[name] = {
                "p50": round(float(p50), 2),
                "p95": round(float(p95), 2),
                "max": round(float(worst), 2),
            }


@dataclass(slots=True)
class Budget:
    """How much a row may do.

    Attributes:
        count: Faults to make.
        minutes: Stop earlier after this long, None for no limit.
        seed: Of all that is drawn at random.
        folder: Scratch space.
        say: Prints a line of progress.
        random: Drawn from by the row.
    """

    count: int
    minutes: float | None
    seed: int
    folder: Path
    say: Callable[[str], None]
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def tries(self, report: RowReport, count: int | None = None) -> Iterator[int]:
        """Numbers of the faults to make now; tells each problem, and every few seconds how far it is."""
        total = self.count if count is None else count
        began = said = time.monotonic()
        told = len(report.problems)
        for number in range(total):
            for problem in report.problems[told:]:
                self.say(f"{report.name}: {problem}")
            told = len(report.problems)
            now = time.monotonic()
            if self.minutes is not None and now - began > self.minutes * 60:
                return
            if now - said > 5.0:
                said = now
                self.say(f"{report.name}: {number}/{total}, {len(report.problems)} problems")
            yield number
            report.tries += 1


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the matrix.

    Attributes:
        name: As in `--only`.
        title: What is done.
        wanted: What must hold.
        count: How many faults the full campaign makes.
        sample: How many the test suite makes.
        run: Does it; adds to the report.
    """

    name: str
    title: str
    wanted: str
    count: int
    sample: int
    run: Callable[[Budget, RowReport], None]

    def report(self, budget: Budget) -> RowReport:
        """Run the row; an interruption leaves what was found so far."""
        report = RowReport(self.name, self.title, self.wanted)
        began = time.monotonic()
        try:
            self.run(budget, report)
        except KeyboardInterrupt:
            report.interrupted = True
        except Exception as error:
            report.problems.append(f"The row itself failed: {type(error).__name__}: {error}")
            budget.say(f"{self.name}: {error!r}")
        report.seconds = round(time.monotonic() - began, 1)
        return report
