"""Mobile base, lift and hand in a dataset: what was commanded between two frames is their difference."""

import dataclasses
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from recorders.exporters.lerobot import export_lerobot
from recorders.reader import EpisodeReader
from recorders.schema import StreamHeader
from recorders.synthetic import feed, synthetic_header, synthetic_samples, write_synthetic
from recorders.writer import EpisodeWriter
from teleop_app.core.planar import advance, displacement, path
from teleop_app.core.types import StreamBatch

TICK_NS = 5_000_000
TWIST = ("vx", "vy", "wz")


def stream(name, kind, values, resampling="linear"):
    return StreamHeader(name, kind, values, "m", "", 200.0, resampling)


STREAMS = (
    stream("base/measured", "odometry", ("x", "y", "yaw", *TWIST)),
    stream("base/action", "navigation", ("dx", "dy", "dtheta"), "previous"),
    stream("base/sent", "twist", TWIST, "previous"),
    stream("lift/measured", "height", ("z", "vz")),
    stream("lift/sent", "twist", ("vz",), "previous"),
    stream("left_hand/measured", "hand", ("index_mcp", "index_pip")),
    stream("left_hand/sent", "hand", ("index_mcp", "index_pip"), "previous"),
)


def record(folder, seconds=1.0):
    """An episode whose base drives a bend, whose lift rises and whose hand closes."""
    header = dataclasses.replace(synthetic_header(width=64, height=48), streams=())
    samples = list(synthetic_samples(header, seconds, header.anchor_monotonic_ns))
    header = dataclasses.replace(header, streams=STREAMS)
    count = int(seconds * 200) + 40
    stamps = header.anchor_monotonic_ns + TICK_NS * np.arange(count, dtype=np.int64)
    ramp = np.linspace(0.0, 1.0, count)
    twist = np.stack([0.4 * ramp, 0.1 * np.sin(9 * ramp), 0.8 * np.cos(5 * ramp)], axis=1)
    steps = np.array([displacement(row, TICK_NS * 1e-9) for row in twist])
    values = {
        "base/measured": np.hstack([path(steps), twist]),
        "base/action": steps,
        "base/sent": twist,
        "lift/measured": np.stack([0.2 + 0.1 * ramp, 0.1 + 0 * ramp], axis=1),
        "lift/sent": (0.1 + 0.01 * ramp)[:, None],
        "left_hand/measured": np.stack([ramp, 1.5 * ramp], axis=1),
        "left_hand/sent": np.stack([1.1 * ramp, 1.6 * ramp], axis=1),
    }
    writer = EpisodeWriter(folder / ".open.mcap", header, destination=folder / f"{header.uuid}.mcap")
    for sample in samples:
        feed(writer, sample)
    for name, rows in values.items():
        writer.add_stream(StreamBatch(name, 0, stamps, rows, receive_ns=int(stamps[-1])))
    return writer.finish("success").path


def rows_of(root):
    table = pq.read_table(root / "data/chunk-000/file-000.parquet").to_pydict()
    return {name: np.array(column) for name, column in table.items() if column and name != "actor"}


@pytest.fixture(scope="module")
def episode(tmp_path_factory):
    return record(tmp_path_factory.mktemp("bodies"))


def test_actions_of_the_base_compose_to_the_difference_of_its_poses(episode, tmp_path):
    export_lerobot([episode], tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    with EpisodeReader(episode) as reader:
        instants = reader.video("overhead").capture_ns
        driven = reader.stream("base/measured")
    poses = np.stack(
        [np.interp(instants - instants[0], driven.capture_ns - instants[0], c) for c in driven.values.T], 1
    )
    info = json.loads((tmp_path / "out/meta/info.json").read_text())["features"]
    assert info["action.base"]["names"] == ["dx", "dy", "dtheta"]
    assert info["observation.base"]["names"] == ["x", "y", "yaw", *TWIST]
    assert np.allclose(rows["observation.base"], poses[: len(rows["observation.base"])], atol=1e-6)
    pose = poses[0, :3]
    for step, reached in zip(rows["action.base"][:-1], poses[1:, :3], strict=False):
        pose = advance(pose, step)
        assert np.allclose(pose, reached, atol=1e-6)
    assert np.abs(rows["action.base"][-1]).max() > 0.0


def test_lift_and_hand_are_columns(episode, tmp_path):
    export_lerobot([episode], tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert rows["action.lift"].shape == rows["timestamp"].shape
    assert (np.diff(rows["observation.lift"][:, 0]) > 0).all()
    assert rows["action.left_hand"].shape[1] == rows["observation.left_hand"].shape[1] == 2
    assert np.allclose(rows["observation.left_hand"][:, 1], 1.5 * rows["observation.left_hand"][:, 0])


def test_an_episode_without_a_base_leaves_the_column_out_and_says_so(episode, tmp_path):
    plain = write_synthetic(tmp_path, 1.0, synthetic_header(width=64, height=48)).path
    for order in ([episode, plain], [plain, episode]):
        report = export_lerobot(order, tmp_path / f"out{order[0].stem}")
        assert "action.base" not in rows_of(tmp_path / f"out{order[0].stem}")
        assert "not all episodes hold it" in report.left_out["action.base"]
