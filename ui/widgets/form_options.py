"""The settings of a driver: a form made from its own model, or lines of text where that is not known."""

from __future__ import annotations

import tomllib
from typing import Any

import tomlkit
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QFontDatabase
from PyQt6.QtWidgets import QGridLayout, QLabel, QPlainTextEdit, QVBoxLayout, QWidget

from ui import theme
from ui.viewmodels.setup import SetupModel
from ui.viewmodels.setup_fields import FieldKind, FieldSpec
from ui.widgets.form_fields import FieldEditor

_LABEL_PX = 184
_LINES_HELP = "Settings of a driver that is not known here, a line each: name = value."


class OptionsEditor(QWidget):
    """Follows the driver that the entry names.

    Args:
        model: The station file.
        spec: Of the whole of the settings.
        driver_place: Where the driver's name stands.
        parent: Owner.
    """

    def __init__(
        self, model: SetupModel, spec: FieldSpec, driver_place: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._model = model
        self._spec = spec
        self._driver_place = driver_place
        self._shown: object = None
        self.editors: list[FieldEditor] = []
        self.lines: dict[str, QPlainTextEdit] = {}
        self._defaults: dict[str, Any] = {}
        self._problem = QLabel()
        self._problem.setProperty("kind", "error")
        self._problem.setWordWrap(True)
        self._problem.setTextFormat(Qt.TextFormat.PlainText)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(theme.grid(2))
        self._grid.setVerticalSpacing(theme.grid(2))
        self._grid.setColumnMinimumWidth(0, _LABEL_PX)
        self._grid.setColumnStretch(1, 1)
        self.fill()

    def fill(self) -> None:
        """Takes every value anew; the fields are those of the driver named now."""
        driver = str(self._model.value(self._driver_place))
        drivers, kind = self._model.drivers, self._spec.driver
        known = drivers is not None and kind is not None
        fields = drivers.option_fields(kind, driver, self._spec.place) if known else None  # pyright: ignore
        if (driver, fields) != self._shown:
            self._shown = (driver, fields)
            self._build(driver, fields)
        options: dict[str, Any] = self._model.value(self._spec.place)
        for editor in self.editors:
            editor.set_value(options.get(_name(editor), editor.spec.default))
        for name, lines in self.lines.items():
            held = options.get(name, self._defaults[name]) if name else options
            if not lines.hasFocus():
                lines.blockSignals(True)
                lines.setPlainText(_as_lines(held or {}))
                lines.blockSignals(False)
        self.show_problems()

    def _build(self, driver: str, fields: tuple[FieldSpec, ...] | None) -> None:
        while self._grid.count():
            item = self._grid.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None and widget is not self._problem:
                widget.setParent(None)
                widget.deleteLater()
        self.editors.clear()
        self.lines.clear()
        self._defaults.clear()
        self.setVisible(fields is None or bool(fields))
        self._grid.addWidget(self._problem, 0, 0, 1, 2)
        if fields is None:
            self._build_lines()
            return
        if fields:
            self._grid.addWidget(_head(f"{self._spec.label} {driver}"), 1, 0, 1, 2)
        for row, spec in enumerate(fields, start=2):
            if spec.kind is FieldKind.OPTIONS:
                self._build_lines(spec, row)
                continue
            editor = FieldEditor(spec)
            editor.edited.connect(self._on_edited)
            label = QLabel(spec.label)
            label.setMinimumHeight(theme.grid(4))
            label.setBuddy(editor.first)
            self._grid.addWidget(label, row, 0, Qt.AlignmentFlag.AlignTop)
            self._grid.addWidget(editor, row, 1)
            self.editors.append(editor)

    def _build_lines(self, spec: FieldSpec | None = None, row: int = 1) -> None:
        """Adds a text of `name = value` lines: for one setting that is a table, or for all of them."""
        name = spec.place.rpartition(".")[2] if spec is not None else ""
        label = QLabel((spec or self._spec).label)
        label.setToolTip(spec.help if spec is not None else _LINES_HELP)
        lines = QPlainTextEdit()
        lines.setAccessibleName(label.text())
        lines.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        lines.setPlaceholderText("name = value")
        lines.setTabChangesFocus(True)
        lines.setFixedHeight(theme.grid(9))
        lines.textChanged.connect(lambda: self._on_lines(name))
        self.lines[name] = lines
        self._defaults[name] = spec.default if spec is not None else {}
        self._grid.addWidget(label, row, 0, Qt.AlignmentFlag.AlignTop)
        column = QVBoxLayout()
        column.setSpacing(2)
        column.addWidget(lines)
        if spec is not None and spec.help:
            text = QLabel(spec.help)
            text.setProperty("kind", "label")
            text.setWordWrap(True)
            column.addWidget(text)
        holder = QWidget()
        column.setContentsMargins(0, 0, 0, 0)
        holder.setLayout(column)
        self._grid.addWidget(holder, row, 1)

    def _on_edited(self, place: str, value: Any) -> None:
        spec = next(editor.spec for editor in self.editors if editor.spec.place == place)
        if value == "" and spec.default is None:
            value = None
        self._model.set_option(self._spec.place, place.rpartition(".")[2], value, spec.default)

    def _on_lines(self, name: str) -> None:
        try:
            options = tomllib.loads(self.lines[name].toPlainText())
        except tomllib.TOMLDecodeError as error:
            self._say(f"These lines are not `name = value`: {error}. They are not taken over yet.")
            return
        self._say("")
        if name:
            self._model.set_option(self._spec.place, name, options, self._defaults[name])
        else:
            self._model.set_value(self._spec.place, options)

    def show_problems(self) -> None:
        """Shows what is wrong with each setting, and with the whole."""
        driver = str(self._model.value(self._driver_place))
        if isinstance(self._shown, tuple) and driver != self._shown[0]:
            self.fill()
            return
        tables = (self._model.problem_at(f"{self._spec.place}.{name}") for name in self.lines if name)
        self._say(self._model.section_problem(self._spec.place) or next(filter(None, tables), ""))
        for editor in self.editors:
            editor.set_problem(self._model.problem_at(editor.spec.place))

    @property
    def problem(self) -> str:
        """The sentence on the whole, empty for none."""
        return self._problem.text()

    def _say(self, sentence: str) -> None:
        self._problem.setText(sentence)
        self._problem.setVisible(bool(sentence))


def _name(editor: FieldEditor) -> str:
    return editor.spec.place.rpartition(".")[2]


def _as_lines(options: dict[str, Any]) -> str:
    return tomlkit.dumps(options).strip() if options else ""


def _head(text: str) -> QLabel:
    label = QLabel(text)
    label.setFont(theme.font(bold=True))
    return label
