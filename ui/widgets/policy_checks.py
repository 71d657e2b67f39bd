"""What a policy expects against what the station offers, line by line, what keeps it from moving first."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QFrame, QGridLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from teleop_app.core.types import PolicyCheck
from ui import theme
from ui.theme import FontSize, Role

_LOOKS = {
    "mismatch": ("close-circle", Role.FAULT, "Mismatch"),
    "warning": ("alert", Role.WARNING, "Warning"),
    "ok": ("check", Role.MUTED, "Fits"),
}
_MOST_PX = 208
_LINE_PX = 20


class PolicyChecks(QScrollArea):
    """A table of three columns; below a line that does not fit, the sentence with the remedy."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._checks: tuple[PolicyCheck, ...] = ()
        self._inner: QGridLayout | None = None
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAccessibleName("What the policy expects, and what the station offers")

    @property
    def checks(self) -> tuple[PolicyCheck, ...]:
        """Those shown."""
        return self._checks

    def set_checks(self, checks: tuple[PolicyCheck, ...]) -> None:
        """Shows the checks in the order given."""
        if checks != self._checks:
            self._checks = checks
            self._build()

    def _build(self) -> None:
        inner = QFrame()
        inner.setObjectName("checks")
        inner.setStyleSheet("#checks { background: transparent; }")
        grid = QGridLayout(inner)
        grid.setContentsMargins(0, 0, theme.grid(1), 0)
        grid.setHorizontalSpacing(theme.grid(1.5))
        grid.setVerticalSpacing(theme.grid(0.5))
        for column, words in enumerate(("", "", "The policy expects", "The station offers")):
            grid.addWidget(_label(words, Role.MUTED, FontSize.LABEL), 0, column)
        line = 1
        for check in self._checks:
            line = self._add(grid, line, check)
        grid.setColumnStretch(2, 1)
        grid.setColumnStretch(3, 1)
        outer = QWidget()
        box = QVBoxLayout(outer)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(inner)
        box.addStretch(1)
        self.setWidget(outer)  # deletes the one before
        if (viewport := self.viewport()) is not None:
            viewport.setAutoFillBackground(False)
        outer.setAutoFillBackground(False)
        self._inner = grid
        self._fit()

    def _fit(self) -> None:
        """Takes as much height as the lines need at this width, up to a limit."""
        if self._inner is None:
            return
        width = max(self.width() - theme.grid(1), theme.grid(30))
        wanted = self._inner.heightForWidth(width)
        height = min(max(wanted, _LINE_PX * 2), _MOST_PX)
        if height != self.height():
            self.setFixedHeight(height)

    def resizeEvent(self, a0: QResizeEvent | None) -> None:  # noqa: N802
        """Breaks lines anew."""
        super().resizeEvent(a0)
        self._fit()

    @staticmethod
    def _add(grid: QGridLayout, line: int, check: PolicyCheck) -> int:
        icon, role, word = _LOOKS.get(check.level, _LOOKS["mismatch"])
        mark = QLabel()
        mark.setPixmap(theme.icon(icon, role).pixmap(QSize(16, 16)))
        mark.setAccessibleName(word)
        mark.setToolTip(word)
        fits = check.level == "ok"
        grid.addWidget(mark, line, 0, Qt.AlignmentFlag.AlignTop)
        ink = Role.MUTED if fits else Role.TEXT
        for column, words in enumerate((check.what, check.expects, check.offers), start=1):
            grid.addWidget(_label(words, ink, FontSize.LABEL + 1), line, column)
        if check.text:
            sentence = _label(check.text, Role.TEXT if fits else role, FontSize.LABEL + 1)
            grid.addWidget(sentence, line + 1, 1, 1, 3)
            return line + 2
        return line + 1

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        self._build()


def _label(words: str, role: Role, size: int) -> QLabel:
    label = QLabel(words)
    label.setFont(theme.font(size))
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
    label.setStyleSheet(f"color: {theme.accent_text(role)};")
    return label
