"""`teleop station`: run the processes of a cell without a window, and look after its file."""

from __future__ import annotations

from typing import Annotated

import typer

from teleop_app.commands.options import DataDirOption, JsonOption, StationOption, chosen_data_dir, print_json
from teleop_app.core.config import StationConfig, load_station, station_text
from teleop_app.core.errors import ConfigError
from teleop_app.station.client import StationClient

app = typer.Typer(help="Run, stop and describe a station.", no_args_is_help=True)


@app.command()
def run(data_dir: DataDirOption = None, station_file: StationOption = None) -> None:
    """Run the station here until Ctrl-C; windows and scripts attach to it."""
    from teleop_app import app as application

    data = chosen_data_dir(data_dir)
    typer.echo(f"Station on {data.root}. Ctrl-C stops it.")
    application.run_station(data, station_file)


@app.command()
def stop(data_dir: DataDirOption = None) -> None:
    """Stop the station that runs on the store; an open episode is closed first."""
    client = StationClient.attach(chosen_data_dir(data_dir))
    client.call("station", "shutdown")
    typer.echo("The station is stopping.")


@app.command()
def status(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """What the running station's processes do. Exit code 1 when one has a fault."""
    answer = StationClient.attach(chosen_data_dir(data_dir)).call("station", "status")
    if as_json:
        print_json(answer)
    else:
        typer.echo(f"{answer['name']}: {answer['disk_free_bytes'] / 1e9:.1f} GB free")
        for process in answer["processes"]:
            figures = ", ".join(f"{key} {value:.4g}" for key, value in process["metrics"].items())
            typer.echo(f"  {process['process']:<11} {process['state']:<9} {process['text'] or figures}")
    raise typer.Exit(1 if answer["faults"] else 0)


@app.command()
def init(
    data_dir: DataDirOption = None,
    station_file: StationOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write a station file with the defaults of the simulated cell."""
    path = station_file or chosen_data_dir(data_dir).create().station_file
    if path.exists() and not force:
        raise ConfigError(f"{path} exists already", next_step="Edit it, or replace it with --force")
    path.write_text(station_text(StationConfig()), encoding="utf-8")
    typer.echo(f"Wrote {path}.")


@app.command()
def check(data_dir: DataDirOption = None, station_file: StationOption = None) -> None:
    """Validate a station file."""
    path = station_file or chosen_data_dir(data_dir).station_file
    config = load_station(path)
    typer.echo(f"{path} is valid: {config.station.name}, arms {', '.join(arm.name for arm in config.arms)}.")
