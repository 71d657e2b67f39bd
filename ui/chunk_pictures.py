"""Shows what a policy is about to do: its ghost in the 3-D view, its tools' way in the camera pictures."""

from __future__ import annotations

from collections.abc import Mapping

from teleop_app.core.clock import NS_PER_S
from teleop_app.core.types import AutonomyPhase, CameraSetup, ControlTick, PolicyChunk
from ui.gl.scene_feed import SceneSource
from ui.gl.scene_view import SceneView
from ui.theme import Role
from ui.viewmodels.chunk_preview import ChunkPreviewer
from ui.widgets.camera_tile import CameraTile
from ui.widgets.chunk_overlay import ChunkOverlay

_FRESH_NS = NS_PER_S
"""While a person drives, a chunk older than this is not what the policy would do now."""

_OF_PEOPLE = frozenset(
    {
        AutonomyPhase.IDLE,
        AutonomyPhase.DEMONSTRATE,
        AutonomyPhase.RECOVER,
        AutonomyPhase.CORRECT,
        AutonomyPhase.REWIND,
    }
)


class ChunkPictures:
    """Takes chunks and ticks as they come; draws when `refresh` is called, some 20 times a second.

    Args:
        source: What the 3-D view draws.
        tiles: By camera; the page adds to it.
        scene_view: The 3-D view, None without one.

    Attributes:
        ghost: Show it in the 3-D view.
        overlay: Show it in the pictures.
    """

    def __init__(
        self, source: SceneSource, tiles: Mapping[str, CameraTile], scene_view: SceneView | None
    ) -> None:
        self._previewer = ChunkPreviewer(source)
        self._overlay = ChunkOverlay(self._previewer.kinematics)
        self._tiles = tiles
        self._scene_view = scene_view
        if scene_view is not None:
            scene_view.set_joint_names(source.joint_names)
        self._tick: ControlTick | None = None
        self._drawn: tuple[object, ...] = ()
        self.ghost = True
        self.overlay = True

    @property
    def cameras(self) -> tuple[str, ...]:
        """Cameras whose pictures can be drawn over."""
        return self._overlay.cameras

    def on_camera(self, setup: CameraSetup) -> None:
        """Takes a camera's calibration."""
        self._overlay.set_camera(setup)

    def on_chunk(self, chunk: PolicyChunk) -> None:
        """Takes a chunk."""
        self._previewer.set_chunk(chunk)

    def on_tick(self, tick: ControlTick) -> None:
        """Takes the newest tick."""
        self._tick = tick

    def clear(self) -> None:
        """Shows nothing until the next chunk."""
        self._previewer.clear()
        self.refresh()

    def refresh(self) -> None:
        """Draws what lies ahead now; nothing is drawn anew while nothing has changed."""
        tick, chunk = self._tick, self._previewer.chunk
        autonomy = tick.autonomy if tick is not None else None
        if tick is None or autonomy is None or chunk is None or _is_over(tick, autonomy.phase, chunk):
            self._show_nothing()
            return
        preview = self._previewer.ahead(autonomy)
        if preview is None:
            self._show_nothing()
            return
        state = (chunk.chunk, autonomy.policy_ns, autonomy.index, self.ghost, self.overlay)
        if self._scene_view is not None and state != self._drawn:
            self._scene_view.set_ghost(preview.vectors if self.ghost else None, Role.POLICY)
        self._drawn = state
        lines = self._overlay.lines(preview, tick.measured) if self.overlay else {}
        for name, tile in self._tiles.items():
            tile.set_overlay(lines.get(name, ()))

    def _show_nothing(self) -> None:
        if self._drawn:
            self._drawn = ()
            if self._scene_view is not None:
                self._scene_view.set_ghost(None)
            for tile in self._tiles.values():
                tile.set_overlay(())


def _is_over(tick: ControlTick, phase: AutonomyPhase, chunk: PolicyChunk) -> bool:
    """Whether a chunk is of no use to anybody: a person drives, and the policy is not asked meanwhile."""
    return phase in _OF_PEOPLE and tick.tick_ns - chunk.made_ns > _FRESH_NS
