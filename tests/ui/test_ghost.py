"""The robot as a chunk will have moved it: joint vectors on the model, and pixels in a real window."""

import math

import numpy as np
import pytest
from PyQt6.QtGui import QImage

from recorders.vector_posture import VectorPosture
from ui.gl.ghost import MOST_POINTS, Ghost, thinned
from ui.gl.kinematics import KinematicScene, load_model
from ui.gl.vector_kinematics import VectorKinematics

ARM = """
<mujoco>
  <worldbody>
    <geom name="table" type="box" size="0.5 0.5 0.01" pos="0 0 -0.05"/>
    <body name="base"><geom name="foot" type="box" size="0.02 0.02 0.02"/>
      <body name="link" pos="0 0 0.1">
        <joint name="left/hinge" type="hinge" axis="0 0 1" range="-180 180"/>
        <geom name="bar" type="capsule" fromto="0 0 0 0.3 0 0" size="0.03" rgba="0.1 0.9 0.1 1"/>
        <site name="tcp" pos="0.3 0 0"/>
        <body name="finger_a" pos="0.3 0 0"><joint name="a" type="slide" axis="0 1 0" range="0 0.05"/>
          <geom type="box" size="0.01 0.002 0.01"/></body>
        <body name="finger_b" pos="0.3 0 0"><joint name="b" type="slide" axis="0 1 0" range="-0.05 0"/>
          <geom type="box" size="0.01 0.002 0.01"/></body>
      </body>
    </body>
  </worldbody>
  <tendon><fixed name="grip"><joint joint="a" coef="0.5"/><joint joint="b" coef="-0.5"/></fixed></tendon>
  <actuator><position name="left/gripper" tendon="grip" ctrlrange="0.01 0.05"/></actuator>
</mujoco>
"""
NAMES = ("left/hinge", "left/gripper")
SITES = {"left": "tcp"}


@pytest.fixture
def kinematics() -> VectorKinematics:
    return VectorKinematics(load_model(ARM), NAMES, SITES)


def turn(degrees: float, count: int = 20) -> np.ndarray:
    vectors = np.zeros((count, 2))
    vectors[:, 0] = np.linspace(0.0, math.radians(degrees), count)
    return vectors


def test_the_tool_follows_the_joint_vector(kinematics):
    paths = kinematics.paths(np.array([[0.0, 0.0], [math.pi / 2, 1.0], [math.nan, 0.0]]))
    np.testing.assert_allclose(paths[0, 0], (0.3, 0.0, 0.1), atol=1e-9)
    np.testing.assert_allclose(paths[0, 1], (0.0, 0.3, 0.1), atol=1e-9)
    assert np.isnan(paths[0, 2]).all()


def test_a_gripper_opens_both_fingers_over_its_range(kinematics):
    for value, half_m in ((0.0, 0.01), (1.0, 0.05)):
        assert kinematics.pose(np.array([0.0, value]))
        apart = [kinematics.link(name)[1][1] for name in ("finger_a", "finger_b")]
        np.testing.assert_allclose(apart, (half_m, -half_m), atol=1e-9)


def test_a_posture_that_is_none_changes_nothing(kinematics):
    assert kinematics.pose(np.array([1.0, 0.0]))
    before = kinematics.tools()
    assert not kinematics.pose(np.array([math.inf, 0.0]))
    assert not kinematics.pose(np.zeros(3))
    np.testing.assert_array_equal(kinematics.tools(), before)


def test_the_tools_are_where_the_scene_of_the_cell_draws_them():
    from devices.sim.arms import ARMS
    from devices.sim.model import load_model as load_cell

    names = tuple(name for arm in ARMS for name in (*arm.joint_names, arm.gripper_name))
    vector = np.random.default_rng(3).uniform(-0.5, 0.5, len(names))
    vector[[6, 13]] = 0.2, 0.9
    model = load_cell()
    ours = VectorKinematics(model, names, {arm.side: arm.tcp_site_name for arm in ARMS})
    scene = KinematicScene(model)
    scene.update(VectorPosture(model, names).qpos(vector))
    assert ours.pose(vector)
    for arm, tool in zip(ARMS, ours.tools(), strict=True):
        np.testing.assert_allclose(tool, scene.site_pose(arm.tcp_site_name)[:3], atol=1e-9)


def test_a_cell_of_real_arms_has_its_ghost_too():
    from devices.models.cell import cell_arms, cell_spec
    from teleop_app.core.config import ArmSection, StationConfig

    config = StationConfig(
        arms=[ArmSection(name="left", model="ur5e", workspace_min=(-1, -1, 0), workspace_max=(1, 1, 1))]
    )
    [arm] = cell_arms(config)
    names = (*arm.joint_names, arm.gripper_name)
    model = cell_spec(config).compile()
    vector = np.array([*arm.home, 0.5]) + 0.1
    ours = VectorKinematics(model, names, {"left": arm.tcp_site})
    scene = KinematicScene(model)
    scene.update(VectorPosture(model, names).qpos(vector))
    assert ours.pose(vector)
    np.testing.assert_allclose(ours.tools()[0], scene.site_pose(arm.tcp_site)[:3], atol=1e-9)
    ghost = Ghost(ours, scene.parts, model.geom_bodyid.tolist())
    ghost.set_vectors(np.stack([vector, vector + 0.2]))
    now = scene.transforms()[ghost.indices]
    assert any(colors[:, 3].max() > 0.3 for _, colors in ghost.postures(now, np.ones(3)))


def ghost_of(kinematics: VectorKinematics) -> tuple[Ghost, KinematicScene]:
    model = load_model(ARM)
    scene = KinematicScene(model)
    return Ghost(kinematics, scene.parts, model.geom_bodyid.tolist()), scene


def test_only_what_moves_is_drawn_and_only_as_far_as_it_moves(kinematics):
    ghost, scene = ghost_of(kinematics)
    assert len(ghost.indices) == 3  # the bar and two fingers; neither table nor foot
    now = scene.transforms()[ghost.indices]
    ghost.set_vectors(turn(0.2))
    assert all(colors[0, 3] == 0.0 for _, colors in ghost.postures(now, np.ones(3)))
    ghost.set_vectors(turn(90))
    (end, end_colors), (middle, middle_colors) = ghost.postures(now, np.ones(3))
    assert end_colors[0, 3] > middle_colors[0, 3] > 0.0
    assert end[0, 0, 3] == pytest.approx(0.0, abs=1e-6)  # the bar's middle has gone from x to y
    assert middle[0, 0, 3] > 0.05


def test_a_long_chunk_is_thinned_and_a_broken_one_refused(kinematics):
    ghost, _ = ghost_of(kinematics)
    ghost.set_vectors(turn(90, 200))
    assert ghost.paths.shape == (1, MOST_POINTS, 3)
    np.testing.assert_allclose(ghost.paths[0, -1], (0.0, 0.3, 0.1), atol=1e-9)
    with pytest.raises(ValueError, match="2 values"):
        ghost.set_vectors(np.zeros((4, 5)))
    ghost.set_vectors(np.full((4, 2), np.nan))
    assert not ghost.shown
    assert len(thinned(turn(10, 3))) == 3


@pytest.fixture
def view(qtbot):
    from ui.gl.scene_view import SceneView

    view = SceneView(load_model(ARM), SITES, joint_names=NAMES)
    qtbot.addWidget(view)
    view.resize(400, 300)
    view.show()
    qtbot.waitExposed(view)
    view.camera.target = np.array([0.0, 0.0, 0.1])
    view.camera.elevation_rad = -math.pi / 2
    view.camera.distance_m = 1.2
    view._camera_moved = True
    return view


def color_at(view, point) -> tuple[int, int, int]:
    x, y = view.camera.project(np.array(point), view.width(), view.height())
    view.repaint()
    image: QImage = view.grabFramebuffer()
    ratio = image.width() / view.width()
    return image.pixelColor(round(x * ratio), round(y * ratio)).getRgb()[:3]


@pytest.mark.display
def test_the_ghost_is_where_the_chunk_ends_in_the_colour_of_its_role(view):
    from ui.theme import Role

    view.set_state(np.zeros(3), 1)
    at = (0.02, 0.2, 0.13)  # beside the tool's path
    before = color_at(view, at)
    view.set_ghost(turn(90))
    violet = color_at(view, at)
    assert violet != before and violet[2] > violet[1] + 20
    view.set_ghost(turn(90), Role.HUMAN)
    amber = color_at(view, at)
    assert amber[0] > amber[2] + 20
    view.set_ghost(None)
    assert color_at(view, at) == before


@pytest.mark.display
def test_the_robot_itself_stays_where_it_is(view):
    view.set_state(np.zeros(3), 1)
    before = view.scene.qpos
    view.set_ghost(turn(90))
    np.testing.assert_array_equal(view.scene.qpos, before)
    red, green, blue = color_at(view, (0.15, 0, 0.13))
    assert green > 1.5 * max(red, blue)
