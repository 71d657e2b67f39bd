"""Rerun shows an episode file: video, joints, streams, robot and cameras in their places."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from devices.sim.model import model_xml
from recorders.reader import EpisodeReader
from recorders.recovery import recover_open
from recorders.schema import ATTACHMENT_ROBOT
from recorders.synthetic import feed, full_header, synthetic_header, synthetic_samples
from recorders.synthetic_sensors import WRENCH, stream_values
from recorders.writer import Attachment, EpisodeWriter

PROBE = Path(__file__).parent / "rerun_probe.py"
ROBOT = Attachment(ATTACHMENT_ROBOT, "application/xml", model_xml("primitive").encode())
SECONDS = 1.0


def written(folder: Path) -> EpisodeWriter:
    header = full_header(synthetic_header(width=64, height=48))
    wrist = replace(header.cameras[1], parent="left/gripper_link")
    header = replace(header, cameras=(header.cameras[0], wrist, header.cameras[2]))
    path = folder / f"{header.uuid}.mcap"
    writer = EpisodeWriter(
        path, header, destination=folder / "episodes" / path.name, attachments=(ROBOT,), flush_s=0.0
    )
    for sample in synthetic_samples(header, SECONDS, header.anchor_monotonic_ns):
        feed(writer, sample)
    return writer


@pytest.fixture(scope="module")
def episode(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("shown")
    (folder / "episodes").mkdir()
    return written(folder).finish("success").path


def test_it_shows_what_was_recorded(episode, run_peer):
    told = run_peer(PROBE, "load", episode)
    with EpisodeReader(episode) as reader:
        for camera in reader.header.cameras:
            shown = told["videos"][f"/camera/{camera.name}/video"]
            payloads = [payload for *_, payload in reader.packets(camera.name)]
            assert shown["frames"] == len(payloads) == SECONDS * camera.fps
            assert shown["sha256"] == hashlib.sha256(b"".join(payloads)).hexdigest()
            assert shown["pinhole"] == [[camera.name, shown["frame_id"]]]
        measured = reader.joints("measured")
        header = reader.header
    assert told["joints"]["/joints/measured"]["names"] == list(measured.names)
    assert np.array_equal(told["joints"]["/joints/measured"]["positions"], measured.position)
    wrench = told["streams"]["/stream/left/wrench"]
    since = (np.array(wrench["times"]) - header.anchor_utc_ns) / 1e9
    assert np.array_equal(wrench["values"], stream_values(WRENCH, since))
    assert "EncodedImage:blob" in told["entities"]["/camera/overhead/depth"]
    assert "InstancePoses3D:translations" in told["entities"]["/operator/left/pose"]
    the_robot_hangs_together(told)


def the_robot_hangs_together(told) -> None:
    parents = {child: parent for parent, child in told["transforms"]}
    assert parents["overhead"] == "world" and parents["left_wrist"] == "left/gripper_link"
    assert told["boxes"] > 20 and "right/left_finger_link" in told["shape_frames"]
    for frame in told["shape_frames"]:
        steps = 0
        while frame != "world":
            frame, steps = parents[frame], steps + 1
            assert steps < 20


def test_its_checker_finds_nothing(episode, run_peer):
    told = run_peer(PROBE, "check", episode)
    with EpisodeReader(episode) as reader:
        assert told["topics"] == sorted(reader.footer.counts), told["said"]
    assert told["code"] == 0 and told["findings"] == []


def test_its_checker_finds_nothing_after_a_recovery(tmp_path, run_peer):
    for name in ("open", "open/episodes", "episodes", "damaged"):
        (tmp_path / name).mkdir()
    written(tmp_path / "open").abandon()
    (recovery,) = recover_open(tmp_path / "open", tmp_path / "episodes", tmp_path / "damaged")
    told = run_peer(PROBE, "check", recovery.path)
    assert told["code"] == 0 and told["findings"] == [], told["said"]
    assert "/tf" in told["topics"] and "/stream/left/wrench" in told["topics"]
