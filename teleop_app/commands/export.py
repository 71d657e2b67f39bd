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
from recorders.exporters.presets import PRESETS
from recorders.exporters.report import ExportProgress, ExportReport
from recorders.exporters.source import Judgement
from sessions.repository import open_catalog
from sessions.rows import Author, EpisodeRow, RolloutRow
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
    preset: Annotated[
        str, typer.Option("--preset", help="Cut or weigh rollouts: " + ", ".join(PRESETS) + ".")
    ] = "",
    pre_intervention_s: Annotated[
        float, typer.Option("--pre-intervention-s", help="With weights: what leads to a takeover [s].")
    ] = LeRobotOptions().pre_intervention_s,
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
        preset=preset,
        pre_intervention_s=pre_intervention_s,
    )
    data = chosen_data_dir(data_dir).create()
    paths, judgements = _select(data, episode or [], task, state, outcome)
    report = _export(paths, out, options, judgements, quiet=as_json)
    if as_json:
        print_json(asdict(report) | {"speed": report.speed})
    else:
        _tell(report)


def export_to(data: DataDir, out: Path) -> None:
    """Export every kept episode with the default options and a progress bar."""
    paths, judgements = _select(data, [], "", None, None)
    _tell(_export(paths, out, LeRobotOptions(), judgements, quiet=False))


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
) -> tuple[list[Path], dict[str, Judgement]]:
    """Files in order of time, and what people said of each."""
    with open_catalog(data.root, Author.person("command line")) as catalog:
        if uuids:
            rows = [resolve(catalog, uuid) for uuid in uuids]
        else:
            kept = states or [EpisodeState.SAVED, EpisodeState.PENDING]
            rows = find_episodes(catalog, task=task, states=kept, outcomes=outcomes)
        rollouts = catalog.rollouts_of(row.uuid for row in rows)
    if not rows:
        raise ExportError(
            "No episode matches", next_step="Record some with `teleop record`, or see `teleop episodes list`"
        )
    rows.sort(key=lambda row: row.started_utc_ns)
    return [data.root / row.path for row in rows], {
        row.uuid: _judgement(row, rollouts.get(row.uuid)) for row in rows
    }


def _judgement(row: EpisodeRow, rollout: RolloutRow | None) -> Judgement:
    takeovers = rollout.takeovers if rollout is not None else ()
    return Judgement(row.outcome.value, {each.number: (each.reason, each.outcome) for each in takeovers})


def _export(
    paths: list[Path],
    out: Path,
    options: LeRobotOptions,
    judgements: dict[str, Judgement],
    *,
    quiet: bool,
) -> ExportReport:
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

        return export_lerobot(paths, out, options, show, judgements=judgements)
