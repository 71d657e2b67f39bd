"""What the policy may do: one button a mode, with the weight of the policy beside the blended one."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QPushButton, QSlider, QWidget

from teleop_app.core.types import AuthorityMode
from ui import theme
from ui.theme import FontSize

_MODES: tuple[tuple[AuthorityMode, str, str, str], ...] = (
    (AuthorityMode.MANUAL, "Manual", "mode.manual", "People drive; the policy moves nothing."),
    (
        AuthorityMode.SUPERVISED,
        "Supervised",
        "mode.supervised",
        "The policy drives; you take the robot over at any moment.",
    ),
    (AuthorityMode.PAUSED, "Paused", "policy.toggle", "The arms hold until the policy is given them again."),
    (
        AuthorityMode.BLENDED,
        "Blended",
        "mode.blended",
        "While you are engaged, your motion and the policy's are weighed.",
    ),
    (
        AuthorityMode.CORRECTIVE,
        "Corrective",
        "mode.corrective",
        "While you are engaged, your motion is added to what the policy does.",
    ),
)
_COLUMNS = 3


class ModeSelector(QFrame):
    """The mode in force is filled in; a click or its key asks for another.

    Args:
        key_label: Returns the label of an action's key.
        parent: Owner.
    """

    chosen = pyqtSignal(object)
    """An `AuthorityMode`."""
    blendChosen = pyqtSignal(float)
    """Weight of the policy, 0..1."""

    def __init__(self, key_label: Callable[[str], str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._key = key_label
        self._mode = AuthorityMode.MANUAL
        self.buttons: dict[AuthorityMode, QPushButton] = {}
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(theme.grid(0.5))
        for place, (mode, _, action, meaning) in enumerate(_MODES):
            button = QPushButton()
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            button.setFixedHeight(theme.grid(3.5))
            button.setToolTip(f"{meaning}  {key_label(action)}")
            button.clicked.connect(lambda _checked=False, m=mode: self.chosen.emit(m))
            self.buttons[mode] = button
            grid.addWidget(button, place // _COLUMNS, place % _COLUMNS)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, 100)
        self.slider.setPageStep(10)
        self.slider.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.slider.setAccessibleName("Weight of the policy while both drive")
        self.slider.valueChanged.connect(lambda value: self.blendChosen.emit(value / 100))
        self.weight = QLabel()
        self.weight.setFont(theme.font(FontSize.LABEL, tabular=True))
        self.weight.setFixedWidth(theme.grid(4.5))
        self.weight.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._blend = QWidget()
        row = QHBoxLayout(self._blend)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.grid(0.5))
        row.addWidget(self.slider, 1)
        row.addWidget(self.weight)
        self._blend.setToolTip(
            f"Weight of the policy while both drive: {key_label('blend.less')} less, "
            f"{key_label('blend.more')} more."
        )
        grid.addWidget(self._blend, 1, 2)
        for column in range(_COLUMNS):
            grid.setColumnStretch(column, 1)
        self.retheme()

    @property
    def mode(self) -> AuthorityMode:
        """The mode shown as in force."""
        return self._mode

    def set_mode(self, mode: AuthorityMode, blend: float) -> None:
        """Shows the mode in force and the weight asked for."""
        value = round(blend * 100)
        if value != self.slider.value() and not self.slider.isSliderDown():
            self.slider.blockSignals(True)
            self.slider.setValue(value)
            self.slider.blockSignals(False)
        self.weight.setText(f"{value} %")
        if mode is not self._mode:
            self._mode = mode
            self.retheme()

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        t = theme.tokens()
        for mode, words, action, _ in _MODES:
            on = mode is self._mode
            key = self._key(action) if mode is not AuthorityMode.PAUSED else ""
            fill, ink, edge = (t.raised, t.text, t.text) if on else ("transparent", t.muted, t.border)
            button = self.buttons[mode]
            button.setText(f"{words} {key}".rstrip())
            button.setAccessibleName(f"{words}{', in force' if on else ''}")
            button.setStyleSheet(
                f"QPushButton {{ background: {fill}; color: {ink}; border: 1px solid {edge};"
                f" border-radius: 4px; padding: 0 2px; font-size: {FontSize.LABEL + 1}px;"
                f" font-weight: {600 if on else 400}; }}"
                f"QPushButton:hover {{ color: {t.text}; }}"
            )
