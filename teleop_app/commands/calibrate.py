"""`teleop calibrate`: measure what the station cannot know by itself."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from teleop_app.commands import calibrate_arm, calibrate_camera
from teleop_app.commands.options import (
    DataDirOption,
    JsonOption,
    StationOption,
    chosen_data_dir,
    print_json,
)
from teleop_app.core.config import load_station
from teleop_app.core.errors import ConfigError, StationError, TeleopError
from teleop_app.station.client import StationClient
from teleop_app.station.latency_calibration import (
    CalibrationProgress,
    LatencyCalibration,
    store_latencies,
)
from teleop_app.station.latency_codes import LatencyResult
from teleop_app.station.launch import running_station

app = typer.Typer(help="Measure latencies, calibrate arms and cameras.", no_args_is_help=True)
Measure = Callable[[LatencyCalibration], LatencyResult | None]

app.command()(calibrate_arm.arm)
app.command()(calibrate_camera.camera)
app.command()(calibrate_camera.board)


@app.callback()
def calibrate() -> None:
    """Measure what the station cannot know by itself."""


@app.command()
def latency(
    camera: Annotated[
        list[str] | None, typer.Option("--camera", help="This camera; it must see the time.")
    ] = None,
    arm: Annotated[
        list[str] | None, typer.Option("--arm", help="This arm; it must move in view of --by.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every camera.")] = False,
    by: Annotated[str, typer.Option("--by", help="Camera that sees the arms (else the first one).")] = "",
    seconds: Annotated[float, typer.Option(min=2.0, max=120.0, help="For each.")] = 8.0,
    display_hz: Annotated[
        float, typer.Option(min=0.0, max=500.0, help="Refresh rate of the display that shows the time.")
    ] = 0.0,
    scripted: Annotated[bool, typer.Option(help="Let the scripted operator move the arms.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Store the result in the station file.")] = False,
    data_dir: DataDirOption = None,
    station_file: StationOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure latencies of cameras and arms; of the station that runs, else of one started for it."""
    data = chosen_data_dir(data_dir).create()
    with running_station(data, station_file) as client:
        file = _file_of(client)
        config = load_station(file)
        cameras = [each.name for each in config.cameras]
        wanted = _of_cameras([*(camera or []), *(cameras if every else [])], seconds, display_hz)
        wanted |= _of_arms(arm or [], by or next(iter(cameras), ""), seconds)
        if not wanted:
            raise ConfigError("Nothing to measure", next_step="Give --camera NAME, --arm NAME or --all")
        with _moving(client, scripted):
            results, refused = _measure(client, wanted, as_json)
    if write and results:
        store_latencies(file, results)
        if not as_json:
            typer.echo(f"Wrote {file}. It is in force when the station starts the next time.")
    if refused:
        raise typer.Exit(refused[0].exit_code)


def _of_cameras(names: list[str], seconds: float, display_hz: float) -> dict[str, Measure]:
    period_ms = 1e3 / display_hz if display_hz else 0.0
    return {
        name: partial(LatencyCalibration.camera, name=name, seconds=seconds, display_period_ms=period_ms)
        for name in names
    }


def _of_arms(names: list[str], camera: str, seconds: float) -> dict[str, Measure]:
    return {
        name: partial(LatencyCalibration.arm, name=name, camera=camera, seconds=seconds) for name in names
    }


def _measure(
    client: StationClient, wanted: dict[str, Measure], as_json: bool
) -> tuple[list[LatencyResult], list[TeleopError]]:
    """Each in turn; one that is refused does not keep the others from being measured."""
    results: list[LatencyResult] = []
    refused: list[TeleopError] = []
    columns = (TextColumn("{task.description:<14}"), BarColumn(), TextColumn("{task.fields[text]}"))
    with Progress(*columns, console=Console(stderr=True), disable=as_json) as bar:
        for name, measure in wanted.items():
            task = bar.add_task(name, total=1.0, text="")

            try:
                result = measure(LatencyCalibration(client, partial(_show, bar, task)))
            except TeleopError as error:
                refused.append(error)
                bar.update(task, text="refused")
                if as_json:
                    print_json({"stream": name, "error": error.sentence})
                else:
                    typer.echo(f"Error: {error.sentence}", err=True)
                continue
            if result is not None:
                results.append(result)
                bar.update(task, completed=1.0)
                _tell(result, as_json)
    return results, refused


def _show(bar: Progress, task: TaskID, progress: CalibrationProgress) -> None:
    bar.update(task, completed=progress.done, text=progress.text)


def _tell(result: LatencyResult, as_json: bool) -> None:
    if as_json:
        print_json(asdict(result))
        return
    samples = f"{result.used} samples, {result.rejected} rejected"
    figures = f"{result.latency_ms:.1f} ms, spread {result.spread_ms:.1f} ms ({samples}, {result.method})"
    typer.echo(f"{result.stream}: {figures} {result.note}".rstrip())


def _file_of(client: StationClient) -> Path:
    card = client.card()
    if card is None:
        raise StationError("The station has ended", next_step="Start it again and measure anew")
    return Path(card.station_file)


@contextlib.contextmanager
def _moving(client: StationClient, scripted: bool) -> Iterator[None]:
    if not scripted:
        yield
        return
    client.call("operator", "go", now=True)
    try:
        yield
    finally:
        client.call("operator", "halt")
