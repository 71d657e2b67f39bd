"""`teleop episodes`: what the catalog holds, and verdicts on it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from recorders.reader import EpisodeReader
from recorders.schema import SyncPair
from recorders.sync_report import sync_lines, sync_rows
from sessions.repository import Catalog, open_catalog
from sessions.rows import Author, EpisodeFilter, EpisodeRow, RolloutRow
from sessions.states import EpisodeState, Outcome
from teleop_app.commands.options import (
    DataDirOption,
    JsonOption,
    chosen_data_dir,
    counted,
    megabytes,
    print_json,
)
from teleop_app.core.errors import CatalogError, EpisodeError

app = typer.Typer(help="List, show and judge episodes.", no_args_is_help=True)
_AUTHOR = Author.person("command line")

TextOption = Annotated[str, typer.Option("--text", help="Words in instruction, task or operator.")]
TaskOption = Annotated[str, typer.Option("--task", help="Only this task.")]
StatesOption = Annotated[list[EpisodeState] | None, typer.Option("--state", help="Only these states.")]
OutcomesOption = Annotated[list[Outcome] | None, typer.Option("--outcome", help="Only these outcomes.")]
UuidArgument = Annotated[str, typer.Argument(help="UUID, or at least its first 8 characters.")]


@app.command("list")
def list_episodes(
    text: TextOption = "",
    task: TaskOption = "",
    state: StatesOption = None,
    outcome: OutcomesOption = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 1000,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Episodes, newest first; with --json one object a line.

    The time in ms is the sync error of each: 95th percentile from a frame to the nearest control tick.
    """
    with _catalog(data_dir) as catalog:
        rows = find_episodes(catalog, text=text, task=task, states=state, outcomes=outcome, limit=limit)
        rollouts = catalog.rollouts_of(row.uuid for row in rows)
    if as_json:
        for row in rows:
            print_json({**asdict(row), "rollout": _plain(rollouts.get(row.uuid))})
        return
    for row in rows:
        typer.echo(_line(row) + _policy(rollouts.get(row.uuid)))
    typer.echo(counted(len(rows), "episode"))


@app.command()
def show(uuid: UuidArgument, data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """One episode with its streams."""
    with _catalog(data_dir) as catalog:
        row = resolve(catalog, uuid)
        streams = catalog.streams(row.uuid)
        rollout = catalog.rollout(row.uuid)
    sync, why_not = _sync_report(chosen_data_dir(data_dir).root / row.path)
    if as_json:
        known = {
            "streams": [asdict(stream) for stream in streams],
            "sync": sync_rows(sync),
            "rollout": _plain(rollout),
        }
        print_json({**asdict(row), **known})
        return
    for key, value in asdict(row).items():
        typer.echo(f"{key:<24} {value}")
    for line in _rollout_lines(rollout):
        typer.echo(line)
    for stream in streams:
        typer.echo(f"  {stream.name:<28} {stream.count:>7} at {stream.rate_hz:g} Hz, {stream.dropped} lost")
    typer.echo(why_not or "Distance of nearest samples of two streams, 95th percentile [ms]:")
    for line in sync_lines(sync):
        typer.echo(f"  {line}")


@app.command()
def discard(
    uuid: UuidArgument,
    reason: Annotated[str, typer.Option("--reason")] = "",
    data_dir: DataDirOption = None,
) -> None:
    """Discard an episode; its file stays and `restore` brings it back."""
    with _catalog(data_dir) as catalog:
        row = catalog.set_verdict(resolve(catalog, uuid).uuid, EpisodeState.DISCARDED, _AUTHOR, reason)
    typer.echo(f"Discarded {row.uuid}. Undo with: teleop episodes restore {row.uuid}")


@app.command()
def restore(uuid: UuidArgument, data_dir: DataDirOption = None) -> None:
    """Take a discarded episode back."""
    with _catalog(data_dir) as catalog:
        row = catalog.restore(resolve(catalog, uuid).uuid, _AUTHOR)
    typer.echo(f"Restored {row.uuid}.")


def find_episodes(
    catalog: Catalog,
    *,
    text: str = "",
    task: str = "",
    states: list[EpisodeState] | None = None,
    outcomes: list[Outcome] | None = None,
    limit: int = 1_000_000,
) -> list[EpisodeRow]:
    """Episodes that a command's options select, newest first.

    Raises:
        CatalogError: The task is unknown.
    """
    wanted = EpisodeFilter(
        text=text,
        task_ids=(task_id(catalog, task),) if task else (),
        states=tuple(states or ()),
        outcomes=tuple(outcomes or ()),
    )
    rows: list[EpisodeRow] = []
    page = catalog.episodes(wanted, limit=min(limit, 1000))
    rows.extend(page.rows)
    while page.next_cursor is not None and len(rows) < limit:
        page = catalog.episodes(wanted, after=page.next_cursor, limit=min(limit - len(rows), 1000))
        rows.extend(page.rows)
    return rows


def resolve(catalog: Catalog, uuid: str) -> EpisodeRow:
    """The episode of a UUID or of its first characters.

    Raises:
        CatalogError: None or several match.
    """
    if len(uuid) < 8:
        raise CatalogError(f"{uuid!r} is too short", next_step="Give at least 8 characters of the UUID")
    found = [row for row in catalog.episodes(EpisodeFilter(text=uuid)).rows if row.uuid.startswith(uuid)]
    if len(found) != 1:
        raise CatalogError(
            f"{len(found)} episodes have a UUID that starts with {uuid!r}",
            next_step="See `teleop episodes list`",
        )
    return found[0]


def _sync_report(path: Path) -> tuple[tuple[SyncPair, ...], str]:
    """The report in the file, and the sentence that says why there is none."""
    try:
        with EpisodeReader(path) as reader:
            pairs = reader.footer.sync if reader.footer else ()
    except EpisodeError as error:
        return (), error.sentence
    return pairs, "" if pairs else "The episode has no sync report: it was recorded by an earlier version."


def _plain(rollout: RolloutRow | None) -> dict[str, Any] | None:
    return None if rollout is None else asdict(rollout)


def _policy(rollout: RolloutRow | None) -> str:
    """What a line of the list says of the policy."""
    if rollout is None or not rollout.is_trial:
        return ""
    name = f"{rollout.policy} {rollout.version[:12]}".strip() or "unnamed policy"
    return f", {name}, {counted(len(rollout.takeovers), 'takeover')}"


def _rollout_lines(rollout: RolloutRow | None) -> list[str]:
    """How a policy was used, takeover by takeover."""
    if rollout is None:
        return []
    latency = "no answer"
    if rollout.latency_p50_ms is not None and rollout.latency_p99_ms is not None:
        latency = f"{rollout.latency_p50_ms:.0f} ms, 99 % within {rollout.latency_p99_ms:.0f} ms"
    seconds = ", ".join(f"{name} {value:.1f} s" for name, value in rollout.phase_s.items())
    blind = f", blind {rollout.label}" if rollout.label else ""
    lines = [
        f"Policy {rollout.policy or 'not named'}, version {rollout.version or 'not told'}{blind}",
        f"  modes {', '.join(rollout.modes) or 'none'}; chunks joined by {rollout.execution or 'nothing'}",
        f"  {seconds or 'no ticks'}",
        f"  {rollout.chunks} chunks, {rollout.refused} answers refused, {latency}",
        f"  help asked for {rollout.help_calls} times, {counted(len(rollout.takeovers), 'takeover')}",
    ]
    for takeover in rollout.takeovers:
        length_s = (takeover.end_ns - takeover.start_ns) / 1e9
        why = takeover.reason or "no reason given"
        ended = takeover.outcome or "open"
        lines.append(
            f"    {takeover.number}: {takeover.source or 'unknown input'}, {takeover.phase}, "
            f"{length_s:.1f} s, {why}, {ended}"
        )
    return lines


def task_id(catalog: Catalog, name: str) -> str:
    """The id of a task by its name.

    Raises:
        CatalogError: There is none.
    """
    task = catalog.task_named(name)
    if task is None:
        known = ", ".join(row.name for row in catalog.list_tasks(archived=None)) or "none yet"
        raise CatalogError(f"There is no task {name!r}", next_step=f"Known are: {known}")
    return task.id


def _catalog(data_dir: DataDirOption) -> Catalog:
    return open_catalog(chosen_data_dir(data_dir).create().root, _AUTHOR)


def _line(row: EpisodeRow) -> str:
    started = datetime.fromtimestamp(row.started_utc_ns / 1e9, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    lost = f", {row.dropped_frames} frames lost" if row.dropped_frames else ""
    flags = "".join(
        f" [{word}]" for word, on in (("recovered", row.recovered), ("missing", row.missing)) if on
    )
    sync = "      -   " if row.sync_p95_s is None else f"{row.sync_p95_s * 1e3:7.2f} ms"
    figures = f"{row.duration_ns / 1e9:6.1f} s  {megabytes(row.size_bytes):>9}  {sync}"
    return f"{row.uuid}  {started}  {row.state:<9} {row.outcome:<8} {figures}  {row.task}{lost}{flags}"
