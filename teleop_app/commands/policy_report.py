"""`teleop policy report`: how well each version of a policy did, and whether one is better."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from itertools import pairwise
from typing import Annotated, Any

import typer

from sessions.proportions import Interval
from sessions.repository import open_catalog
from sessions.rollouts import Comparison, RolloutFilter, VersionSummary, compare, summarise
from sessions.rows import Author
from teleop_app.commands.episodes import task_id
from teleop_app.commands.options import DataDirOption, JsonOption, chosen_data_dir, counted, print_json
from teleop_app.core.errors import CatalogError

_DAY_NS = 86_400_000_000_000
_AUTHOR = Author.person("command line")


def report(
    policy: Annotated[list[str] | None, typer.Option("--policy", help="Only these policies.")] = None,
    version: Annotated[list[str] | None, typer.Option("--version", help="Only these versions.")] = None,
    task: Annotated[str, typer.Option("--task", help="Only this task.")] = "",
    session: Annotated[list[str] | None, typer.Option("--session", help="Only these session ids.")] = None,
    since: Annotated[str, typer.Option("--since", help="From this day on, YYYY-MM-DD (UTC).")] = "",
    until: Annotated[str, typer.Option("--until", help="Up to this day and with it, YYYY-MM-DD.")] = "",
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Success with its 95 % interval, interventions, autonomy and latency of each version.

    Every version is compared with the one before it, in order of first use.
    """
    with open_catalog(chosen_data_dir(data_dir).create().root, _AUTHOR) as catalog:
        wanted = RolloutFilter(
            policies=tuple(policy or ()),
            versions=tuple(version or ()),
            session_ids=tuple(session or ()),
            task_ids=(task_id(catalog, task),) if task else (),
            started_from_ns=_day_ns(since) if since else None,
            started_before_ns=_day_ns(until) + _DAY_NS if until else None,
        )
        summaries = summarise(catalog.trials(wanted))
    comparisons = [compare(*pair) for pair in pairwise(summaries)]
    if as_json:
        print_json(
            {
                "versions": [_summary_json(summary) for summary in summaries],
                "comparisons": [_comparison_json(comparison) for comparison in comparisons],
            }
        )
        return
    for summary in summaries:
        for line in _summary_lines(summary):
            typer.echo(line)
    for comparison in comparisons:
        typer.echo(_comparison_line(comparison))
    if not summaries:
        typer.echo("No episode with a policy at work matches.")


def _day_ns(text: str) -> int:
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise CatalogError(f"{text!r:.40} is not a day", next_step="Write it as 2026-07-31") from error
    return int(day.timestamp()) * 1_000_000_000


def _name(summary: VersionSummary) -> str:
    return f"{summary.policy or 'unnamed'} {summary.version}".strip()


def _rate(successes: int, judged: int, interval: Interval) -> str:
    if not judged:
        return "not judged"
    return f"{successes} of {judged} ({successes / judged:.0%}, {interval.low:.0%} to {interval.high:.0%})"


def _summary_lines(summary: VersionSummary) -> list[str]:
    per_minute = summary.interventions_per_minute
    share = summary.autonomy_share
    reasons = ", ".join(f"{name or 'no reason'} {count}" for name, count in summary.reasons.items())
    lines = [
        f"{_name(summary)}: {counted(summary.episodes, 'episode')}",
        f"  success        {_rate(summary.successes, summary.judged, summary.success)}",
        f"  unaided        {_rate(summary.unaided, summary.judged, summary.unaided_success)}",
        f"  interventions  {summary.interventions_per_episode:.2f} an episode"
        + (f", {per_minute:.2f} a minute of autonomy" if per_minute is not None else ""),
        f"  autonomy       {f'{share:.0%}' if share is not None else 'nobody drove'}"
        f" ({summary.autonomy_s:.0f} s), help asked for {summary.help_calls} times",
    ]
    if reasons:
        lines.insert(4, f"  reasons        {reasons}")
    if summary.latency_p50_ms is not None and summary.latency_p99_ms is not None:
        lines.append(
            f"  latency        {summary.latency_p50_ms:.0f} ms, 99 % within {summary.latency_p99_ms:.0f} ms; "
            f"{summary.chunks} chunks, {summary.refused} refused"
        )
    return lines


def _comparison_line(comparison: Comparison) -> str:
    names = f"{_name(comparison.second)} against {_name(comparison.first)}"
    if comparison.difference is None:
        return f"{names}: one of them has no judged episode."
    verdict = "a difference" if comparison.distinguishable else "no difference can be told"
    low, high = comparison.interval.low, comparison.interval.high
    return f"{names}: success {comparison.difference:+.0%} ({low:+.0%} to {high:+.0%}), {verdict}."


def _summary_json(summary: VersionSummary) -> dict[str, Any]:
    return {
        **asdict(summary),
        "success_rate": summary.success_rate,
        "unaided_rate": summary.unaided_rate,
        "interventions_per_episode": summary.interventions_per_episode,
        "interventions_per_minute": summary.interventions_per_minute,
        "autonomy_share": summary.autonomy_share,
    }


def _comparison_json(comparison: Comparison) -> dict[str, Any]:
    return {
        "first": [comparison.first.policy, comparison.first.version],
        "second": [comparison.second.policy, comparison.second.version],
        "difference": comparison.difference,
        "interval": asdict(comparison.interval),
        "unaided_difference": comparison.unaided_difference,
        "unaided_interval": asdict(comparison.unaided_interval),
        "distinguishable": comparison.distinguishable,
    }
