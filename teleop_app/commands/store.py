"""`teleop verify` and `teleop recover`: is what was recorded whole, and bring it back in order."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from recorders.segment_names import episode_paths
from recorders.verify import FileReport, verify_files
from sessions.repository import Catalog, open_catalog
from sessions.rows import Author
from teleop_app.commands.episodes import find_episodes, resolve
from teleop_app.commands.options import DataDirOption, JsonOption, chosen_data_dir, counted, print_json
from teleop_app.core.paths import DataDir
from teleop_app.station.store_recovery import LISTED_LOSSES, recover_store
from teleop_app.station.supervise import StationLock

_AUTHOR = Author.person("command line")


def verify(
    what: Annotated[str, typer.Argument(help="A file or a UUID; nothing for the whole store.")] = "",
    full: Annotated[bool, typer.Option("--full", help="Decode every frame too.")] = False,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check files against their checksums and the catalog; exit code 1 when anything is wrong."""
    if os.path.isfile(what):  # which takes any name, also one too long for a file
        reports, problems = _show([Path(what)], {}, full, as_json), []
    else:
        data = chosen_data_dir(data_dir).create()
        with open_catalog(data.root, _AUTHOR) as catalog:
            paths, digests, problems = _selected(catalog, data, what)
        reports = _show(paths, digests, full, as_json)
    for problem in problems:
        print_json({"problem": problem}) if as_json else typer.echo(f"WRONG  {problem}")
    wrong = sum(not report.ok for report in reports) + len(problems)
    if not as_json:
        typer.echo(f"{counted(len(reports), 'file')} checked, {wrong or 'nothing'} wrong")
    raise typer.Exit(1 if wrong else 0)


def recover(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Salvage what a crash left open and rebuild the catalog; exit code 1 when something was lost."""
    data = chosen_data_dir(data_dir).create()
    with StationLock(data), open_catalog(data.root, _AUTHOR) as catalog:
        outcome = recover_store(data, catalog)
    if as_json:
        print_json(asdict(outcome))
    else:
        for sentence in outcome.sentences(detailed=True) or ["Nothing to recover: files and catalog agree."]:
            typer.echo(sentence)
    lost = outcome.missing or outcome.problems or any(item.loss for item in outcome.recovered)
    raise typer.Exit(1 if lost else 0)


def _selected(catalog: Catalog, data: DataDir, uuid: str) -> tuple[list[Path], dict[str, str], list[str]]:
    """Files to check, their digests by stem, and what the catalog and the folder disagree on."""
    rows = [resolve(catalog, uuid)] if uuid else find_episodes(catalog)
    paths = {row.uuid: data.root / row.path for row in rows}
    problems = [
        f"Episode {ident} is in the catalog, but {path} does not exist."
        for ident, path in paths.items()
        if not path.exists()
    ]
    if not uuid:
        known = set(paths.values())
        stray = [path for path in episode_paths(data.episodes) if path not in known]
        problems += [f"{path} is not in the catalog. Run `teleop recover`." for path in stray]
        problems += [
            f"{path} was left open by a crash. Run `teleop recover`."
            for path in sorted(data.open.glob("*.mcap"))
        ]
    existing = [path for path in paths.values() if path.exists()]
    return existing, {row.uuid: row.blake3 for row in rows}, problems


def _show(paths: list[Path], digests: dict[str, str], full: bool, as_json: bool) -> list[FileReport]:
    reports = []
    for report in verify_files(paths, digests, full=full):
        reports.append(report)
        if as_json:
            print_json({**asdict(report), "ok": report.ok})
        else:
            typer.echo(f"{'ok   ' if report.ok else 'WRONG'}  {report.path}  {report.messages} messages")
            for finding in report.findings:
                typer.echo(f"       {finding}")
            for loss in report.losses[:LISTED_LOSSES]:
                typer.echo(f"       lost while it was recorded: {loss.sentence}")
            if len(report.losses) > LISTED_LOSSES:
                typer.echo(f"       and {len(report.losses) - LISTED_LOSSES} more gaps, see --json")
    return reports
