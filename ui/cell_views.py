"""The cameras and the 3-D view of a page from which the robot is driven, fed by the bridge."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QObject, QSettings, Qt, pyqtSignal
from PyQt6.QtWidgets import QLabel, QWidget

from teleop_app.core.types import CameraSetup, ControlTick, WorldState
from ui.bridge import CameraFrame, StationBridge
from ui.gl.kinematics import KinematicScene
from ui.gl.scene_feed import SceneFeed, SceneSource
from ui.gl.scene_view import SceneView
from ui.gl.support import gl_support
from ui.preview_tiles import PreviewTiles
from ui.viewmodels.collect import CollectModel
from ui.widgets.camera_tile import CameraTile, WidgetTile
from ui.widgets.mosaic import Mosaic

SCENE_TILE = "3-D view"


class CellViews(QObject):
    """A mosaic of everything that shows the cell, and the targets that the mouse drags in it.

    Args:
        bridge: Signals of the station.
        model: What is driven and recorded.
        scene: What the 3-D view draws; None leaves the view out.
        settings: Where the large view is remembered.
        key: Under which name.
        page: Owner; pictures are drawn while it is seen.
        numbered: Digits choose the large view.
    """

    frameShown = pyqtSignal()
    """A camera's picture was given to its tile."""

    def __init__(
        self,
        bridge: StationBridge,
        model: CollectModel,
        scene: SceneSource | None,
        settings: QSettings | None,
        key: str,
        page: QWidget,
        *,
        numbered: bool = True,
    ) -> None:
        super().__init__(page)
        self._page = page
        self._model = model
        self._settings = settings
        self._key = key
        self._setups: dict[str, CameraSetup] = {}
        self._sites = dict(scene.tcp_sites) if scene is not None else {}
        self.mosaic = Mosaic(numbered=numbered)
        self.cameras: dict[str, CameraTile] = {}
        for camera in model.config.cameras:
            self._add_camera(camera.name)
        self.scene_view: SceneView | None = None
        self._feed: SceneFeed | None = None
        self._add_scene(scene)
        self._preview = PreviewTiles(bridge, self.cameras, self._setups, self.scene_view)
        self.restore_large()
        self.mosaic.largeChanged.connect(self._remember_large)
        bridge.frameArrived.connect(self._on_frame)
        bridge.worldChanged.connect(self._on_world)
        bridge.ticksArrived.connect(self._on_ticks)
        bridge.cameraChanged.connect(self._on_camera)
        if self.scene_view is not None:
            self.scene_view.targetGrabbed.connect(self._on_grab)
            self.scene_view.targetMoved.connect(model.driving.move_target)
            self.scene_view.targetReleased.connect(lambda _arm: model.driving.drop())

    def _add_camera(self, name: str) -> CameraTile:
        tile = CameraTile(name)
        self.cameras[name] = tile
        self.mosaic.add(tile, len(self.cameras) - 1)
        return tile

    def _add_scene(self, scene: SceneSource | None) -> None:
        if scene is None:
            return
        support = gl_support()
        if support.usable:
            self.scene_view = SceneView(scene.model, scene.tcp_sites, joint_names=scene.joint_names)
            self._feed = SceneFeed(scene, self.scene_view.scene, self.scene_view)
            for arm in self._model.config.arms:
                self.scene_view.set_workspace(
                    arm.name, np.array(arm.workspace_min), np.array(arm.workspace_max)
                )
            self.mosaic.add(WidgetTile(SCENE_TILE, self.scene_view))
            return
        self._feed = SceneFeed(scene, KinematicScene(scene.model), None)
        note = QLabel(support.problem)
        note.setWordWrap(True)
        note.setAlignment(Qt.AlignmentFlag.AlignCenter)
        note.setProperty("kind", "muted")
        self.mosaic.add(WidgetTile(SCENE_TILE, note))

    def restore_large(self) -> None:
        """Gives the large place to the view that had it last, if it is there."""
        if self._settings is not None:
            self.mosaic.choose_named(str(self._settings.value(self._key, "")))

    def refresh(self) -> None:
        """Brings badges, rates and sizes of the tiles to what the cameras and the recorder say."""
        large = self.mosaic.large
        self._preview.refresh(self._model.recorder, large, large == SCENE_TILE)

    def pause(self) -> None:
        """Asks for no pictures while nobody looks."""
        self._preview.pause()

    def set_driver(self, driver: str | None) -> None:
        """Colours the frames by who drives."""
        for tile in self.mosaic.tiles:
            tile.set_driver(driver)

    def first_camera(self) -> CameraTile | None:
        """Returns the tile of the first camera, None without one."""
        return next(iter(self.cameras.values()), None)

    def _remember_large(self, name: str) -> None:
        if self._settings is not None:
            self._settings.setValue(self._key, name)

    def _on_grab(self, arm: str) -> None:
        pose = self.scene_view.target(arm) if self.scene_view is not None else None
        if pose is not None:
            self._model.driving.grab(arm, pose)

    def _on_frame(self, frame: CameraFrame) -> None:
        tile = self.cameras.get(frame.camera) or self._add_camera(frame.camera)
        if self._page.isVisible():
            tile.set_frame(frame)
            self.frameShown.emit()

    def _on_camera(self, setup: CameraSetup) -> None:
        self._setups[setup.name] = setup
        if setup.name not in self.cameras:
            self._add_camera(setup.name)

    def _on_world(self, world: WorldState) -> None:
        speed = self._feed.on_world(world) if self._feed is not None else None
        if speed is not None:
            self._model.history.add_speed(world.capture_ns, speed)

    def _on_ticks(self, ticks: list[ControlTick]) -> None:
        if not ticks:
            return
        tick = ticks[-1]
        speed = self._feed.on_tick(tick) if self._feed is not None else None
        if speed is not None:
            self._model.history.add_speed(tick.measured_ns, speed)
        view = self.scene_view
        if view is None:
            return
        for index, (arm, site) in enumerate(self._sites.items()):
            asked = tick.operator_pose[index] if index < len(tick.operator_pose) else None
            engaged = index < len(tick.engaged) and tick.engaged[index]
            if asked is not None and engaged and np.all(np.isfinite(asked)):
                view.set_target(arm, asked)
            else:
                view.set_target(arm, view.scene.site_pose(site))
            view.set_driver(arm, str(tick.actor) if engaged else None)
        view.set_selected(self._model.driving.selected)
