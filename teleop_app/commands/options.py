"""Options that several commands share, and how they print."""

from __future__ import annotations

import json
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any

import typer

from teleop_app.core.paths import DataDir

DataDirOption = Annotated[
    Path | None,
    typer.Option("--data-dir", help="The store (else $TELEOP_DATA_DIR, else your user data directory)."),
]
StationOption = Annotated[
    Path | None, typer.Option("--station", help="Station file (else station.toml in the store).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


_root_option: ContextVar[Path | None] = ContextVar("root_option", default=None)


def remember_root_data_dir(option: Path | None) -> None:
    """Keep the store given before the command: `teleop --data-dir DIR episodes list`."""
    _root_option.set(option)


def chosen_data_dir(option: Path | None) -> DataDir:
    """The store named by a command's option, by `teleop --data-dir`, or by default."""
    return DataDir.choose(option or _root_option.get())


def print_json(value: Any) -> None:
    """One JSON object on a line of its own, flushed, so that scripts see it at once."""
    typer.echo(json.dumps(value, ensure_ascii=False, default=str))


def megabytes(size_bytes: float) -> str:
    """A size for people."""
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes < 1e9 else f"{size_bytes / 1e9:.2f} GB"


def counted(number: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
