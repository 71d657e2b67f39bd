"""The documents list the keys, the commands and the exit codes that the program has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer.main

from teleop_app.cli import app
from teleop_app.core import errors
from ui.actions import ACTIONS, ActionSpec
from ui.pages.episodes import EPISODE_ACTIONS

ROOT = Path(__file__).parents[2]
OPERATOR = ROOT / "docs" / "operator.md"
COMMAND_LINE = ROOT / "docs" / "command-line.md"
NAMES = {"Return": "Enter", "PgUp": "Page Up", "PgDown": "Page Down"}


def key_table() -> str:
    lines = ["| key | does | where |", "|---|---|---|"]
    for spec in (*ACTIONS, *EPISODE_ACTIONS):
        if not spec.key or re.search(r"camera\.[2-9]$", spec.id):
            continue
        lines.append(f"| {_keys(spec)} | {_words(spec)} | {spec.scope} |")
    return "\n".join(lines)


def _keys(spec: ActionSpec) -> str:
    if spec.id.endswith("camera.1"):
        return "`1` to `9`"
    return f"`{NAMES.get(spec.key, spec.key)}`"


def _words(spec: ActionSpec) -> str:
    text = "View 1 to 9 large" if spec.id.endswith("camera.1") else spec.text
    return f"{text} (while held)" if spec.held else text


def commands() -> Iterator[tuple[str, click.Command]]:
    def walk(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        children = getattr(command, "commands", {})
        if not children or name == "teleop":
            yield name, command
        for child in sorted(children):
            yield from walk(f"{name} {child}", children[child])

    return walk("teleop", typer.main.get_command(app))


def command_table() -> str:
    lines = ["| command | does |", "|---|---|"]
    for name, command in commands():
        lines.append(f"| `{name}` | {(command.help or '').splitlines()[0]} |")
    return "\n".join(lines)


def exit_code_table() -> str:
    lines = ["| code | kind | when |", "|---|---|---|"]
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    for kind in kinds:
        if issubclass(kind, errors.TeleopError) and kind is not errors.TeleopError:
            lines.append(f"| {kind.exit_code} | `{kind.__name__}` | {(kind.__doc__ or '').strip()} |")
    return "\n".join(lines)


def block(document: Path, name: str) -> str:
    found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- /{name} -->", document.read_text("utf-8"), re.DOTALL)
    assert found is not None, f"{document.name} has no block {name}"
    return found[1]


@pytest.mark.parametrize(
    ("document", "name", "table"),
    [
        (OPERATOR, "keys", key_table),
        (COMMAND_LINE, "commands", command_table),
        (COMMAND_LINE, "exit-codes", exit_code_table),
    ],
    ids=["keys", "commands", "exit codes"],
)
def test_the_table_is_what_the_program_has(document, name, table):
    assert block(document, name) == table(), f"Put this between the marks of {document.name}:\n{table()}"


def test_every_command_has_a_section_that_names_its_options():
    text = COMMAND_LINE.read_text("utf-8")
    sections = dict(re.findall(r"^## `(teleop[^`]*)`\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE))
    shared = block(COMMAND_LINE, "shared-options")
    missing = []
    for name, command in commands():
        said = sections.get(name, "") + shared
        wanted = {option for p in command.params for option in p.opts if option.startswith("--")} - {"--help"}
        missing += [f"{name} {option}" for option in sorted(wanted) if f"`{option}" not in said]
        if name not in sections:
            missing.append(name)
    assert not missing


def test_links_between_documents_lead_somewhere():
    broken = []
    for document in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", document.read_text("utf-8")):
            if not (document.parent / target).exists():
                broken.append(f"{document.name}: {target}")
    assert not broken
