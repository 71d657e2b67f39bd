"""The Home page: three questions at first, then one big button."""

from __future__ import annotations

# ruff: noqa: N802
import time
from datetime import datetime

from PyQt6.QtCore import QEvent, QSize, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QHideEvent, QPixmap, QShowEvent
from PyQt6.QtWidgets import (
    QComboBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from sessions.states import EpisodeState
from ui import theme
from ui.theme import FontSize, Role
from ui.viewmodels.home import HealthLevel, HomeModel, RecentLine, TaskLine
from ui.widgets.labels import ElidedLabel, clock_text

_REFRESH_MS = 1000
_THUMB = QSize(64, 48)
_HEALTH = {
    HealthLevel.OK: ("check-circle-outline", Role.GOOD),
    HealthLevel.WAIT: ("clock-outline", Role.WARNING),
    HealthLevel.FAULT: ("alert-octagon", Role.FAULT),
}
_STATES = {
    EpisodeState.PENDING: ("awaits verdict", Role.WARNING),
    EpisodeState.SAVED: ("saved", Role.GOOD),
    EpisodeState.DISCARDED: ("discarded", Role.MUTED),
}


class HomePage(QWidget):
    """First-run card, or the overview.

    Args:
        model: The page's state.
        parent: Owner.
    """

    collectWanted = pyqtSignal()
    episodeChosen = pyqtSignal(str)

    def __init__(self, model: HomeModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.welcome = WelcomeCard(model)
        self.overview = Overview(model)
        self.overview.collectWanted.connect(self.collectWanted)
        self.overview.episodeChosen.connect(self.episodeChosen)
        self._stack = QStackedWidget()
        self._stack.addWidget(_centered(self.welcome))
        self._stack.addWidget(self.overview)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self._stack)
        self._was_first_run = model.first_run
        self._timer = QTimer(self)
        self._timer.setInterval(_REFRESH_MS)
        self._timer.timeout.connect(model.refresh)
        model.changed.connect(self.refresh)
        model.busyChanged.connect(self._on_busy)
        model.sessionOpened.connect(self._on_opened)
        self._choose()
        self.refresh()

    @property
    def asks(self) -> bool:
        """Whether the three questions are shown."""
        return self._stack.currentIndex() == 0

    def _choose(self) -> None:
        self._stack.setCurrentIndex(0 if self._was_first_run else 1)
        self.setFocusProxy(self.welcome if self._was_first_run else self.overview)

    def _on_opened(self, _operator: str, _task: str) -> None:
        self._was_first_run = False
        self._choose()
        self.refresh()
        self.collectWanted.emit()

    def _on_busy(self, busy: str) -> None:
        self.welcome.set_busy(busy)
        self.overview.set_busy(busy)

    def refresh(self) -> None:
        """Brings the page to the model's state."""
        if self.asks:
            self.welcome.refresh()
        else:
            self.overview.refresh()

    def showEvent(self, a0: QShowEvent | None) -> None:
        """Reads the catalog while shown."""
        super().showEvent(a0)
        self._model.refresh()
        self.refresh()
        self._timer.start()

    def hideEvent(self, a0: QHideEvent | None) -> None:
        """Stops reading."""
        self._timer.stop()
        super().hideEvent(a0)

    def changeEvent(self, a0: QEvent | None) -> None:
        """Follows a change of theme."""
        super().changeEvent(a0)
        if a0 is not None and a0.type() == QEvent.Type.PaletteChange and hasattr(self, "_timer"):
            self.overview.rebuild()


def _centered(card: QWidget) -> QWidget:
    holder = QWidget()
    box = QGridLayout(holder)
    box.addWidget(card, 0, 0, Qt.AlignmentFlag.AlignCenter)
    return holder


def _panel(title: str) -> tuple[QFrame, QVBoxLayout]:
    frame = QFrame()
    frame.setProperty("surface", "panel")
    box = QVBoxLayout(frame)
    box.setContentsMargins(theme.grid(3), theme.grid(2), theme.grid(3), theme.grid(2.5))
    box.setSpacing(theme.grid(1.5))
    head = QLabel(title)
    head.setProperty("kind", "label")
    box.addWidget(head)
    return frame, box


class WelcomeCard(QFrame):
    """Three questions with answers already filled in: Enter, Enter, Enter."""

    def __init__(self, model: HomeModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.setProperty("surface", "panel")
        self.setFixedWidth(theme.grid(64))
        station, person, _task = model.defaults()
        title = QLabel("Three questions, then you drive")
        title.setFont(theme.font(FontSize.STATE, bold=True))
        about = QLabel(
            "This starts a simulated cell with two arms. Everything you record stays on this computer."
        )
        about.setWordWrap(True)
        about.setProperty("kind", "muted")
        self.station = QLineEdit(station)
        self.person = QLineEdit(person)
        self.task = QComboBox()
        self.instruction = QLabel()
        self.instruction.setProperty("kind", "muted")
        self.instruction.setWordWrap(True)
        self.start = QPushButton("Start the simulated cell   Enter")
        self.start.setProperty("kind", "primary")
        self.start.setMinimumHeight(theme.grid(6))
        self.start.setAutoDefault(True)
        self.bar = QProgressBar()
        self.bar.setRange(0, 0)
        self.bar.setTextVisible(False)
        self.note = QLabel(" ")
        self.note.setProperty("kind", "muted")
        box = QVBoxLayout(self)
        box.setContentsMargins(theme.grid(5), theme.grid(4), theme.grid(5), theme.grid(4))
        box.setSpacing(theme.grid(1))
        box.addWidget(title)
        box.addWidget(about)
        box.addSpacing(theme.grid(2))
        for question, answer in (
            ("What is this station called?", self.station),
            ("What is your name?", self.person),
            ("Which task do you want to show?", self.task),
        ):
            label = QLabel(question)
            label.setBuddy(answer)
            answer.setMinimumHeight(theme.grid(4.5))
            answer.setAccessibleName(question)
            box.addWidget(label)
            box.addWidget(answer)
            box.addSpacing(theme.grid(1))
        box.addWidget(self.instruction)
        box.addSpacing(theme.grid(2))
        box.addWidget(self.start)
        box.addWidget(self.bar)
        box.addWidget(self.note)
        self.station.returnPressed.connect(self.person.setFocus)
        self.person.returnPressed.connect(self.task.setFocus)
        self.task.installEventFilter(self)
        self.task.currentIndexChanged.connect(self._show_instruction)
        self.start.clicked.connect(self._begin)
        self.setFocusProxy(self.station)
        self.set_busy("")
        self.refresh()

    def refresh(self) -> None:
        """Offers the tasks there are."""
        names = [task.name for task in self._model.tasks]
        if names != [self.task.itemText(i) for i in range(self.task.count())]:
            chosen = self.task.currentText()
            self.task.clear()
            self.task.addItems(names)
            self.task.setCurrentText(chosen or self._model.defaults()[2])
        self._show_instruction()

    def _show_instruction(self) -> None:
        task = next((t for t in self._model.tasks if t.name == self.task.currentText()), None)
        self.instruction.setText(f"“{task.instruction}”" if task is not None and task.instruction else " ")

    def set_busy(self, busy: str) -> None:
        """Shows what is under way and locks the answers meanwhile."""
        for widget in (self.station, self.person, self.task, self.start):
            widget.setEnabled(not busy)
        policy = self.bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.bar.setSizePolicy(policy)
        self.bar.setVisible(bool(busy))
        self.note.setText(f"{busy} …" if busy else " ")

    def eventFilter(self, a0: object, a1: QEvent | None) -> bool:
        """Enter on the task starts, instead of doing nothing as combo boxes do."""
        if a0 is self.task and a1 is not None and a1.type() == QEvent.Type.KeyPress:
            if a1.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):  # type: ignore[attr-defined]
                self._begin()
                return True
        return False

    def _begin(self) -> None:
        self._model.begin(self.station.text(), self.person.text(), self.task.currentText())


class Overview(QWidget):
    """Start card, progress, newest episodes, health."""

    collectWanted = pyqtSignal()
    episodeChosen = pyqtSignal(str)

    def __init__(self, model: HomeModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._shown: tuple[object, ...] = ()
        start, start_box = _panel("Collect")
        progress, self._progress_box = _panel("Progress")
        recent, self._recent_box = _panel("Newest episodes")
        health, self._health_box = _panel("Station")
        self._fill_start(start_box)
        grid = QGridLayout(self)
        grid.setContentsMargins(theme.grid(3), theme.grid(3), theme.grid(3), theme.grid(3))
        grid.setSpacing(theme.grid(2))
        grid.addWidget(start, 0, 0)
        grid.addWidget(progress, 0, 1)
        grid.addWidget(recent, 1, 0)
        grid.addWidget(health, 1, 1)
        grid.setColumnStretch(0, 3)
        grid.setColumnStretch(1, 2)
        grid.setRowStretch(0, 2)
        grid.setRowStretch(1, 3)
        self._bodies: dict[str, QWidget] = {}
        self.setFocusProxy(self.start)

    def _fill_start(self, box: QVBoxLayout) -> None:
        self.person = QComboBox()
        self.person.setEditable(True)
        self.person.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.task = QComboBox()
        self.instruction = QLabel()
        self.instruction.setWordWrap(True)
        self.instruction.setFont(theme.font(FontSize.STATE))
        self.start = QPushButton("Start collecting")
        self.start.setProperty("kind", "primary")
        self.start.setFont(theme.font(16, bold=True))
        self.start.setMinimumHeight(theme.grid(7))
        self.start.setAutoDefault(True)
        self.start.setIconSize(QSize(24, 24))
        self.note = QLabel(" ")
        self.note.setProperty("kind", "muted")
        form = QGridLayout()
        form.setHorizontalSpacing(theme.grid(2))
        form.setVerticalSpacing(theme.grid(1))
        for row, (text, field) in enumerate((("Operator", self.person), ("Task", self.task))):
            label = QLabel(text)
            label.setBuddy(field)
            field.setMinimumHeight(theme.grid(4.5))
            field.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            form.addWidget(label, row, 0)
            form.addWidget(field, row, 1)
        form.setColumnStretch(1, 1)
        box.addWidget(self.instruction)
        box.addStretch(1)
        box.addLayout(form)
        box.addWidget(self.start)
        box.addWidget(self.note)
        self.start.clicked.connect(self._begin)
        self.task.currentIndexChanged.connect(self._show_instruction)

    def _begin(self) -> None:
        same = self._model.session and self._model.current_task == self.task.currentText()
        if same:
            self.collectWanted.emit()
        else:
            self._model.start_session(self.person.currentText(), self.task.currentText())

    def _show_instruction(self) -> None:
        task = next((t for t in self._model.tasks if t.name == self.task.currentText()), None)
        self.instruction.setText(task.instruction if task is not None else "Choose a task.")
        going_on = self._model.session and self._model.current_task == self.task.currentText()
        self.start.setText("Go on collecting" if going_on else "Start collecting")

    def set_busy(self, busy: str) -> None:
        """Shows what is under way and locks the start meanwhile."""
        self.start.setEnabled(not busy)
        self.note.setText(f"{busy} …" if busy else " ")

    def refresh(self) -> None:
        """Brings the cards to the model's state; touches only the cards that changed."""
        model = self._model
        _, person, task = model.defaults()
        _offer(self.person, list(model.people), person)
        _offer(self.task, [line.name for line in model.tasks], task)
        self._show_instruction()
        shown = (model.tasks, model.recent, tuple(model.health()))
        if shown != self._shown:
            self._shown = shown
            self.rebuild()

    def rebuild(self) -> None:
        """Makes the three lists anew."""
        self._put("progress", self._progress_box, self._progress())
        self._put("recent", self._recent_box, self._recent())
        self._put("health", self._health_box, self._health())

    def _put(self, name: str, box: QVBoxLayout, body: QWidget) -> None:
        old = self._bodies.pop(name, None)
        if old is not None:
            box.removeWidget(old)
            old.hide()
            old.deleteLater()
        self._bodies[name] = body
        box.addWidget(body, 1)
        body.show()

    def _progress(self) -> QWidget:
        body, box = _column()
        tasks = sorted(self._model.tasks, key=lambda t: (t.target == 0, t.name))
        if not tasks:
            box.addWidget(_empty("Each task and how many of its episodes are saved will be listed here."))
        for task in tasks[:6]:
            box.addLayout(_progress_row(task))
        box.addStretch(1)
        return body

    def _recent(self) -> QWidget:
        body, box = _column()
        if not self._model.recent:
            box.addWidget(_empty("Your newest episodes will be here, with a picture of each."))
            button = QPushButton("Record the first one")
            button.clicked.connect(self._begin)
            box.addWidget(button, 0, Qt.AlignmentFlag.AlignLeft)
        for line in self._model.recent:
            row = EpisodeRowButton(line, self._model.thumbnail(line.uuid))
            row.clicked.connect(lambda _checked=False, u=line.uuid: self.episodeChosen.emit(u))
            box.addWidget(row)
        box.addStretch(1)
        return body

    def _health(self) -> QWidget:
        body, box = _column()
        for line in self._model.health():
            icon_name, role = _HEALTH[line.level]
            icon = QLabel()
            icon.setPixmap(theme.icon(icon_name, role).pixmap(QSize(18, 18)))
            name = QLabel(line.name)
            text = QLabel(line.text)
            text.setWordWrap(True)
            text.setProperty("kind", "muted" if line.level is HealthLevel.OK else "")
            row = QHBoxLayout()
            row.setSpacing(theme.grid(1))
            row.addWidget(icon, 0, Qt.AlignmentFlag.AlignTop)
            name.setFixedWidth(theme.grid(21))
            row.addWidget(name, 0, Qt.AlignmentFlag.AlignTop)
            row.addWidget(text, 1)
            box.addLayout(row)
        box.addStretch(1)
        return body


class EpisodeRowButton(QPushButton):
    """One episode: picture, task, who and when, length, state. A click opens it."""

    def __init__(self, line: RecentLine, picture: bytes | None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "plain")
        self.setFixedHeight(_THUMB.height() + 6)
        self.setStyleSheet("QPushButton { padding: 0; text-align: left; }")
        thumb = QLabel()
        thumb.setFixedSize(_THUMB)
        thumb.setStyleSheet(f"background: {theme.tokens().window}; border-radius: 3px;")
        pixmap = QPixmap()
        if picture and pixmap.loadFromData(picture):
            thumb.setPixmap(
                pixmap.scaled(
                    _THUMB, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
                )
            )
            thumb.setAlignment(Qt.AlignmentFlag.AlignCenter)
        task = ElidedLabel(line.task)
        when = ElidedLabel(f"{line.operator}, {ago(line.started_utc_ns, time.time_ns())}")
        when.setProperty("kind", "muted")
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addStretch(1)
        words.addWidget(task)
        words.addWidget(when)
        words.addStretch(1)
        length = QLabel(clock_text(line.duration_s, tenths=True))
        length.setFont(theme.font(tabular=True))
        word, role = _STATES[line.state]
        state = QLabel(word)
        state.setStyleSheet(f"color: {theme.accent_text(role)};")
        state.setFixedWidth(theme.grid(13))
        row = QHBoxLayout(self)
        row.setContentsMargins(theme.grid(0.5), 0, theme.grid(1), 0)
        row.setSpacing(theme.grid(2))
        row.addWidget(thumb)
        row.addLayout(words, 1)
        row.addWidget(length)
        row.addWidget(state)
        for label in (thumb, task, when, length, state):
            label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAccessibleName(f"Episode of {line.task} by {line.operator}, {word}")


def _column() -> tuple[QWidget, QVBoxLayout]:
    body = QWidget()
    box = QVBoxLayout(body)
    box.setContentsMargins(0, 0, 0, 0)
    box.setSpacing(theme.grid(1))
    return body, box


def _empty(text: str) -> QLabel:
    label = QLabel(text)
    label.setProperty("kind", "muted")
    label.setWordWrap(True)
    return label


def _progress_row(task: TaskLine) -> QVBoxLayout:
    name = ElidedLabel(task.name)
    count = QLabel(f"{task.saved} of {task.target}" if task.target else f"{task.saved} saved")
    count.setFont(theme.font(tabular=True))
    count.setProperty("kind", "muted")
    head = QHBoxLayout()
    head.addWidget(name, 1)
    head.addWidget(count)
    bar = QProgressBar()
    bar.setTextVisible(False)
    bar.setRange(0, max(task.target, 1))
    bar.setValue(min(task.saved, task.target))
    box = QVBoxLayout()
    box.setSpacing(theme.grid(0.5))
    box.addLayout(head)
    if task.target:
        box.addWidget(bar)
    return box


def _offer(field: QComboBox, names: list[str], default: str) -> None:
    """Offers these names and keeps what was chosen or typed; at first the default."""
    if names == [field.itemText(i) for i in range(field.count())]:
        return
    chosen = field.currentText()
    field.clear()
    field.addItems(names)
    field.setCurrentText(chosen or default)


def ago(then_utc_ns: int, now_utc_ns: int) -> str:
    """Returns when something was, in words as short as the distance allows."""
    seconds = max((now_utc_ns - then_utc_ns) / 1e9, 0.0)
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{int(seconds // 60)} min ago"
    if seconds < 86_400:
        return f"{int(seconds // 3600)} h ago"
    return datetime.fromtimestamp(then_utc_ns / 1e9).astimezone().strftime("%d %b %Y, %H:%M")
