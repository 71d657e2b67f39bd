"""The benchmarks that need no station, at their smallest settings; and what is read from episode files."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks import all as whole_set
from benchmarks import episode_figures, export, long_episode, read
from benchmarks.episodes import make_episodes
from benchmarks.figures import NotMeasuredError
from recorders.reader import EpisodeReader
from recorders.synthetic import synthetic_header, write_synthetic
from teleop_app.core.errors import TeleopError


@pytest.fixture(scope="module")
def gappy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of three cameras with a packet missing in the middle."""
    [made] = make_episodes(tmp_path_factory.mktemp("gappy"), 1, 2.0, width=160, height=120, gap=True)
    return made.path


def names(output: str) -> set[str]:
    return {row["name"] for row in json.loads(output)["figures"]}


def test_read_gives_its_report(capsys):
    assert read.main(["--seconds", "0.5", "--runs", "1", "--jumps", "2"]) == 0
    output = capsys.readouterr().out
    assert {"open", "frames in order", "random frames", "random frame p99"} <= names(output)
    machine = json.loads(output)["machine"]
    assert machine["cores"] > 0 and len(machine["load_average"]) == 3


def test_export_measures_both_ways(capsys):
    assert export.main(["--seconds", "1", "--episodes", "1", "--runs", "1", "--markdown"]) == 0
    table = capsys.readouterr().out
    assert "| remux: speed |" in table and "| re-encode: speed |" in table


def test_a_long_episode_is_several_files_and_is_finished(capsys, monkeypatch):
    monkeypatch.setattr(long_episode, "_SETTLE_S", 0.0)
    monkeypatch.setattr(long_episode, "_LOOP_S", 1)
    assert long_episode.main(["--seconds", "2.5", "--segment-s", "1", "--runs", "1"]) == 0
    rows = {row["name"]: row["median"] for row in json.loads(capsys.readouterr().out)["figures"]}
    assert rows["2.5 s: files"] == 3 and rows["2.5 s: stop to durable"] > 0


def test_a_benchmark_that_fails_says_so_and_reports_nothing(monkeypatch, capsys):
    def fail(*_: object, **__: object) -> None:
        raise TeleopError("The station is not ready after 120 s", next_step="See the logs")

    monkeypatch.setattr(read, "make_episodes", fail)
    assert read.main(["--runs", "1"]) == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err == "The station is not ready after 120 s. See the logs.\n"


def test_a_folder_that_is_not_there_is_a_sentence(capsys, tmp_path):
    assert read.main(["--folder", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err.startswith("read was not measured: ")


def test_lost_frames_are_counted_against_those_due(gappy: Path):
    with EpisodeReader(gappy) as reader:
        loss = episode_figures.frame_loss(reader)
        stored = {camera.name: len(reader.video(camera.name).seq) for camera in reader.header.cameras}
        assert episode_figures.tick_loss(reader) == episode_figures.Loss(400, 0)
    for name, found in loss.items():
        assert 56 <= found.due <= 60  # those of the last tenth of a second may still have been on their way
        assert found.lost == 60 - stored[name] == 3


def test_the_first_frame_is_timed_from_the_start(gappy: Path):
    with EpisodeReader(gappy) as reader:
        assert episode_figures.first_frame_ms(reader) == pytest.approx(0.0, abs=1e-6)


def test_a_camera_without_frames_has_no_loss_to_report(tmp_path: Path):
    header = synthetic_header(width=64, height=48)
    extra = dataclasses.replace(header.cameras[0], name="blind")
    path = write_synthetic(tmp_path, 0.5, header).path
    with EpisodeReader(path) as reader:
        reader.header = dataclasses.replace(header, cameras=(*header.cameras, extra))
        with pytest.raises(NotMeasuredError, match="camera blind has none"):
            episode_figures.frame_loss(reader)


def test_input_latency_is_from_capture_to_sent(gappy: Path):
    with EpisodeReader(gappy) as reader:
        latency = episode_figures.input_latency(reader)
        assert episode_figures.driven_percent(reader) == 100.0
    # Synthetic ticks use a sample of 3 ms before them and hand over 0.6 ms after they began.
    np.testing.assert_allclose(latency.used_ms, 3.6, atol=1e-6)
    assert latency.every_ms.min() >= 3.6 and latency.every_ms.max() <= 3.6 + 5.1


def test_keyframes_show_the_time_they_are_stamped_with(gappy: Path):
    with EpisodeReader(gappy) as reader:
        wrong, count = episode_figures.mislabelled_keyframes(reader, "overhead")
    assert wrong == 0 and count >= 3


def test_every_benchmark_of_the_set_has_full_and_quick_settings():
    assert set(whole_set.FULL) == set(whole_set.QUICK)
    for name in whole_set.FULL:
        module = Path(whole_set.__file__).with_name(f"{re.split('-', name)[0]}.py")
        assert module.is_file()
