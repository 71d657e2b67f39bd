"""The clock anchor and where things lie."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleop_app.core.clock import ClockAnchor, FakeClock
from teleop_app.core.errors import StorageError
from teleop_app.core.paths import DataDir

NS = st.integers(0, 2**62)


@given(NS, NS, NS)
def test_the_anchor_maps_there_and_back_exactly(monotonic_ns: int, utc_ns: int, when_ns: int) -> None:
    anchor = ClockAnchor(monotonic_ns, utc_ns)
    assert anchor.to_monotonic_ns(anchor.to_utc_ns(when_ns)) == when_ns


def test_a_fake_clock_never_goes_back() -> None:
    clock = FakeClock(100)
    clock.sleep_until(50)
    assert clock.now_ns() == 100
    clock.sleep_until(150)
    assert clock.now_ns() == 150


def test_the_option_wins_over_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEOP_DATA_DIR", str(tmp_path / "variable"))
    assert DataDir.choose().root == tmp_path / "variable"
    assert DataDir.choose(tmp_path / "option").root == tmp_path / "option"


def test_a_data_directory_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(StorageError, match="cannot be written: Not a directory.*--data-dir"):
        DataDir(blocker / "store").create()


def test_socket_paths_stay_short_whatever_the_store(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120)
    assert len(os.fsencode(DataDir(deep).run_dir() / "simulation.pub")) < 107
