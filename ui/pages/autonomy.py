"""The Autonomy page: watch a policy, take over, correct it, and label what happened."""

from __future__ import annotations

# ruff: noqa: N802
from PyQt6.QtCore import QEvent, QSettings, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QHideEvent, QResizeEvent, QShowEvent
from PyQt6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from teleop_app.core.types import AuthorityMode, ControlTick, PolicyChunk, RecorderState
from ui import theme
from ui.actions import ActionRegistry
from ui.bridge import StationBridge
from ui.cell_views import CellViews
from ui.chunk_pictures import ChunkPictures
from ui.drive_keys import DriveKeys
from ui.gl.scene_feed import SceneSource
from ui.theme import FontSize, Role
from ui.viewmodels.autonomy import AutonomyModel, AutonomyView
from ui.viewmodels.autonomy_takeovers import REASONS
from ui.viewmodels.collect_view import CollectView
from ui.viewmodels.device_buttons import device_buttons
from ui.widgets.arm_selector import ArmSelector
from ui.widgets.authority_buttons import ActionButton, PolicyButton, RolloutButton, SeizeButton
from ui.widgets.authority_modes import ModeSelector
from ui.widgets.authority_takeovers import TakeoverList
from ui.widgets.authority_who import WhoPanel
from ui.widgets.autonomy_strips import AutonomyStrips
from ui.widgets.autonomy_summary import AutonomySummary
from ui.widgets.banner import Banner
from ui.widgets.camera_tile import WidgetTile
from ui.widgets.chunk_plot import ChunkPlot
from ui.widgets.episode_cards import EpisodeCards
from ui.widgets.labels import ElidedLabel
from ui.widgets.leader_button import LeaderButton
from ui.widgets.policy_bar import PolicyBar

PLAN_TILE = "Plan of a joint"
_REFRESH_MS = 50
_SUMMARY_PX = theme.grid(44)
_TALL_PX = 900
"""Height of the window from which the cards have their full height."""


class AutonomyPage(QWidget):
    """Policy and cameras on the left; who drives, the episode and the takeovers on the right.

    Args:
        bridge: Signals of the station.
        model: The page's state, which the window has already connected to the bridge.
        actions: The declared actions.
        scene: What the 3-D view draws; None leaves the view out.
        settings: Where the large view is remembered.
        summary: The session's figures, None without a catalog.
        parent: Owner.
    """

    sessionWanted = pyqtSignal()
    """There is no session to record in; the window shows Home."""

    def __init__(
        self,
        bridge: StationBridge,
        model: AutonomyModel,
        actions: ActionRegistry,
        scene: SceneSource | None = None,
        settings: QSettings | None = None,
        summary: AutonomySummary | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._model = model
        self.summary = summary
        self._actions = actions
        self._view: AutonomyView | None = None
        self._episode: CollectView | None = None
        self._tall = True
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.views = CellViews(bridge, model.collect, scene, settings, "autonomy/large", self, numbered=False)
        self._keys = DriveKeys(model.collect, actions, self)
        self.plan = ChunkPlot(scene.joint_names if scene is not None else ())
        self.views.mosaic.add(WidgetTile(PLAN_TILE, self.plan))
        self.views.restore_large()
        self.views.mosaic.largeChanged.connect(self._fit_plan)
        self._fit_plan(self.views.mosaic.large)
        self._pictures = (
            ChunkPictures(scene, self.views.cameras, self.views.scene_view) if scene is not None else None
        )
        box = QHBoxLayout(self)
        box.setContentsMargins(theme.grid(1), theme.grid(1), theme.grid(1), theme.grid(1))
        box.setSpacing(theme.grid(1))
        box.addLayout(self._build_left(), 1)
        box.addWidget(self._build_column())
        self._connect()
        self._follow(bridge)
        self._bind()
        self._timer = QTimer(self)
        self._timer.setInterval(_REFRESH_MS)
        self._timer.timeout.connect(self.refresh)
        self._theme = theme.tokens().name
        self._repaint = QTimer(self)
        self._repaint.setSingleShot(True)
        self._repaint.setInterval(0)
        self._repaint.timeout.connect(self._retheme)
        self.refresh()

    # Building

    def _build_left(self) -> QVBoxLayout:
        self.instruction = ElidedLabel()
        self.instruction.setFont(theme.font(FontSize.STATE))
        self.progress = QLabel()
        self.progress.setFont(theme.font(tabular=True))
        self.progress.setProperty("kind", "muted")
        head = QHBoxLayout()
        head.setSpacing(theme.grid(2))
        head.addWidget(self.instruction, 1)
        head.addWidget(self.progress)
        self.strips = AutonomyStrips()
        self.policy = PolicyBar(self._model.desk, self._actions.key_label)
        self.help = Banner(self.views.mosaic)
        left = QVBoxLayout()
        left.setSpacing(theme.grid(1))
        left.addLayout(head)
        left.addWidget(self.policy)
        middle = QHBoxLayout()
        middle.setSpacing(theme.grid(1))
        middle.addWidget(self.views.mosaic, 1)
        if self.summary is not None:
            middle.addWidget(self._build_summary(self.summary))
        left.addLayout(middle, 1)
        left.addWidget(self.strips)
        return left

    def _build_summary(self, summary: AutonomySummary) -> QWidget:
        """The session's figures, folded away at first."""
        panel = QFrame()
        panel.setFixedWidth(_SUMMARY_PX)
        inside = QVBoxLayout(panel)
        inside.setContentsMargins(theme.grid(1), 0, 0, 0)
        inside.addWidget(summary)
        panel.hide()
        self.figures = QPushButton("Figures")
        self.figures.setCheckable(True)
        self.figures.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.figures.setToolTip("How often it succeeds, how often it is helped, version by version.")
        self.figures.setStyleSheet("padding: 4px 10px;")
        self.figures.toggled.connect(panel.setVisible)
        self.policy.extra.addWidget(self.figures)
        return panel

    def _build_column(self) -> QWidget:
        key = self._actions.key_label
        model = self._model
        self.who = WhoPanel()
        self.modes = ModeSelector(key)
        self.give = PolicyButton(key("policy.toggle"))
        self.seize = SeizeButton(key("clutch"))
        self.rollout = RolloutButton(key("rollout"))
        self.rewind = ActionButton(
            "Rewind",
            "Rewind",
            "rewind",
            key("rewind"),
            "Takes the robot back along the path that it came, to try again.",
        )
        self.teach = ActionButton(
            "Teach from here",
            "Teach",
            "school-outline",
            key("phase.correct"),
            "The robot is back where the policy knows its way: what follows shows how to go on.",
        )
        self.success = ActionButton(
            "Success",
            "Success",
            "check-circle-outline",
            key("outcome.success"),
            "The task was achieved. While the keys hold an arm, this key drives; let go first.",
            "good",
        )
        self.failure = ActionButton(
            "Failure",
            "Failure",
            "close-circle-outline",
            key("outcome.failure"),
            "The task was not achieved. While the keys hold an arm, this key drives; let go first.",
            "fault",
        )
        self.cards = EpisodeCards(
            self._actions,
            model.collect.config.recording,
            device_buttons(model.collect.config),
            tight=True,
        )
        self.arms = ArmSelector(model.collect.driving.arms, key("arm"), "")
        self.arms.set_compact(True)
        self.leader = LeaderButton(key("leader.engage"))
        self.leader.set_compact(True)
        self.leader.setVisible(bool(model.collect.leaders))
        self.takeovers = TakeoverList(key)
        column = QFrame()
        column.setProperty("surface", "panel")
        column.setFixedWidth(theme.RIGHT_COLUMN_WIDTH_PX)
        box = QVBoxLayout(column)
        box.setContentsMargins(theme.grid(2), theme.grid(1.5), theme.grid(2), theme.grid(1.5))
        box.setSpacing(theme.grid(0.75))
        box.addWidget(self.who)
        box.addWidget(self.modes)
        box.addLayout(_row(self.give, self.seize))
        box.addLayout(_row(self.rollout, self.rewind, self.teach))
        box.addWidget(self.cards)
        box.addLayout(_row(self.success, self.failure))
        self._arms_row = QWidget()
        arms = QHBoxLayout(self._arms_row)
        arms.setContentsMargins(0, 0, 0, 0)
        arms.setSpacing(theme.grid(1))
        arms.addWidget(self.arms, 1)
        arms.addWidget(self.leader)
        box.addWidget(self._arms_row)
        box.addWidget(self.takeovers, 1)
        return column

    def _connect(self) -> None:
        model = self._model
        self.modes.chosen.connect(model.set_mode)
        self.modes.blendChosen.connect(model.set_blend)
        self.policy.speedChosen.connect(model.set_speed)
        self.policy.done.connect(self._take_focus)
        self.give.clicked.connect(self._toggle_policy)
        self.seize.clicked.connect(self._toggle_clutch)
        self.rollout.clicked.connect(self._toggle_rollout)
        self.rewind.clicked.connect(model.rewind)
        self.teach.clicked.connect(model.teach)
        self.success.clicked.connect(lambda: self._judge("success"))
        self.failure.clicked.connect(lambda: self._judge("failure"))
        self.takeovers.explained.connect(self._explain)
        self.cards.recordPressed.connect(self._record)
        self.cards.sessionWanted.connect(self.sessionWanted)
        self.arms.chosen.connect(self._choose_arm)
        self.arms.mirrorClicked.connect(model.collect.toggle_symmetry)
        self.arms.preciseClicked.connect(self._toggle_precise)
        self.leader.clicked.connect(self._toggle_leader)

    def _follow(self, bridge: StationBridge) -> None:
        """Feeds what draws the policy's proposals."""
        bridge.ticksArrived.connect(self._on_ticks)
        bridge.chunkArrived.connect(self._on_chunk)
        bridge.policyChanged.connect(self.strips.set_status)
        bridge.linkChanged.connect(self._on_link)
        if self._pictures is not None:
            bridge.cameraChanged.connect(self._pictures.on_camera)

    def _fit_plan(self, large: str) -> None:
        """A small tile has no room to choose a joint."""
        self.plan.joint.setVisible(large == PLAN_TILE)

    def _on_ticks(self, ticks: list[ControlTick]) -> None:
        for tick in ticks:
            self.strips.add_tick(tick)
            self.plan.add_tick(tick)
        if ticks and self._pictures is not None:
            self._pictures.on_tick(ticks[-1])

    def _on_chunk(self, chunk: PolicyChunk) -> None:
        self.strips.add_chunk(chunk)
        self.plan.add_chunk(chunk)
        if self._pictures is not None:
            self._pictures.on_chunk(chunk)

    def _on_link(self, linked: bool) -> None:
        if not linked:
            self.strips.clear()
            self.plan.clear()
            if self._pictures is not None:
                self._pictures.clear()

    def _bind(self) -> None:
        model, collect = self._model, self._model.collect
        for action, slot in (
            ("clutch", self._toggle_clutch),
            ("leader.engage", self._toggle_leader),
            ("record", self._record),
            ("save", self._save),
            ("redo", collect.redo),
            ("discard", collect.discard),
            ("undo", self._undo),
            ("next", collect.next_instruction),
            ("arm", self._next_arm),
            ("policy.toggle", self._toggle_policy),
            ("rollout", self._toggle_rollout),
            ("rewind", model.rewind),
            ("phase.correct", model.teach),
            ("blend.less", lambda: model.step_blend(-1)),
            ("blend.more", lambda: model.step_blend(1)),
            ("view.next", self.views.mosaic.choose_next),
            ("policy.panel", self.policy.focus),
            ("outcome.success", lambda: self._judge("success")),
            ("outcome.failure", lambda: self._judge("failure")),
        ):
            self._actions.bind(action, slot, self)
        for mode in AuthorityMode:
            if mode is not AuthorityMode.PAUSED:
                self._actions.bind(f"mode.{mode}", lambda m=mode: model.set_mode(m), self)
        for reason in REASONS:
            self._actions.bind(f"reason.{reason}", lambda r=reason: self._explain(r), self)
        self._actions.changed.connect(self._on_key_changed)

    def _on_key_changed(self, action_id: str) -> None:
        buttons = {
            "policy.toggle": self.give,
            "clutch": self.seize,
            "rollout": self.rollout,
            "rewind": self.rewind,
            "phase.correct": self.teach,
            "outcome.success": self.success,
            "outcome.failure": self.failure,
            "leader.engage": self.leader,
        }
        if (button := buttons.get(action_id)) is not None:
            button.set_key(self._actions.key_label(action_id))
        self.takeovers.retheme()
        self.modes.retheme()

    # What is pressed

    def _take_focus(self) -> None:
        self.setFocus(Qt.FocusReason.OtherFocusReason)

    def _pressed_control(self) -> bool:
        """Presses the button of the policy's bar that has the focus, if any; never while a policy drives."""
        focus = QApplication.focusWidget()
        inside = isinstance(focus, QAbstractButton) and self.policy.isAncestorOf(focus)
        if not inside or self._model.view().driving or not isinstance(focus, QAbstractButton):
            return False
        focus.click()
        return True

    def _toggle_clutch(self) -> None:
        if self._pressed_control():
            return
        self._take_focus()
        self._model.collect.toggle_clutch()
        self._keys.send()
        self.refresh()

    def _save(self) -> None:
        if not self._pressed_control():
            self._model.collect.save()

    def _toggle_policy(self) -> None:
        self._model.toggle_policy()
        self.refresh()

    def _toggle_rollout(self) -> None:
        self._model.toggle_rollout()
        self.refresh()

    def _toggle_leader(self) -> None:
        self._model.collect.toggle_leader()
        self._keys.send()
        self.refresh()

    def _toggle_precise(self) -> None:
        driving = self._model.collect.driving
        driving.precise = not driving.precise
        self.refresh()

    def _record(self) -> None:
        if self._episode is not None and self._episode.session:
            self._model.collect.record_or_stop()
        else:
            self.sessionWanted.emit()

    def _judge(self, outcome: str) -> None:
        self._model.judge(outcome)
        self.refresh()

    def _explain(self, reason: str) -> None:
        self._model.explain(reason)
        self.refresh()

    def _undo(self) -> None:
        self._model.undo()
        self.refresh()

    def _next_arm(self) -> None:
        focus = QApplication.focusWidget()
        if focus is not None and self.policy.isAncestorOf(focus):
            focus.focusNextChild()
            return
        self._model.collect.driving.select_next()
        self.refresh()

    def _choose_arm(self, arm: str) -> None:
        self._model.collect.driving.select(arm)
        self.refresh()

    # What is shown

    def refresh(self) -> None:
        """Brings the widgets to the model's state; touches only what changed."""
        view, episode = self._model.view(), self._model.collect.view()
        driving = self._model.collect.driving
        self._actions.set_driving(view.held)
        self.arms.set_arms(driving.selected, driving.engaged or driving.dragging)
        self.arms.set_precise(driving.precise)
        self.arms.set_mirrored(self._model.collect.symmetry)
        self.leader.set_driving(self._model.collect.leaders.driving(self._model.collect.tick))
        if episode != self._episode:
            self._show_episode(episode)
        if view != self._view:
            self._show(view)
        self.views.refresh()
        if self._pictures is not None:
            self._pictures.refresh()

    def _show_episode(self, episode: CollectView) -> None:
        before, self._episode = self._episode, episode
        if before is None or episode.recorder is not before.recorder:
            self._keys.allow_autosave()
        self.instruction.setText(episode.instruction or "No instruction yet")
        target = f" of {episode.target}" if episode.target else ""
        self.progress.setText(f"{episode.task}   {episode.saved}{target} saved" if episode.session else "")
        self.cards.show_view(episode)
        self._fit_arms()

    def _show(self, view: AutonomyView) -> None:
        before, self._view = self._view, view
        self.who.set_view(view.who)
        self.modes.set_mode(view.mode, view.blend)
        self.give.set_policy(view.driving, view.ready, self._model.desk.why_not)
        self.seize.set_held(view.held)
        self.rollout.set_running(view.rollout or view.starting)
        self.teach.set_wanted(view.recovering)
        self.teach.setEnabled(view.recovering)
        self.success.set_wanted(view.outcome == "success")
        self.failure.set_wanted(view.outcome == "failure")
        for button, action in ((self.success, "outcome.success"), (self.failure, "outcome.failure")):
            button.setEnabled(view.can_judge)
            if before is None or view.held != before.held:  # while they hold an arm, these keys drive
                button.set_key("" if view.held else self._actions.key_label(action))
        self.takeovers.set_takeovers(view.takeovers, view.unexplained)
        self._show_help(view.help_text, before.help_text if before is not None else "")
        self.policy.set_moving(view.driving)
        self.policy.set_speed(view.speed)
        self.views.set_driver(view.who.driver)
        if view.driving and (before is None or not before.driving):
            self._take_focus()  # the next Space is to seize the robot

    def _show_help(self, text: str, before: str) -> None:
        if text and text != before:
            self.help.show_sentence(
                f"{text} {self._actions.key_label('clutch')} takes over.", role=Role.POLICY
            )
        elif before and not text:
            self.help.clear()

    def _fit_window(self) -> None:
        window = self.window()
        tall = window is None or window is self or window.height() >= _TALL_PX
        if tall != self._tall:
            self._tall = tall
            self.cards.set_compact(not tall)
            self._fit_arms()

    def _fit_arms(self) -> None:
        """On a low screen the verdict takes the room of the arms, of which none is driven then."""
        reviewed = self._episode is not None and self._episode.recorder is RecorderState.REVIEW
        self._arms_row.setVisible(self._tall or not reviewed)

    def heightForWidth(self, a0: int) -> int:
        """Returns the least height: the scroll area asks before it scrolls; the pictures give way first."""
        layout = self.layout()
        return layout.minimumHeightForWidth(a0) if layout is not None else -1

    def showEvent(self, a0: QShowEvent | None) -> None:
        """Begins to listen to keys and to refresh."""
        super().showEvent(a0)
        self._keys.start()
        self._timer.start()
        self._fit_window()
        self.refresh()

    def hideEvent(self, a0: QHideEvent | None) -> None:
        """Lets go of the robot and stops listening; a policy that drives goes on."""
        self._timer.stop()
        self.views.pause()
        self._keys.stop()
        self._actions.set_driving(False)
        super().hideEvent(a0)

    def resizeEvent(self, a0: QResizeEvent | None) -> None:
        """Leaves out what can be spared on a low screen."""
        super().resizeEvent(a0)
        self._fit_window()

    def changeEvent(self, a0: QEvent | None) -> None:
        """Follows a change of theme, after Qt has gone through all widgets: some are made anew."""
        super().changeEvent(a0)
        if a0 is not None and a0.type() == QEvent.Type.PaletteChange and hasattr(self, "_repaint"):
            self._repaint.start()

    def _retheme(self) -> None:
        if theme.tokens().name == self._theme:
            return
        self._theme = theme.tokens().name
        for part in (
            self.who,
            self.modes,
            self.give,
            self.seize,
            self.rollout,
            self.rewind,
            self.teach,
            self.success,
            self.failure,
            self.cards,
            self.arms,
            self.leader,
            self.takeovers,
            self.policy,
            self.help,
        ):
            part.retheme()


def _row(*buttons: QPushButton) -> QHBoxLayout:
    """Lays buttons out side by side, equally wide, in short words."""
    row = QHBoxLayout()
    row.setSpacing(theme.grid(0.75))
    for button in buttons:
        button.setMinimumHeight(theme.grid(4.5))
        if isinstance(button, PolicyButton | SeizeButton | RolloutButton | ActionButton):
            button.set_compact(True)
        row.addWidget(button, 1)
    return row
