"""Which arm the keys move, and the keys in one line."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QBoxLayout, QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ui import theme
from ui.theme import FontSize


class ArmSelector(QFrame):
    """One button an arm; the selected one is outlined, the engaged one filled in the human's colour."""

    chosen = pyqtSignal(str)
    preciseClicked = pyqtSignal()
    mirrorClicked = pyqtSignal()

    def __init__(
        self,
        arms: Sequence[str],
        key: str,
        hint: str,
        precise_key: str = "",
        mirror_key: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._mirrored = False
        self.mirror = QPushButton(f"Mirror {mirror_key}".strip())
        self.mirror.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.mirror.setToolTip("One hand drives both arms: the second mirrors the first between their bases.")
        self.mirror.setVisible(len(arms) == 2)
        self.mirror.clicked.connect(self.mirrorClicked)
        self._precise = False
        self.precise = QPushButton(f"Precise {precise_key}".strip())
        self.precise.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.precise.setToolTip("Precision mode: keys and mouse move the arm more finely.")
        self.precise.clicked.connect(self.preciseClicked)
        self._buttons: dict[str, QPushButton] = {}
        self._selected = ""
        self._engaged: str | None = None
        self._caption = QLabel(f"Keys move   {key}")
        self._caption.setProperty("kind", "label")
        row, switches = QHBoxLayout(), QHBoxLayout()
        row.setSpacing(theme.grid(1))
        row.addWidget(self._caption)
        row.addStretch(1)
        switches.setSpacing(theme.grid(1))
        switches.addWidget(self.precise)
        switches.addWidget(self.mirror)
        switches.addStretch(1)
        self._rows = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        self._rows.setSpacing(theme.grid(0.5))
        self._rows.addLayout(switches)
        self._rows.addLayout(row)
        for arm in arms:
            button = QPushButton(arm)
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            button.clicked.connect(lambda _checked=False, a=arm: self.chosen.emit(a))
            self._buttons[arm] = button
            row.addWidget(button)
        self.hint = QLabel(hint)
        self.hint.setProperty("kind", "label")
        self.hint.setFont(theme.font(FontSize.LABEL))
        self.hint.setWordWrap(True)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.grid(0.5))
        box.addLayout(self._rows)
        box.addWidget(self.hint)
        self.retheme()

    @property
    def shown(self) -> tuple[str, str | None]:
        """Selected and engaged arm."""
        return self._selected, self._engaged

    def set_compact(self, compact: bool) -> None:
        """Takes one line on a low screen: arms and switches, without words."""
        ways = QBoxLayout.Direction
        self._rows.setDirection(ways.LeftToRight if compact else ways.TopToBottom)
        self._caption.setVisible(not compact)
        self.hint.setVisible(not compact)

    def set_arms(self, selected: str, engaged: str | None) -> None:
        """Shows the selected arm, and the one whose clutch is held."""
        if (selected, engaged) != (self._selected, self._engaged):
            self._selected, self._engaged = selected, engaged
            self.retheme()

    def set_precise(self, on: bool) -> None:
        """Shows whether precision mode is on."""
        if on != self._precise:
            self._precise = on
            self.precise.setAccessibleName(f"Precision mode {'on' if on else 'off'}")
            self.retheme()

    def set_mirrored(self, on: bool) -> None:
        """Shows whether the second arm mirrors the first."""
        if on != self._mirrored:
            self._mirrored = on
            self.mirror.setAccessibleName(f"Mirroring {'on' if on else 'off'}")
            self.retheme()

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        t = theme.tokens()
        for switch, on in ((self.precise, self._precise), (self.mirror, self._mirrored)):
            fill, ink, edge = (t.raised, t.text, t.text) if on else ("transparent", t.muted, t.border)
            switch.setStyleSheet(
                f"QPushButton {{ background: {fill}; color: {ink}; border: 1px solid {edge};"
                f" border-radius: 4px; padding: 4px 5px; }}"
            )
        for arm, button in self._buttons.items():
            if arm == self._engaged:
                fill, ink, edge = t.human, theme.text_on(t.human), t.human
            elif arm == self._selected:
                fill, ink, edge = t.raised, t.text, t.text
            else:
                fill, ink, edge = "transparent", t.muted, t.border
            button.setText(f"● {arm}" if arm == self._engaged else arm)
            button.setStyleSheet(
                f"QPushButton {{ background: {fill}; color: {ink}; border: 1px solid {edge};"
                f" border-radius: 4px; padding: 4px 9px; }}"
            )
