"""A sentence about what is wrong and what to do, over the top of the page; details fold out."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QEvent, QObject, QSize, Qt
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from ui import theme
from ui.theme import Role

_ICONS = {Role.FAULT: "alert-octagon", Role.POLICY: "hand-wave"}


class Banner(QFrame):
    """One message at a time, the latest; it covers the page's edge instead of pushing it down.

    Args:
        host: The widget over whose top edge it lies.
    """

    def __init__(self, host: QWidget) -> None:
        super().__init__(host)
        self._host = host
        self._role = Role.FAULT
        self._icon = QLabel()
        self._sentence = QLabel()
        self._sentence.setWordWrap(True)
        self._sentence.setTextFormat(Qt.TextFormat.PlainText)
        self._sentence.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._sentence.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._act = self._button("")
        self._unfold = self._button("Details")
        self._unfold.setCheckable(True)
        self._copy = self._button("Copy")
        self._close = self._button("Dismiss")
        self._details = QPlainTextEdit()
        self._details.setReadOnly(True)
        self._details.setFixedHeight(theme.grid(15))
        self._details.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        row = QHBoxLayout()
        row.setSpacing(theme.grid(1))
        row.addWidget(self._icon)
        row.addWidget(self._sentence, 1)
        for button in (self._act, self._unfold, self._copy, self._close):
            row.addWidget(button)
        box = QVBoxLayout(self)
        box.setContentsMargins(theme.grid(2), theme.grid(1), theme.grid(1), theme.grid(1))
        box.setSpacing(theme.grid(1))
        box.addLayout(row)
        box.addWidget(self._details)
        self._callback: Callable[[], object] | None = None
        self._act.clicked.connect(self._do)
        self._unfold.toggled.connect(self._fold)
        self._copy.clicked.connect(self._to_clipboard)
        self._close.clicked.connect(self.clear)
        host.installEventFilter(self)
        self.hide()

    @staticmethod
    def _button(text: str) -> QPushButton:
        button = QPushButton(text)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        return button

    @property
    def sentence(self) -> str:
        """What is shown, empty when hidden."""
        return self._sentence.text() if self.isVisibleTo(self._host) else ""

    def show_sentence(
        self,
        sentence: str,
        *,
        details: str = "",
        role: Role = Role.FAULT,
        act: str = "",
        callback: Callable[[], object] | None = None,
    ) -> None:
        """Shows a message, replacing the one before.

        Args:
            sentence: What, why, what now.
            details: Folded away at first; for a bug report.
            role: FAULT, WARNING, or POLICY for one that asks for help.
            act: Label of the one button that helps, empty for none.
            callback: What that button does.
        """
        self._role = role
        self._sentence.setText(sentence)
        self._details.setPlainText(details)
        self._unfold.setVisible(bool(details))
        self._copy.setVisible(bool(details))
        self._unfold.setChecked(False)
        self._details.setVisible(False)
        self._act.setText(act)
        self._act.setVisible(bool(act))
        self._callback = callback
        self.retheme()
        self.show()
        self.raise_()
        self._place()

    def clear(self) -> None:
        """Hides the message."""
        self.hide()

    def _do(self) -> None:
        self.clear()
        if self._callback is not None:
            self._callback()

    def _fold(self, shown: bool) -> None:
        self._details.setVisible(shown)
        self._place()

    def _to_clipboard(self) -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(f"{self._sentence.text()}\n\n{self._details.toPlainText()}")

    def eventFilter(self, a0: QObject | None, a1: QEvent | None) -> bool:  # noqa: N802
        """Keeps the width of its host."""
        if a0 is self._host and a1 is not None and a1.type() == QEvent.Type.Resize:
            self._place()
        return False

    def _place(self) -> None:
        margin = theme.grid(1)
        width = max(self._host.width() - 2 * margin, theme.grid(20))
        layout = self.layout()
        if layout is None:
            return
        layout.invalidate()
        self.setGeometry(margin, margin, width, max(layout.heightForWidth(width), theme.grid(6)))

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        t = theme.tokens()
        color = t.hex(self._role)
        self._icon.setPixmap(theme.icon(_ICONS.get(self._role, "alert"), self._role).pixmap(QSize(20, 20)))
        ground = theme.blend(color, t.panel, 0.14)
        self.setStyleSheet(
            f"Banner {{ background: {ground}; border: 1px solid {color}; border-radius: 6px; }}"
            f"Banner QLabel {{ color: {t.text}; background: transparent; }}"
        )
