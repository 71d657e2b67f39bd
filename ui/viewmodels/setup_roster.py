"""Tasks and people of the catalog, listed and edited off the GUI thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PyQt6.QtCore import QObject, pyqtSignal

from sessions import Author, Catalog, PersonRow, Role, TaskProgress, TaskRow
from ui.viewmodels.background import Background


class RosterModel(QObject):
    """Keeps the lists as they are in the catalog; every edit is signed.

    Args:
        catalog: Open catalog; not closed here.
        author: Who signs; asked for at each edit.
        parent: Owner.
    """

    changed = pyqtSignal()
    told = pyqtSignal(str, object)
    """A note for a toast, and what takes it back, or None."""
    refused = pyqtSignal(object)
    """A `TeleopError` to show."""
    taskAdded = pyqtSignal(str)
    """Id of a task made here."""

    def __init__(self, catalog: Catalog, author: Callable[[], Author], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._catalog = catalog
        self._author = author
        self._work = Background("roster", self)
        self._work.failed.connect(self.refused)
        self.tasks: tuple[TaskRow, ...] = ()
        self.people: tuple[PersonRow, ...] = ()
        self.progress: Mapping[str, TaskProgress] = {}

    def load(self) -> None:
        """Reads both lists; `changed` follows."""

        def read() -> Any:
            return (
                self._catalog.list_tasks(archived=None),
                self._catalog.list_people(),
                self._catalog.progress_of_all(),
            )

        def done(found: Any) -> None:
            if found != (self.tasks, self.people, self.progress):
                self.tasks, self.people, self.progress = found
                self.changed.emit()

        self._work.run(read, done)

    def _edit(
        self,
        work: Callable[[Author], Any],
        text: str = "",
        undo: Callable[[], object] | None = None,
        then: Callable[[Any], object] | None = None,
    ) -> None:
        author = self._author()

        def done(result: Any) -> None:
            if text:
                self.told.emit(text, undo)
            if then is not None:
                then(result)
            self.load()

        def failed(error: Any) -> None:
            self.refused.emit(error)
            self.changed.emit()  # editors take the old values back

        self._work.run(lambda: work(author), done, failed)

    # Tasks

    def add_task(self, name: str, instruction: str = "") -> None:
        """Makes a task; one of that name stays as it is."""
        self._edit(
            lambda author: self._catalog.ensure_task(name, instruction=instruction, author=author),
            f"Added the task {name!r}",
            then=lambda row: self.taskAdded.emit(row.id),
        )

    def save_task(
        self, task: TaskRow, name: str, instruction: str, paraphrases: Sequence[str], target_count: int
    ) -> None:
        """Changes what differs; episodes recorded before keep their instruction."""

        def work(author: Author) -> None:
            if " ".join(name.split()) != task.name:
                self._catalog.rename_task(task.id, name, author=author)
            self._catalog.update_task(
                task.id,
                instruction=instruction,
                paraphrases=paraphrases,
                target_count=target_count,
                author=author,
            )

        def undo() -> None:
            self.save_task(
                _renamed(task, name), task.name, task.instruction, task.paraphrases, task.target_count
            )

        self._edit(work, f"Saved the task {name!r}", undo)

    def archive_task(self, task: TaskRow, archived: bool = True) -> None:
        """Takes a task out of use, or back into use."""
        self._edit(
            lambda author: self._catalog.update_task(task.id, archived=archived, author=author),
            f"{'Archived' if archived else 'Restored'} the task {task.name!r}",
            lambda: self.archive_task(task, not archived),
        )

    # People

    def add_person(self, name: str, roles: Sequence[Role] = (Role.OPERATOR,)) -> None:
        """Makes a person; somebody of that name gets the roles added."""
        self._edit(lambda author: self._catalog.ensure_person(name, roles, author=author), f"Added {name}")

    def rename_person(self, person: PersonRow, name: str) -> None:
        """Gives a person another name; their episodes follow."""
        if " ".join(name.split()) != person.name:
            self._edit(
                lambda author: self._catalog.rename_person(person.id, name, author=author),
                f"Renamed {person.name} to {name}",
                lambda: self._edit(
                    lambda author: self._catalog.rename_person(person.id, person.name, author=author)
                ),
            )

    def set_roles(self, person: PersonRow, roles: Sequence[Role]) -> None:
        """Replaces what a person may do."""
        if tuple(roles) != person.roles:
            self._edit(lambda author: self._catalog.set_roles(person.id, roles, author=author))

    def close(self) -> None:
        """Ends the thread. Idempotent."""
        self._work.close()


def _renamed(task: TaskRow, name: str) -> TaskRow:
    return TaskRow(
        id=task.id,
        name=" ".join(name.split()),
        simulation_task=task.simulation_task,
        instruction=task.instruction,
        paraphrases=task.paraphrases,
        target_count=task.target_count,
        archived=task.archived,
        created_utc_ns=task.created_utc_ns,
    )
