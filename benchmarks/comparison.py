"""One quantity on both sides, with the goal for ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

HEAD = "| What | Ours | Theirs | | Ratio | Goal | Met |\n|---|---:|---:|---|---:|---|---|"
_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Comparison:
    """A figure of ours beside one of the peer's; both are medians.

    Attributes:
        what: The quantity.
        unit: Of both.
        ours: Name of our figure.
        theirs: Name of theirs, empty when the peer has nothing like it.
        side: Which way of the peer.
        at_most: Goal for our figure.
        times: Goal for the ratio: so many times less, or more.
        more_is_better: The ratio is ours to theirs, else theirs to ours.
    """

    what: str
    unit: str
    ours: str
    theirs: str
    side: str
    at_most: float | None = None
    times: float | None = None
    more_is_better: bool = False

    @property
    def goal(self) -> str:
        """In words, empty when there is none."""
        if self.times is not None:
            return f">= {self.times:g} times {'more' if self.more_is_better else 'less'}"
        return f"<= {self.at_most:g} {self.unit}".strip() if self.at_most is not None else ""

    def row(self, medians: Mapping[str, float]) -> dict[str, Any]:
        """For JSON, from the medians of all figures by name."""
        ours, theirs = medians.get(self.ours), medians.get(self.theirs)
        ratio = self._ratio(ours, theirs)
        return {
            "what": self.what,
            "unit": self.unit,
            "side": self.side,
            "ours": ours,
            "theirs": theirs,
            "ratio": ratio,
            "goal": self.goal,
            "met": self._met(ours, ratio),
        }

    def _ratio(self, ours: float | None, theirs: float | None) -> float | None:
        if ours is None or theirs is None:
            return None
        over, under = (ours, theirs) if self.more_is_better else (theirs, ours)
        return over / under if under else None

    def _met(self, ours: float | None, ratio: float | None) -> bool | None:
        if self.times is not None:
            return ratio >= self.times if ratio is not None else None
        return ours <= self.at_most if ours is not None and self.at_most is not None else None


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows of comparisons as a table for people."""
    return "\n".join([HEAD, *(_line(row) for row in rows)]) + "\n"


def _line(row: Mapping[str, Any]) -> str:
    met = {True: "yes", False: "**no**", None: ""}[row["met"]]
    unit = f" [{row['unit']}]" if row["unit"] else ""
    values = " | ".join(_number(row[side]) for side in ("ours", "theirs"))
    ratio = f"{row['ratio']:.{_DIGITS}g}" if row["ratio"] is not None else ""
    return f"| {row['what']}{unit} | {values} | {row['side']} | {ratio} | {row['goal']} | {met} |"


def _number(value: float | None) -> str:
    if value is None:
        return "not measured"
    return f"{value:.0f}" if abs(value) >= 10**_DIGITS else f"{value:.{_DIGITS}g}"
