"""The Collect page: see the robot, drive it, record."""

from __future__ import annotations

# ruff: noqa: N802
from PyQt6.QtCore import QEvent, QSettings, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QHideEvent, QResizeEvent, QShowEvent
from PyQt6.QtWidgets import QBoxLayout, QFrame, QHBoxLayout, QVBoxLayout, QWidget

from ui import theme
from ui.actions import ActionRegistry
from ui.bridge import StationBridge
from ui.cell_views import CellViews
from ui.drive_keys import DriveKeys
from ui.gl.scene_feed import SceneSource
from ui.viewmodels.body_watch import BodyWatch
from ui.viewmodels.collect import CollectModel
from ui.viewmodels.collect_view import Chip, CollectView
from ui.viewmodels.device_buttons import device_buttons
from ui.widgets.arm_selector import ArmSelector
from ui.widgets.demonstrate_button import DemonstrateButton
from ui.widgets.episode_cards import EpisodeCards
from ui.widgets.input_strip import InputStrip
from ui.widgets.instruction_panel import InstructionPanel
from ui.widgets.leader_button import LeaderButton
from ui.widgets.state_chip import StateChip
from ui.widgets.strip_view import StripView

_REFRESH_MS = 50
_STRIP_MS = 100
_STILL_DELAY_MS = 700
_COMPACT_BELOW_PX = 720
"""Height of the window; the page itself may be higher than what is seen of it, and scroll."""


class CollectPage(QWidget):
    """Cameras and strip on the left, the right column of 340 px, keys for everything.

    Args:
        bridge: Signals of the station.
        model: The page's state, which the window has already connected to the bridge.
        actions: The declared actions.
        scene: What the 3-D view draws; None leaves the view out.
        settings: Where the large view is remembered.
        parent: Owner.
    """

    sessionWanted = pyqtSignal()
    """There is no session to record in; the window shows Home."""

    def __init__(
        self,
        bridge: StationBridge,
        model: CollectModel,
        actions: ActionRegistry,
        scene: SceneSource | None = None,
        settings: QSettings | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._model = model
        self._actions = actions
        self._view = CollectView()
        self._have_still = False
        self._compact = False
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

        self.views = CellViews(bridge, model, scene, settings, "collect/large", self)
        self.mosaic = self.views.mosaic
        self.scene_view = self.views.scene_view
        self._keys = DriveKeys(model, actions, self)
        self.strip = StripView(model.history)
        left = QVBoxLayout()
        left.setSpacing(theme.grid(1))
        left.addWidget(self.mosaic, 1)
        self._bodies = BodyWatch()
        self.inputs = InputStrip()
        left.addWidget(self.inputs)
        left.addWidget(self.strip)
        box = QHBoxLayout(self)
        box.setContentsMargins(theme.grid(1), theme.grid(1), theme.grid(1), theme.grid(1))
        box.setSpacing(theme.grid(1))
        box.addLayout(left, 1)
        box.addWidget(self._build_column())

        self._connect()
        self._bind()
        self._refresh_timer = self._timer(_REFRESH_MS, self.refresh)
        self._strip_timer = self._timer(_STRIP_MS, self.strip.update)
        self._still_timer = self._timer(_STILL_DELAY_MS, self._take_still)
        self._still_timer.setSingleShot(True)
        self.refresh()

    def _timer(self, interval_ms: int, slot: object) -> QTimer:
        timer = QTimer(self)
        timer.setInterval(interval_ms)
        timer.timeout.connect(slot)
        return timer

    def _build_column(self) -> QWidget:
        key = self._actions.key_label
        self.chip = StateChip()
        self.instruction = InstructionPanel(self.chip)
        self.stack = EpisodeCards(
            self._actions, self._model.config.recording, device_buttons(self._model.config)
        )
        self.record, self.verdict, self.start = self.stack.record, self.stack.verdict, self.stack.start
        self.stack.sessionWanted.connect(self.sessionWanted)
        moves = "".join(key(f"move.{way}") for way in ("forward", "left", "back", "right"))
        lift = key("move.down") + key("move.up")
        self.arms = ArmSelector(
            self._model.driving.arms,
            key("arm"),
            f"{key('clutch')} engages.  {moves} {lift} move, arrows turn, {key('gripper.toggle')} grips. "
            "Shift with them nudges. Or drag the ball in the 3-D view: Shift for depth, Ctrl to turn.",
            key("precise"),
            key("symmetry"),
        )
        if self._model.config.mobile_base.driver:
            ways = "".join(key(f"base.{way}") for way in ("forward", "left", "back", "right"))
            turns = key("base.turn_left") + key("base.turn_right")
            self.arms.hint.setText(f"{self.arms.hint.text()}  {ways} drive the base, {turns} turn it.")
        self.leader = LeaderButton(key("leader.engage"))
        self.leader.setVisible(bool(self._model.leaders))
        self.demonstrate = DemonstrateButton(key("demonstrate"))
        column = QFrame()
        column.setProperty("surface", "panel")
        column.setFixedWidth(theme.RIGHT_COLUMN_WIDTH_PX)
        box = QVBoxLayout(column)
        box.setContentsMargins(theme.grid(2), theme.grid(1.5), theme.grid(2), theme.grid(1.5))
        box.setSpacing(theme.grid(1.5))
        box.addWidget(self.instruction, 1)
        box.addWidget(self.stack)
        box.addWidget(self.arms)
        self._helpers = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        self._helpers.setSpacing(theme.grid(1))
        self._helpers.addWidget(self.leader)
        self._helpers.addWidget(self.demonstrate)
        box.addLayout(self._helpers)
        return column

    def _connect(self) -> None:
        bridge, model = self._bridge, self._model
        self.views.frameShown.connect(self._on_frame)
        bridge.streamChanged.connect(self._bodies.on_stream)
        bridge.bodyMoved.connect(self._bodies.on_batch)
        bridge.stationChanged.connect(model.on_station)
        bridge.processChanged.connect(model.on_process)
        model.sceneChanged.connect(self._on_scene_changed)
        self.stack.recordPressed.connect(self._record)
        self.verdict.saved.connect(model.save)
        self.verdict.redone.connect(model.redo)
        self.verdict.discarded.connect(model.discard)
        self.arms.chosen.connect(self._choose_arm)
        self.arms.mirrorClicked.connect(self._model.toggle_symmetry)
        self.arms.preciseClicked.connect(self._toggle_precise)
        self.leader.clicked.connect(self._toggle_leader)
        self.demonstrate.clicked.connect(self._demonstrate)

    def _bind(self) -> None:
        bind, model = self._actions.bind, self._model
        bind("clutch", self._toggle_clutch, self)
        bind("record", self._record, self)
        bind("save", model.save, self)
        bind("redo", model.redo, self)
        bind("discard", model.discard, self)
        bind("undo", model.undo, self)
        bind("next", model.next_instruction, self)
        bind("arm", self._next_arm, self)
        bind("leader.engage", self._toggle_leader, self)
        bind("demonstrate", self._demonstrate, self)
        bind("precise", self._toggle_precise, self)
        bind("symmetry", model.toggle_symmetry, self)
        for number in range(1, 10):
            bind(f"camera.{number}", lambda n=number: self.mosaic.choose(n), self)
        self._actions.changed.connect(self._on_key_changed)

    def _on_key_changed(self, action_id: str) -> None:
        if action_id == "demonstrate":
            self.demonstrate.set_key(self._actions.key_label("demonstrate"))
        if action_id == "leader.engage":
            self.leader.set_key(self._actions.key_label("leader.engage"))

    def _record(self) -> None:
        if self._view.session:
            self._model.record_or_stop()
        else:
            self.sessionWanted.emit()

    def _toggle_clutch(self) -> None:
        self._model.toggle_clutch()
        self._send_sample()
        self.refresh()

    def _toggle_leader(self) -> None:
        self._model.toggle_leader()
        self._send_sample()
        self.refresh()

    def _toggle_precise(self) -> None:
        self._model.driving.precise = not self._model.driving.precise
        self.refresh()

    def _demonstrate(self) -> None:
        self._model.demonstrate()
        self.refresh()

    def _next_arm(self) -> None:
        self._model.driving.select_next()
        self.refresh()

    def _choose_arm(self, arm: str) -> None:
        self._model.driving.select(arm)
        self.refresh()

    def _on_frame(self) -> None:
        if not self._have_still and not self._still_timer.isActive():
            self._still_timer.start()  # the scene was set up before this page was first shown

    def _on_scene_changed(self) -> None:
        if self.scene_view is not None:
            self.scene_view.clear_trails()
        self._still_timer.start()

    def _take_still(self) -> None:
        tile = self.views.first_camera()
        picture = tile.snapshot() if tile is not None else None
        if picture is not None:
            self._have_still = True
            self.instruction.picture.set_image(picture)

    def _send_sample(self) -> None:
        self._keys.send()

    def refresh(self) -> None:
        """Brings the widgets to the model's state; touches only what changed."""
        view = self._model.view()
        driving = self._model.driving
        self.arms.set_arms(driving.selected, driving.engaged or driving.dragging)
        self.arms.set_precise(driving.precise)
        self.arms.set_mirrored(self._model.symmetry)
        self.leader.set_driving(self._model.leaders.driving(self._model.tick))
        self.inputs.set_inputs(self._model.input_health())
        self.inputs.set_bodies(self._bodies.line())
        self.views.refresh()
        if view == self._view:
            return
        if view.recorder is not self._view.recorder:
            self._keys.allow_autosave()
        self._view = view
        self.instruction.set_instruction(view.instruction)
        self.instruction.set_progress(view.saved, view.target, view.task)
        self.chip.set_state(view.chip, view.explanation)
        self.instruction.set_alignment(view.alignment)
        self.stack.show_view(view)
        self.demonstrate.setVisible(view.can_demonstrate)
        self.demonstrate.set_running(view.demonstrating or view.chip is Chip.SCRIPT)
        self.views.set_driver(view.driver)

    def heightForWidth(self, a0: int) -> int:
        """Returns the least height: the scroll area asks before it scrolls; the picture gives way first."""
        layout = self.layout()
        return layout.minimumHeightForWidth(a0) if layout is not None else -1

    def resizeEvent(self, a0: QResizeEvent | None) -> None:
        """Leaves out what can be spared on a low screen."""
        super().resizeEvent(a0)
        self._fit_window()

    def _fit_window(self) -> None:
        window = self.window()
        compact = window is not None and window is not self and window.height() < _COMPACT_BELOW_PX
        if compact != self._compact:
            self._compact = compact
            self.chip.set_compact(compact)
            self.instruction.set_compact(compact)
            self.stack.set_compact(compact)
            self.arms.set_compact(compact)
            self._share_line(compact and bool(self._model.leaders))

    def _share_line(self, share: bool) -> None:
        """Puts the two buttons below beside each other on a low screen."""
        ways = QBoxLayout.Direction
        self._helpers.setDirection(ways.LeftToRight if share else ways.TopToBottom)
        self.leader.set_compact(share)
        self.demonstrate.set_compact(share)

    def showEvent(self, a0: QShowEvent | None) -> None:
        """Begins to listen to keys and to refresh."""
        super().showEvent(a0)
        self._keys.start()
        for timer in (self._refresh_timer, self._strip_timer):
            timer.start()
        self._fit_window()
        self.refresh()

    def hideEvent(self, a0: QHideEvent | None) -> None:
        """Lets go of the robot and stops listening."""
        for timer in (self._refresh_timer, self._strip_timer):
            timer.stop()
        self.views.pause()
        self._keys.stop()
        super().hideEvent(a0)

    def changeEvent(self, a0: QEvent | None) -> None:
        """Follows a change of theme."""
        super().changeEvent(a0)
        if a0 is not None and a0.type() == QEvent.Type.PaletteChange and hasattr(self, "arms"):
            self.chip.retheme()
            self.stack.retheme()
            self.arms.retheme()
            self.inputs.retheme()
            self.leader.retheme()
            self.demonstrate.retheme()
