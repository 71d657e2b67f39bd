"""The campaign's report: JSON for programs, Markdown for people."""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fault_matrix.row import SHOWN_PROBLEMS, RowReport


@dataclass(slots=True)
class CampaignReport:
    """All rows of one campaign; `write` may be called after each of them."""

    command: str
    seed: int
    commit: str
    rows: list[RowReport] = field(default_factory=list)
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def failed(self) -> bool:
        return any(row.problems or row.interrupted for row in self.rows)

    def write(self, path: Path) -> None:
        """`path` as JSON, and the same beside it as Markdown."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".json").write_text(json.dumps(self._plain(), indent=1) + "\n")
        path.with_suffix(".md").write_text(self.markdown())

    def _plain(self) -> dict[str, Any]:
        return {
            "started": self.started,
            "command": self.command,
            "seed": self.seed,
            "commit": self.commit,
            "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
            "rows": [
                {
                    **dataclasses.asdict(row),
                    "outcome": row.outcome,
                    "problem_count": len(row.problems),
                    "problems": row.problems[:SHOWN_PROBLEMS],
                }
                for row in self.rows
            ],
        }

    def markdown(self) -> str:
        """A table, and below it what went wrong."""
        lines = [
            f"Fault campaign of {self.started}, commit {self.commit}, seed {self.seed}: `{self.command}`",
            "",
            "| row | faults | outcome | figures | minutes |",
            "|---|---:|---|---|---:|",
        ]
        lines += [
            f"| {row.name} | {row.tries} | {row.outcome} | {_figures(row)} | {row.seconds / 60:.1f} |"
            for row in self.rows
        ]
        lines += _problems([row for row in self.rows if row.problems or row.skipped])
        lines += [f"\n{row.name}, target missed: {said}" for row in self.rows for said in row.missed]
        return "\n".join(lines) + "\n"


def _figures(row: RowReport) -> str:
    said = []
    for name, value in row.figures.items():
        if isinstance(value, dict):
            said.append(f"{name}: " + ", ".join(f"{key} {number:g}" for key, number in value.items()))
        else:
            said.append(f"{name}: {value}")
    return "; ".join(said).replace("|", "/")


def _problems(rows: Sequence[RowReport]) -> list[str]:
    lines: list[str] = []
    for row in rows:
        lines += ["", f"{row.name}: {row.skipped or f'{len(row.problems)} problems'}", ""]
        lines += [f"- {problem}" for problem in row.problems[:SHOWN_PROBLEMS]]
    return lines
