"""Every rule of LeRobot v3.0 that a third-party writer can break, checked without lerobot.

`violations` is the checker. Each test at the bottom breaks a good dataset in one way and expects the checker
to notice, so that the checker itself cannot rot.
"""

from __future__ import annotations

import itertools
import json
import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recorders.exporters import lerobot_plan
from recorders.exporters.lerobot import export_lerobot
from recorders.exporters.lerobot_options import EXTRAS, LeRobotOptions
from recorders.synthetic import feed, synthetic_header, synthetic_samples, write_synthetic
from recorders.writer import EpisodeWriter
from teleop_app.core.types import VideoPacket

STATISTICS = ("min", "max", "mean", "std", "count", "q01", "q10", "q50", "q90", "q99")
INFO_KEYS = {
    "codebase_version", "robot_type", "total_episodes", "total_frames", "total_tasks", "chunks_size",
    "data_files_size_in_mb", "video_files_size_in_mb", "fps", "splits", "data_path", "video_path", "features",
}  # fmt: skip
DEFAULT_FEATURES = {
    "timestamp": "float",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}
ARROW = {"float32": "float", "int64": "int64", "bool": "bool", "string": "string"}


def violations(root: Path) -> list[str]:
    """Sentences, one for each broken rule; empty for a dataset that LeRobot reads rightly."""
    found: list[str] = []
    info = json.loads((root / "meta/info.json").read_text())
    features = info["features"]
    videos = [name for name, feature in features.items() if feature["dtype"] == "video"]
    numeric = [name for name, feature in features.items() if feature["dtype"] not in ("string",)]
    found += _info(info, features)
    episodes = _episodes(root, found)
    tasks = _tasks(root, found)
    if info["total_tasks"] != len(tasks):
        found.append(f"info.json counts {info['total_tasks']} tasks, tasks.parquet has {len(tasks)}")
    if info["total_episodes"] != len(episodes):
        found.append(f"info.json counts {info['total_episodes']} episodes, there are {len(episodes)}")
    found += _order(info, episodes)
    found += _data(root, info, episodes, tasks)
    for key in videos:
        found += _videos(root, key, info, episodes)
    found += _stats(root, episodes, features, numeric)
    return found


def _info(info, features):
    found = []
    if set(info) != INFO_KEYS:
        found.append(f"info.json has other keys: {sorted(set(info) ^ INFO_KEYS)}")
    if info.get("codebase_version") != "v3.0":
        found.append("codebase_version is not v3.0")
    if info["splits"] != {"train": f"0:{info['total_episodes']}"}:
        found.append("splits do not cover the episodes")
    if not isinstance(info["fps"], int) or info["chunks_size"] > 1000:
        found.append("fps or chunks_size is unusable")
    for name, feature in features.items():
        if "/" in name:
            found.append(f"the feature name {name} has a slash")
        if not isinstance(feature["shape"], list) or not {"dtype", "shape", "names"} <= set(feature):
            found.append(f"feature {name} is not declared in full")
        if feature["dtype"] == "video":
            if feature["names"] != ["height", "width", "channels"] or len(feature["shape"]) != 3:
                found.append(f"feature {name} is not height, width, channels")
            if feature["info"]["video.fps"] != info["fps"] or feature["info"]["video.codec"] != "h264":
                found.append(f"the video info of {name} is wrong")
        elif "image" in name:
            found.append(f"'image' in {name} makes LeRobot expect image statistics")
        elif feature["names"] is not None and len(feature["names"]) != feature["shape"][0]:
            found.append(f"feature {name} has not one name an element")
    for name in ("observation.state", "action", *DEFAULT_FEATURES):
        if name not in features:
            found.append(f"feature {name} is missing")
    return found


def _episodes(root, found):
    paths = sorted((root / "meta/episodes").glob("*/*.parquet"))
    if not paths:
        found.append("there is no meta/episodes")
    rows, schemas = [], []
    for path in paths:
        table = pq.read_table(path)
        schemas.append(table.schema.remove_metadata())
        for row in table.to_pylist():
            place = f"chunk-{row['meta/episodes/chunk_index']:03d}/file-{row['meta/episodes/file_index']:03d}"
            if f"{path.parent.name}/{path.stem}" != place:
                found.append(f"episode {row['episode_index']} does not know its metadata file")
            rows.append(row)
    if any(schema != schemas[0] for schema in schemas):
        found.append("metadata files have different columns")
    if [row["episode_index"] for row in rows] != list(range(len(rows))):
        found.append("metadata rows are not sorted by episode_index")
    return rows


def _tasks(root, found):
    table = pq.read_table(root / "meta/tasks.parquet")
    described = json.loads((table.schema.metadata or {}).get(b"pandas", b"{}"))
    index = described.get("index_columns", [])
    if len(index) != 1 or index[0] not in table.column_names:
        found.append("tasks.parquet has no pandas index")
        return {}
    tasks = dict(zip(table[index[0]].to_pylist(), table["task_index"].to_pylist(), strict=True))
    if sorted(tasks.values()) != list(range(len(tasks))):
        found.append("task indices are not 0..n-1")
    return tasks


def _order(info, episodes):
    found, frame = [], 0
    for episode in episodes:
        number = episode["episode_index"]
        if (episode["dataset_from_index"], episode["dataset_to_index"]) != (frame, frame + episode["length"]):
            found.append(f"episode {number} does not follow the one before")
        frame += episode["length"]
    if info["total_frames"] != frame:
        found.append(f"info.json counts {info['total_frames']} frames, there are {frame}")
    return found


def _data(root, info, episodes, tasks):
    found = []
    by_file: dict[str, list[dict]] = {}
    for episode in episodes:
        name = info["data_path"].format(
            chunk_index=episode["data/chunk_index"], file_index=episode["data/file_index"]
        )
        by_file.setdefault(name, []).append(episode)
    present = {path.relative_to(root).as_posix() for path in (root / "data").rglob("*") if path.is_file()}
    if present != set(by_file):
        found.append(f"stray or missing data files: {sorted(present ^ set(by_file))}")
    if list(by_file) != sorted(by_file):
        found.append("data files do not sort in the order of their episodes")
    declared = {name: f for name, f in info["features"].items() if f["dtype"] != "video"}
    texts = {index: text for text, index in tasks.items()}
    for name, members in by_file.items():
        if name not in present:
            continue
        file = pq.ParquetFile(root / name)
        schema = file.schema_arrow
        if schema.names != list(declared):
            found.append(f"{name} has other columns than declared: {set(schema.names) ^ set(declared)}")
            continue
        for column, feature in declared.items():
            wanted = ARROW[feature["dtype"]]
            if feature["shape"] != [1]:
                wanted = f"fixed_size_list<element: {wanted}>[{feature['shape'][0]}]"
            if str(schema.field(column).type) != wanted:
                found.append(f"column {column} is {schema.field(column).type}, not {wanted}")
        groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        if groups != [episode["length"] for episode in members]:
            found.append(f"{name} has not one row group an episode")
            continue
        for group, episode in enumerate(members):
            found += _rows(file.read_row_group(group), episode, info["fps"], texts)
    return found


def _rows(table, episode, fps, texts):
    found, number, rows = [], episode["episode_index"], episode["length"]
    stamps = table["timestamp"].to_numpy()
    if stamps.dtype != np.float32 or not (stamps == np.float32(np.arange(rows) / fps)).all():
        found.append(f"timestamps of episode {number} are off the grid")
    if table["frame_index"].to_pylist() != list(range(rows)):
        found.append(f"frame_index of episode {number} does not count its rows")
    if set(table["episode_index"].to_pylist()) != {number}:
        found.append(f"episode_index of episode {number} is wrong")
    start = episode["dataset_from_index"]
    if table["index"].to_pylist() != list(range(start, start + rows)):
        found.append(f"index of episode {number} is wrong")
    if {texts.get(index) for index in table["task_index"].to_pylist()} != set(episode["tasks"]):
        found.append(f"tasks of episode {number} do not agree")
    for name in table.column_names:
        column = table[name].combine_chunks()
        if column.null_count:
            found.append(f"{name} of episode {number} has nulls")
        values = column.flatten() if pa.types.is_fixed_size_list(column.type) else column
        if pa.types.is_floating(values.type) and not np.isfinite(values.to_numpy()).all():
            found.append(f"{name} of episode {number} is not finite")
    return found


def _videos(root, key, info, episodes):
    found = []
    ends: dict[str, Fraction] = {}
    lengths: dict[str, list[int]] = {}
    for episode in episodes:
        name = info["video_path"].format(
            video_key=key,
            chunk_index=episode[f"videos/{key}/chunk_index"],
            file_index=episode[f"videos/{key}/file_index"],
        )
        first, last = episode[f"videos/{key}/from_timestamp"], episode[f"videos/{key}/to_timestamp"]
        expected = ends.get(name, Fraction(0))
        if first != pytest.approx(float(expected), abs=1e-9):
            found.append(f"episode {episode['episode_index']} starts at {first} s in {name}")
        ends[name] = expected + Fraction(episode["length"], info["fps"])
        if last != pytest.approx(float(ends[name]), abs=1e-9):
            found.append(f"episode {episode['episode_index']} ends at {last} s in {name}")
        lengths.setdefault(name, []).append(episode["length"])
    present = {p.relative_to(root).as_posix() for p in (root / "videos" / key).rglob("*") if p.is_file()}
    if present != set(lengths):
        found.append(f"stray or missing videos: {sorted(present ^ set(lengths))}")
    for name in present & set(lengths):
        found += _video(root / name, lengths[name], info["fps"], info["features"][key]["shape"])
    return found


def _video(path, lengths, fps, shape):
    found, count = [], 0
    starts = {sum(lengths[:number]) for number in range(len(lengths))}
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if len(container.streams) != 1 or stream.codec_context.name != "h264":
            found.append(f"{path.name} is not one H.264 stream")
        if stream.time_base is None or (1 / stream.time_base) % fps or stream.average_rate != fps:
            found.append(f"{path.name} has the time base {stream.time_base}, rate {stream.average_rate}")
        if [stream.codec_context.height, stream.codec_context.width, 3] != shape:
            found.append(f"{path.name} has another size than declared")
        if stream.codec_context.pix_fmt != "yuv420p":
            found.append(f"{path.name} is not yuv420p")
        for packet in container.demux(stream):
            if not packet.size:
                continue
            if packet.pts != packet.dts or packet.pts * packet.time_base * fps != count:
                found.append(f"frame {count} of {path.name} is off the grid")
            if count in starts and not packet.is_keyframe:
                found.append(f"frame {count} of {path.name} starts an episode without a keyframe")
            count += 1
    if count != sum(lengths):
        found.append(f"{path.name} holds {count} frames for {sum(lengths)} rows")
    with av.open(str(path)) as container:
        if sum(1 for _ in container.decode(video=0)) != count:
            found.append(f"{path.name} does not decode in full")
    return found


def _stats(root, episodes, features, numeric):
    found = []
    stats = json.loads((root / "meta/stats.json").read_text())
    if set(stats) != set(numeric):
        found.append(f"stats.json has other features: {sorted(set(stats) ^ set(numeric))}")
    for episode in episodes:
        for name in numeric:
            values = {s: episode.get(f"stats/{name}/{s}") for s in STATISTICS}
            found += _one(f"episode {episode['episode_index']}", name, values, features[name])
    for name in set(stats) & set(numeric):
        if set(stats[name]) != set(STATISTICS):
            found.append(f"stats.json has not every statistic of {name}")
            continue
        found += _one("stats.json", name, stats[name], features[name])
        rows = sum(e[f"stats/{name}/count"][0] for e in episodes)
        if stats[name]["count"] != [rows]:
            found.append(f"stats.json counts {stats[name]['count']} of {name}, the episodes {rows}")
        lowest = np.min([np.array(e[f"stats/{name}/min"], float) for e in episodes], axis=0)
        if not np.allclose(np.array(stats[name]["min"], float), lowest):
            found.append(f"stats.json has another minimum of {name} than the episodes")
    return found


def _one(where, name, values, feature):
    if any(value is None for value in values.values()):
        return [f"{where} lacks statistics of {name}"]
    video = feature["dtype"] == "video"
    shape = (3, 1, 1) if video else (feature["shape"][0],)
    found = []
    if np.shape(values["count"]) != (1,):
        found.append(f"{where}: the count of {name} has the shape {np.shape(values['count'])}")
    arrays = {s: np.array(v, float) for s, v in values.items() if s != "count"}
    for statistic, array in arrays.items():
        if array.shape != shape:
            found.append(f"{where}: {statistic} of {name} has the shape {array.shape}")
        if not np.isfinite(array).all():
            found.append(f"{where}: {statistic} of {name} is not finite")
    if not found:
        ordered = [arrays[s] for s in ("min", "q01", "q10", "q50", "q90", "q99", "max")]
        if any((a > b + 1e-9).any() for a, b in itertools.pairwise(ordered)):
            found.append(f"{where}: quantiles of {name} are out of order")
        if video and (arrays["min"].min() < 0 or arrays["max"].max() > 1):
            found.append(f"{where}: {name} is not in 0..1")
    return found


def lossy_episode(folder: Path, camera: str, lost: set[int]) -> Path:
    """An episode that lost frames of a camera on their way to the recorder."""
    header = synthetic_header(width=64, height=48)
    writer = EpisodeWriter(folder / ".lossy.mcap", header, destination=folder / f"{header.uuid}.mcap")
    for sample in synthetic_samples(header, 0.6, header.anchor_monotonic_ns):
        if not (isinstance(sample, VideoPacket) and sample.camera == camera and sample.seq in lost):
            feed(writer, sample)
    return writer.finish("failure").path


@pytest.fixture(scope="module")
def episodes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("episodes")
    paths = [write_synthetic(folder, seconds).path for seconds in (0.5, 0.3, 0.4)]
    return [*paths, lossy_episode(folder, "left_wrist", {4, 12})]


@pytest.fixture(scope="module")
def good(episodes, tmp_path_factory):
    """A dataset of remuxed and of re-encoded video, in one file a camera."""
    root = tmp_path_factory.mktemp("good") / "dataset"
    export_lerobot(episodes, root)
    return root


@pytest.fixture
def broken(good, tmp_path):
    """A copy of the good dataset to break."""
    shutil.copytree(good, tmp_path / "broken")
    return tmp_path / "broken"


def test_the_usual_export_breaks_no_rule(good):
    assert violations(good) == []


@pytest.mark.parametrize("extras", [(), tuple(EXTRAS)])
def test_with_no_and_with_all_extras(episodes, tmp_path, extras):
    export_lerobot(episodes, tmp_path / "out", LeRobotOptions(extras=extras))
    assert violations(tmp_path / "out") == []


def test_one_episode_one_camera(episodes, tmp_path):
    export_lerobot(episodes[:1], tmp_path / "out", LeRobotOptions(cameras=("right_wrist",)))
    assert violations(tmp_path / "out") == []


def test_split_into_many_files_and_folders(episodes, tmp_path, monkeypatch):
    monkeypatch.setattr(lerobot_plan, "MEBIBYTE", 1)
    options = LeRobotOptions(chunks_size=2, data_files_size_in_mb=1, video_files_size_in_mb=1)
    export_lerobot(episodes, tmp_path / "out", options)
    assert (tmp_path / "out/data/chunk-001/file-001.parquet").exists()
    assert (tmp_path / "out/videos/observation.images.overhead/chunk-001/file-001.mp4").exists()
    assert violations(tmp_path / "out") == []


def test_added_to_twice(episodes, tmp_path):
    root = tmp_path / "out"
    export_lerobot(episodes[:2], root)
    export_lerobot(episodes[:3], root, LeRobotOptions(append=True))
    export_lerobot(episodes, root, LeRobotOptions(append=True))
    assert violations(root) == []
    assert json.loads((root / "meta/info.json").read_text())["total_episodes"] == 4


def edit_json(root, name, change):
    content = json.loads((root / name).read_text())
    change(content)
    (root / name).write_text(json.dumps(content))


def edit_table(path, change):
    pq.write_table(change(pq.read_table(path)), path)


def replaced(table, name, values):
    return table.set_column(table.column_names.index(name), name, pa.array(values, table[name].type))


META = "meta/episodes/chunk-000/file-000.parquet"
DATA = "data/chunk-000/file-000.parquet"
VIDEO = "videos/observation.images.overhead/chunk-000/file-000.mp4"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda info: info.update(codebase_version="v3.1"), "codebase_version"),
        (lambda info: info.pop("total_tasks"), None),
        (lambda info: info.update(total_frames=3), "counts 3 frames"),
        (lambda info: info.update(total_episodes=9), "counts 9 episodes"),
        (lambda info: info["features"].pop("actor"), "other columns than declared"),
        (lambda info: info["features"]["action"].update(shape=[13]), "not one name an element"),
        (lambda info: info.update(fps=29), "off the grid"),
    ],
)
def test_a_wrong_info_is_noticed(broken, change, sentence):
    edit_json(broken, "meta/info.json", change)
    if sentence is None:
        with pytest.raises(KeyError):
            violations(broken)
    else:
        assert any(sentence in told for told in violations(broken))


@pytest.mark.parametrize(
    ("path", "change", "sentence"),
    [
        (META, lambda t: t.take([1, 0, 2, 3]), "not sorted by episode_index"),
        (META, lambda t: t.drop_columns(["stats/action/q10"]), "lacks statistics of action"),
        (META, lambda t: replaced(t, "dataset_to_index", [1] * 4), "does not follow"),
        ("meta/tasks.parquet", lambda t: t.replace_schema_metadata(None), "no pandas index"),
        (DATA, lambda t: replaced(t, "frame_index", [0] * len(t)), "one row group an episode"),
    ],
)
def test_a_wrong_table_is_noticed(broken, path, change, sentence):
    edit_table(broken / path, change)
    assert any(sentence in told for told in violations(broken))


def test_a_stray_file_is_noticed(broken):
    shutil.copy(broken / DATA, broken / "data/chunk-000/file-001.parquet")
    assert any("stray" in told for told in violations(broken))


def test_a_video_of_another_episode_is_noticed(broken, episodes, tmp_path):
    export_lerobot(episodes[:1], tmp_path / "short")
    shutil.copy(tmp_path / "short" / VIDEO, broken / VIDEO)
    told = violations(broken)
    assert any("frames for" in sentence for sentence in told)


def test_wrong_statistics_are_noticed(broken):
    edit_json(broken, "meta/stats.json", lambda s: s["action"].update(q99=[99.0] * 14))
    assert any("out of order" in told for told in violations(broken))
