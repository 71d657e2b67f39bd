"""Tasks and people: a list each, with the chosen one's fields beside or under it."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPlainTextEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from sessions import PersonRow, Role, TaskRow
from ui import theme
from ui.viewmodels.setup_roster import RosterModel
from ui.widgets.form_fields import SwitchBox

_MOST = 1_000_000


class TasksEditor(QWidget):
    """All tasks on the left, the chosen one's instruction, other wordings and target on the right."""

    def __init__(self, model: RosterModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._chosen = ""
        self._shown: TaskRow | None = None
        title = QLabel("Tasks")
        title.setProperty("kind", "title")
        self.list = QListWidget()
        self.list.setAccessibleName("Tasks")
        self.list.setFixedWidth(theme.grid(28))
        self.list.setMinimumHeight(theme.grid(30))
        self.list.currentItemChanged.connect(self._on_current)
        self.new_name = QLineEdit()
        self.new_name.setPlaceholderText("Name of a new task")
        self.new_name.setAccessibleName("Name of a new task")
        add = QPushButton("Add")
        add.clicked.connect(self._add)
        self.new_name.returnPressed.connect(self._add)
        adding = QHBoxLayout()
        adding.addWidget(self.new_name, 1)
        adding.addWidget(add)
        left = QVBoxLayout()
        left.setSpacing(theme.grid(1))
        left.addWidget(self.list, 1)
        left.addLayout(adding)
        row = QHBoxLayout()
        row.setSpacing(theme.grid(1.5))
        row.addLayout(left)
        row.addWidget(self._build_card(), 1)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.grid(1.5))
        box.addWidget(title)
        box.addLayout(row, 1)
        model.changed.connect(self.refresh)
        model.taskAdded.connect(self._choose)
        self.refresh()

    def _build_card(self) -> QFrame:
        card = QFrame()
        card.setProperty("surface", "panel")
        self.name = QLineEdit()
        self.instruction = QLineEdit()
        self.paraphrases = QPlainTextEdit()
        self.paraphrases.setTabChangesFocus(True)
        self.paraphrases.setFixedHeight(theme.grid(13))
        self.target = QSpinBox()
        self.target.setRange(0, _MOST)
        self.target.setSpecialValueText("no target")
        self.target.setFixedWidth(theme.grid(16))
        self._progress = QLabel()
        self._progress.setProperty("kind", "muted")
        self.save = QPushButton("Save task")
        self.save.clicked.connect(self._save)
        self.archive = QPushButton("Archive")
        self.archive.clicked.connect(self._archive)
        grid = QGridLayout(card)
        grid.setContentsMargins(theme.grid(2), theme.grid(2), theme.grid(2), theme.grid(2))
        grid.setHorizontalSpacing(theme.grid(2))
        grid.setVerticalSpacing(theme.grid(1.5))
        grid.setColumnStretch(1, 1)
        rows: list[tuple[str, QWidget, str]] = [
            ("Name", self.name, ""),
            ("Instruction", self.instruction, "Episodes recorded before keep the wording they had."),
            ("Other wordings", self.paraphrases, "One a line; a dataset may use any of them."),
            ("Episodes wanted", self.target, ""),
        ]
        for line, (caption, widget, text) in enumerate(rows):
            label = QLabel(caption)
            label.setBuddy(widget)
            label.setMinimumHeight(theme.grid(4))
            widget.setAccessibleName(caption)
            grid.addWidget(label, line, 0, Qt.AlignmentFlag.AlignTop)
            cell = QVBoxLayout()
            cell.setSpacing(2)
            cell.addWidget(widget)
            if text:
                note = QLabel(text)
                note.setProperty("kind", "label")
                note.setWordWrap(True)
                cell.addWidget(note)
            grid.addLayout(cell, line, 1)
        grid.addWidget(self._progress, len(rows), 1)
        buttons = QHBoxLayout()
        buttons.addWidget(self.save)
        buttons.addWidget(self.archive)
        buttons.addStretch(1)
        grid.addLayout(buttons, len(rows) + 1, 1)
        grid.setRowStretch(len(rows) + 2, 1)
        self.name.textEdited.connect(self._refresh_buttons)
        self.instruction.textEdited.connect(self._refresh_buttons)
        self.paraphrases.textChanged.connect(self._refresh_buttons)
        self.target.valueChanged.connect(self._refresh_buttons)
        return card

    def refresh(self) -> None:
        """Takes the list anew; what is being typed is kept."""
        self.list.blockSignals(True)
        self.list.clear()
        tasks = sorted(self._model.tasks, key=lambda task: (task.archived, task.name))
        for task in tasks:
            item = QListWidgetItem(f"{task.name} (archived)" if task.archived else task.name)
            item.setData(Qt.ItemDataRole.UserRole, task.id)
            item.setSizeHint(QSize(0, theme.grid(4)))
            self.list.addItem(item)
        self.list.blockSignals(False)
        if tasks and self._chosen not in {task.id for task in tasks}:
            self._chosen = tasks[0].id
        self._choose(self._chosen)

    def _choose(self, task_id: str) -> None:
        self._chosen = task_id
        for place in range(self.list.count()):
            item = self.list.item(place)
            if item is not None and item.data(Qt.ItemDataRole.UserRole) == task_id:
                self.list.setCurrentItem(item)
        self._show()

    def _on_current(self, item: QListWidgetItem | None) -> None:
        if item is not None:
            self._chosen = item.data(Qt.ItemDataRole.UserRole)
            self._show()

    @property
    def chosen(self) -> TaskRow | None:
        """The task whose fields are shown."""
        return next((task for task in self._model.tasks if task.id == self._chosen), None)

    def _show(self) -> None:
        task = self.chosen
        edited = self._shown is not None and task is not None and task.id == self._shown.id and self._edited()
        if task is not None and (task != self._shown) and not edited:
            self._shown = task
            self.name.setText(task.name)
            self.instruction.setText(task.instruction)
            self.instruction.setCursorPosition(0)
            self.paraphrases.setPlainText("\n".join(task.paraphrases))
            self.target.setValue(task.target_count)
        for widget in (self.name, self.instruction, self.paraphrases, self.target, self.archive):
            widget.setEnabled(task is not None)
        progress = self._model.progress.get(task.id) if task is not None else None
        text = "" if progress is None else f"{progress.saved_on_disk} saved, {progress.successes} successful"
        if progress is not None and progress.target_count:
            text += f", {progress.remaining} to go"
        self._progress.setText(text)
        self.archive.setText("Use again" if task is not None and task.archived else "Archive")
        self._refresh_buttons()

    def _values(self) -> tuple[str, str, tuple[str, ...], int]:
        lines = (line.strip() for line in self.paraphrases.toPlainText().splitlines())
        return (
            " ".join(self.name.text().split()),
            self.instruction.text().strip(),
            tuple(line for line in lines if line),
            self.target.value(),
        )

    def _edited(self) -> bool:
        task = self._shown
        return task is not None and self._values() != (
            task.name,
            task.instruction,
            task.paraphrases,
            task.target_count,
        )

    def _refresh_buttons(self) -> None:
        self.save.setEnabled(self._edited() and bool(self._values()[0]))

    def _save(self) -> None:
        if self._shown is not None:
            task, self._shown = self._shown, None  # the saved values are taken when they come back
            self._model.save_task(task, *self._values())

    def _archive(self) -> None:
        task = self.chosen
        if task is not None:
            self._shown = None
            self._model.archive_task(task, not task.archived)

    def _add(self) -> None:
        name = self.new_name.text().strip()
        if name:
            self.new_name.clear()
            self._model.add_task(name)


class PeopleEditor(QWidget):
    """Everybody with their roles; names are edited in place."""

    def __init__(self, model: RosterModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        title = QLabel("People")
        title.setProperty("kind", "title")
        text = QLabel("Operators drive and record, annotators label, supervisors judge and cut datasets.")
        text.setProperty("kind", "muted")
        text.setWordWrap(True)
        self._card = QFrame()
        self._card.setProperty("surface", "panel")
        self._rows = QVBoxLayout(self._card)
        self._rows.setContentsMargins(theme.grid(2), theme.grid(1.5), theme.grid(2), theme.grid(1.5))
        self._rows.setSpacing(theme.grid(1))
        self.new_name = QLineEdit()
        self.new_name.setPlaceholderText("Name of a new person")
        self.new_name.setAccessibleName("Name of a new person")
        self.new_name.setFixedWidth(theme.grid(28))
        self.new_name.returnPressed.connect(self._add)
        add = QPushButton("Add")
        add.clicked.connect(self._add)
        adding = QHBoxLayout()
        adding.addWidget(self.new_name)
        adding.addWidget(add)
        adding.addStretch(1)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.grid(1.5))
        box.addWidget(title)
        box.addWidget(text)
        box.addWidget(self._card)
        box.addLayout(adding)
        box.addStretch(1)
        self._people: tuple[PersonRow, ...] | None = None
        model.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Takes the list anew."""
        self._people = self._model.people
        while self._rows.count():
            item = self._rows.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.setParent(None)
                widget.deleteLater()
        if not self._people:
            empty = QLabel("Nobody yet. Who drives is kept with each episode.")
            empty.setProperty("kind", "muted")
            self._rows.addWidget(empty)
        for person in self._people:
            self._rows.addWidget(self._row(person))

    def _row(self, person: PersonRow) -> QWidget:
        row = QWidget()
        line = QHBoxLayout(row)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(theme.grid(2))
        name = QLineEdit(person.name)
        name.setAccessibleName(f"Name of {person.name}")
        name.setFixedWidth(theme.grid(28))
        name.editingFinished.connect(lambda: self._rename(person, name))
        line.addWidget(name)
        boxes: dict[Role, SwitchBox] = {}
        for role in Role:
            box = SwitchBox(role.value.capitalize())
            box.setChecked(role in person.roles)
            box.clicked.connect(
                lambda _=False: self._model.set_roles(
                    person, [each for each, box in boxes.items() if box.isChecked()]
                )
            )
            boxes[role] = box
            line.addWidget(box)
        line.addStretch(1)
        return row

    def _rename(self, person: PersonRow, name: QLineEdit) -> None:
        wanted = " ".join(name.text().split())
        if not wanted:
            name.setText(person.name)
        elif wanted != person.name:
            self._model.rename_person(person, wanted)

    def _add(self) -> None:
        name = self.new_name.text().strip()
        if name:
            self.new_name.clear()
            self._model.add_person(name)
