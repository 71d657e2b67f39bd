"""The left rail: one button a page, icon over label."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtWidgets import QButtonGroup, QFrame, QToolButton, QVBoxLayout, QWidget

from ui import theme
from ui.theme import FontSize, Role


class Rail(QFrame):
    """Buttons of the pages, one of them checked.

    Args:
        pages: Title and icon name of each page.
        parent: Owner.
    """

    chosen = pyqtSignal(int)

    def __init__(self, pages: Sequence[tuple[str, str]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("surface", "bar")
        self.setFixedWidth(theme.RAIL_WIDTH_PX)
        self._icons = [icon for _, icon in pages]
        self._buttons: list[QToolButton] = []
        self._group = QButtonGroup(self)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, theme.grid(1), 0, theme.grid(1))
        box.setSpacing(theme.grid(0.5))
        for index, (title, _) in enumerate(pages):
            button = QToolButton()
            button.setText(title)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
            button.setIconSize(QSize(24, 24))
            button.setFont(theme.font(FontSize.LABEL))
            button.setCheckable(True)
            button.setFixedSize(theme.RAIL_WIDTH_PX, theme.grid(7))
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setToolTip(f"{title}  (Ctrl+{index + 1})")
            button.setAccessibleName(title)
            button.clicked.connect(lambda _checked=False, i=index: self.chosen.emit(i))
            self._group.addButton(button, index)
            self._buttons.append(button)
            box.addWidget(button)
        box.addStretch(1)
        self.retheme()

    def set_current(self, index: int) -> None:
        """Marks the page that is shown."""
        self._buttons[index].setChecked(True)
        self._color_icons()

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        t = theme.tokens()
        self.setStyleSheet(
            f"QToolButton {{ color: {t.muted}; border: none; border-radius: 0;"
            f" border-left: 3px solid transparent; padding: 4px 3px 4px 0; }}"
            f"QToolButton:hover {{ background: {t.raised}; color: {t.text}; }}"
            f"QToolButton:checked {{ color: {t.text}; background: {t.raised};"
            f" border-left: 3px solid {t.text}; }}"
            f"QToolButton:focus {{ border-left: 3px solid {theme.FOCUS_BLUE[t.name]}; }}"
        )
        self._color_icons()

    def _color_icons(self) -> None:
        for button, icon in zip(self._buttons, self._icons, strict=True):
            button.setIcon(theme.icon(icon, Role.TEXT if button.isChecked() else Role.MUTED))
