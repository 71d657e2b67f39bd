"""The inspector: what is known of one episode, in the order in which one doubts it."""

from __future__ import annotations

from datetime import datetime

from PyQt6.QtCore import QEvent, QSize, Qt, QTimer, pyqtSignal
from PyQt6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from sessions import EpisodeRow, EpisodeState, EventKind, EventRow
from ui import theme
from ui.theme import FontSize, Role
from ui.viewmodels.episode_report import EpisodeReport
from ui.viewmodels.episodes import EpisodeDetails
from ui.widgets.episode_columns import length_text, outcome_word, size_text, verdict_look
from ui.widgets.inspector_parts import (
    caption,
    fact_rows,
    key_suffix,
    lines_of,
    stream_rows,
    to_clipboard,
    tool_button,
)
from ui.widgets.labels import ElidedLabel
from ui.widgets.sync_report import SyncReportDialog, fit_line, pair_rows

_FEW_PAIRS = 4


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
        self._report: EpisodeReport | None = None
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

    def set_report(self, report: EpisodeReport | None) -> None:
        """Adds what the file itself says; shown once the details of the same episode are."""
        if report != self._report:
            self._report = report
            if report is not None and self._details is not None and report.uuid == self._details.row.uuid:
                self.show_details(self._details)

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
        report = self._report if self._report is not None and self._report.uuid == row.uuid else None
        warnings = _warnings(row, report)
        if warnings:
            box.addWidget(lines_of(warnings, "error"))
        box.addLayout(fact_rows(_facts(row)))
        if report is not None:
            self._fill_report(box, report)
        box.addWidget(caption("Streams"))
        box.addLayout(stream_rows(details.streams))
        box.addWidget(caption("File"))
        box.addLayout(fact_rows([("Size", size_text(row.size_bytes)), ("Format", f"{row.format_version}")]))
        box.addLayout(self._copyable("Path", row.path, folder=True))
        box.addLayout(self._copyable("UUID", row.uuid))
        box.addLayout(self._copyable("BLAKE3", row.blake3))
        box.addWidget(caption("History"))
        for event in reversed(details.events):
            box.addLayout(_event(event))

    def _fill_report(self, box: QVBoxLayout, report: EpisodeReport) -> None:
        box.addWidget(caption("Synchronisation"))
        if report.pairs:
            box.addLayout(fit_line(report))
            box.addLayout(pair_rows(report.pairs, _FEW_PAIRS, short=True))
            self.sync_button = QPushButton("Sync report")
            self.sync_button.setToolTip("Every pair of streams, with text to copy")
            self.sync_button.clicked.connect(lambda: SyncReportDialog(report, self.window()).show())
            box.addWidget(self.sync_button, 0, Qt.AlignmentFlag.AlignLeft)
        else:
            box.addWidget(lines_of(("Not measured when this episode was recorded.",), "label"))
        latencies = report.latencies or ("None was calibrated.",)
        for title, lines in (
            ("Lost", report.losses),
            ("Remarks", report.remarks),
            ("Latencies in force", latencies),
            ("Earlier files", report.parts),
        ):
            if lines:
                box.addWidget(caption(title))
                box.addWidget(lines_of(lines, "" if title == "Lost" else "label"))

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
        accept = QPushButton(("Restore" if restore else "Accept") + key_suffix(self._keys[0]))
        accept.setEnabled(row.state is not EpisodeState.SAVED)
        accept.clicked.connect(self.acceptWanted)
        discard = QPushButton("Discard" + key_suffix(self._keys[1]))
        discard.setEnabled(not restore)
        discard.clicked.connect(self.discardWanted)
        line = QHBoxLayout()
        line.setSpacing(theme.grid(1))
        for button in (accept, discard):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            line.addWidget(button, 1)
        return line

    def _copyable(self, title: str, value: str, *, folder: bool = False) -> QHBoxLayout:
        line = QHBoxLayout()
        line.setSpacing(2)
        name = QLabel(title)
        name.setProperty("kind", "muted")
        name.setFixedWidth(theme.grid(8))
        text = ElidedLabel(value)
        text.setFont(theme.font(tabular=True))
        text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        line.addWidget(name)
        line.addWidget(text, 1)
        copy = tool_button("content-copy", f"Copy the {title if title.isupper() else title.lower()}")
        copy.clicked.connect(lambda: to_clipboard(value))
        line.addWidget(copy)
        if folder:
            opening = tool_button("folder-open-outline", "Open the folder")
            opening.clicked.connect(self.folderWanted)
            line.addWidget(opening)
        return line


def _warnings(row: EpisodeRow, report: EpisodeReport | None) -> tuple[str, ...]:
    """What is wrong with the episode: of the file when it is open, else as the catalog has it."""
    sentences: list[str] = []
    if row.missing:
        sentences.append("Its file is not there. Put it back, or run `teleop recover`.")
    if report is not None and report.notes:
        sentences += report.notes
    elif row.recovered:
        sentences.append(f"It was recovered after a crash. {row.recovery_loss}".strip())
    elif row.recovery_loss:
        sentences.append(row.recovery_loss)
    return tuple(sentences)


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
    return [(title, value) for title, value in facts if value]


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
