"""The policies of a store: the files of its folder, and those that every store has without a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from teleop_app.autonomy.policy_file import PolicyFile, load_policy, parse_policy
from teleop_app.autonomy.policy_templates import TemplateCell, template
from teleop_app.core.errors import PolicyError

BUILT_IN: Final = ("hold", "scripted")
_MOST_FILES: Final = 500


@dataclass(frozen=True, slots=True)
class PolicyEntry:
    """One policy of the library.

    Attributes:
        name: Its file's stem.
        title: For people; its name when the file gives none.
        driver: As the file says, empty when it cannot be read.
        path: Of the file, None for a built-in one.
        problem: Why it cannot be used, as a sentence; empty when it can.
    """

    name: str
    title: str
    driver: str
    path: Path | None
    problem: str = ""


class PolicyLibrary:
    """Reads the policy files anew each time it is asked: they are edited while the program runs.

    Args:
        folder: `DataDir.policies`; it need not exist.
        cell: Arms and cameras that the built-in policies are made for.
    """

    def __init__(self, folder: Path, cell: TemplateCell) -> None:
        self._folder = folder
        self._cell = cell

    def entries(self) -> tuple[PolicyEntry, ...]:
        """All policies: files by name, broken ones too, then the built-in ones whose name no file takes.

        Raises:
            PolicyError: The folder cannot be read.
        """
        files = self._files()
        found = [self._entry(path) for path in files]
        taken = {path.stem for path in files}
        for name in self._built_in_names():
            if name not in taken:
                policy = self._built_in(name)
                found.append(PolicyEntry(name, policy.title, policy.driver, None))
        return tuple(found)

    def load(self, name: str) -> PolicyFile:
        """A policy by its name: the file's, else the built-in one.

        Raises:
            PolicyError: There is none, or its file is wrong.
        """
        for path in self._files():
            if path.stem == name:
                return load_policy(path)
        if name in self._built_in_names():
            return self._built_in(name)
        known = ", ".join(dict.fromkeys([*(path.stem for path in self._files()), *self._built_in_names()]))
        raise PolicyError(
            f"There is no policy {name!r:.80}",
            next_step=f"Choose one of: {known:.400}; or create one with: teleop policy init",
        )

    def path_of(self, name: str) -> Path:
        """Where the file of a policy of this name lies, or would."""
        return self._folder / f"{name}.toml"

    def _built_in_names(self) -> tuple[str, ...]:
        return BUILT_IN if self._cell.arms else ()

    def _built_in(self, name: str) -> PolicyFile:
        return parse_policy(template(name, self._cell), name)

    def _files(self) -> list[Path]:
        try:
            found = (path for path in self._folder.glob("*.toml") if path.is_file())
            files = sorted(found, key=lambda path: path.stem)
        except OSError as error:
            raise PolicyError(
                f"The folder {self._folder} cannot be read", why=error.strerror or ""
            ) from error
        if len(files) > _MOST_FILES:
            raise PolicyError(
                f"The folder {self._folder} holds {len(files)} policy files (limit {_MOST_FILES})"
            )
        return files

    def _entry(self, path: Path) -> PolicyEntry:
        try:
            policy = load_policy(path)
        except PolicyError as error:
            return PolicyEntry(path.stem, path.stem, "", path, error.sentence)
        return PolicyEntry(policy.name, policy.title or policy.name, policy.driver, path)
