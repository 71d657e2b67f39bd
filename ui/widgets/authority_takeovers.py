"""The takeovers so far, and the reasons with their keys: one press explains the newest one."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from teleop_app.autonomy.interventions import TAKEOVER_REASONS
from ui import theme
from ui.theme import FontSize, Role
from ui.viewmodels.autonomy_takeovers import OUTCOMES, REASONS, Takeover
from ui.widgets.labels import ElidedLabel, clock_text

_ROW_PX = 24
_COLUMNS = 3
_SHOWN = 50
"""Newest ones in the list; a session has few more."""


class TakeoverRow(QWidget):
    """One takeover in a line: number, when, how long, what goes on, why."""

    def __init__(self, takeover: Takeover, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: Takeover | None = None
        self._number, self._when, self._length = QLabel(), QLabel(), QLabel()
        self._goes = ElidedLabel()
        self._goes.setFont(theme.font(FontSize.LABEL + 1))
        self._reason = QLabel()
        self._reason.setFont(theme.font(FontSize.LABEL))
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 1, theme.grid(0.5), 1)
        box.setSpacing(theme.grid(1))
        for label, width in ((self._number, 2.5), (self._when, 4.5), (self._length, 5.5)):
            label.setFixedWidth(theme.grid(width))
            label.setFont(theme.font(FontSize.LABEL + 1, tabular=True))
            label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            box.addWidget(label)
        box.addWidget(self._goes, 1)
        box.addWidget(self._reason)
        self.set_takeover(takeover)

    def set_takeover(self, takeover: Takeover) -> None:
        """Shows a takeover."""
        if takeover == self._shown:
            return
        self._shown = takeover
        self._number.setText(str(takeover.number))
        self._when.setText("" if takeover.at_s is None else clock_text(takeover.at_s))
        self._length.setText(f"{takeover.seconds:.1f} s")
        goes = str(takeover.phase) if takeover.running else OUTCOMES.get(takeover.outcome, takeover.outcome)
        self._goes.setText(goes)
        self._reason.setText(REASONS.get(takeover.reason, takeover.reason) or "no reason")
        self.retheme()

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        t = theme.tokens()
        running = self._shown is not None and self._shown.running
        for label in (self._number, self._when, self._length):
            label.setStyleSheet(f"color: {t.muted};")
        self._goes.setStyleSheet(f"color: {theme.accent_text(Role.HUMAN) if running else t.muted};")
        chip = f"background: {t.raised}; color: {t.text}; border: 1px solid {t.border}; border-radius: 8px;"
        explained = self._shown is not None and self._shown.reason
        self._reason.setStyleSheet(f"{chip} padding: 0 6px;" if explained else f"color: {t.muted};")


class TakeoverList(QFrame):
    """Newest first; below, the reasons: filled in is the one of the newest takeover.

    Args:
        key_label: Returns the label of an action's key.
        parent: Owner.
    """

    explained = pyqtSignal(str)
    """Key of a reason, for the newest takeover."""

    def __init__(self, key_label: Callable[[str], str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._key = key_label
        self._shown: tuple[Takeover, ...] = ()
        self._unexplained = 0
        self._numbers: tuple[int, ...] = ()
        self._rows: list[TakeoverRow] = []
        self._asked: tuple[str | None, int] = (None, 0)
        self.title = QLabel("Takeovers")
        self.title.setProperty("kind", "label")
        self.ask = QLabel()
        self.ask.setFont(theme.font(FontSize.LABEL))
        self.list = QListWidget()
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setSelectionMode(QListWidget.SelectionMode.NoSelection)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setMinimumHeight(_ROW_PX * 2 + 4)
        self.list.setAccessibleName("Takeovers, newest first")
        self.empty = QLabel("Each time you take over, it is listed here with its reason.")
        self.empty.setProperty("kind", "muted")
        self.empty.setWordWrap(True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.empty.setMinimumHeight(_ROW_PX * 2 + 4)
        self.reasons: dict[str, QPushButton] = {}
        grid = QGridLayout()
        grid.setSpacing(theme.grid(0.5))
        for place, (reason, words) in enumerate(REASONS.items()):
            button = QPushButton()
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            button.setFixedHeight(theme.grid(2.75))
            button.setAccessibleName(f"Reason of the newest takeover: {words}")
            button.setToolTip(TAKEOVER_REASONS[reason])
            button.clicked.connect(lambda _checked=False, r=reason: self.explained.emit(r))
            self.reasons[reason] = button
            grid.addWidget(button, place // _COLUMNS, place % _COLUMNS)
        head = QHBoxLayout()
        head.addWidget(self.title)
        head.addStretch(1)
        head.addWidget(self.ask)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.grid(0.5))
        box.addLayout(head)
        box.addWidget(self.list, 1)
        box.addWidget(self.empty, 1)
        box.addLayout(grid)
        self.list.hide()
        self.retheme()

    @property
    def count(self) -> int:
        """Rows shown."""
        return self.list.count()

    def set_takeovers(self, takeovers: tuple[Takeover, ...], unexplained: int) -> None:
        """Shows the takeovers, newest first; `unexplained` is the newest one without a reason, else 0."""
        if takeovers == self._shown and unexplained == self._unexplained:
            return
        self._shown, self._unexplained = takeovers, unexplained
        self.title.setText(f"Takeovers  {len(takeovers)}" if takeovers else "Takeovers")
        self.list.setVisible(bool(takeovers))
        self.empty.setVisible(not takeovers)
        recent = takeovers[:_SHOWN]
        numbers = tuple(takeover.number for takeover in recent)
        if numbers != self._numbers:
            self._numbers = numbers
            self._rows = [TakeoverRow(takeover) for takeover in recent]
            self.list.clear()
            for row in self._rows:
                item = QListWidgetItem()
                item.setSizeHint(QSize(0, _ROW_PX))
                self.list.addItem(item)
                self.list.setItemWidget(item, row)
        for row, takeover in zip(self._rows, recent, strict=True):
            row.set_takeover(takeover)
        newest = recent[0].reason if recent else None
        if (newest, unexplained) != self._asked:
            self._asked = (newest, unexplained)
            self._paint_reasons()

    def _paint_reasons(self) -> None:
        t = theme.tokens()
        newest = self._shown[0] if self._shown else None
        self.ask.setText(f"Why takeover {self._unexplained}?" if self._unexplained else "")
        self.ask.setStyleSheet(f"color: {theme.accent_text(Role.HUMAN)};")
        for reason, button in self.reasons.items():
            on = newest is not None and newest.reason == reason
            fill, ink, edge = "transparent", t.text if self._unexplained else t.muted, t.border
            if on:
                fill, ink, edge = t.raised, t.text, t.text
            button.setEnabled(newest is not None)
            button.setText(f"{self._key(f'reason.{reason}')}  {REASONS[reason]}")
            button.setStyleSheet(
                f"QPushButton {{ background: {fill}; color: {ink}; border: 1px solid {edge};"
                f" border-radius: 4px; padding: 0 4px; text-align: left; font-size: {FontSize.LABEL}px; }}"
                f"QPushButton:hover {{ color: {t.text}; background: {t.raised}; }}"
            )

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        for row in self._rows:
            row.retheme()
        self._paint_reasons()
