"""The sync report: how far apart the samples of every two streams lie, the widest pair first."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QSize, Qt
from PyQt6.QtGui import QGuiApplication, QKeySequence, QShortcut
from PyQt6.QtWidgets import (
    QComboBox,
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from recorders.schema import SyncPair
from recorders.sync_report import sync_matrix
from ui import theme
from ui.theme import FontSize, Role
from ui.viewmodels.episode_report import CLOSE_MS, FAR_MS, EpisodeReport, Fit, fit_of
from ui.viewmodels.trust import stream_name
from ui.widgets.labels import ElidedLabel

_FIGURES = (("p50", "p50_ms"), ("p95", "p95_ms"), ("p99", "p99_ms"), ("largest", "max_ms"))
_ICONS = {Fit.CLOSE: "check", Fit.APART: "alert", Fit.FAR: "alert-octagon"}
_MEANS = (
    "For each sample of the slower stream: the time to the nearest sample of the faster one. Streams at "
    "rates of their own lie up to half a period of the faster one apart even when every stamp is exact."
)
_WIDTH = theme.grid(100)
_HEIGHT = theme.grid(70)


def figure_label(spacing_ms: float, size: int = FontSize.LABEL) -> QLabel:
    """Returns a spacing [ms] in the colour of its fit; the tooltip has the word."""
    fit = fit_of(spacing_ms)
    label = QLabel(f"{spacing_ms:.1f}")
    label.setFont(theme.font(size, tabular=True, bold=fit is not Fit.CLOSE))
    label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    if fit is not Fit.CLOSE:
        label.setStyleSheet(f"color: {theme.accent_text(fit.role, Role.WINDOW)};")
    label.setToolTip(fit.word)
    return label


def pair_name(pair: SyncPair) -> str:
    """Returns both streams, the slower first."""
    return f"{stream_name(pair.slower)} \N{LEFT RIGHT ARROW} {stream_name(pair.faster)}"


def fit_line(report: EpisodeReport) -> QHBoxLayout:
    """Returns icon and headline of a report."""
    fit = report.fit or Fit.CLOSE
    color = theme.accent_text(fit.role, Role.WINDOW)
    icon = QLabel()
    icon.setPixmap(theme.icon_in(_ICONS[fit], color).pixmap(QSize(16, 16)))
    icon.setAccessibleName(fit.word)
    text = QLabel(report.headline)
    text.setTextFormat(Qt.TextFormat.PlainText)
    text.setWordWrap(True)
    text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    line = QHBoxLayout()
    line.setSpacing(theme.grid(0.75))
    line.addWidget(icon, 0, Qt.AlignmentFlag.AlignTop)
    line.addWidget(text, 1)
    return line


class SyncReportDialog(QDialog):
    """All pairs as a list, and one figure of them as a matrix; text can be copied. Esc stays the e-stop.

    Args:
        report: Of an episode.
        parent: Owner.
    """

    def __init__(self, report: EpisodeReport, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._report = report
        self.setWindowTitle(f"Sync report of episode {report.uuid[:8]}")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.choice = QComboBox()
        self.choice.setAccessibleName("Figure of the matrix")
        for title, _ in _FIGURES:
            self.choice.addItem(title)
        self.choice.setCurrentIndex(1)
        self.choice.currentIndexChanged.connect(self._show_matrix)
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        meaning = QLabel(_MEANS)
        meaning.setWordWrap(True)
        meaning.setProperty("kind", "label")
        box = QVBoxLayout(self)
        box.setContentsMargins(theme.grid(2), theme.grid(2), theme.grid(2), theme.grid(2))
        box.setSpacing(theme.grid(1.5))
        box.addLayout(fit_line(report))
        box.addWidget(self._scroll, 1)
        box.addWidget(meaning)
        box.addLayout(self._buttons())
        self._show_matrix()
        self.resize(_WIDTH, _HEIGHT)

    def _buttons(self) -> QHBoxLayout:
        self.copy = QPushButton("Copy as text")
        self.copy.clicked.connect(self._copy)
        QShortcut(QKeySequence.StandardKey.Copy, self, self._copy)
        closing = QPushButton("Close")
        closing.setDefault(True)
        closing.clicked.connect(self.close)
        line = QHBoxLayout()
        line.addWidget(QLabel("Matrix shows"))
        line.addWidget(self.choice)
        line.addWidget(_key())
        line.addStretch(1)
        line.addWidget(self.copy)
        line.addWidget(closing)
        return line

    def _copy(self) -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self._report.text)

    def _show_matrix(self) -> None:
        bar = self._scroll.verticalScrollBar()
        at = bar.value() if bar is not None else 0
        body = QWidget()
        body.setObjectName("body")
        body.setStyleSheet("#body { background: transparent; }")
        box = QVBoxLayout(body)
        box.setContentsMargins(0, 0, theme.grid(1), 0)
        box.setSpacing(theme.grid(2))
        box.addLayout(_matrix(self._report.pairs, _FIGURES[self.choice.currentIndex()][1]))
        box.addLayout(pair_rows(self._report.pairs))
        box.addStretch(1)
        self._scroll.setWidget(body)
        if bar is not None:
            bar.setValue(at)

    def changeEvent(self, a0: QEvent | None) -> None:  # noqa: N802
        """Closes when the theme changes: its colours are those of the moment it was opened."""
        super().changeEvent(a0)
        if a0 is not None and a0.type() == QEvent.Type.PaletteChange and self.isVisible():
            self.close()


def _key() -> QLabel:
    words = []
    for fit, span in (
        (Fit.CLOSE, f"up to {CLOSE_MS:g} ms"),
        (Fit.APART, f"up to {FAR_MS:g} ms"),
        (Fit.FAR, "more"),
    ):
        color = theme.accent_text(fit.role, Role.WINDOW)
        words.append(f'<span style="color:{color}">{fit.word}</span> {span}')
    label = QLabel("&nbsp;&nbsp; ".join(words))
    label.setTextFormat(Qt.TextFormat.RichText)
    label.setProperty("kind", "label")
    return label


def pair_rows(pairs: tuple[SyncPair, ...], most: int | None = None, *, short: bool = False) -> QGridLayout:
    """Returns pairs as rows, the widest first.

    Args:
        pairs: In the order shown.
        most: Rows at most, all by default.
        short: Only p95 and the largest.
    """
    grid = QGridLayout()
    grid.setHorizontalSpacing(theme.grid(1.5 if not short else 1))
    grid.setVerticalSpacing(3)
    grid.setColumnStretch(0, 1)
    figures = [_FIGURES[1], _FIGURES[3]] if short else list(_FIGURES)
    heads = ["Pair", *(f"{title} [ms]" for title, _ in figures)] if not short else ["Pair", "p95", "largest"]
    heads += [] if short else ["fit"]
    for column, text in enumerate(heads):
        head = QLabel(text)
        head.setProperty("kind", "label")
        side = Qt.AlignmentFlag.AlignRight if 0 < column <= len(figures) else Qt.AlignmentFlag.AlignLeft
        grid.addWidget(head, 0, column, side | Qt.AlignmentFlag.AlignVCenter)
    for line, pair in enumerate(pairs[:most], start=1):
        name = ElidedLabel(pair_name(pair))
        name.setFont(theme.font(FontSize.LABEL if short else FontSize.BASE))
        name.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        name.setAccessibleDescription(f"on average {pair.offset_ms:+.2f} ms")
        grid.addWidget(name, line, 0)
        for column, (_, field) in enumerate(figures, start=1):
            size = FontSize.LABEL if short else FontSize.BASE
            grid.addWidget(figure_label(getattr(pair, field), size), line, column)
        if not short:
            grid.addWidget(_word(fit_of(pair.p95_ms)), line, len(figures) + 1)
    return grid


def _word(fit: Fit) -> QLabel:
    label = QLabel(fit.word)
    label.setStyleSheet(f"color: {theme.accent_text(fit.role, Role.WINDOW)};")
    return label


def _matrix(pairs: tuple[SyncPair, ...], field: str) -> QGridLayout:
    """The lower triangle: each pair once; the streams of the widest pair come first."""
    matrix = sync_matrix(pairs, field)
    grid = QGridLayout()
    grid.setSpacing(2)
    grid.setColumnStretch(len(matrix.names), 1)
    for row, (name, cells) in enumerate(zip(matrix.names, matrix.cells, strict=True)):
        if row:
            grid.addWidget(_caption(name), row, 0)
        for column, spacing_ms in enumerate(cells[:row]):
            if spacing_ms is not None:
                grid.addWidget(_cell(spacing_ms), row, column + 1)
        if row < len(matrix.names) - 1:
            foot = _caption(name)
            foot.setAlignment(Qt.AlignmentFlag.AlignCenter)
            grid.addWidget(foot, len(matrix.names), row + 1)
    return grid


def _caption(name: str) -> QLabel:
    label = QLabel(stream_name(name))
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setProperty("kind", "label")
    return label


def _cell(spacing_ms: float) -> QLabel:
    fit = fit_of(spacing_ms)
    t = theme.tokens()
    fill = t.raised if fit is Fit.CLOSE else theme.blend(t.hex(fit.role), t.panel, 0.55)
    cell = QLabel(f"{spacing_ms:.1f}")
    cell.setAlignment(Qt.AlignmentFlag.AlignCenter)
    cell.setMinimumSize(theme.grid(6), theme.grid(3))
    cell.setFont(theme.font(FontSize.LABEL, tabular=True))
    cell.setStyleSheet(f"background: {fill}; color: {theme.text_on(fill)}; border-radius: 2px;")
    cell.setToolTip(fit.word)
    return cell
