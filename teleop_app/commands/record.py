"""`teleop record`: collect episodes without a window."""

from __future__ import annotations

from typing import Annotated

import typer

from teleop_app.commands.options import DataDirOption, JsonOption, StationOption, chosen_data_dir, print_json
from teleop_app.core.errors import ConfigError
from teleop_app.station.headless import CollectionPlan, Progress, collect
from teleop_app.station.headless_drivers import HeadlessPolicy, HeadlessScript
from teleop_app.station.launch import running_station


def record(
    operator: Annotated[str, typer.Option("--operator", help="Who drives: `scripted`.")] = "scripted",
    policy: Annotated[str, typer.Option("--policy", help="Or a policy, see `teleop policy list`.")] = "",
    task: Annotated[str, typer.Option("--task", help="Task of the simulated cell.")] = "pick-place",
    episodes: Annotated[int, typer.Option("--episodes", min=1, help="How many to save.")] = 1,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Scene of the first attempt.")] = 0,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds an attempt may take.")] = 40.0,
    keep_failures: Annotated[
        bool | None, typer.Option(help="Save failed attempts too, marked so; a policy's are by default.")
    ] = None,
    max_attempts: Annotated[int, typer.Option(help="Give up after so many; 0 = 3 a wanted episode.")] = 0,
    data_dir: DataDirOption = None,
    station_file: StationOption = None,
    as_json: JsonOption = False,
) -> None:
    """Record episodes headless; with --json one object a line: started, saved, discarded, fault."""
    if operator != "scripted":
        raise ConfigError(
            f"Operator {operator!r} cannot drive without a window", next_step="Use --operator scripted"
        )
    data = chosen_data_dir(data_dir).create()
    plan = CollectionPlan(
        task=task,
        episodes=episodes,
        seed=seed,
        operator=f"policy {policy}" if policy else "scripted operator",
        timeout_s=timeout,
        keep_failures=bool(policy) if keep_failures is None else keep_failures,
        max_attempts=max_attempts,
    )
    with running_station(data, station_file) as client:
        driver = HeadlessPolicy(client, policy) if policy else HeadlessScript(client)
        for progress in collect(client, plan, driver):
            print_json(progress.as_dict()) if as_json else print_line(progress)


def print_line(progress: Progress) -> None:
    """One line for people."""
    typer.echo(_line(progress))


def _line(progress: Progress) -> str:
    head = f"[{progress.index + 1}] {progress.event:<9} {progress.episode}"
    if progress.event == "started":
        return f"{head}  {progress.task}, scene {progress.seed}"
    if progress.event == "fault":
        return f"{head}  {progress.text or ''}"
    durable = f"durable {progress.stop_to_durable_ms or 0.0:.0f} ms after stop"
    length = f"{progress.duration_s or 0.0:.1f} s"
    return f"{head}  {progress.outcome}, {length}, {durable}  {progress.text or ''}".rstrip()
