"""What the tiles of Collect say of their cameras, and how often and how finely each is drawn."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

from teleop_app.core.types import CameraSetup, RecorderState, RecorderStatus
from ui.bridge import StationBridge
from ui.gl.scene_view import SceneView
from ui.gl.support import gl_support
from ui.preview_pace import Strain, camera_period_s, picture_divisor, preview_note
from ui.theme import Role
from ui.widgets.camera_tile import CameraTile

_BADGE_FPS_SHARE = 0.9
_BADGE_LOSS = 0.01


class PreviewTiles:
    """Keeps the tiles honest and cheap.

    Args:
        bridge: Passes the pictures on.
        tiles: By camera; the page adds to it.
        setups: By camera; the page adds to it.
        scene_view: The 3-D view, None without one.
    """

    def __init__(
        self,
        bridge: StationBridge,
        tiles: Mapping[str, CameraTile],
        setups: Mapping[str, CameraSetup],
        scene_view: SceneView | None,
    ) -> None:
        self._bridge = bridge
        self._tiles = tiles
        self._setups = setups
        self._scene_view = scene_view
        self._strain = Strain()

    def refresh(self, recorder: RecorderStatus | None, large: str, scene_large: bool) -> None:
        """Brings badges, rates and sizes to what the cameras and the recorder say.

        Args:
            recorder: Its newest word.
            large: Name of the large view.
            scene_large: The 3-D view has the large place.
        """
        recording = recorder is not None and recorder.state is RecorderState.RECORDING
        lost = recorder.lost if recorder is not None and recording else {}
        for name, tile in self._tiles.items():
            tile.set_badge(*self._badge(name, lost.get(name, 0)))
        self._pace(recording, recorder.backlog if recorder is not None else 0.0, large, scene_large)

    def _badge(self, name: str, lost: int) -> tuple[str, Role]:
        """What is off: frames the episode lost, else a camera that loses or lags now."""
        if lost:
            return f"{lost} lost", Role.FAULT
        meter, setup = self._bridge.cameras.get(name), self._setups.get(name)
        if meter is not None and meter.lost_share > _BADGE_LOSS:
            return f"{meter.lost_share:.0%} lost", Role.WARNING
        if meter is not None and setup is not None and 0 < meter.fps < _BADGE_FPS_SHARE * setup.fps:
            return f"{meter.fps:.0f} of {setup.fps} fps", Role.WARNING
        return "", Role.WARNING

    def _pace(self, recording: bool, backlog: float, large: str, scene_large: bool) -> None:
        lost = max((meter.lost_share for meter in self._bridge.cameras.values()), default=0.0)
        strain = self._strain.observe(lost, recording, time.monotonic(), backlog)
        software = gl_support().software
        if self._scene_view is not None:
            # The large view is the one looked at: it steps back a little only.
            self._scene_view.set_strain(min(strain, 1) if scene_large else strain)
        for name, tile in self._tiles.items():
            period_s = camera_period_s(large=name == large, software=software, strain=strain)
            self._bridge.set_frame_period(name, period_s)
            self._bridge.set_frame_divisor(name, picture_divisor(strain))
            tile.set_note(preview_note(period_s, strain))

    def pause(self) -> None:
        """Asks for no pictures while nobody looks."""
        for name in self._tiles:
            self._bridge.set_frame_period(name, math.inf)
