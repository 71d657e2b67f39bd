"""The 3-D view in a real window: pixels follow the pose, the mouse finds the target."""

import math

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtGui import QImage, QMouseEvent
from PyQt6.QtTest import QTest

pytestmark = pytest.mark.display

ARM = """
<mujoco>
  <worldbody>
    <body name="link" pos="0 0 0.1">
      <joint name="hinge" type="hinge" axis="0 0 1" range="-90 90"/>
      <geom name="bar" type="capsule" fromto="0 0 0 0.3 0 0" size="0.03" rgba="0.1 0.9 0.1 1"/>
      <site name="tcp" pos="0.3 0 0"/>
    </body>
  </worldbody>
</mujoco>
"""
HALF = math.sqrt(0.5)


@pytest.fixture
def view(qtbot):
    from ui.gl.kinematics import load_model
    from ui.gl.scene_view import SceneView
    from ui.gl.support import gl_support

    assert gl_support().usable, gl_support().problem
    view = SceneView(load_model(ARM), {"left": "tcp"})
    qtbot.addWidget(view)
    view.resize(400, 300)
    view.show()
    qtbot.waitExposed(view)
    # Straight down, so that the world's x and y are the picture's right and up.
    view.camera.target = np.array([0.0, 0.0, 0.1])
    view.camera.elevation_rad = -math.pi / 2
    view.camera.distance_m = 1.2
    view._camera_moved = True
    return view


def drawn(view) -> QImage:
    view.repaint()
    return view.grabFramebuffer()


def color_at(view, point) -> tuple[int, int, int]:
    x, y = view.camera.project(np.array(point), view.width(), view.height())
    image = drawn(view)
    ratio = image.width() / view.width()
    return image.pixelColor(round(x * ratio), round(y * ratio)).getRgb()[:3]


def is_green(color) -> bool:
    red, green, blue = color
    return green > 1.5 * red and green > 1.5 * blue


def test_the_link_is_where_the_joint_puts_it(view):
    view.set_state(np.array([0.0]), 1)
    assert is_green(color_at(view, (0.15, 0, 0.13)))
    assert not is_green(color_at(view, (0, 0.15, 0.13)))
    view.set_state(np.array([math.radians(60)]), 2)
    assert not is_green(color_at(view, (0.15, 0, 0.13)))
    tip = (0.2 * math.cos(math.radians(60)), 0.2 * math.sin(math.radians(60)), 0.13)
    assert is_green(color_at(view, tip))


def test_a_joint_at_its_limit_turns_red(view):
    view.set_state(np.array([math.radians(89.9)]), 1)
    red, green, _ = color_at(view, (0, 0.15, 0.13))
    assert red > 1.5 * green


def test_the_target_takes_the_colour_of_who_drives(view):
    view.set_state(np.array([0.0]), 1)
    view.set_target("left", np.array([-0.2, -0.1, 0.1, 1, 0, 0, 0]))
    # Beside the blue arrow, which points at the eye.
    idle = color_at(view, (-0.214, -0.114, 0.1))
    view.set_driver("left", "human")
    human = color_at(view, (-0.214, -0.114, 0.1))
    assert human != idle
    assert human[0] - human[2] > idle[0] - idle[2] + 20


def test_the_workspace_and_the_trail_are_drawn(view):
    view.set_state(np.array([0.0]), 1)
    before = drawn(view)
    view.set_workspace("left", np.array([-0.3, -0.2, 0.0]), np.array([0.3, 0.2, 0.2]))
    with_box = drawn(view)
    assert with_box != before
    for step in range(1, 20):
        view.set_state(np.array([0.02 * step]), step * 30_000_000)
    moved = drawn(view)
    view.clear_trails()
    assert drawn(view) != moved


def mouse(view, kind, at: QPointF, buttons, modifiers=Qt.KeyboardModifier.NoModifier):
    event = QMouseEvent(kind, at, view.mapToGlobal(at), Qt.MouseButton.LeftButton, buttons, modifiers)
    getattr(
        view,
        {
            QMouseEvent.Type.MouseButtonPress: "mousePressEvent",
            QMouseEvent.Type.MouseMove: "mouseMoveEvent",
            QMouseEvent.Type.MouseButtonRelease: "mouseReleaseEvent",
        }[kind],
    )(event)


def test_dragging_the_target_reports_its_pose_in_the_world(view, qtbot):
    start = np.array([-0.2, -0.1, 0.1, HALF, HALF, 0, 0])
    view.set_target("left", start)
    at = QPointF(*view.camera.project(start[:3], 400, 300))
    goal = QPointF(*view.camera.project(np.array([-0.1, 0.05, 0.1]), 400, 300))
    poses = []
    view.targetMoved.connect(lambda arm, pose: poses.append((arm, pose)))
    with qtbot.waitSignal(view.targetGrabbed):
        mouse(view, QMouseEvent.Type.MouseButtonPress, at, Qt.MouseButton.LeftButton)
    mouse(view, QMouseEvent.Type.MouseMove, goal, Qt.MouseButton.LeftButton)
    view.set_target("left", start)  # what the station reports must not fight the hand
    with qtbot.waitSignal(view.targetReleased):
        mouse(view, QMouseEvent.Type.MouseButtonRelease, goal, Qt.MouseButton.NoButton)
    arm, pose = poses[-1]
    assert arm == "left"
    np.testing.assert_allclose(pose[:3], [-0.1, 0.05, 0.1], atol=1e-6)
    np.testing.assert_allclose(pose[3:], start[3:])


def test_dragging_beside_the_target_turns_the_camera(view):
    view.set_target("left", np.array([-0.2, -0.1, 0.1, 1, 0, 0, 0]))
    before = view.camera.azimuth_rad
    QTest.mousePress(view, Qt.MouseButton.LeftButton, pos=QPoint(350, 20))
    mouse(view, QMouseEvent.Type.MouseMove, QPointF(300, 20), Qt.MouseButton.LeftButton)
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton, pos=QPoint(300, 20))
    assert view.camera.azimuth_rad != before
    np.testing.assert_allclose(view.target("left")[:3], [-0.2, -0.1, 0.1])


def test_losing_the_focus_lets_go_of_the_target(view, qtbot):
    start = np.array([-0.2, -0.1, 0.1, 1, 0, 0, 0])
    view.set_target("left", start)
    at = QPointF(*view.camera.project(start[:3], 400, 300))
    mouse(view, QMouseEvent.Type.MouseButtonPress, at, Qt.MouseButton.LeftButton)
    with qtbot.waitSignal(view.targetReleased):
        view.focusOutEvent(None)


def test_it_draws_only_for_new_states(view, qtbot):
    view.set_state(np.array([0.1]), 1)
    qtbot.waitUntil(lambda: not view._timer.isActive())
    qtbot.wait(50)
    drawn_before = view.frames_drawn
    qtbot.wait(200)
    assert view.frames_drawn == drawn_before
    view.set_state(np.array([0.2]), 2)
    qtbot.waitUntil(lambda: view.frames_drawn > drawn_before)
