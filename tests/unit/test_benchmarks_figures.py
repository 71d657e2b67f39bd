"""Figures, goals, tables and the summary of the benchmarks."""

import json
from pathlib import Path

import pytest

from benchmarks import table
from benchmarks.figures import Figure, Figures, NotMeasuredError, markdown


def report(figures: Figures, name: str = "read") -> dict:
    return {
        "benchmark": name,
        "machine": {
            "cores": 2,
            "processor": "a processor",
            "load_average": [0.5, 0, 0],
            "file_system": "ext4",
        },
        "settings": {"seconds": [1, 2]},
        "wall_s": 1.0,
        "cpu_s": 0.5,
        "figures": [figure.as_dict() for figure in figures.done()],
        "not_measured": figures.missing,
        "notes": figures.notes,
    }


def test_one_run_that_misses_the_goal_is_enough():
    assert Figure("time", "ms", (1.0, 2.0, 3.0), at_most=3.0).met is True
    assert Figure("time", "ms", (1.0, 2.0, 3.1), at_most=3.0).met is False
    assert Figure("share", "%", (99.0, 94.0), at_least=95.0).met is False
    assert Figure("time", "ms", (1.0,)).met is None


def test_runs_become_median_and_extremes():
    figures = Figures()
    for value in (3.0, 1.0, 2.0):
        figures.add("time", "ms", value, at_most=10)
    [figure] = figures.done()
    row = figure.as_dict()
    assert (row["median"], row["min"], row["max"], row["runs"]) == (2.0, 1.0, 3.0, 3)
    assert (row["goal"], row["met"]) == ("<= 10", True)


def test_what_is_no_number_is_not_reported():
    figures = Figures()
    with pytest.raises(NotMeasuredError, match="'time' was not measured: it came out as nan."):
        figures.add("time", "ms", float("nan"))
    figures.add_spread("lateness", "us", [])
    assert figures.done() == []
    assert figures.missing == {"lateness": "no sample was taken"}


def test_spread_gives_percentiles_with_their_goals():
    figures = Figures()
    figures.add_spread("error", "ms", list(range(101)), {99: 5.0})
    rows = {figure.name: figure for figure in figures.done()}
    assert [rows[f"error {label}"].values for label in ("p50", "p99", "max")] == [(50.0,), (99.0,), (100.0,)]
    assert rows["error p99"].met is False
    assert rows["error p50"].met is None


def test_the_table_says_what_was_missed_and_what_was_not_measured():
    figures = Figures(missing={"slope": "too short"}, notes=["after 1 s: a hold"])
    figures.add("open", "ms", 12.34567, at_most=5)
    text = markdown(report(figures))
    assert "| open | ms | 12.35 | 12.35 .. 12.35 | 1 | <= 5 | **no** |" in text
    assert "| slope | | not measured: too short | | 0 | | |" in text
    assert "load 0.5 at the start" in text
    assert "- after 1 s: a hold" in text


def test_the_summary_goes_between_the_marks_of_a_document(tmp_path: Path):
    figures = Figures()
    figures.add("open", "ms", 2.0)
    figures.add("index of three cameras", "ms", 3.0)
    results = {
        "started_utc": "2026-01-01T00:00:00+00:00",
        "revision": "abc",
        "quick": True,
        "reports": [report(figures)],
        "failed": {"memory": "It died."},
    }
    source, short, document = tmp_path / "r.json", tmp_path / "s.json", tmp_path / "d.md"
    source.write_text(json.dumps(results))
    document.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    assert table.main([str(source), "--summary", str(short), "--into", str(document)]) == 0
    assert [row["name"] for row in json.loads(short.read_text())["reports"][0]["figures"]] == ["open"]
    text = document.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert "| open |" in text and "memory failed: It died." in text and "A quick run" in text


def test_a_document_without_marks_and_a_foreign_file_are_refused(tmp_path: Path, capsys):
    foreign = tmp_path / "x.json"
    foreign.write_text("[]")
    assert table.main([str(foreign)]) == 2
    assert capsys.readouterr().err.startswith("x.json is not a results file.")
    assert table.main([str(tmp_path / "none.json")]) == 1
    with pytest.raises(table.ConfigError, match="no place for figures"):
        table.placed("text", "table")
