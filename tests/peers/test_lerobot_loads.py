"""The genuine lerobot loads, windows, batches, streams and goes on recording what the exporter wrote."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from recorders.exporters.lerobot import export_lerobot
from recorders.exporters.lerobot_options import EXTRAS, LeRobotOptions
from recorders.reader import EpisodeReader
from recorders.synthetic import feed, synthetic_header, synthetic_samples, write_synthetic
from recorders.synthetic_autonomy import write_rollout
from recorders.writer import EpisodeWriter
from teleop_app.core.types import VideoPacket

pytestmark = [pytest.mark.peers, pytest.mark.timeout(300)]

PROBE = Path(__file__).with_name("lerobot_probe.py")
CAMERAS = ("overhead", "left_wrist", "right_wrist")
LENGTHS = [45, 30, 20, 24]
BORDERS = [0, 44, 45, 74, 75, 94, 95, 118]


def lossy_episode(folder: Path) -> Path:
    """0.8 s; the left wrist camera lost a frame, so that it is encoded again."""
    header = synthetic_header(width=128, height=96)
    writer = EpisodeWriter(folder / ".lossy.mcap", header, destination=folder / f"{header.uuid}.mcap")
    for sample in synthetic_samples(header, 0.8, header.anchor_monotonic_ns):
        if not (isinstance(sample, VideoPacket) and sample.camera == "left_wrist" and sample.seq == 8):
            feed(writer, sample)
    return writer.finish("failure").path


@pytest.fixture(scope="module")
def episodes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("episodes")
    header = [synthetic_header(width=128, height=96) for _ in range(3)]
    paths = [write_synthetic(folder, s, h).path for s, h in zip((1.5, 1.0, 2 / 3), header, strict=True)]
    return [*paths, lossy_episode(folder)]


@pytest.fixture(scope="module")
def dataset(episodes, tmp_path_factory):
    root = tmp_path_factory.mktemp("exported") / "dataset"
    report = export_lerobot(episodes, root, LeRobotOptions(extras=tuple(EXTRAS)))
    assert report.rows == sum(LENGTHS)
    assert [c.remuxed for e in report.episodes for c in e.cameras] == [True] * 10 + [False, True]
    return root


def test_items_are_what_was_recorded(dataset, episodes, run_peer, tmp_path):
    rng = np.random.default_rng(5)
    indices = sorted({*BORDERS, *rng.integers(0, sum(LENGTHS), 12).tolist()})
    told = run_peer(PROBE, "read", dataset, tmp_path / "read.npz", *map(str, indices))
    items = np.load(tmp_path / "read.npz")

    assert (told["length"], told["episodes"], told["fps"]) == (sum(LENGTHS), 4, 30)
    assert told["lengths"] == LENGTHS
    assert told["robot_type"] == "viperx_bimanual"
    assert told["tasks"] == {"Wave both arms": 0}
    assert set(told["texts"]["task"]) == {"Wave both arms"}
    declared = json.loads((dataset / "meta/info.json").read_text())["features"]
    assert told["features"] == {k: [f["dtype"], f["shape"], f["names"]] for k, f in declared.items()}
    assert set(told["stats"]) == {k for k, f in declared.items() if f["dtype"] != "string"}
    assert told["stats"]["observation.images.overhead"]["q99"] == [3, 1, 1]
    assert told["stats"]["action"]["mean"] == [14]

    rows = pq.read_table(dataset / "data/chunk-000/file-000.parquet").to_pydict()
    numeric = [k for k, f in declared.items() if f["dtype"] not in ("string", "video")]
    for key in numeric:
        np.testing.assert_array_equal(items[key], np.array([rows[key][i] for i in indices]), err_msg=key)
    assert told["texts"]["actor"] == [rows["actor"][i] for i in indices]

    starts = np.cumsum([0, *LENGTHS])
    readers = [EpisodeReader(path) for path in episodes]
    try:
        for position, index in enumerate(indices):
            episode = int(np.searchsorted(starts, index, side="right")) - 1
            for camera in CAMERAS:
                if episode == 3 and camera == "left_wrist":
                    continue  # encoded again: see below
                own = readers[episode].frame(camera, index - int(starts[episode]))
                seen = items[f"observation.images.{camera}"][position]
                off = np.abs(own.astype(int) - seen)
                assert off.mean() < 1.0 and off.max() <= 6, f"{camera} of row {index}: {off.mean()}"
        sent = readers[1].joints("sent")
        at = readers[1].video("overhead").capture_ns[29]
        held = np.flatnonzero(sent.capture_ns <= at)[-1]
        np.testing.assert_array_equal(items["action"][indices.index(74)], np.float32(sent.position[held]))
    finally:
        for reader in readers:
            reader.close()


def test_a_reencoded_camera_shows_the_right_frames(dataset, episodes, run_peer, tmp_path):
    indices = [95 + row for row in range(24)]
    run_peer(PROBE, "read", dataset, tmp_path / "read.npz", *map(str, indices))
    seen = np.load(tmp_path / "read.npz")["observation.images.left_wrist"]
    with EpisodeReader(episodes[0]) as reader:  # the pattern depends on camera and frame number alone
        truth = list(reader.frames("left_wrist", 0, 24))
    repeated = json.loads((dataset / "meta/teleop.json").read_text())["episodes"][3]["cameras"]["left_wrist"][
        "repeated_rows"
    ]
    assert 8 in repeated
    assert 20 not in repeated
    for row in range(24):
        held = max(r for r in range(row + 1) if r not in repeated)
        assert np.abs(seen[row].astype(int) - truth[held]).mean() < 4, f"row {row} should show frame {held}"


def test_windows_and_batches(dataset, run_peer, tmp_path):
    told = run_peer(PROBE, "windows", dataset, tmp_path / "windows.npz")
    found = np.load(tmp_path / "windows.npz")
    rows = pq.read_table(dataset / "data/chunk-000/file-000.parquet").to_pydict()
    action, state = np.array(rows["action"], np.float32), np.array(rows["observation.state"], np.float32)
    starts = np.cumsum([0, *LENGTHS])
    for index in range(sum(LENGTHS)):
        episode = int(np.searchsorted(starts, index, side="right")) - 1
        first, last = int(starts[episode]), int(starts[episode + 1]) - 1
        ahead = [index + i for i in range(5)]
        np.testing.assert_array_equal(found["action"][index], action[np.clip(ahead, first, last)])
        assert found["action_is_pad"][index].tolist() == [i > last for i in ahead]
        np.testing.assert_array_equal(
            found["observation.state"][index], state[[max(index - 1, first), index]]
        )
        assert found["observation.state_is_pad"][index].tolist() == [index == first, False]
        earlier = found[told["camera"]][max(index - 2, first)][1]
        np.testing.assert_array_equal(found[told["camera"]][index][0], earlier)
    assert told["batch"]["observation.images.left_wrist"] == [8, 3, 96, 128]
    assert told["batch"][told["camera"]] == [8, 2, 3, 96, 128]
    assert told["batch"]["action"] == [8, 5, 14]
    assert told["batch"]["intervention"] == [8]
    declared = json.loads((dataset / "meta/info.json").read_text())["features"]
    texts = {key for key, feature in declared.items() if feature["dtype"] == "string"}
    assert {"actor", "autonomy.phase"} <= texts
    assert told["texts"] == dict.fromkeys({*texts, "task"}, 8)


def test_statistics_are_lerobots(dataset, run_peer):
    theirs = run_peer(PROBE, "stats", dataset)["episodes"]
    ours = pq.read_table(dataset / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    for mine, other in zip(ours, theirs, strict=True):
        for feature, values in other.items():
            spread = np.array(values["max"], float) - np.array(values["min"], float)
            for statistic, value in values.items():
                found = np.array(mine[f"stats/{feature}/{statistic}"], float)
                # lerobot's quantiles come from 5000 bins and its moments from float32 sums
                bins = spread / 2500 + 1e-5 if statistic.startswith("q") else 1e-5 + 1e-5 * np.abs(value)
                difference = np.abs(found - np.array(value, float))
                assert (difference <= bins).all(), f"{statistic} of {feature}: {found} and {value}"


def test_lerobot_streams_it(dataset, run_peer):
    told = run_peer(PROBE, "stream", dataset)
    assert told == {"seen": sum(LENGTHS), "worst": 0.0}


def test_lerobot_goes_on_recording_and_we_go_on_adding(dataset, episodes, run_peer, tmp_path):
    shutil.copytree(dataset, tmp_path / "grown")
    told = run_peer(PROBE, "resume", tmp_path / "grown", "1")
    total = sum(LENGTHS) + 7
    assert told["length"] == total
    assert told["index"] == list(range(total))
    assert told["episode_index"][-8:] == [3, *[4] * 7]
    assert told["tasks"] == ["Wave both arms", "recorded by lerobot"]

    more = write_synthetic(tmp_path, 0.5, synthetic_header(width=128, height=96)).path
    options = LeRobotOptions(extras=tuple(EXTRAS), append=True)
    report = export_lerobot([*episodes, more], tmp_path / "grown", options)
    assert [episode.index for episode in report.episodes] == [5]
    again = run_peer(
        PROBE, "read", tmp_path / "grown", tmp_path / "again.npz", "0", str(total - 1), str(total + 14)
    )
    assert again["length"] == total + 15
    assert again["episodes"] == 6
    with EpisodeReader(more) as reader:
        own = reader.frame("overhead", 14)
    seen = np.load(tmp_path / "again.npz")["observation.images.overhead"][2]
    assert np.abs(own.astype(int) - seen).mean() < 1.0


AUTONOMY_EXTRAS = tuple(extra for extra in EXTRAS if extra not in ("force", "skew"))


def test_rollouts_with_every_column_load(run_peer, tmp_path):
    """The columns of shared autonomy of a rollout and a demonstration, strings and counters among them."""
    header = [synthetic_header(("overhead",), width=64, height=48) for _ in range(2)]
    paths = [write_rollout(tmp_path, header=header[0]).path, write_synthetic(tmp_path, 0.5, header[1]).path]
    root = tmp_path / "dataset"
    report = export_lerobot(paths, root, LeRobotOptions(extras=AUTONOMY_EXTRAS, preset="sirius"))
    assert report.left_out == {}
    indices = [0, 24, 25, 42, 43, 59, 60, 74]
    told = run_peer(PROBE, "read", root, tmp_path / "read.npz", *map(str, indices))
    items = np.load(tmp_path / "read.npz")
    rows = pq.read_table(root / "data/chunk-000/file-000.parquet").to_pydict()
    declared = json.loads((root / "meta/info.json").read_text())["features"]
    assert told["length"] == 75
    for key, feature in declared.items():
        if feature["dtype"] == "string":
            assert told["texts"][key] == [rows[key][i] for i in indices], key
        elif feature["dtype"] != "video":
            np.testing.assert_array_equal(items[key], np.array([rows[key][i] for i in indices]), err_msg=key)
    assert set(told["stats"]) == {k for k, f in declared.items() if f["dtype"] != "string"}
    assert told["texts"]["autonomy.phase"][1:5] == ["policy", "recover", "correct", "return"]
    windows = run_peer(PROBE, "windows", root, tmp_path / "windows.npz")
    assert windows["batch"]["sample_weight"] == [8]
    assert windows["batch"]["autonomy.chunk"] == [8]


@pytest.mark.parametrize("preset", ["hg-dagger", "rac"])
def test_stretches_of_rollouts_load_as_episodes(run_peer, tmp_path, preset):
    header = [synthetic_header(("overhead",), width=64, height=48) for _ in range(3)]
    paths = [
        write_rollout(tmp_path, header=header[0]).path,
        write_synthetic(tmp_path, 0.5, header[1]).path,
        write_rollout(tmp_path, header=header[2]).path,
    ]
    root = tmp_path / "dataset"
    export_lerobot(paths, root, LeRobotOptions(extras=("actor", "outcome"), preset=preset))
    told = run_peer(PROBE, "read", root, tmp_path / "read.npz", "0", "17", "18", "33", "50")
    assert (told["length"], told["lengths"]) == (51, [18, 15, 18])
    assert told["texts"]["actor"] == ["human", "human", "script", "human", "human"]
    seen = np.load(tmp_path / "read.npz")["observation.images.overhead"]
    for path, position, frame in ((paths[0], 0, 25), (paths[0], 1, 42), (paths[1], 2, 0), (paths[2], 4, 42)):
        with EpisodeReader(path) as reader:
            own = reader.frame("overhead", frame)
        assert np.abs(own.astype(int) - seen[position]).mean() < 4.0
    streamed = run_peer(PROBE, "stream", root)
    assert streamed == {"seen": 51, "worst": 0.0}
