"""`teleop export`: datasets from episodes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from recorders.exporters.lerobot import export_lerobot
from recorders.exporters.lerobot_options import DEFAULT_EXTRAS, LeRobotOptions
from recorders.exporters.report import ExportProgress, ExportReport
from sessions.repository import open_catalog
from sessions.rows import Author
from sessions.states import EpisodeState, Outcome
from teleop_app.commands.episodes import OutcomesOption, StatesOption, TaskOption, find_episodes, resolve
from teleop_app.commands.options import (
    DataDirOption,
    JsonOption,
    chosen_data_dir,
    counted,
    megabytes,
    print_json,
)
from teleop_app.core.errors import ExportError
from teleop_app.core.paths import DataDir

_NOTES_SHOWN = 3
app = typer.Typer(help="Write datasets.", no_args_is_help=True)


@app.command()
def lerobot(
    out: Annotated[Path, typer.Argument(help="Folder of the dataset; made.")],
    episode: Annotated[list[str] | None, typer.Option("--episode", help="Only these UUIDs.")] = None,
    task: TaskOption = "",
    state: StatesOption = None,
    outcome: OutcomesOption = None,
    extra: Annotated[
        list[str] | None, typer.Option("--extra", help="Features besides the basic ones.")
    ] = None,
    camera: Annotated[list[str] | None, typer.Option("--camera", help="Only these cameras.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a dataset that is there.")] = False,
    append: Annotated[bool, typer.Option(help="Add to a dataset that is there.")] = False,
    with_preroll: Annotated[
        bool, typer.Option("--with-preroll", help="Begin before the record key, with what was kept.")
    ] = False,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a LeRobot v3.0 dataset; a run that was cut off goes on where it stopped."""
    options = LeRobotOptions(
        extras=tuple(extra or DEFAULT_EXTRAS),
        cameras=tuple(camera) if camera else None,
        overwrite=overwrite,
        append=append,
        with_preroll=with_preroll,
    )
    data = chosen_data_dir(data_dir).create()
    paths = _select(data, episode or [], task, state, outcome)
    report = _export(paths, out, options, quiet=as_json)
    if as_json:
        print_json(asdict(report) | {"speed": report.speed})
    else:
        _tell(report)


def export_to(data: DataDir, out: Path) -> None:
    """Export every kept episode with the default options and a progress bar."""
    _tell(_export(_select(data, [], "", None, None), out, LeRobotOptions(), quiet=False))


def _tell(report: ExportReport) -> None:
    what = (
        f"{counted(len(report.episodes), 'episode')}, {report.rows} frames, {megabytes(report.bytes_written)}"
    )
    typer.echo(f"{what} at {report.speed:.0f} times real time: {report.path}")
    for feature, reason in report.left_out.items():
        typer.echo(f"left out: {feature}: {reason}")
    for note in report.notes[:_NOTES_SHOWN]:
        typer.echo(f"note: {note}")
    if len(report.notes) > _NOTES_SHOWN:
        typer.echo(f"note: {len(report.notes) - _NOTES_SHOWN} more like these; --json lists them all")


def _select(
    data: DataDir,
    uuids: list[str],
    task: str,
    states: list[EpisodeState] | None,
    outcomes: list[Outcome] | None,
) -> list[Path]:
    with open_catalog(data.root, Author.person("command line")) as catalog:
        if uuids:
            rows = [resolve(catalog, uuid) for uuid in uuids]
        else:
            kept = states or [EpisodeState.SAVED, EpisodeState.PENDING]
            rows = find_episodes(catalog, task=task, states=kept, outcomes=outcomes)
    if not rows:
        raise ExportError(
            "No episode matches", next_step="Record some with `teleop record`, or see `teleop episodes list`"
        )
    rows.sort(key=lambda row: row.started_utc_ns)
    return [data.root / row.path for row in rows]


def _export(paths: list[Path], out: Path, options: LeRobotOptions, *, quiet: bool) -> ExportReport:
    columns = (
        TextColumn("{task.description:<8}"),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task("export", total=None, count="")

        def show(progress: ExportProgress) -> None:
            bar.update(
                task,
                description=progress.stage,
                total=progress.bytes_total or None,
                completed=progress.bytes_done,
                count=f"{progress.episodes_done}/{progress.episodes_total} episodes",
            )

        return export_lerobot(paths, out, options, show)
