"""A quick sample of every row of the fault matrix, through the same command as the full campaign."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fault_matrix.rows import ROWS

CAMPAIGN = Path(__file__).with_name("campaign.py")
SAMPLED = [row.name for row in ROWS if row.sample]
pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform == "win32", reason="forks, signals and mounts"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One run of the command; CI draws the same faults every time."""
    folder = tmp_path_factory.mktemp("campaign")
    argv = [sys.executable, str(CAMPAIGN), "--sample", "--report", str(folder / "report.json")]
    argv += ["--scratch", str(folder), "--only", *SAMPLED]
    argv += ["--seed", "1"] if os.environ.get("CI") else []
    done = subprocess.run(argv, capture_output=True, text=True, cwd=folder, timeout=290)
    assert (folder / "report.json").exists(), done.stderr
    made = json.loads((folder / "report.json").read_text())
    assert done.returncode == int(any(row["problem_count"] for row in made["rows"]))
    assert (folder / "report.md").read_text().count("\n| ") == len(SAMPLED) + 1
    return made


@pytest.mark.parametrize("name", SAMPLED)
def test_a_sample_of_the_row_holds(report: dict[str, Any], name: str) -> None:
    row = next(row for row in report["rows"] if row["name"] == name)
    if row["skipped"]:
        pytest.skip(row["skipped"])
    assert row["problems"] == [], f"seed {report['seed']}"
    assert row["tries"] > 0
