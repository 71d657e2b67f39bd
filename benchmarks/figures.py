"""Figures as they are reported: one value a run, never one that was not measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np

from benchmarks.comparison import Comparison
from teleop_app.core.errors import TeleopError

DIGITS = 4
"""Significant digits in reports; the measurements are not better."""


class NotMeasuredError(TeleopError):
    """A figure cannot be had: what it is made from is missing. The benchmark then reports nothing."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One quantity, measured once in each run.

    Attributes:
        name: What it is.
        unit: e.g. `ms`.
        values: One a run; at least one.
        at_most: Goal for every run.
        at_least: Goal for every run.
        note: What a reader must know.
    """

    name: str
    unit: str
    values: tuple[float, ...]
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    @property
    def goal(self) -> str:
        """The goal in words, empty when there is none."""
        if self.at_most is not None:
            return f"<= {self.at_most:g}"
        return f">= {self.at_least:g}" if self.at_least is not None else ""

    @property
    def met(self) -> bool | None:
        """Whether every single run met the goal; None without a goal."""
        if self.at_most is not None:
            return max(self.values) <= self.at_most
        return min(self.values) >= self.at_least if self.at_least is not None else None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "unit": self.unit,
            "median": rounded(median(self.values)),
            "min": rounded(min(self.values)),
            "max": rounded(max(self.values)),
            "runs": len(self.values),
            "goal": self.goal,
            "met": self.met,
            "note": self.note,
        }


@dataclass(slots=True)
class Figures:
    """Collects the values of several runs; figures come out in the order in which they were first seen.

    Attributes:
        missing: What could not be measured, and why.
        notes: Sentences about what happened on the way.
        comparisons: Pairs of figures that belong side by side.
    """

    missing: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    _rows: dict[str, tuple[list[float], dict[str, Any]]] = field(default_factory=dict)

    def add(self, name: str, unit: str, value: float, **about: Any) -> None:
        """The value of one run.

        Args:
            name: What it is.
            unit: Its unit.
            value: Measured.
            **about: Goal and note of the figure.

        Raises:
            NotMeasuredError: The value is not finite.
        """
        if not np.isfinite(value):
            raise NotMeasuredError(f"{name!r} was not measured", why=f"it came out as {value}")
        values, _ = self._rows.setdefault(name, ([], {"unit": unit, **about}))
        values.append(float(value))

    def note(self, sentence: str) -> None:
        """Keep a sentence once; an empty one is none."""
        if sentence and sentence not in self.notes:
            self.notes.append(sentence)

    def add_spread(
        self,
        name: str,
        unit: str,
        samples: Sequence[float] | np.ndarray,
        goals: dict[int, float] | None = None,
        percentiles: tuple[int, ...] = (50, 99, 100),
    ) -> None:
        """Percentiles of one run's samples.

        Args:
            name: What was sampled.
            unit: Its unit.
            samples: At least one, else the figure is listed as missing.
            goals: Largest value wanted, by percentile.
            percentiles: Which; 100 is the maximum.
        """
        if len(samples) == 0:
            self.missing[name] = "no sample was taken"
            return
        for percentile in percentiles:
            label = "max" if percentile == 100 else f"p{percentile}"
            value = float(np.percentile(samples, percentile))
            self.add(f"{name} {label}", unit, value, at_most=(goals or {}).get(percentile))

    def side_by_side(self) -> list[dict[str, Any]]:
        """Every comparison as a row for JSON; one whose figures were not measured has no values."""
        medians = {figure.name: median(figure.values) for figure in self.done()}
        return [each.row(medians) for each in self.comparisons]

    def done(self) -> list[Figure]:
        """All figures."""
        return [Figure(name, values=tuple(values), **about) for name, (values, about) in self._rows.items()]


def rounded(value: float) -> float:
    """To the digits that mean something."""
    return float(f"{value:.{DIGITS}g}")


def markdown(report: dict[str, Any]) -> str:
    """A report as a table for people."""
    machine = report["machine"]
    lines = [
        f"### {report['benchmark']}",
        "",
        f"{machine['cores']} cores ({machine['processor']}), load {machine['load_average'][0]:g} "
        f"at the start, files on {machine['file_system']}, {report['wall_s']:g} s "
        f"and {report['cpu_s']:g} s of processor time. "
        f"Settings: {_listed(report['settings'])}.",
        "",
        "| Figure | Unit | Median | Min .. max | Runs | Goal | Met |",
        "|---|---|---:|---|---:|---|---|",
    ]
    for row in report["figures"]:
        met = {True: "yes", False: "**no**", None: ""}[row["met"]]
        note = f" ({row['note']})" if row["note"] else ""
        lines.append(
            f"| {row['name']}{note} | {row['unit']} | {row['median']:g} | {row['min']:g} .. {row['max']:g} "
            f"| {row['runs']} | {row['goal']} | {met} |"
        )
    lines += [f"| {name} | | not measured: {why} | | 0 | | |" for name, why in report["not_measured"].items()]
    if report["notes"]:
        lines += ["", *(f"- {note}" for note in report["notes"])]
    return "\n".join(lines) + "\n"


def _listed(settings: dict[str, Any]) -> str:
    return ", ".join(f"{key} {_plain(value)}" for key, value in settings.items())


def _plain(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
