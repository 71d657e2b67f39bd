"""Editors of single fields: value, unit, range, help, and the problem where it is."""

from __future__ import annotations

# ruff: noqa: N802
from typing import Any

from PyQt6.QtCore import QEvent, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QPalette, QWheelEvent
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from ui import theme
from ui.viewmodels.setup_fields import FieldKind, FieldSpec

_NUMBER_PX = 112
_TEXT_PX = 240
_AXES = ("x", "y", "z")
_WIDE = (FieldKind.TEXT, FieldKind.LIST)


class QuietComboBox(QComboBox):
    """A list that the wheel scrolls past instead of changing."""

    def wheelEvent(self, e: QWheelEvent | None) -> None:
        """Leaves the wheel to the page."""
        if e is not None:
            e.ignore()


class SwitchBox(QCheckBox):
    """A check box whose empty square can be seen on every ground."""

    _theme = ""

    def __init__(self, text: str, parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.retheme()

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        t = theme.tokens()
        self._theme = t.name
        palette = self.palette()
        # Fusion draws the frame from the window's colour, which is next to nothing on dark.
        palette.setColor(QPalette.ColorRole.Base, QColor(theme.blend(t.muted, t.panel, 0.4)))
        self.setPalette(palette)

    def changeEvent(self, e: QEvent | None) -> None:
        """Takes the colours of another theme."""
        super().changeEvent(e)
        if e is not None and e.type() == QEvent.Type.PaletteChange:
            if self._theme not in ("", theme.tokens().name):
                self.retheme()


class FieldEditor(QWidget):
    """One field: editor with unit and range, help under it, the problem in its place."""

    edited = pyqtSignal(str, object)
    """Place and value."""

    def __init__(self, spec: FieldSpec, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.spec = spec
        self._filling = False
        self._edits: list[QLineEdit] = []
        self._check: QCheckBox | None = None
        self._combo: QComboBox | None = None
        self._long: QPlainTextEdit | None = None
        line = QHBoxLayout()
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(theme.grid(1))
        self._add_editor(line)
        if spec.unit:
            unit = QLabel(spec.unit)
            unit.setProperty("kind", "muted")
            line.addWidget(unit)
        if spec.limits:
            limits = QLabel(spec.limits)
            limits.setProperty("kind", "label")
            line.addWidget(limits)
        line.addStretch(1)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(2)
        box.addLayout(line)
        self._help = QLabel(spec.help)
        self._help.setProperty("kind", "label")
        self._help.setWordWrap(True)
        self._help.setTextFormat(Qt.TextFormat.PlainText)
        self._help.setVisible(bool(spec.help))
        self._problem = QLabel()
        self._problem.setProperty("kind", "error")
        self._problem.setWordWrap(True)
        self._problem.setTextFormat(Qt.TextFormat.PlainText)
        self._problem.hide()
        box.addWidget(self._problem)
        box.addWidget(self._help)

    @property
    def problem(self) -> str:
        """The sentence shown, empty for none."""
        return self._problem.text()

    @property
    def first(self) -> QWidget:
        """The widget that takes the keyboard."""
        return self._check or self._combo or self._long or self._edits[0]

    def _add_editor(self, line: QHBoxLayout) -> None:
        kind = self.spec.kind
        if kind is FieldKind.SWITCH:
            self._check = SwitchBox("On")
            self._check.toggled.connect(self._emit)
            line.addWidget(self._check)
        elif kind is FieldKind.CHOICE:
            self._combo = QuietComboBox()
            self._combo.addItems(self.spec.choices)
            self._combo.setMinimumWidth(_NUMBER_PX)
            self._combo.currentTextChanged.connect(self._emit)
            line.addWidget(self._combo)
        elif kind is FieldKind.DRIVER:
            self._combo = QuietComboBox()
            self._combo.setEditable(True)  # a plug-in may be installed later than the file is written
            self._combo.setMinimumWidth(_TEXT_PX)
            self._combo.addItems(self.spec.choices)
            self._combo.currentTextChanged.connect(self._emit)
            line.addWidget(self._combo)
        elif kind is FieldKind.LONG_TEXT:
            self._long = QPlainTextEdit()
            self._long.setTabChangesFocus(True)
            self._long.setFixedHeight(theme.grid(11))
            self._long.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            self._long.textChanged.connect(self._emit)
            line.addWidget(self._long, 100)
        else:
            for axis in _AXES if kind is FieldKind.VECTOR else ("",):
                if axis:
                    caption = QLabel(axis)
                    caption.setProperty("kind", "muted")
                    line.addWidget(caption)
                edit = QLineEdit()
                edit.setFixedWidth(_TEXT_PX if kind in _WIDE else theme.grid(9) if axis else _NUMBER_PX)
                edit.setFont(theme.font(tabular=True))
                if kind is FieldKind.LIST:
                    edit.setPlaceholderText("separated by commas")
                edit.textEdited.connect(self._emit)
                self._edits.append(edit)
                line.addWidget(edit)
        for widget in (self._check, self._combo, self._long, *self._edits):
            if widget is not None:
                widget.setAccessibleName(self.spec.label)
                widget.setAccessibleDescription(self.spec.help)

    def set_value(self, value: Any) -> None:
        """Shows a value; emits nothing."""
        self._filling = True
        if self._check is not None:
            self._check.setChecked(value is True)
        elif self._combo is not None:
            self._combo.setCurrentText(_shown(value))
        elif self._long is not None:
            if self._long.toPlainText() != str(value):
                self._long.setPlainText(str(value))
        elif self.spec.kind is FieldKind.LIST:
            self._edits[0].setText(", ".join(_shown(part) for part in value or ()))
        elif self.spec.kind is FieldKind.VECTOR:
            for edit, part in zip(self._edits, value, strict=False):
                edit.setText(_shown(part))
        else:
            self._edits[0].setText(_shown(value))
        self._filling = False

    def set_problem(self, sentence: str) -> None:
        """Shows what is wrong with the value, in place of the help."""
        self._problem.setText(sentence)
        self._problem.setVisible(bool(sentence))
        self._help.setVisible(bool(self.spec.help) and not sentence)

    def _emit(self) -> None:
        if not self._filling:
            self.edited.emit(self.spec.place, self._value())

    def _value(self) -> Any:
        if self._check is not None:
            return self._check.isChecked()
        if self._combo is not None:
            return self._combo.currentText()
        if self._long is not None:
            return self._long.toPlainText()
        texts = [edit.text().strip() for edit in self._edits]
        match self.spec.kind:
            case FieldKind.INTEGER:
                return _as_integer(texts[0])
            case FieldKind.NUMBER:
                return _as_number(texts[0])
            case FieldKind.LIST:
                parts = [part.strip() for part in texts[0].split(",") if part.strip()]
                return [_as_number(part) for part in parts] if self.spec.numbers else parts
            case FieldKind.VECTOR:
                return [_as_number(text) for text in texts]
            case _:
                return texts[0]


def _shown(value: object) -> str:
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _as_number(text: str) -> float | str:
    """Returns the number, or the text as it is so that the validation says what is wrong with it."""
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return text


def _as_integer(text: str) -> int | str:
    try:
        return int(text.replace(" ", ""))
    except ValueError:
        return text
