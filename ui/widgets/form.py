"""Forms made from field descriptions: label, editor, unit, range, help, and the problem where it is."""

from __future__ import annotations

# ruff: noqa: N802
from collections.abc import Sequence
from typing import Any

from PyQt6.QtCore import QEvent, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QPalette, QWheelEvent
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from ui import theme
from ui.theme import FontSize
from ui.viewmodels.setup import SetupModel
from ui.viewmodels.setup_fields import FieldKind, FieldSpec, is_list, section_fields, section_help

_LABEL_PX = 184
_NUMBER_PX = 112
_TEXT_PX = 240
_AXES = ("x", "y", "z")
_SHORTEST_HELP = 24
"""A shorter sentence on a section only repeats its title."""


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
                edit.setFixedWidth(
                    _TEXT_PX if kind is FieldKind.TEXT else theme.grid(9) if axis else _NUMBER_PX
                )
                edit.setFont(theme.font(tabular=True))
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
            self._combo.setCurrentText(str(value))
        elif self._long is not None:
            if self._long.toPlainText() != str(value):
                self._long.setPlainText(str(value))
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
            case FieldKind.VECTOR:
                return [_as_number(text) for text in texts]
            case _:
                return texts[0]


def _shown(value: object) -> str:
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


class FieldGrid(QFrame):
    """The fields of one section or item in two columns."""

    def __init__(
        self, model: SetupModel, fields: Sequence[FieldSpec], place: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setProperty("surface", "panel")
        self._model = model
        self._place = place
        self.editors: list[FieldEditor] = []
        grid = QGridLayout(self)
        grid.setContentsMargins(theme.grid(2), theme.grid(2), theme.grid(2), theme.grid(2))
        grid.setHorizontalSpacing(theme.grid(2))
        grid.setVerticalSpacing(theme.grid(2))
        grid.setColumnMinimumWidth(0, _LABEL_PX)
        grid.setColumnStretch(1, 1)
        self._whole = QLabel()
        self._whole.setProperty("kind", "error")
        self._whole.setWordWrap(True)
        grid.addWidget(self._whole, 0, 0, 1, 2)
        for line, spec in enumerate(fields, start=1):
            editor = FieldEditor(spec)
            editor.edited.connect(model.set_value)
            label = QLabel(spec.label)
            label.setMinimumHeight(theme.grid(4))
            label.setBuddy(editor.first)
            grid.addWidget(label, line, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(editor, line, 1)
            self.editors.append(editor)
        self.fill()

    def fill(self) -> None:
        """Takes every value anew."""
        for editor in self.editors:
            editor.set_value(self._model.value(editor.spec.place))
        self.show_problems()

    def show_problems(self) -> None:
        """Shows what is wrong, field by field."""
        whole = self._model.section_problem(self._place)
        self._whole.setText(whole)
        self._whole.setVisible(bool(whole))
        for editor in self.editors:
            editor.set_problem(self._model.problem_at(editor.spec.place))


class SectionForm(QWidget):
    """One section of the station file; a list section has a card an item and buttons to add and remove."""

    def __init__(self, model: SetupModel, section: str, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._section = section
        self._grids: list[FieldGrid] = []
        self._shown_count = -1
        head = QLabel(title)
        head.setProperty("kind", "title")
        text = QLabel(section_help(section))
        text.setProperty("kind", "muted")
        text.setWordWrap(True)
        text.setVisible(len(text.text()) > _SHORTEST_HELP)
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(theme.grid(1.5))
        self._box.addWidget(head)
        self._box.addWidget(text)
        self._items = QVBoxLayout()
        self._items.setSpacing(theme.grid(1.5))
        self._box.addLayout(self._items)
        self._problem = QLabel()
        self._problem.setProperty("kind", "error")
        self._problem.setWordWrap(True)
        self._problem.hide()
        self._box.addWidget(self._problem)
        if is_list(section):
            add = QPushButton(f"Add {'an' if section[0] in 'aeiou' else 'a'} {section.removesuffix('s')}")
            add.setIcon(theme.icon("plus"))
            add.clicked.connect(lambda: model.add_item(section))
            self._box.addWidget(add, 0, Qt.AlignmentFlag.AlignLeft)
        self._box.addStretch(1)
        model.reloaded.connect(self.fill)
        model.changed.connect(self.show_problems)
        self.fill()

    @property
    def grids(self) -> tuple[FieldGrid, ...]:
        """The cards."""
        return tuple(self._grids)

    def editor(self, place: str) -> FieldEditor:
        """Returns the editor of a field.

        Raises:
            KeyError: This section has no such field.
        """
        for grid in self._grids:
            for editor in grid.editors:
                if editor.spec.place == place:
                    return editor
        raise KeyError(place)

    def fill(self) -> None:
        """Takes every value anew; a list section is built anew when items came or went."""
        if self._model.broken:
            return
        count = self._model.count(self._section) if is_list(self._section) else 1
        if count != self._shown_count:
            self._build(count)
        for grid in self._grids:
            grid.fill()
        self.show_problems()

    def _build(self, count: int) -> None:
        self._shown_count = count
        self._grids.clear()
        while self._items.count():
            item = self._items.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.setParent(None)
                widget.deleteLater()
        if not is_list(self._section):
            grid = FieldGrid(self._model, section_fields(self._section), self._section)
            self._grids.append(grid)
            self._items.addWidget(grid)
            return
        for index in range(count):
            place = f"{self._section}[{index}]"
            card = QWidget()
            box = QVBoxLayout(card)
            box.setContentsMargins(0, 0, 0, 0)
            box.setSpacing(4)
            head = QHBoxLayout()
            name = QLabel(f"{self._section.removesuffix('s').capitalize()} {index + 1}")
            name.setFont(theme.font(FontSize.BASE, bold=True))
            head.addWidget(name)
            head.addStretch(1)
            remove = QPushButton("Remove")
            remove.setProperty("kind", "plain")
            remove.clicked.connect(lambda _=False, i=index: self._model.remove_item(self._section, i))
            head.addWidget(remove)
            box.addLayout(head)
            grid = FieldGrid(self._model, section_fields(self._section, index), place)
            self._grids.append(grid)
            box.addWidget(grid)
            self._items.addWidget(card)

    def show_problems(self) -> None:
        """Shows what is wrong with the section."""
        sentence = self._model.section_problem(self._section)
        self._problem.setText(sentence)
        self._problem.setVisible(bool(sentence))
        if not self._model.broken:
            for grid in self._grids:
                grid.show_problems()
