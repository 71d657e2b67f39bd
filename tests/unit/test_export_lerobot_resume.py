"""Interrupted exports go on where they stopped and end with the same bytes."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from recorders.exporters.lerobot import export_lerobot
from recorders.exporters.lerobot_options import LeRobotOptions
from recorders.synthetic import write_synthetic

KILLED_EXPORT = """
import os, signal, sys
from pathlib import Path
from recorders.exporters import progress
from recorders.exporters.lerobot import export_lerobot
progress._INTERVAL_S = -1.0  # told at every packet
calls = 0
def kill(_):
    global calls
    calls += 1
    if calls == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
export_lerobot([Path(p) for p in sys.argv[3:]], Path(sys.argv[1]), progress=kill)
print(calls)
"""


class StopError(Exception):
    """What a person's Ctrl-C raises."""


@pytest.fixture(scope="module")
def episodes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("episodes")
    return [write_synthetic(folder, 0.4).path for _ in range(3)]


@pytest.fixture(scope="module")
def reference(episodes, tmp_path_factory):
    """Digests of an export that nothing interrupted."""
    out = tmp_path_factory.mktemp("reference") / "dataset"
    export_lerobot(episodes, out)
    return digests(out)


def digests(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def beside(out: Path) -> list[str]:
    """What lies in the dataset's parent folder on its behalf."""
    return sorted(path.name for path in out.parent.iterdir() if "dataset" in path.name)


def test_stopped_at_every_step_it_ends_the_same(episodes, reference, tmp_path):
    steps = 0
    finished = False
    out = tmp_path / "dataset"
    seen: list[int] = []
    while not finished:
        steps += 1
        left = steps

        def stop(_):
            nonlocal left
            left -= 1
            if left < 0:
                raise StopError

        try:
            report = export_lerobot(episodes, out, progress=stop)
            seen.append(report.resumed)
            finished = True
        except StopError:
            assert not out.exists()
            assert beside(out) == [".dataset.partial"]
        assert steps < 100
    assert seen == [3]
    assert digests(out) == reference
    assert beside(out) == ["dataset"]


@pytest.mark.parametrize("call", [60, 170])
def test_killed_it_goes_on(episodes, reference, tmp_path, call):
    out = tmp_path / "dataset"
    arguments = [sys.executable, "-c", KILLED_EXPORT, str(out), str(call), *map(str, episodes)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, env=dict(os.environ))
    assert done.returncode == -9, done.stdout + done.stderr
    assert not out.exists()
    report = export_lerobot(episodes, out)
    assert digests(out) == reference
    assert report.resumed == {60: 1, 170: 3}[call]
    assert beside(out) == ["dataset"]


def test_a_torn_preparation_is_made_again(episodes, reference, tmp_path):
    out = tmp_path / "dataset"

    def stop(progress):
        if progress.stage == "write":
            raise StopError

    with pytest.raises(StopError):
        export_lerobot(episodes, out, progress=stop)
    folders = sorted((tmp_path / ".dataset.partial/episodes").iterdir())
    (folders[0] / "episode.json").write_text('{"uuid": "')
    (folders[1] / "rows.parquet").write_bytes(b"PAR1")
    report = export_lerobot(episodes, out)
    assert report.resumed == 1
    assert digests(out) == reference


def test_other_choices_or_episodes_do_not_reuse_what_does_not_fit(episodes, tmp_path):
    out = tmp_path / "dataset"

    def stop(progress):
        if progress.stage == "write" and progress.episodes_done == 2:
            raise StopError

    with pytest.raises(StopError):
        export_lerobot(episodes, out, progress=stop)
    with pytest.raises(StopError):
        export_lerobot(episodes, out, LeRobotOptions(extras=()), progress=stop)
    report = export_lerobot(episodes[1:], out, LeRobotOptions(extras=()))
    assert report.resumed == 2
    assert len(report.episodes) == 2
    export_lerobot(episodes[1:], tmp_path / "plain", LeRobotOptions(extras=()))
    assert digests(out) == digests(tmp_path / "plain")


def test_a_crash_between_the_two_renames_is_put_right(episodes, tmp_path):
    out = tmp_path / "dataset"
    export_lerobot(episodes[:1], out)
    before = digests(out)
    out.rename(tmp_path / ".dataset.old")
    export_lerobot(episodes[1:], out, LeRobotOptions(append=True))
    after = digests(out)
    assert {name: after[name] for name in before if name.startswith("data/")} == {
        name: digest for name, digest in before.items() if name.startswith("data/")
    }
    assert beside(out) == ["dataset"]


def test_leftovers_of_a_finished_export_are_tidied(episodes, tmp_path):
    out = tmp_path / "dataset"
    export_lerobot(episodes[:1], out)
    partial = tmp_path / ".dataset.partial"
    (partial / "episodes" / "left").mkdir(parents=True)
    (partial / "plan").write_text("x")
    report = export_lerobot(episodes, out, LeRobotOptions(overwrite=True))
    assert len(report.episodes) == 3
    assert beside(out) == ["dataset"]


def test_an_interrupted_addition_leaves_the_dataset_whole(episodes, tmp_path):
    out = tmp_path / "dataset"
    export_lerobot(episodes[:1], out)
    before = digests(out)

    def stop(progress):
        if progress.stage == "verify":
            raise StopError

    with pytest.raises(StopError):
        export_lerobot(episodes, out, LeRobotOptions(append=True), progress=stop)
    assert digests(out) == before
    report = export_lerobot(episodes, out, LeRobotOptions(append=True))
    assert [episode.index for episode in report.episodes] == [1, 2]
    assert report.resumed == 2


def test_progress_counts_up_to_the_end(episodes, tmp_path):
    told = []
    export_lerobot(episodes, tmp_path / "dataset", progress=told.append)
    assert [p.bytes_done for p in told] == sorted(p.bytes_done for p in told)
    assert [p.stage for p in told] == sorted((p.stage for p in told), key=["read", "write", "verify"].index)
    assert told[-1].bytes_done == told[-1].bytes_total > 0
    assert told[-1].episodes_done == told[-1].episodes_total == 3
    assert told[-1].remaining_s == 0
