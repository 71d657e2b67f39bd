"""What bare `teleop` does without a display: collect, export, and say where everything is."""

from __future__ import annotations

from pathlib import Path

import typer

from teleop_app.commands.export import export_to
from teleop_app.commands.record import print_line
from teleop_app.core.paths import DataDir
from teleop_app.station.headless import CollectionPlan, collect
from teleop_app.station.headless_drivers import HeadlessScript
from teleop_app.station.launch import running_station

EPISODES = 3


def headless_demo(data: DataDir, station_file: Path | None) -> int:
    """Record a few scripted episodes, export them as a LeRobot dataset; exit code 0."""
    typer.echo("No display found, so no window: the scripted operator collects episodes instead.")
    typer.echo(f"Starting the simulated cell on {data.root} ...")
    plan = CollectionPlan(task="pick-place", episodes=EPISODES, seed=0)
    with running_station(data, station_file) as client:
        for progress in collect(client, plan, HeadlessScript(client)):
            print_line(progress)
    dataset = _free_name(data.root / "exports" / "lerobot")
    export_to(data, dataset)
    typer.echo(f"Episodes: {data.episodes}")
    typer.echo(f"LeRobot dataset: {dataset}")
    where = "" if data == DataDir.choose() else f" --data-dir {data.root}"
    typer.echo(
        f"Next: `./run{where} episodes list`, `./run{where} verify`, or `./run{where}` with a display."
    )
    return 0


def _free_name(wanted: Path) -> Path:
    number = 1
    candidate = wanted
    while candidate.exists():
        number += 1
        candidate = wanted.with_name(f"{wanted.name}-{number}")
    return candidate
