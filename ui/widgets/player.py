"""The player: pictures, transport, ruler, lanes and plots of one episode, or the sentence why not."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QSettings, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QGuiApplication, QImage
from PyQt6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSplitter,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ui import theme
from ui.theme import FontSize, Role
from ui.viewmodels.player import SPEEDS, PlayerModel
from ui.widgets.player_lanes import LaneView
from ui.widgets.player_picture import PictureWall
from ui.widgets.plot_stack import PlotStack
from ui.widgets.time_ruler import TimeRuler, time_text

_SPLIT_KEY = "episodes/player_split"
_RECOVER = "teleop recover"


class Message(QWidget):
    """An icon, a sentence and at most one button in the middle of an empty room."""

    pressed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._role = Role.MUTED
        self._icon_name = ""
        self._icon = QLabel()
        self._icon.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._title = QLabel()
        self._title.setProperty("kind", "title")
        self._title.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._title.setWordWrap(True)
        self._sentence = QLabel()
        self._sentence.setWordWrap(True)
        self._sentence.setTextFormat(Qt.TextFormat.PlainText)
        self._sentence.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._sentence.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._sentence.setMaximumWidth(theme.grid(60))
        self._sentence.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.button = QPushButton()
        self.button.clicked.connect(self.pressed)
        box = QVBoxLayout(self)
        box.setContentsMargins(theme.grid(3), theme.grid(3), theme.grid(3), theme.grid(3))
        box.setSpacing(theme.grid(1.5))
        box.addStretch(1)
        box.addWidget(self._icon)
        box.addWidget(self._title)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self._sentence, 100)
        row.addStretch(1)
        box.addLayout(row)
        box.addWidget(self.button, 0, Qt.AlignmentFlag.AlignHCenter)
        box.addStretch(1)

    @property
    def sentence(self) -> str:
        """What is said."""
        return self._sentence.text()

    def say(self, icon: str, title: str, sentence: str, button: str = "", role: Role = Role.MUTED) -> None:
        """Shows another message; an empty `button` hides it."""
        self._role, self._icon_name = role, icon
        self._title.setText(title)
        self._title.setVisible(bool(title))
        self._sentence.setText(sentence)
        self.button.setText(button)
        self.button.setVisible(bool(button))
        self.retheme()

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        if self._icon_name:
            self._icon.setPixmap(theme.icon(self._icon_name, self._role).pixmap(QSize(40, 40)))

    def changeEvent(self, a0: QEvent | None) -> None:  # noqa: N802
        """Takes the colours of another theme."""
        super().changeEvent(a0)
        if a0 is not None and a0.type() == QEvent.Type.PaletteChange:
            self.retheme()


class Transport(QFrame):
    """Buttons, clock and speed. Each button names its key in its tooltip."""

    def __init__(self, model: PlayerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.setProperty("surface", "bar")
        self._buttons: list[tuple[QToolButton, str]] = []
        box = QHBoxLayout(self)
        box.setContentsMargins(theme.grid(1), 2, theme.grid(1), 2)
        box.setSpacing(2)
        self._add(box, "skip-previous", "To the start  (Home)", model.to_start)
        self._add(box, "rewind", "Play backwards, again for faster  (J)", lambda: model.shuttle(-1))
        self._add(box, "chevron-left", "One frame back  (←)", lambda: model.step(-1))
        self.play = self._add(box, "play", "Play or pause  (Space, K)", model.toggle)
        self._add(box, "chevron-right", "One frame on  (→)", lambda: model.step(1))
        self._add(box, "fast-forward", "Play, again for faster  (L)", lambda: model.shuttle(1))
        self._add(box, "skip-next", "To the end  (End)", model.to_end)
        box.addSpacing(theme.grid(1))
        self._clock = QLabel()
        self._clock.setFont(theme.font(FontSize.BASE, tabular=True))
        self._clock.setAccessibleName("Time")
        box.addWidget(self._clock)
        box.addStretch(1)
        self.speed = QComboBox()
        self.speed.setAccessibleName("Speed")
        self.speed.setToolTip("Speed")
        self.speed.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        for speed in SPEEDS:
            self.speed.addItem(f"{speed:g}x", speed)
        self.speed.activated.connect(lambda i: model.set_speed(SPEEDS[i]))
        box.addSpacing(theme.grid(1))
        box.addWidget(self.speed)
        self.refresh()
        self.show_cursor()

    def _add(self, box: QHBoxLayout, icon: str, tip: str, slot: object) -> QToolButton:
        button = QToolButton()
        button.setFixedSize(theme.grid(4), theme.grid(4))
        button.setIconSize(QSize(20, 20))
        button.setIcon(theme.icon(icon))
        button.setToolTip(tip)
        button.setAccessibleName(tip.partition("  (")[0])
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.clicked.connect(lambda _checked=False: slot())  # pyright: ignore[reportCallIssue]
        self._buttons.append((button, icon))
        box.addWidget(button)
        return button

    def refresh(self) -> None:
        """Shows playing, speed and whether there is anything to play."""
        ready = self._model.media is not None
        for button, icon in self._buttons:
            button.setEnabled(ready)
            if button is self.play:
                button.setIcon(theme.icon("pause" if self._model.playing else "play"))
            else:
                button.setIcon(theme.icon(icon))
        self.speed.setCurrentIndex(SPEEDS.index(self._model.speed))
        self.speed.setEnabled(ready)

    def show_cursor(self) -> None:
        """Shows the time; frame numbers and skew stand over each picture."""
        media = self._model.media
        if media is None:
            self._clock.setText("")
            return
        self._clock.setText(f"{time_text(self._model.cursor_s, 0.01)} / {time_text(media.duration_s, 0.01)}")


class PlayerView(QWidget):
    """Everything about one episode's time, over a `PlayerModel`.

    Args:
        model: Moves the cursor.
        settings: Where the split between pictures and plots is kept.
        parent: Owner.
    """

    def __init__(
        self, model: PlayerModel, settings: QSettings | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.model = model
        self._settings = settings
        self.wall = PictureWall()
        self.transport = Transport(model)
        self.ruler = TimeRuler(model.axis)
        self.lanes = LaneView(model.axis)
        self.plots = PlotStack(model.axis)
        below = QWidget()
        lower = QVBoxLayout(below)
        lower.setContentsMargins(0, 0, 0, 0)
        lower.setSpacing(0)
        for widget in (self.transport, self.ruler, self.lanes):
            lower.addWidget(widget)
        lower.addWidget(self.plots, 1)
        self._split = QSplitter(Qt.Orientation.Vertical)
        self._split.setChildrenCollapsible(False)
        self._split.setHandleWidth(theme.grid(1))
        self._split.addWidget(self.wall)
        self._split.addWidget(below)
        self._split.setStretchFactor(0, 3)
        self._split.setStretchFactor(1, 2)
        self._restore_split()
        self.message = Message()
        self.message.pressed.connect(self._copy_command)
        self._stack = QStackedWidget()
        self._stack.addWidget(self._split)
        self._stack.addWidget(self.message)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self._stack)
        self._nothing = ("play-box-outline", "", "Choose an episode to see it here.")
        self._connect()
        self.refresh()

    def _connect(self) -> None:
        model = self.model
        model.mediaChanged.connect(self.refresh)
        model.problemChanged.connect(self.refresh)
        model.tracksChanged.connect(self._show_tracks)
        model.cursorMoved.connect(self._show_cursor)
        model.picturesChanged.connect(self._show_pictures)
        model.playingChanged.connect(self.transport.refresh)
        model.previewReady.connect(self._show_preview)
        self.wall.chosen.connect(self.choose_camera)
        self.ruler.hovered.connect(model.preview)
        for part in (self.ruler, self.lanes, self.plots):
            part.scrubbed.connect(self._scrub)
        self._split.splitterMoved.connect(self._remember_split)

    def _restore_split(self) -> None:
        stored = self._settings.value(_SPLIT_KEY) if self._settings is not None else None
        if not (stored is not None and self._split.restoreState(stored)):
            self._split.setSizes([360, 340])

    def _remember_split(self) -> None:
        if self._settings is not None:
            self._settings.setValue(_SPLIT_KEY, self._split.saveState())

    def choose_camera(self, camera: str) -> None:
        """Gives a camera the large place; the arrow keys step its frames."""
        self.model.set_reference(camera)
        self.wall.set_large(self.model.reference)
        self.transport.show_cursor()

    def choose_number(self, number: int) -> None:
        """Gives the camera of a number, counted from 1, the large place."""
        if 1 <= number <= len(self.wall.tiles):
            self.choose_camera(self.wall.tiles[number - 1].camera)

    def refresh(self) -> None:
        """Shows the open episode, or why there is none."""
        model = self.model
        if model.problem is not None:
            self._show_problem(model.problem.sentence)
        elif model.media is not None:
            self.wall.set_cameras([line.name for line in model.media.cameras])
            self.wall.set_large(model.reference)
            self.ruler.set_key(model.media.key_s)
            self.ruler.set_lost(
                sorted({round(float(at), 3) for line in model.media.cameras for at in line.lost})
            )
            self._stack.setCurrentWidget(self._split)
        elif model.opening:
            self._stack.setCurrentWidget(self._split)
        else:
            self.message.say(*self._nothing)
            self._stack.setCurrentWidget(self.message)
        self.transport.refresh()
        self._show_cursor()

    def _show_problem(self, sentence: str) -> None:
        hint = (
            "" if _RECOVER in sentence else f" Run `{_RECOVER}` in a terminal to repair what can be repaired."
        )
        self.message.say(
            "file-alert-outline",
            "This episode cannot be shown",
            sentence + hint,
            "Copy the command",
            Role.FAULT,
        )
        self._stack.setCurrentWidget(self.message)

    def _copy_command(self) -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(_RECOVER)

    def _show_tracks(self) -> None:
        self.lanes.set_tracks(self.model.tracks)
        opening = self.model.opening or self.model.media is not None
        self.plots.set_tracks(self.model.tracks, opening=opening)

    def _show_cursor(self) -> None:
        at_s = self.model.cursor_s
        self.ruler.set_cursor(at_s)
        self.ruler.set_in_out(self.model.span)
        self.lanes.set_cursor(at_s)
        self.plots.set_cursor(at_s)
        self.transport.show_cursor()

    def _show_pictures(self) -> None:
        self.wall.set_pictures(self.model.pictures)
        self.transport.show_cursor()

    def _show_preview(self, at_s: float, image: QImage) -> None:
        self.ruler.show_preview(at_s, image)

    def _scrub(self, at_s: float) -> None:
        self.model.pause()
        self.model.seek(at_s)

    def changeEvent(self, a0: QEvent | None) -> None:  # noqa: N802
        """Takes the colours of another theme."""
        super().changeEvent(a0)
        if a0 is not None and a0.type() == QEvent.Type.PaletteChange and hasattr(self, "transport"):
            self.transport.refresh()
