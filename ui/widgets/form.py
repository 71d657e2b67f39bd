"""Forms made from field descriptions: a card a section, or a card an item of a list section."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ui import theme
from ui.theme import FontSize
from ui.viewmodels.setup import SetupModel, stem_of
from ui.viewmodels.setup_fields import FieldKind, FieldSpec, is_list, section_fields, section_help
from ui.widgets.form_fields import FieldEditor
from ui.widgets.form_options import OptionsEditor

_LABEL_PX = 184
_SHORTEST_HELP = 24
"""A shorter sentence on a section only repeats its title."""


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
        self.options: OptionsEditor | None = None
        for line, spec in enumerate(fields, start=1):
            if spec.kind is FieldKind.OPTIONS:
                self.options = OptionsEditor(model, spec, f"{place}.{_driver_field(fields)}")
                grid.addWidget(self.options, line, 0, 1, 2)
                continue
            if spec.kind is FieldKind.DRIVER and spec.driver is not None and model.drivers is not None:
                spec = replace(spec, choices=model.drivers.names(spec.driver))
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
        if self.options is not None:
            self.options.fill()
        self.show_problems()

    def show_problems(self) -> None:
        """Shows what is wrong, field by field."""
        whole = self._model.section_problem(self._place)
        self._whole.setText(whole)
        self._whole.setVisible(bool(whole))
        for editor in self.editors:
            editor.set_problem(self._model.problem_at(editor.spec.place))
        if self.options is not None:
            self.options.show_problems()


def _driver_field(fields: Sequence[FieldSpec]) -> str:
    return next(spec.place.rpartition(".")[2] for spec in fields if spec.kind is FieldKind.DRIVER)


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
            stem = stem_of(section)
            add = QPushButton(f"Add {'an' if stem[0] in 'aeiou' else 'a'} {stem}")
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
            for editor in (*grid.editors, *(grid.options.editors if grid.options is not None else ())):
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
            name = QLabel(f"{stem_of(self._section).capitalize()} {index + 1}")
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
