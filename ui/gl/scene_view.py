# ruff: noqa: N802
"""The 3-D view: the robot as measured, what is asked of it, and where it may go."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QFocusEvent, QMouseEvent, QWheelEvent
from PyQt6.QtOpenGLWidgets import QOpenGLWidget
from PyQt6.QtWidgets import QWidget

from ui import theme
from ui.gl import gizmo, meshes
from ui.gl.camera import OrbitCamera
from ui.gl.ghost import Ghost
from ui.gl.gizmo import Drag, DragMode
from ui.gl.kinematics import KinematicScene
from ui.gl.renderer import Renderer, ShaderError, ribbon
from ui.gl.support import gl_support, preferred_samples, surface_format
from ui.gl.trail import Trail
from ui.gl.vector_kinematics import VectorKinematics
from ui.preview_pace import ScenePace
from ui.theme import Role

log = logging.getLogger(__name__)

_AXIS_LENGTH_M = 0.075
_AXIS_RGB = ((0.93, 0.36, 0.36), (0.36, 0.80, 0.45), (0.36, 0.58, 0.96))
_DRIVER_ROLES = {"human": Role.HUMAN, "policy": Role.POLICY, "script": Role.POLICY, "blend": Role.POLICY}
_GHOST = "ghost"
_GIZMO = "gizmo"
_SCENE = "scene"
_GIZMO_PARTS = 7


class SceneView(QOpenGLWidget):
    """Draws a MuJoCo model for given joint positions, with targets that can be dragged.

    Left drag on a target moves it in the plane of the screen, with Shift towards and away, with
    Ctrl turns it. Elsewhere left drag orbits, right or middle drag pans, the wheel zooms and a
    double click brings the first view back.

    Args:
        model: The model shown; the widget never changes it.
        tcp_sites: Name of the tool site of each arm; draws its trail.
        parent: Owner.
        joint_names: Of the station's joint vectors, for `set_ghost`.
    """

    targetMoved = pyqtSignal(str, object)
    """Arm, and `world_T_target` as float64 (7,): x y z qw qx qy qz."""
    targetGrabbed = pyqtSignal(str)
    targetReleased = pyqtSignal(str)

    def __init__(
        self,
        model: mujoco.MjModel,
        tcp_sites: Mapping[str, str] | None = None,
        parent: QWidget | None = None,
        joint_names: Sequence[str] = (),
    ) -> None:
        super().__init__(parent)
        self.setFormat(surface_format(preferred_samples()))
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setAccessibleName("3-D view of the robot")
        self._in_software = gl_support().software
        budget = meshes.SOFTWARE_TRIANGLE_BUDGET if self._in_software else meshes.TRIANGLE_BUDGET
        self.scene = KinematicScene(model, budget)
        self._tcp_sites = dict(tcp_sites or {})
        self._joint_names = tuple(joint_names)
        self._ghost: Ghost | None = None
        self._ghost_role = Role.POLICY
        self.camera = self._framing()
        self._camera_moved = False
        self._trails = {arm: Trail() for arm in self._tcp_sites}
        self._targets: dict[str, NDArray[np.float64]] = {}
        self._drivers: dict[str, str | None] = {}
        self._workspaces: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
        self._selected: str | None = None
        self._renderer: Renderer | None = None
        self._problem = ""
        self._drag: Drag | None = None
        self._camera_button: Qt.MouseButton | None = None
        self._last_mouse = QPointF()
        self._hover: str | None = None
        self._now_ns = 0
        self._pace = ScenePace(self._in_software)
        self._started_s = 0.0
        self._frames = 0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.update)

    @property
    def frames_drawn(self) -> int:
        """How many times the scene was painted."""
        return self._frames

    @property
    def frame_ms(self) -> float:
        """Smoothed cost of a frame on the GUI thread [ms]."""
        return self._pace.cost_s * 1e3

    @property
    def in_software(self) -> bool:
        """Whether the processor draws."""
        return self._in_software

    def set_strain(self, strain: int) -> None:
        """Draws less often, 0 (as often as its cost allows) to 3, while recorded streams suffer."""
        self._pace.strain = strain

    @property
    def problem(self) -> str:
        """A sentence when the driver refused the view, else empty."""
        return self._problem

    def set_state(self, qpos: NDArray[np.float64], time_ns: int) -> None:
        """Shows generalised positions `qpos`, shape (nq,), true at `time_ns` (monotonic).

        Raises:
            ValueError: The length is not the model's.
        """
        if not self.scene.update(qpos):
            return
        if not self._now_ns and not self._camera_moved:
            self.camera = self._framing()
        self._now_ns = time_ns
        for arm, site in self._tcp_sites.items():
            self._trails[arm].add(time_ns, self.scene.site_pose(site)[:3])
        self._schedule()

    def set_target(self, arm: str, world_T_target: NDArray[np.float64] | None) -> None:
        """Shows or hides the target of an arm; ignored for the arm being dragged."""
        if self._drag is not None and self._drag.arm == arm:
            return
        if world_T_target is None:
            if self._targets.pop(arm, None) is None:
                return
        else:
            pose = np.array(world_T_target, dtype=np.float64)
            if pose.shape != (7,) or not np.all(np.isfinite(pose)):
                return
            self._targets[arm] = pose
        self._schedule()

    def target(self, arm: str) -> NDArray[np.float64] | None:
        """Returns the shown `world_T_target` of an arm, shape (7,), or None."""
        pose = self._targets.get(arm)
        return None if pose is None else pose.copy()

    def set_joint_names(self, joint_names: Sequence[str]) -> None:
        """Tells the names in the station's joint vectors, where the view was made without them.

        Raises:
            ValueError: A ghost was shown by other names.
        """
        if self._ghost is not None and tuple(joint_names) != self._joint_names:
            raise ValueError("The 3-D view has shown joint vectors by other names already.")
        self._joint_names = tuple(joint_names)

    def set_ghost(self, vectors: NDArray[np.float64] | None, role: Role = Role.POLICY) -> None:
        """Shows the robot seen through where joint vectors will have brought it, and the tools' way there.

        Args:
            vectors: In the order of time, shape (k, n); those that are not finite are left out. None for
                nothing.
            role: Of its colour.

        Raises:
            ValueError: The vectors are not as long as `joint_names`.
        """
        if self._ghost is None:
            if vectors is None:
                return
            model = self.scene.model
            kinematics = VectorKinematics(model, self._joint_names, self._tcp_sites)
            self._ghost = Ghost(kinematics, self.scene.parts, model.geom_bodyid.tolist())
        self._ghost.set_vectors(vectors)
        self._ghost_role = role
        self._schedule()

    def set_driver(self, arm: str, driver: str | None) -> None:
        """Colours an arm's target and trail by who drives: "human", "policy", "script" or None."""
        if self._drivers.get(arm) != driver:
            self._drivers[arm] = driver
            self._schedule()

    def set_selected(self, arm: str | None) -> None:
        """Marks the arm the keyboard moves."""
        if arm != self._selected:
            self._selected = arm
            self._schedule()

    def set_workspace(self, arm: str, lower: NDArray[np.float64], upper: NDArray[np.float64]) -> None:
        """Draws the box an arm's tool may be in, corners in the world frame [m]."""
        self._workspaces[arm] = (np.array(lower, dtype=float), np.array(upper, dtype=float))
        self._schedule()

    def clear_trails(self) -> None:
        """Forgets the drawn paths, for example when the cell is reset."""
        for trail in self._trails.values():
            trail.clear()
        self._schedule()

    def reset_camera(self) -> None:
        """Goes back to the first view."""
        self.camera = self._framing()
        self._schedule()

    def _framing(self) -> OrbitCamera:
        """Returns a camera with the tools in the middle, seen from the operator's side (-y)."""
        model = self.scene.model
        if self._tcp_sites:
            tools = np.stack([self.scene.site_pose(site)[:3] for site in self._tcp_sites.values()])
            spread = float(np.ptp(tools, axis=0).max())
            centre = tools.mean(axis=0)
            centre[2] *= 0.6
            return OrbitCamera(target=centre, distance_m=1.25 + spread)
        distance = min(max(1.9 * float(model.stat.extent), 0.5), 3.0)
        return OrbitCamera(target=np.array(model.stat.center, dtype=np.float64), distance_m=distance)

    def _schedule(self) -> None:
        if self._timer.isActive() or not self.isVisible():
            return
        # At least 1 ms: the frame's own compositing and other work come first.
        wait_s = self._started_s + self._pace.interval_s - time.perf_counter()
        self._timer.start(max(round(wait_s * 1e3), 1))

    def initializeGL(self) -> None:
        """Makes the GL objects; called again when the widget moves to another window."""
        context = self.context()
        if context is None:
            return
        context.aboutToBeDestroyed.connect(self._release)
        try:
            renderer = Renderer()
        except ShaderError as error:
            self._problem = f"The graphics driver refused the 3-D view: {error}. Update the driver."
            log.error("%s", self._problem)
            return
        if self.scene.parts:
            renderer.upload(_SCENE, [part.soup for part in self.scene.parts])
        renderer.upload(_GIZMO, _gizmo_soups())
        self._renderer = renderer

    def _release(self) -> None:
        if self._renderer is None:
            return
        self.makeCurrent()
        self._renderer.release()
        self._renderer = None
        self.doneCurrent()

    def paintGL(self) -> None:
        """Draws solids, then ribbons, then what is translucent."""
        self._started_s = started = time.perf_counter()
        renderer = self._renderer
        if renderer is None:
            return
        ratio = self.devicePixelRatioF()
        tokens = theme.tokens()
        ground = tokens.color(Role.PANEL)
        renderer.begin(
            (ground.redF(), ground.greenF(), ground.blueF()),
            round(self.width() * ratio),
            round(self.height() * ratio),
        )
        clip = self.camera.projection(self.width() / max(self.height(), 1)) @ self.camera.view()
        eye = self.camera.eye
        if self.scene.parts:
            transforms, colors = self.scene.transforms(), self._part_colors()
            solid = colors[:, 3] >= 0.999
            shown = colors.copy()
            shown[~solid, 3] = 0.0
            renderer.draw(_SCENE, clip, eye, _collapsed(transforms, solid), shown)
            if not solid.all():
                renderer.draw(_SCENE, clip, eye, _collapsed(transforms, ~solid), colors, translucent=True)
        renderer.draw_ribbons(clip, self._ribbons())
        for arm in self._targets:
            self._draw_target(renderer, clip, arm)
        self._draw_ghost(renderer, clip)
        if self._in_software:
            renderer.finish()
        self._frames += 1
        self._pace.spent(time.perf_counter() - started)

    def _part_colors(self) -> NDArray[np.float32]:
        levels = self.scene.limit_levels()
        tokens = theme.tokens()
        amber, red = _rgb(tokens.warning), _rgb(tokens.fault)
        colors = np.stack([part.rgba for part in self.scene.parts])
        for index, part in enumerate(self.scene.parts):
            level = max((float(levels[joint]) for joint in part.joints), default=0.0)
            if level >= 2.0:
                colors[index, :3] = red
            elif level > 0.0:
                share = 0.35 + 0.5 * level
                colors[index, :3] = (1 - share) * colors[index, :3] + share * amber
        return colors

    def _driver_rgb(self, arm: str) -> NDArray[np.float64]:
        role = _DRIVER_ROLES.get(self._drivers.get(arm) or "", Role.MUTED)
        return _rgb(theme.tokens().hex(role))

    def _ribbons(self) -> NDArray[np.float32]:
        eye = self.camera.eye
        half_width = self._half_width()
        pieces: list[NDArray[np.float32]] = []
        line = _rgb(theme.tokens().muted)
        for arm, (low, high) in self._workspaces.items():
            alpha = 0.75 if arm == self._selected else 0.4
            for edge in _box_edges(low, high):
                pieces.append(ribbon(edge, np.tile(np.append(line, alpha), (2, 1)), eye, half_width * 0.6))
        for arm, trail in self._trails.items():
            points, fade = trail.faded(self._now_ns)
            if len(points) < 2:
                continue
            rgba = np.empty((len(points), 4))
            rgba[:, :3] = self._driver_rgb(arm)
            rgba[:, 3] = fade * 0.9
            pieces.append(ribbon(points, rgba, eye, half_width * 1.3))
        return np.concatenate(pieces) if pieces else np.empty((0, 7), dtype=np.float32)

    def _draw_ghost(self, renderer: Renderer, clip: NDArray[np.float64]) -> None:
        ghost = self._ghost
        if ghost is None or not ghost.shown:
            return
        if not renderer.has(_GHOST):
            renderer.upload(_GHOST, ghost.soups)
        now, eye = self.scene.transforms()[ghost.indices], self.camera.eye
        t = theme.tokens()
        rgb = _rgb(t.hex(self._ghost_role))
        for transforms, colors in ghost.postures(now, rgb):
            renderer.draw(_GHOST, clip, eye, transforms, colors, translucent=True, hollow=True)
        # A line as thin as this drowns in its own shape: it stands out by the colour of text.
        line = 0.5 * rgb + 0.5 * _rgb(t.text if t.name == "dark" else t.policy)
        renderer.draw_ribbons(clip, ghost.ribbons(line, eye, 1.6 * self._half_width()), over=True)

    def _half_width(self) -> float:
        """Half of a line's width [m] a metre of distance from the eye."""
        width = 1.1 * self.camera.metres_per_pixel(self.camera.target, self.height())
        return width / max(self.camera.distance_m, 1e-6)

    def _draw_target(self, renderer: Renderer, clip: NDArray[np.float64], arm: str) -> None:
        pose = self._targets[arm]
        transform = np.empty((3, 4), dtype=np.float32)
        transform[:, :3] = gizmo.rotation_of(pose[3:])
        transform[:, 3] = pose[:3]
        active = arm in (self._hover, self._drag.arm if self._drag else None)
        colors = np.empty((_GIZMO_PARTS, 4), dtype=np.float32)
        for axis in range(3):
            colors[2 * axis : 2 * axis + 2] = [*_AXIS_RGB[axis], 0.95 if active else 0.75]
        colors[6, :3] = self._driver_rgb(arm)
        colors[6, 3] = 0.75 if active else (0.5 if arm == self._selected else 0.32)
        renderer.draw(
            _GIZMO, clip, self.camera.eye, np.tile(transform, (_GIZMO_PARTS, 1, 1)), colors, translucent=True
        )

    def _arm_at(self, position: QPointF) -> str | None:
        return gizmo.pick(self.camera, self._targets, position.x(), position.y(), self.width(), self.height())

    def mousePressEvent(self, a0: QMouseEvent | None) -> None:
        """Grabs a target or starts moving the camera."""
        if a0 is None:
            return
        self._last_mouse = a0.position()
        arm = self._arm_at(a0.position()) if a0.button() == Qt.MouseButton.LeftButton else None
        if arm is not None:
            self._drag = Drag(arm, a0.position().x(), a0.position().y())
            self.setCursor(Qt.CursorShape.ClosedHandCursor)
            self.targetGrabbed.emit(arm)
            self._schedule()
        else:
            self._camera_button = a0.button()
            self._camera_moved = True

    def mouseMoveEvent(self, a0: QMouseEvent | None) -> None:
        """Drags the target or the camera, or marks the target under the mouse."""
        if a0 is None:
            return
        delta = a0.position() - self._last_mouse
        self._last_mouse = a0.position()
        if self._drag is not None:
            self._drag_target(delta, a0.modifiers())
        elif self._camera_button is not None:
            shift = bool(a0.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            if self._camera_button == Qt.MouseButton.LeftButton and not shift:
                self.camera.orbit(delta.x(), delta.y())
            else:
                self.camera.pan(delta.x(), delta.y(), self.height())
            self._schedule()
        else:
            hover = self._arm_at(a0.position())
            if hover != self._hover:
                self._hover = hover
                if hover:
                    self.setCursor(Qt.CursorShape.OpenHandCursor)
                else:
                    self.unsetCursor()
                self._schedule()

    def _drag_target(self, delta: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        drag = self._drag
        if drag is None or drag.arm not in self._targets:
            return
        mode = DragMode.PLANE
        if modifiers & Qt.KeyboardModifier.ControlModifier:
            mode = DragMode.ROTATE
        elif modifiers & Qt.KeyboardModifier.ShiftModifier:
            mode = DragMode.DEPTH
        pose = gizmo.dragged(self.camera, self._targets[drag.arm], delta.x(), delta.y(), self.height(), mode)
        self._targets[drag.arm] = pose
        self.targetMoved.emit(drag.arm, pose.copy())
        self._schedule()

    def mouseReleaseEvent(self, a0: QMouseEvent | None) -> None:
        """Lets go of the target or the camera."""
        self._camera_button = None
        self.release_target()

    def release_target(self) -> None:
        """Ends a drag, as letting the mouse button go does."""
        if self._drag is None:
            return
        arm, self._drag = self._drag.arm, None
        self.unsetCursor()
        self.targetReleased.emit(arm)
        self._schedule()

    def focusOutEvent(self, a0: QFocusEvent | None) -> None:
        """Lets go of the target, so that nothing moves while another window has the input."""
        self.release_target()
        super().focusOutEvent(a0)

    def wheelEvent(self, a0: QWheelEvent | None) -> None:
        """Zooms; while a target is held moves it towards or away."""
        if a0 is None:
            return
        steps = a0.angleDelta().y() / 120.0
        if self._drag is not None and self._drag.arm in self._targets:
            pose = self._targets[self._drag.arm]
            pose[:3] += self.camera.forward * 0.01 * steps
            self.targetMoved.emit(self._drag.arm, pose.copy())
        else:
            self.camera.zoom(steps)
            self._camera_moved = True
        a0.accept()
        self._schedule()

    def mouseDoubleClickEvent(self, a0: QMouseEvent | None) -> None:
        """Brings the first view back."""
        if a0 is not None and self._arm_at(a0.position()) is None:
            self.reset_camera()


def _rgb(color: str) -> NDArray[np.float64]:
    return np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255.0


def _collapsed(transforms: NDArray[np.float32], keep: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Returns the transforms with the parts not kept shrunk to a point, which draws nothing."""
    result = transforms.copy()
    result[~keep] = 0.0
    return result


def _box_edges(low: NDArray[np.float64], high: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    corners = np.array([[(low, high)[i >> axis & 1][axis] for axis in range(3)] for i in range(8)])
    return [corners[[i, i | 1 << axis]] for i in range(8) for axis in range(3) if not i >> axis & 1]


def _gizmo_soups() -> list[meshes.Soup]:
    """Three arrows (shaft, tip) along x, y, z and the ball to grab."""
    shaft = meshes.cylinder(0.0035, _AXIS_LENGTH_M / 2)
    tip = meshes.cylinder(0.010, 0.0125, tip_radius=0.0)
    shaft[:, 2] += _AXIS_LENGTH_M / 2
    tip[:, 2] += _AXIS_LENGTH_M + 0.0125
    soups: list[meshes.Soup] = []
    for order in ((2, 0, 1), (1, 2, 0), (0, 1, 2)):
        for soup in (shaft, tip):
            turned = np.concatenate([soup[:, list(order)], soup[:, [3 + i for i in order]]], axis=1)
            soups.append(np.ascontiguousarray(turned, dtype=np.float32))
    soups.append(meshes.ellipsoid(np.full(3, 0.022)))
    return soups
