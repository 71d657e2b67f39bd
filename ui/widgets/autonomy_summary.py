"""The summary of a policy, version by version: success with its interval, interventions, latency."""

from __future__ import annotations

# ruff: noqa: N802
from PyQt6.QtCore import QEvent, QLineF, QRectF, QSize, Qt
from PyQt6.QtGui import QHideEvent, QPainter, QPaintEvent, QPen, QShowEvent
from PyQt6.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from sessions.proportions import Interval
from sessions.rollouts import VersionSummary
from ui import theme
from ui.theme import FontSize, Role
from ui.viewmodels.autonomy_summary import AutonomySummaryModel, Scope, SummaryView, VersionColumn
from ui.widgets.labels import ElidedLabel

_BAR_PX = 14
_ROW_PX = 40
_AXIS_PX = 16
_EDGE_PX = 4
_CAP_PX = 5
_DASH = "\N{EN DASH}"
_ROWS = (
    "Unaided",
    "Interventions / rollout",
    "Interventions / minute",
    "Policy drove",
    "Help calls",
    "Latency p50 / p99",
    "Taken over for",
)


class SuccessBars(QWidget):
    """One bar a version on a common scale of 0 to 100 %: success, of it the unaided part, 95 % whiskers."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._columns: tuple[VersionColumn, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip(
            "Filled: successes among the judged rollouts. Solid: those that nobody helped with.\n"
            "Whiskers: 95 % interval (Wilson)."
        )
        self.set_columns(())

    def set_columns(self, columns: tuple[VersionColumn, ...]) -> None:
        """Shows other versions."""
        self._columns = columns
        self.setFixedHeight(len(columns) * _ROW_PX + _AXIS_PX)
        self.setAccessibleName("Success rate: " + "; ".join(f"{c.title} {rate_words(c)}" for c in columns))
        self.update()

    def sizeHint(self) -> QSize:
        """Returns the height that the versions need."""
        return QSize(theme.grid(40), self.height())

    def paintEvent(self, a0: QPaintEvent | None) -> None:
        """Draws the scale, then a row a version."""
        painter = QPainter(self)
        t = theme.tokens()
        scale = QRectF(_EDGE_PX, 0, self.width() - 2 * _EDGE_PX, self.height() - _AXIS_PX)
        painter.setFont(theme.font(FontSize.LABEL, tabular=True))
        for percent in range(0, 101, 25):
            x = scale.left() + scale.width() * percent / 100
            painter.setPen(QPen(t.color(Role.BORDER), 1))
            painter.drawLine(QLineF(x, _ROW_PX - _BAR_PX - 8, x, scale.bottom()))
            painter.setPen(t.color(Role.MUTED))
            spot = QRectF(x - 20, scale.bottom() + 1, 40, _AXIS_PX - 1)
            align = Qt.AlignmentFlag.AlignHCenter
            if percent in (0, 100):
                align = Qt.AlignmentFlag.AlignLeft if percent == 0 else Qt.AlignmentFlag.AlignRight
                spot = QRectF(x if percent == 0 else x - 40, spot.top(), 40, spot.height())
            painter.drawText(spot, align, f"{percent} %" if percent == 100 else str(percent))
        for row, column in enumerate(self._columns):
            self._draw(painter, QRectF(scale.left(), row * _ROW_PX, scale.width(), _ROW_PX), column)

    def _draw(self, painter: QPainter, row: QRectF, column: VersionColumn) -> None:
        t = theme.tokens()
        summary = column.summary
        text = QRectF(row.left(), row.top(), row.width(), _ROW_PX - _BAR_PX - 8)
        painter.setFont(theme.font(FontSize.LABEL, tabular=True))
        words = rate_words(column)
        wide = painter.fontMetrics().horizontalAdvance(words) + theme.grid(1)
        painter.setPen(t.color(Role.TEXT))
        painter.drawText(text, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignBottom, words)
        painter.setFont(theme.font(FontSize.LABEL, bold=True))
        name = painter.fontMetrics().elidedText(
            short_name(column, self._columns), Qt.TextElideMode.ElideRight, max(int(text.width() - wide), 20)
        )
        painter.drawText(text, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignBottom, name)
        bar = QRectF(row.left(), row.bottom() - _BAR_PX - 4, row.width(), _BAR_PX)
        painter.fillRect(bar, t.color(Role.RAISED))
        rate, unaided = summary.success_rate, summary.unaided_rate
        if rate is None or unaided is None:
            return
        painter.fillRect(_part(bar, rate), t.color(Role.POLICY, 0.45))
        painter.fillRect(_part(bar, unaided), t.color(Role.POLICY))
        low, high = (bar.left() + bar.width() * at for at in (summary.success.low, summary.success.high))
        middle = bar.center().y()
        for ink, width in ((t.color(Role.PANEL), 4.0), (t.color(Role.TEXT), 2.0)):
            painter.setPen(QPen(ink, width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.SquareCap))
            painter.drawLine(QLineF(low, middle, high, middle))
            for x in (low, high):
                painter.drawLine(QLineF(x, middle - _CAP_PX, x, middle + _CAP_PX))


class AutonomySummary(QWidget):
    """Follows its model while it is seen.

    Args:
        model: Reads the catalog.
        parent: Owner.
    """

    _theme = ""

    def __init__(self, model: AutonomySummaryModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._title = QLabel("Success")
        self._title.setFont(theme.font(bold=True))
        self.scope = QComboBox()
        self.scope.setAccessibleName("Rollouts that count")
        self.scope.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        for scope in Scope:
            self.scope.addItem(scope.value, scope)
        self.scope.currentIndexChanged.connect(lambda _: model.set_scope(self.scope.currentData()))
        self._blind = QLabel("Blind comparison: versions are hidden")
        self._blind.setProperty("kind", "label")
        self.bars = SuccessBars()
        self._figures = QGridLayout()
        self._figures.setHorizontalSpacing(theme.grid(1.5))
        self._figures.setVerticalSpacing(theme.grid(0.5))
        self.verdict = _wrapped("")
        self.note = _wrapped("label")
        self.empty = _wrapped("muted")
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._cells: list[QLabel] = []
        body = QWidget()
        inner = QVBoxLayout(body)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(theme.grid(1))
        inner.addWidget(self.bars)
        inner.addWidget(self.verdict)
        inner.addLayout(self._figures)
        inner.addWidget(self.note)
        inner.addStretch(1)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.empty)
        self._stack.addWidget(body)
        head = QHBoxLayout()
        head.setSpacing(theme.grid(1))
        head.addWidget(self._title)
        head.addStretch(1)
        head.addWidget(self._blind)
        head.addWidget(self.scope)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.grid(1))
        box.addLayout(head)
        box.addWidget(self._stack, 1)
        self.setAccessibleName("Summary of the policy")
        self._theme = theme.tokens().name
        model.changed.connect(self.refresh)
        self.refresh()

    def figure(self, row: str, column: int) -> str:
        """Returns a figure as it is shown, by the name of its row."""
        cell = self._figures.itemAtPosition(_ROWS.index(row) + 1, column + 1)
        label = cell.widget() if cell is not None else None
        return label.text() if isinstance(label, QLabel) else ""

    def refresh(self) -> None:
        """Brings everything to the model's state."""
        view = self._model.view
        self._blind.setVisible(self._model.blind)
        self.scope.setVisible(not self._model.blind)
        self.empty.setText(view.empty)
        self._stack.setCurrentIndex(1 if view.columns else 0)
        self.bars.set_columns(view.columns)
        self.verdict.setText(view.verdict)
        self.verdict.setVisible(bool(view.verdict))
        self.note.setText(view.note)
        self.note.setVisible(bool(view.note))
        self._show_figures(view)

    def _show_figures(self, view: SummaryView) -> None:
        for cell in self._cells:
            self._figures.removeWidget(cell)
            cell.setParent(None)
            cell.deleteLater()
        self._cells.clear()
        if len(view.columns) > 1:
            for place, column in enumerate(view.columns):
                head = ElidedLabel(short_name(column, view.columns))
                head.setFont(theme.font(FontSize.LABEL, bold=True))
                self._put(head, 0, place + 1)
        for row, name in enumerate(_ROWS):
            caption = QLabel(name)
            caption.setProperty("kind", "label")
            self._put(caption, row + 1, 0)
        for place, column in enumerate(view.columns):
            self._figures.setColumnStretch(place + 1, 1)
            for row, text in enumerate(figures_of(column.summary)):
                cell = ElidedLabel(text)
                cell.setFont(theme.font(tabular=True))
                self._put(cell, row + 1, place + 1)

    def _put(self, label: QLabel, row: int, column: int) -> None:
        label.setAlignment(
            Qt.AlignmentFlag.AlignVCenter
            | (Qt.AlignmentFlag.AlignRight if column else Qt.AlignmentFlag.AlignLeft)
        )
        self._figures.addWidget(label, row, column)
        self._cells.append(label)

    def changeEvent(self, a0: QEvent | None) -> None:
        """Takes the colours of another theme."""
        super().changeEvent(a0)
        if a0 is not None and a0.type() == QEvent.Type.PaletteChange and self._theme:
            if self._theme != theme.tokens().name:
                self._theme = theme.tokens().name
                self.bars.update()

    def showEvent(self, a0: QShowEvent | None) -> None:
        """Begins to follow the catalog."""
        super().showEvent(a0)
        self._model.watch(True)

    def hideEvent(self, a0: QHideEvent | None) -> None:
        """Follows it no more."""
        self._model.watch(False)
        super().hideEvent(a0)


def rate_words(column: VersionColumn) -> str:
    """Returns a version's success rate with its interval and how many trials it rests on."""
    summary = column.summary
    rate = summary.success_rate
    if rate is None:
        return f"none of {summary.episodes} judged"
    more = f", {summary.episodes - summary.judged} not judged" if summary.judged < summary.episodes else ""
    return f"{rate:.0%}  ({_range(summary.success)})  {summary.successes} of {summary.judged}{more}"


def figures_of(summary: VersionSummary) -> tuple[str, ...]:
    """Returns the figures of a version in the order of the rows."""
    unaided, minute, share = (
        summary.unaided_rate,
        summary.interventions_per_minute,
        summary.autonomy_share,
    )
    p50, p99 = summary.latency_p50_ms, summary.latency_p99_ms
    reasons = [f"{name or 'no reason'} {count}" for name, count in list(summary.reasons.items())[:2]]
    return (
        _DASH if unaided is None else f"{unaided:.0%} ({_range(summary.unaided_success)})",
        f"{summary.interventions_per_episode:.1f}",
        _DASH if minute is None else f"{minute:.1f}",
        _DASH if share is None else f"{share:.0%}",
        str(summary.help_calls),
        _DASH if p50 is None or p99 is None else f"{p50:.0f} / {p99:.0f} ms",
        ", ".join(reasons) or _DASH,
    )


def short_name(column: VersionColumn, columns: tuple[VersionColumn, ...]) -> str:
    """Returns the version where all are of one policy, else the policy's name."""
    titles = [each.title for each in columns]
    return (column.version or column.title) if titles.count(column.title) > 1 else column.title


def _range(interval: Interval) -> str:
    return f"{round(100 * interval.low)}{_DASH}{round(100 * interval.high)}"


def _part(bar: QRectF, share: float) -> QRectF:
    return QRectF(bar.left(), bar.top(), bar.width() * share, bar.height())


def _wrapped(kind: str) -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    if kind:
        label.setProperty("kind", kind)
    return label
