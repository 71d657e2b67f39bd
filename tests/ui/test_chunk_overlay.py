"""The predicted way of the tools in the camera pictures: against OpenCV, and against a rendered gripper."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PyQt6.QtGui import QImage

from devices.sim.arms import ARMS
from devices.sim.gl_context import choose_backend
from devices.sim.model import load_model
from teleop_app.core.types import (
    AuthorityMode,
    AutonomyPhase,
    AutonomyTick,
    CameraSetup,
    PolicyChunk,
)
from ui.bridge import CameraFrame
from ui.chunk_pictures import ChunkPictures
from ui.gl.gizmo import rotation_of
from ui.gl.scene_feed import SceneSource
from ui.viewmodels.chunk_preview import ChunkPreview, ChunkPreviewer
from ui.viewmodels.pinhole import NEAR_M, pinhole_of
from ui.widgets.camera_tile import CameraTile
from ui.widgets.chunk_overlay import ChunkOverlay, clipped

NAMES = tuple(name for arm in ARMS for name in (*arm.joint_names, arm.gripper_name))
SITES = {arm.side: arm.tcp_site_name for arm in ARMS}
HOME = np.array([*ARMS[0].home_q, 1.0, *ARMS[1].home_q, 1.0])
LENS = (-0.31, 0.12, 0.0011, -0.0007, -0.02)
WIDE_LENS = (0.21, -0.05, 0.001, 0.002, 0.01, 0.15, -0.03, 0.005, 0.001, 0.0, -0.002, 0.0)
SETUP = CameraSetup(
    "overhead", 640, 480, 30, "", "",
    np.array([[610.0, 0.0, 322.0], [0.0, 605.0, 237.0], [0.0, 0.0, 1.0]]),
    "world", np.array([0.1, -0.4, 0.9, 0.9, -0.4, 0.1, 0.05]),
)  # fmt: skip


@pytest.fixture(scope="module")
def source() -> SceneSource:
    return SceneSource(load_model(), SITES, joint_names=NAMES)


def chunk_of(actions: np.ndarray, **changes) -> PolicyChunk:
    return replace(PolicyChunk("p", "v", 1, 0, 0, 0, 20_000_000, actions, ("left", "right")), **changes)


def tick_at(index: float, chunk: int = 1, policy_ns: int = 0) -> AutonomyTick:
    return AutonomyTick(
        AuthorityMode.SUPERVISED, AutonomyPhase.POLICY, 0, 1.0, chunk, index, policy_ns
    )  # fmt: skip


def reach(steps: int = 11) -> np.ndarray:
    end = HOME.copy()
    end[:6] += (0.3, 0.4, -0.1, 0.0, 0.3, 0.0)
    return HOME + (end - HOME) * np.linspace(0, 1, steps)[:, None]


# What lies ahead.


def test_the_part_that_is_left_begins_between_two_actions(source):
    previewer = ChunkPreviewer(source)
    assert previewer.ahead(tick_at(0.0)) is None
    assert previewer.set_chunk(chunk_of(reach()))
    preview = previewer.ahead(tick_at(3.25))
    assert preview is not None
    np.testing.assert_allclose(preview.ahead_s, np.array([0.0, *(np.arange(4, 11) - 3.25)]) * 0.02)
    np.testing.assert_allclose(preview.vectors[0], 0.75 * reach()[3] + 0.25 * reach()[4])
    np.testing.assert_array_equal(preview.vectors[1:], reach()[4:])
    assert preview.tools.shape == (2, 8, 3)
    np.testing.assert_allclose(preview.tools[1], preview.tools[1][:1].repeat(8, 0), atol=1e-9)
    assert previewer.ahead(tick_at(10.0)) is None


def test_a_chunk_that_control_has_not_taken_up_is_placed_by_the_clock(source):
    previewer = ChunkPreviewer(source)
    previewer.set_chunk(chunk_of(reach(), chunk=7, start_policy_ns=1_000_000_000))
    preview = previewer.ahead(tick_at(2.0, chunk=6, policy_ns=1_100_000_000))
    assert preview is not None and len(preview.vectors) == 6
    assert len(previewer.ahead(tick_at(2.0, chunk=6, policy_ns=0)).vectors) == 11


def test_what_no_station_can_do_is_not_shown(source):
    previewer = ChunkPreviewer(source)
    broken = reach()
    broken[3, 2] = np.nan
    for chunk in (
        chunk_of(broken),
        chunk_of(reach()[:, :7]),
        chunk_of(np.empty((0, 14))),
        chunk_of(reach(), step_ns=0),
    ):
        assert not previewer.set_chunk(chunk)
    assert previewer.chunk is None


def test_only_the_arms_that_the_policy_drives_have_a_way(source):
    previewer = ChunkPreviewer(source)
    previewer.set_chunk(chunk_of(reach(), arms=("right",)))
    preview = previewer.ahead(tick_at(0.0))
    assert preview is not None and preview.arms == ("right",) and preview.tools.shape[0] == 1


# Projection.


@pytest.mark.parametrize("lens", [(), LENS, WIDE_LENS])
@given(seed=st.integers(0, 1000))
def test_pixels_are_those_of_opencv(lens, seed):
    points = np.random.default_rng(seed).uniform((-0.4, -0.4, 0.6), (0.4, 0.4, 1.4), (20, 3))
    camera = pinhole_of(replace(SETUP, distortion=lens))
    expected, _ = cv2.projectPoints(
        points, np.zeros(3), np.zeros(3), SETUP.intrinsics, np.array(lens or [0.0] * 4)
    )
    np.testing.assert_allclose(camera.pixels(points), expected.reshape(-1, 2), atol=1e-6)


def test_the_place_of_the_camera_counts_with_its_link():
    camera = pinhole_of(SETUP)
    turn = rotation_of(np.array([0.8, 0.0, 0.6, 0.0]))
    spot = np.array([0.3, 0.2, 0.1])
    pose = SETUP.parent_T_camera
    camera_to_parent = rotation_of(pose[3:] / np.linalg.norm(pose[3:]))
    inside = np.array([[0.1, -0.2, 0.7]])
    world = (inside @ camera_to_parent.T + pose[:3]) @ turn.T + spot
    np.testing.assert_allclose(camera.in_camera(world, (turn, spot)), inside, atol=1e-12)


@pytest.mark.parametrize(
    "changes",
    [
        {"intrinsics": np.zeros((3, 3))},
        {"parent_T_camera": np.empty(0)},
        {"parent": ""},
        {"parent_T_camera": np.zeros(7)},
        {"distortion": (np.nan,)},
        {"distortion": (0.1,) * 14},
    ],
)
def test_a_camera_that_is_not_calibrated_is_left_alone(source, changes):
    overlay = ChunkOverlay(ChunkPreviewer(source).kinematics)
    assert overlay.set_camera(SETUP)
    assert not overlay.set_camera(replace(SETUP, **changes))
    assert overlay.cameras == ()


def test_what_is_behind_the_lens_is_cut_off():
    way = np.array([[0.0, 0.0, -1.0], [0.0, 0.0, 1.0], [0.1, 0.0, 1.0], [0.1, 0.0, -1.0], [0.0, 0.0, -2.0]])
    pieces, steps = clipped(way)
    assert steps.tolist() == [1, 2, 3]
    assert pieces[:, :, 2].min() >= NEAR_M
    np.testing.assert_allclose(pieces[0, 0], (0.0, 0.0, NEAR_M), atol=1e-9)
    np.testing.assert_allclose(pieces[2, 1], (0.1, 0.0, NEAR_M), atol=1e-9)
    assert len(clipped(np.full((3, 3), np.nan))[0]) == 0


def test_a_bent_lens_does_not_fold_what_is_outside_into_the_picture():
    strong = pinhole_of(replace(SETUP, distortion=(-0.3, 0.0, 0.0, 0.0, 0.0)))
    far_out = np.array([[2.2, 0.0, 1.0]])
    assert abs(strong.pixels(far_out)[0, 0] - 322.0) < 640  # what the polynomial says of it
    assert not strong.visible(far_out)[0]
    assert strong.visible(np.array([[0.2, 0.1, 1.0]]))[0]


SCRIPT = r"""
import json, sys
import mujoco, numpy as np
from devices.sim.arms import ARMS
from devices.sim.model import build_spec
from devices.sim.renderer import CellRenderer, camera_mount, intrinsics
from recorders.vector_posture import VectorPosture

names = tuple(name for arm in ARMS for name in (*arm.joint_names, arm.gripper_name))
vector = np.array(json.loads(sys.argv[1]))
spec = build_spec("primitive")
body = spec.body("left/gripper_link")
body.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.012, 0, 0], pos=[0.14, 0, 0], rgba=[1, 0, 1, 1],
              contype=0, conaffinity=0)
model = spec.compile()
qpos = VectorPosture(model, names).qpos(vector)
found = {}
with CellRenderer(model, 320, 240) as renderer:
    for camera in ("overhead", "front", "left_wrist", "right_wrist"):
        image = renderer.render(qpos, camera).astype(int)
        purple = (image[..., 0] > 90) & (image[..., 2] > 90) & (image[..., 1] < 0.4 * image[..., 0])
        rows, columns = np.nonzero(purple)
        parent, pose = camera_mount(model, camera)
        found[camera] = {
            "seen": int(purple.sum()),
            "at": [float(columns.mean() + 0.5), float(rows.mean() + 0.5)] if purple.any() else None,
            "K": intrinsics(model, camera, 320, 240).tolist(), "parent": parent, "pose": pose.tolist(),
        }
print(json.dumps(found))
"""


def test_in_the_simulated_cell_it_meets_the_gripper(source):
    posture = HOME.copy()
    posture[[0, 1, 2, 4]] += (0.3, 0.25, -0.2, 0.5)
    answer = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(posture.tolist())],
        env={**os.environ, "MUJOCO_GL": os.environ.get("MUJOCO_GL") or choose_backend()},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    previewer = ChunkPreviewer(source)
    overlay = ChunkOverlay(previewer.kinematics)
    found = json.loads(answer.stdout)
    for name, camera in found.items():
        overlay.set_camera(
            CameraSetup(
                name, 320, 240, 30, "", "", np.array(camera["K"]), camera["parent"], np.array(camera["pose"])
            )
        )
    previewer.set_chunk(chunk_of(np.stack([posture, posture + 1e-6])))
    preview = previewer.ahead(tick_at(0.0))
    lines = overlay.lines(preview, posture)
    seen = [name for name, camera in found.items() if camera["seen"] > 12]
    assert len(seen) >= 3 and "left_wrist" in seen, found
    for name in seen:
        [left] = [line for line in lines[name] if line.arm == "left"]
        pixel = left.starts[0] * (320, 240)
        assert np.linalg.norm(pixel - found[name]["at"]) < 3.0, (name, pixel, found[name]["at"])


def test_a_camera_on_a_link_moves_with_the_measured_arm(source):
    previewer = ChunkPreviewer(source)
    overlay = ChunkOverlay(previewer.kinematics)
    overlay.set_camera(
        replace(
            SETUP, parent="right/gripper_link", parent_T_camera=np.array([0.0, 0, 0.1, 0.5, 0.5, 0.5, 0.5])
        )
    )
    previewer.set_chunk(chunk_of(reach()))
    preview = previewer.ahead(tick_at(0.0))
    turned = HOME.copy()
    turned[7] += 0.1
    before, after = (overlay.lines(preview, vector).get("overhead") for vector in (HOME, turned))
    assert str(before) != str(after)
    assert overlay.lines(preview, np.full(14, np.nan)) == {}


# The tile.


def picture(width: int = 64, height: int = 48) -> CameraFrame:
    pixels = bytes(width * height * 3)
    return CameraFrame(
        "overhead", 1, 1, QImage(pixels, width, height, 3 * width, QImage.Format.Format_RGB888), pixels
    )


@pytest.fixture
def tile(qtbot) -> CameraTile:
    tile = CameraTile("overhead")
    qtbot.addWidget(tile)
    tile.resize(324, 262)
    tile.set_frame(picture())
    tile.show()
    return tile


def straight_down(height_m: float) -> CameraSetup:
    at = np.array([0.0, 0.5, height_m, 0.0, 1.0, 0.0, 0.0])
    return replace(
        SETUP, intrinsics=np.array([[400.0, 0, 320], [0, 400.0, 240], [0, 0, 1]]), parent_T_camera=at
    )


def preview_of(points: np.ndarray) -> ChunkPreview:
    steps = len(points)
    return ChunkPreview(1, ("left",), np.arange(steps) * 0.02, np.tile(HOME, (steps, 1)), points[None])


def test_the_way_is_drawn_where_the_picture_is(source, tile):
    overlay = ChunkOverlay(ChunkPreviewer(source).kinematics)
    assert overlay.set_camera(straight_down(1.0))
    # Along x at the middle of the picture, from its left quarter to its right one.
    points = np.stack([np.linspace(-0.4, 0.4, 9), np.full(9, 0.5), np.zeros(9)], axis=1)
    before = tile.grab().toImage()
    tile.set_overlay(overlay.lines(preview_of(points), HOME)["overhead"])
    after = tile.grab().toImage()
    room = tile.content_rect()
    middle = room.center()
    violet = after.pixelColor(middle.x() - room.width() // 8 - 4, middle.y())
    assert violet.blue() > violet.green() + 20
    assert after.pixelColor(middle.x(), middle.y() - 40) == before.pixelColor(middle.x(), middle.y() - 40)
    tile.set_overlay(())
    assert tile.grab().toImage() == before


def test_the_frame_has_the_colour_of_who_drives(tile):
    from ui import theme

    t = theme.tokens()
    for actor, colors in (
        ("policy", {t.policy}),
        ("human", {t.human}),
        ("blend", {t.policy, t.human}),
        ("none", {t.border}),
    ):
        tile.set_driver(actor)
        image = tile.grab().toImage()
        edge = {image.pixelColor(x, 0).name().upper() for x in range(10, image.width() - 10)}
        assert {color.upper() for color in colors} <= edge, actor


def test_pictures_follow_the_chunk_and_let_go_when_a_person_drives(source, tile, make_tick):
    pictures = ChunkPictures(source, {"overhead": tile}, None)
    pictures.on_camera(straight_down(1.2))
    assert pictures.cameras == ("overhead",)
    tick = replace(make_tick(0), measured=HOME, autonomy=tick_at(0.0))
    pictures.on_tick(tick)
    pictures.refresh()
    assert tile.overlay == ()
    pictures.on_chunk(chunk_of(reach(), made_ns=tick.tick_ns))
    pictures.refresh()
    assert {line.arm for line in tile.overlay} == {"left", "right"}
    pictures.overlay = False
    pictures.refresh()
    assert tile.overlay == ()
    pictures.overlay = True
    late = replace(make_tick(1000), measured=HOME)
    pictures.on_tick(replace(late, autonomy=replace(tick_at(0.0), phase=AutonomyPhase.CORRECT)))
    pictures.refresh()
    assert tile.overlay == ()
    pictures.on_tick(replace(late, autonomy=tick_at(0.0)))
    pictures.refresh()
    assert tile.overlay != ()
    pictures.clear()
    assert tile.overlay == ()


@pytest.mark.display
def test_the_3d_view_of_a_page_shows_the_ghost(source, make_tick, qtbot):
    from ui.gl.scene_view import SceneView

    view = SceneView(source.model, SITES)  # as pages make it
    qtbot.addWidget(view)
    view.resize(320, 240)
    view.show()
    qtbot.waitExposed(view)
    pictures = ChunkPictures(source, {}, view)
    tick = replace(make_tick(0), measured=HOME, autonomy=tick_at(0.0))
    pictures.on_tick(tick)
    before = view.grabFramebuffer()
    pictures.on_chunk(chunk_of(reach(), made_ns=tick.tick_ns))
    pictures.refresh()
    assert view.grabFramebuffer() != before
    pictures.ghost = False
    pictures.refresh()
    assert view.grabFramebuffer() == before
