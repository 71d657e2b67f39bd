"""Where viewers see robot and cameras, against MuJoCo's own kinematics of the simulated cell."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory

from devices.sim.model import model_xml
from recorders.robot_description import _rpy
from recorders.robot_kinematics import RobotKinematics
from recorders.synthetic import synthetic_header, synthetic_tick
from recorders.writer import Attachment, EpisodeWriter, FinishedEpisode
from teleop_app.core.clock import ClockAnchor
from teleop_app.core.errors import EpisodeError
from teleop_app.core.geometry import pose_compose, quat_angle, quat_from_rotvec, quat_multiply

MJCF = model_xml("primitive")
PLAIN = synthetic_header(("overhead", "left_wrist"), 64, 48, anchor=ClockAnchor(10**9, 1_790_000_000 * 10**9))
MOUNT = (0.01, 0.02, 0.03, 0.5, 0.5, -0.5, 0.5)
CAMERAS = (PLAIN.cameras[0], replace(PLAIN.cameras[1], parent="left/gripper_link", parent_T_camera=MOUNT))
HEADER = replace(PLAIN, cameras=CAMERAS)
SECONDS = 2.0
AROUND_X = np.array([np.cos(0.2), np.sin(0.2), 0.0, 0.0])
AROUND_Z = np.array([np.cos(0.5), 0.0, 0.0, np.sin(0.5)])


def write(folder: Path, *attachments: Attachment) -> FinishedEpisode:
    writer = EpisodeWriter(
        folder / "o", HEADER, destination=folder / f"{HEADER.uuid}.mcap", attachments=attachments, flush_s=0.0
    )
    for index in range(round(SECONDS * 200)):
        writer.add_tick(synthetic_tick(HEADER, index, HEADER.anchor_monotonic_ns))
    return writer.finish()


def messages(finished: FinishedEpisode) -> dict[str, list]:
    found = defaultdict(list)
    with finished.path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        for schema, channel, message in reader.iter_messages():
            assert schema is not None
            decode = DecoderFactory().decoder_for(channel.message_encoding, schema)
            content = message.data if decode is None else decode(message.data)
            found[channel.topic].append((message, content))
    return found


@pytest.fixture(scope="module")
def robot(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("robot")
    return messages(write(folder, Attachment("robot.xml", "application/xml", MJCF.encode())))


def world_poses(update) -> dict[str, np.ndarray]:
    """Pose of each frame in the world, as a viewer chains the transforms: x y z, quat_wxyz."""
    poses = {"world": np.array([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])}
    waiting = list(update.transforms)
    while waiting:
        left = [t for t in waiting if t.parent_frame_id not in poses]
        assert len(left) < len(waiting), "a transform hangs from nothing"
        for transform in waiting:
            if transform in left:
                continue
            t, q = transform.translation, transform.rotation
            pose = np.array([t.x, t.y, t.z, q.w, q.x, q.y, q.z])
            poses[transform.child_frame_id] = pose_compose(poses[transform.parent_frame_id], pose)
        waiting = left
    return poses


def test_links_are_where_mujoco_says(robot) -> None:
    message, update = robot["/tf"][20]
    tick = next(
        tick
        for index in range(round(SECONDS * 200))
        if (tick := synthetic_tick(HEADER, index, HEADER.anchor_monotonic_ns)).measured_ns
        == message.log_time - HEADER.anchor_utc_ns + HEADER.anchor_monotonic_ns
    )
    model = mujoco.MjModel.from_xml_string(MJCF)
    data = mujoco.MjData(model)
    for name, value in zip(HEADER.joint_names, tick.measured, strict=True):
        if not name.endswith("/gripper"):
            data.joint(name).qpos[0] = value
            continue
        finger = 0.0224 + value * (0.057 - 0.0224)
        side = name.split("/")[0]
        data.joint(f"{side}/left_finger").qpos[0] = finger
        data.joint(f"{side}/right_finger").qpos[0] = -finger
    mujoco.mj_kinematics(model, data)
    poses = world_poses(update)
    for side in ("left", "right"):
        for link in ("base_link", "upper_arm_link", "gripper_link", "left_finger_link", "right_finger_link"):
            body = data.body(f"{side}/{link}")
            found = poses[f"{side}/{link}"]
            np.testing.assert_allclose(found[:3], body.xpos, atol=1e-9)
            assert abs(abs(found[3:] @ body.xquat) - 1) < 1e-9
    gripper = np.concatenate([data.body("left/gripper_link").xpos, data.body("left/gripper_link").xquat])
    camera = pose_compose(gripper, np.array(MOUNT))
    np.testing.assert_allclose(poses["left_wrist"][:3], camera[:3], atol=1e-9)
    assert abs(abs(poses["left_wrist"][3:] @ camera[3:]) - 1) < 1e-9
    assert {t.timestamp.ToNanoseconds() for t in update.transforms} == {message.log_time}


def test_transforms_come_thirty_times_a_second(robot) -> None:
    assert 58 <= len(robot["/tf"]) <= 62


def test_shapes_hang_on_links_that_are_placed(robot) -> None:
    (_, scene), placed = robot["/robot/scene"][0], world_poses(robot["/tf"][0][1])
    assert len(robot["/robot/scene"]) == 1
    shapes = {entity.frame_id: entity for entity in scene.entities}
    assert set(shapes) <= set(placed) and "left/gripper_link" in shapes
    assert all(entity.frame_locked and entity.id == entity.frame_id for entity in scene.entities)
    arm = shapes["left/upper_arm_link"].cubes[0].size
    np.testing.assert_allclose((arm.x, arm.y, arm.z), (0.042, 0.06, 0.3), atol=1e-6)
    hub = shapes["left/upper_arm_link"].cylinders[0]
    np.testing.assert_allclose((hub.size.x, hub.size.y, hub.size.z), (0.056, 0.056, 0.104), atol=1e-6)
    assert hub.bottom_scale == hub.top_scale == 1.0


def test_the_description_is_a_urdf_of_the_same_robot(robot) -> None:
    ((_, raw),) = robot["/robot_description"]
    header, length = raw[:4], int.from_bytes(raw[4:8], "little")
    assert header == b"\x00\x01\x00\x00" and length == len(raw) - 8 and raw.endswith(b"</robot>\0")
    ours = mujoco.MjModel.from_xml_string(MJCF)
    urdf = mujoco.MjModel.from_xml_string(raw[8:-1].decode())
    here, there = mujoco.MjData(ours), mujoco.MjData(urdf)
    joints = [name for name in HEADER.joint_names if not name.endswith("/gripper")]
    for name, value in zip(joints, np.linspace(-1.0, 1.0, len(joints)), strict=True):
        here.joint(name).qpos[0] = there.joint(name).qpos[0] = value
    for data, model in ((here, ours), (there, urdf)):
        mujoco.mj_kinematics(model, data)
    for link in ("left/shoulder_link", "left/gripper_link", "right/gripper_link"):
        np.testing.assert_allclose(there.body(link).xpos, here.body(link).xpos, atol=1e-5)
        assert abs(abs(there.body(link).xquat @ here.body(link).xquat) - 1) < 1e-9


@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4), st.sampled_from([0.0, np.pi / 2, -np.pi / 2]))
def test_any_turn_survives_as_roll_pitch_yaw(numbers: list[float], pitch: float) -> None:
    quaternion = np.array(numbers)
    if np.linalg.norm(quaternion) < 1e-3:
        return
    quaternion /= np.linalg.norm(quaternion)
    straight_up = np.array([np.cos(pitch / 2), 0.0, np.sin(pitch / 2), 0.0])
    for turn in (quaternion, quat_multiply(quat_multiply(AROUND_Z, straight_up), AROUND_X)):
        roll, pitch_, yaw = _rpy(turn)
        again = quat_multiply(
            quat_from_rotvec(np.array([0.0, 0.0, yaw])),
            quat_multiply(
                quat_from_rotvec(np.array([0.0, pitch_, 0.0])), quat_from_rotvec(np.array([roll, 0.0, 0.0]))
            ),
        )
        assert quat_angle(again, turn) < 1e-3


def test_video_lies_in_a_frame_that_is_placed(robot) -> None:
    frames = {transform.child_frame_id for transform in robot["/tf"][0][1].transforms}
    assert {robot[f"/camera/{camera.name}/calibration"][0][1].frame_id for camera in CAMERAS} <= frames


def test_without_a_model_fixed_cameras_are_placed(tmp_path: Path) -> None:
    found = messages(write(tmp_path))
    ((_, update),) = found["/tf"]
    assert [t.child_frame_id for t in update.transforms] == ["overhead", "left_wrist"]
    assert "/robot/scene" not in found


@pytest.mark.parametrize("bad", [b"<mujoco>", b"<mujoco/>", b"\xff\xfe", b"no xml"])
def test_a_model_that_cannot_be_used_costs_only_the_picture(tmp_path: Path, bad: bytes) -> None:
    finished = write(tmp_path, Attachment("robot.xml", "application/xml", bad))
    assert finished.footer.counts["/joints/measured"] == 400
    assert any(
        sentence.startswith("Viewers will not show the robot") for sentence in finished.footer.lost_reasons
    )


def test_names_that_the_model_does_not_have_stay_where_they_rest() -> None:
    kinematics = RobotKinematics(MJCF, ("left/waist", "left/unknown"))
    poses = dict(zip(kinematics.links, kinematics.poses(np.array([0.5, 9.0])), strict=True))
    assert "left/gripper_link" in poses and "right/gripper_link" not in poses
    with pytest.raises(EpisodeError, match="none of the robot's joints"):
        RobotKinematics(MJCF, ("elsewhere",))


def test_each_file_of_a_long_episode_shows_the_robot(tmp_path: Path) -> None:
    """What is said once at the start is said again in each file, at that file's start."""
    path = tmp_path / f"{HEADER.uuid}.mcap"
    robot = Attachment("robot.xml", "application/xml", MJCF.encode())
    (tmp_path / "done").mkdir()
    still = replace(HEADER, cameras=())
    writer = EpisodeWriter(
        path, still, destination=tmp_path / "done" / path.name, attachments=(robot,), segment_s=1.0
    )
    for index in range(700):
        writer.add_tick(synthetic_tick(still, index, still.anchor_monotonic_ns))
    finished = writer.finish()
    assert finished.footer.segments
    files = [finished.path, *(finished.path.with_name(ref.name) for ref in finished.footer.segments)]
    shown = [messages(replace(finished, path=file)) for file in files]
    (first_description,) = {found["/robot_description"][0][1] for found in shown}
    assert first_description.endswith(b"</robot>\0")
    for found in shown:
        ((_, scene),) = found["/robot/scene"]
        assert {"left/gripper_link", "right/gripper_link"} <= {entity.frame_id for entity in scene.entities}
        assert "left/gripper_link" in world_poses(found["/tf"][0][1])
