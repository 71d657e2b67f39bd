"""`teleop import`: episodes of other stations into this store."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from recorders.importers.episode import Imported, copy_to_open, import_episode
from recorders.segment_names import episode_paths, is_segment, uuid_of
from sessions.repository import Catalog, open_catalog
from sessions.rows import Author
from teleop_app.commands.options import DataDirOption, JsonOption, chosen_data_dir, megabytes, print_json
from teleop_app.core.errors import TeleopError
from teleop_app.core.paths import DataDir
from teleop_app.station.store_recovery import rebuild_row, recover_store
from teleop_app.station.supervise import StationLock

_AUTHOR = Author.person("command line")


@dataclass(frozen=True, slots=True)
class ImportLine:
    """What became of one file: `imported`, `present`, `recovered` or `refused`, and a sentence."""

    path: str
    outcome: str
    uuid: str = ""
    size_bytes: int = 0
    text: str = ""


def import_files(
    files: Annotated[list[Path], typer.Argument(help="Episode files, or folders of them.")],
    recover: Annotated[
        bool, typer.Option("--recover", help="Also take what is whole of a file that a crash cut off.")
    ] = False,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy episodes of another station into the store, checked; exit code 1 when one was refused."""
    data = chosen_data_dir(data_dir).create()
    refused = 0
    with open_catalog(data.root, _AUTHOR) as catalog:
        for path in _expanded(files):
            line = _import(path, data, catalog, quiet=as_json)
            if recover and "--recover" in line.text:
                line = _recover(path, data, catalog)
            refused += line.outcome == "refused"
            _tell(line, as_json)
    raise typer.Exit(1 if refused else 0)


def _expanded(files: list[Path]) -> list[Path]:
    """Episodes among files and folders; parts of an episode that is named too are left out."""
    found = [path for given in files for path in (_in_folder(given) or [given])]
    whole = {path.with_name(f"{uuid_of(path)}.mcap") for path in found if is_segment(path)} & set(found)
    return [
        path for path in found if not (is_segment(path) and path.with_name(f"{uuid_of(path)}.mcap") in whole)
    ]


def _in_folder(path: Path) -> list[Path]:
    return episode_paths(path) if os.path.isdir(path) else []  # which takes any name


def _import(path: Path, data: DataDir, catalog: Catalog, *, quiet: bool) -> ImportLine:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as bar:
        task = bar.add_task(path.name[:40], total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        try:
            imported = import_episode(path, data.root, data.episodes, show)
            return _with_row(path, imported, data, catalog)
        except TeleopError as error:
            return ImportLine(str(path), "refused", text=error.sentence)


def _with_row(path: Path, imported: Imported, data: DataDir, catalog: Catalog) -> ImportLine:
    row = catalog.episode(imported.uuid)
    if row is None:
        rebuild_row(catalog, data, imported.path)
    outcome = "present" if imported.present and row is not None else "imported"
    return ImportLine(str(path), outcome, imported.uuid, imported.size_bytes)


def _recover(path: Path, data: DataDir, catalog: Catalog) -> ImportLine:
    try:
        with StationLock(data):
            uuid = copy_to_open(path, data.root, data.open)
            done = recover_store(data, catalog)
    except TeleopError as error:
        return ImportLine(str(path), "refused", text=error.sentence)
    mine = next((item for item in done.recovered if item.source.stem == uuid), None)
    if mine is None or mine.header is None:
        return ImportLine(str(path), "refused", uuid, text=mine.loss if mine else " ".join(done.sentences()))
    return ImportLine(str(path), "recovered", uuid, mine.size_bytes, mine.loss)


def _tell(line: ImportLine, as_json: bool) -> None:
    if as_json:
        print_json(asdict(line))
        return
    said: dict[str, Callable[[], str]] = {
        "imported": lambda: f"imported   {line.uuid}  {megabytes(line.size_bytes)}  from {line.path}",
        "present": lambda: (
            f"present    {line.uuid}  {line.path} is in the store already; nothing was copied."
        ),
        "recovered": lambda: f"recovered  {line.uuid}  {line.text}",
        "refused": lambda: f"REFUSED    {line.path}: {line.text}",
    }
    typer.echo(said[line.outcome]())
