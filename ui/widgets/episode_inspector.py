"""The inspector: what is known of one episode, in the order in which one doubts it."""

from __future__ import annotations

from datetime import datetime

from PyQt6.QtCore import QEvent, QSize, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import (
    QFormLayout,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from sessions import EpisodeRow, EpisodeState, EventKind, EventRow, StreamRow
from ui import theme
from ui.theme import FontSize, Role
from ui.viewmodels.episodes import EpisodeDetails
from ui.widgets.episode_table import length_text, outcome_word, size_text, verdict_look
from ui.widgets.labels import ElidedLabel


class EpisodeInspector(QScrollArea):
    """Shows an `EpisodeDetails`; the verdict buttons stay at the top.

    Args:
        keys: Key labels for accept and discard, shown on their buttons.
        parent: Owner.
    """

    acceptWanted = pyqtSignal()
    discardWanted = pyqtSignal()
    folderWanted = pyqtSignal()

    def __init__(self, keys: tuple[str, str] = ("", ""), parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._keys = keys
        self._details: EpisodeDetails | None = None
        self._repaint = QTimer(self)
        self._repaint.setSingleShot(True)
        self._repaint.setInterval(0)
        self._repaint.timeout.connect(lambda: self.show_details(self._details))
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setMinimumWidth(theme.grid(28))
        self.setAccessibleName("Episode details")
        self.show_details(None)

    @property
    def details(self) -> EpisodeDetails | None:
        """What is shown."""
        return self._details

    def show_details(self, details: EpisodeDetails | None) -> None:
        """Shows another episode; None shows nothing. A change of the same one keeps the scroll place."""
        bar = self.verticalScrollBar()
        same = (
            details is not None and self._details is not None and details.row.uuid == self._details.row.uuid
        )
        at = bar.value() if bar is not None and same else 0
        self._details = details
        self._theme = theme.tokens().name
        body = QWidget()
        box = QVBoxLayout(body)
        box.setContentsMargins(theme.grid(1.5), theme.grid(1), theme.grid(1.5), theme.grid(2))
        box.setSpacing(theme.grid(1.5))
        if details is not None:
            self._fill(box, details)
        box.addStretch(1)
        self.setWidget(body)
        if bar is not None:
            bar.setValue(at)

    _theme = ""

    def changeEvent(self, a0: QEvent | None) -> None:  # noqa: N802
        """Takes the colours of another theme, later: while Qt tells all widgets, none may be deleted."""
        super().changeEvent(a0)
        if a0 is not None and a0.type() == QEvent.Type.PaletteChange:
            if self._theme not in ("", theme.tokens().name):
                self._repaint.start()

    def _fill(self, box: QVBoxLayout, details: EpisodeDetails) -> None:
        row = details.row
        title = QLabel(row.instruction or row.task)
        title.setTextFormat(Qt.TextFormat.PlainText)
        title.setWordWrap(True)
        title.setFont(theme.font(FontSize.BASE + 3, bold=True))
        title.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        box.addWidget(title)
        box.addLayout(self._verdict(row))
        box.addLayout(self._buttons(row))
        for sentence in _warnings(row):
            label = QLabel(sentence)
            label.setWordWrap(True)
            label.setProperty("kind", "error")
            box.addWidget(label)
        box.addLayout(_pairs(_facts(row)))
        box.addWidget(_caption("Streams"))
        box.addLayout(_streams(details.streams))
        box.addWidget(_caption("File"))
        box.addLayout(_pairs([("Size", size_text(row.size_bytes)), ("Format", f"{row.format_version}")]))
        box.addLayout(self._copyable("Path", row.path, folder=True))
        box.addLayout(self._copyable("UUID", row.uuid))
        box.addLayout(self._copyable("BLAKE3", row.blake3))
        box.addWidget(_caption("History"))
        for event in reversed(details.events):
            box.addLayout(_event(event))

    def _verdict(self, row: EpisodeRow) -> QHBoxLayout:
        icon, role, word = verdict_look(row)
        picture = QLabel()
        color = theme.accent_text(role) if role is not Role.MUTED else theme.tokens().muted
        picture.setPixmap(theme.icon_in(icon, color).pixmap(QSize(20, 20)))
        text = QLabel(f"{word}, {outcome_word(row.outcome)}")
        text.setStyleSheet(f"color: {color};")
        text.setFont(theme.font(bold=True))
        line = QHBoxLayout()
        line.setSpacing(theme.grid(1))
        line.addWidget(picture)
        line.addWidget(text, 1)
        return line

    def _buttons(self, row: EpisodeRow) -> QHBoxLayout:
        restore = row.state is EpisodeState.DISCARDED
        accept = QPushButton(("Restore" if restore else "Accept") + _key(self._keys[0]))
        accept.setEnabled(row.state is not EpisodeState.SAVED)
        accept.clicked.connect(self.acceptWanted)
        discard = QPushButton("Discard" + _key(self._keys[1]))
        discard.setEnabled(not restore)
        discard.clicked.connect(self.discardWanted)
        line = QHBoxLayout()
        line.setSpacing(theme.grid(1))
        for button in (accept, discard):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            line.addWidget(button, 1)
        return line

    def _copyable(self, caption: str, value: str, *, folder: bool = False) -> QHBoxLayout:
        line = QHBoxLayout()
        line.setSpacing(2)
        name = QLabel(caption)
        name.setProperty("kind", "muted")
        name.setFixedWidth(theme.grid(8))
        text = ElidedLabel(value)
        text.setFont(theme.font(tabular=True))
        text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        line.addWidget(name)
        line.addWidget(text, 1)
        copy = _tool("content-copy", f"Copy the {caption if caption.isupper() else caption.lower()}")
        copy.clicked.connect(lambda: _to_clipboard(value))
        line.addWidget(copy)
        if folder:
            opening = _tool("folder-open-outline", "Open the folder")
            opening.clicked.connect(self.folderWanted)
            line.addWidget(opening)
        return line


def _key(label: str) -> str:
    return f"   {label}" if label else ""


def _tool(icon: str, tip: str) -> QToolButton:
    button = QToolButton()
    button.setIcon(theme.icon(icon, Role.MUTED))
    button.setToolTip(tip)
    button.setAccessibleName(tip)
    button.setFixedSize(theme.grid(3), theme.grid(3))
    return button


def _to_clipboard(text: str) -> None:
    clipboard = QGuiApplication.clipboard()
    if clipboard is not None:
        clipboard.setText(text)


def _caption(text: str) -> QLabel:
    label = QLabel(text)
    label.setFont(theme.font(bold=True))
    label.setContentsMargins(0, theme.grid(1), 0, 0)
    return label


def _warnings(row: EpisodeRow) -> list[str]:
    sentences = []
    if row.missing:
        sentences.append("Its file is not there. Put it back, or run `teleop recover`.")
    if row.recovered:
        sentences.append(f"It was recovered after a crash. {row.recovery_loss}".strip())
    elif row.recovery_loss:
        sentences.append(row.recovery_loss)
    return sentences


def _facts(row: EpisodeRow) -> list[tuple[str, str]]:
    shares = [
        f"{word} {share * 100:.0f} %"
        for word, share in (
            ("human", row.human_share),
            ("script", row.script_share),
            ("policy", row.policy_share),
        )
        if share > 0.0005
    ]
    started = datetime.fromtimestamp(row.started_utc_ns / 1e9)
    facts = [
        ("Task", row.task),
        ("Operator", row.operator),
        ("Station", row.station),
        ("Recorded", started.strftime("%d %b %Y %H:%M:%S")),
        ("Length", length_text(row.duration_ns)),
        ("Driven by", ", ".join(shares) or "nobody"),
        ("Reason", row.verdict_reason),
        ("Scene seed", "" if row.seed is None else str(row.seed)),
        ("Frames lost", str(row.dropped_frames)),
        ("Sync p95", "not measured" if row.sync_p95_s is None else f"{row.sync_p95_s * 1e3:.2f} ms"),
        ("Control", "" if row.control_rate_hz is None else f"{row.control_rate_hz:g} Hz"),
        (
            "Control p99 late",
            "not measured"
            if row.control_lateness_p99_s is None
            else f"{row.control_lateness_p99_s * 1e3:.2f} ms",
        ),
    ]
    return [(caption, value) for caption, value in facts if value]


def _pairs(pairs: list[tuple[str, str]]) -> QFormLayout:
    form = QFormLayout()
    form.setContentsMargins(0, 0, 0, 0)
    form.setHorizontalSpacing(theme.grid(1))
    form.setVerticalSpacing(4)
    form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
    for caption, value in pairs:
        name = QLabel(caption)
        name.setProperty("kind", "muted")
        text = QLabel(value)
        text.setTextFormat(Qt.TextFormat.PlainText)
        text.setWordWrap(True)
        text.setFont(theme.font(tabular=True))
        text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        form.addRow(name, text)
    return form


def _streams(streams: tuple[StreamRow, ...]) -> QGridLayout:
    grid = QGridLayout()
    grid.setHorizontalSpacing(theme.grid(1))
    grid.setVerticalSpacing(2)
    grid.setColumnStretch(0, 1)
    right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
    for column, text in enumerate(("Topic", "Rate", "Count", "Lost")):
        head = QLabel(text)
        head.setProperty("kind", "label")
        grid.addWidget(head, 0, column, right if column else Qt.AlignmentFlag.AlignLeft)
    for line, stream in enumerate(streams, start=1):
        name = ElidedLabel(stream.name)
        name.setFont(theme.font(FontSize.LABEL))
        name.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        grid.addWidget(name, line, 0)
        for column, text in enumerate(
            (f"{stream.rate_hz:g} Hz", f"{stream.count}", f"{stream.dropped}"), start=1
        ):
            figure = QLabel(text)
            figure.setFont(theme.font(FontSize.LABEL, tabular=True))
            if column == 3 and stream.dropped:
                figure.setStyleSheet(f"color: {theme.accent_text(Role.WARNING, Role.WINDOW)};")
            grid.addWidget(figure, line, column, right)
    return grid


def _event(event: EventRow) -> QVBoxLayout:
    at = datetime.fromtimestamp(event.time_utc_ns / 1e9).strftime("%d %b %H:%M:%S")
    what = QLabel(event_sentence(event))
    what.setTextFormat(Qt.TextFormat.PlainText)
    what.setWordWrap(True)
    who = QLabel(f"{at}  ·  {event.author.name}")
    who.setTextFormat(Qt.TextFormat.PlainText)
    who.setProperty("kind", "label")
    box = QVBoxLayout()
    box.setSpacing(0)
    box.addWidget(what)
    box.addWidget(who)
    return box


def event_sentence(event: EventRow) -> str:
    """Returns what an entry of an episode's log says, for people."""
    after = event.payload.get("to")
    state = str(after.get("state", "")) if isinstance(after, dict) else ""
    reason = str(after.get("reason", "")) if isinstance(after, dict) else ""
    outcome = str(after.get("outcome", "")) if isinstance(after, dict) else ""
    tail = f": {reason}" if reason else ""
    match event.kind:
        case EventKind.RECORDED:
            return "Recorded"
        case EventKind.VERDICT:
            word = state.capitalize() or "Judged"
            return f"{word} ({outcome}){tail}" if outcome and outcome != "unknown" else f"{word}{tail}"
        case EventKind.RESTORED:
            return "Restored"
        case EventKind.UNDONE:
            return f"Verdict taken back, {state} again" if state else "Verdict taken back"
        case EventKind.FILE_MISSING:
            return "File missing"
        case EventKind.FILE_FOUND:
            return "File found again"
        case EventKind.FILE_MOVED:
            return "File moved"
        case _:
            return event.kind.value.replace("_", " ").capitalize()
