"""An episode of one arm of any number of joints: recorded with its robot, exported to LeRobot."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from recorders.exporters.lerobot import export_lerobot
from recorders.exporters.lerobot_options import EXTRAS, LeRobotOptions
from recorders.reader import EpisodeReader
from recorders.schema import DeviceHeader
from recorders.synthetic import feed, synthetic_header, synthetic_samples
from recorders.writer import Attachment, EpisodeWriter
from teleop_app.app import cell_description
from teleop_app.core.config import ArmSection, StationConfig
from teleop_app.core.types import ForceBatch, WorldState
from teleop_app.station.device_roster import joint_names, robot_type


def record(folder, model):
    box = {"workspace_min": [-1.0] * 3, "workspace_max": [1.0] * 3}
    config = StationConfig(arms=[ArmSection(name="arm", follower="any", model=model, **box)])
    names = joint_names(config)
    header = dataclasses.replace(
        synthetic_header(("top",), width=64, height=48),
        robot_type=robot_type(config),
        arms=("arm",),
        joint_names=names,
        force_sensors=(),
        devices=(DeviceHeader("follower", "arm", "any", model, "import-only", "S1"),),
    )
    _, spec = cell_description(config)
    spec.compile()
    writer = EpisodeWriter(
        folder / "open.mcap",
        header,
        destination=folder / "kept.mcap",
        attachments=[Attachment("robot.xml", "application/xml", spec.to_xml().encode())],
    )
    for sample in synthetic_samples(header, 0.5, header.anchor_monotonic_ns):
        if not isinstance(sample, ForceBatch | WorldState):
            feed(writer, sample)
    return writer.finish("success").path, names


@pytest.mark.parametrize(("model", "joints"), [("so101", 5), ("widowx250", 6), ("fr3", 7)])
def test_one_arm_is_recorded_and_exported(tmp_path, model, joints):
    path, names = record(tmp_path, model)
    assert len(names) == joints + 1
    with EpisodeReader(path) as reader:
        assert reader.header.devices[0].serial == "S1", "the roster survives the file"
        assert reader.footer.counts["/tf"] > 10
        sent = reader.joints("sent").position
    export_lerobot([path], tmp_path / "set", LeRobotOptions(extras=tuple(EXTRAS)))
    info = json.loads((tmp_path / "set/meta/info.json").read_text())
    assert info["robot_type"] == model
    assert info["features"]["action"]["shape"] == [joints + 1]
    assert info["features"]["action"]["names"][-1].endswith("gripper")
    rows = pq.read_table(tmp_path / "set/data/chunk-000/file-000.parquet").to_pydict()
    assert np.isin(np.float32(rows["action"]), np.float32(sent)).all()
