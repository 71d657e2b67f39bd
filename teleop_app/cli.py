"""The `teleop` command. Every failure is a sentence on stderr and a non-zero exit code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

import teleop_app
from teleop_app.commands import (
    calibrate,
    demo,
    devices,
    doctor,
    episodes,
    estop,
    export,
    headset,
    importing,
    policy,
    record,
    replay,
    station,
    store,
)
from teleop_app.commands.options import (
    DataDirOption,
    StationOption,
    chosen_data_dir,
    remember_root_data_dir,
)
from teleop_app.core.errors import TeleopError
from teleop_app.core.paths import DataDir
from teleop_app.station.checks import has_display

app = typer.Typer(
    name="teleop",
    help="Teleoperate robots and record training data. Without a command: the window.",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(station.app, name="station")
app.add_typer(episodes.app, name="episodes")
app.add_typer(export.app, name="export")
app.add_typer(calibrate.app, name="calibrate")
app.add_typer(devices.app, name="devices")
app.add_typer(policy.app, name="policy")
app.command("record")(record.record)
app.command("replay")(replay.replay)
app.command("verify")(store.verify)
app.command("recover")(store.recover)
app.command("import")(importing.import_files)
app.command("estop")(estop.estop)
app.command("headset")(headset.headset)
app.command("doctor")(doctor.doctor)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"teleop {teleop_app.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def window(
    context: typer.Context,
    data_dir: DataDirOption = None,
    station_file: StationOption = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Open the window on the simulated cell (or on the station that runs already)."""
    remember_root_data_dir(data_dir)
    if context.invoked_subcommand is None:
        raise typer.Exit(_main_job(chosen_data_dir(data_dir), station_file))


def _main_job(data: DataDir, station_file: Path | None) -> int:
    """The window, or where there is no display the same job headless; the exit code."""
    if has_display():
        from teleop_app import app as application

        return application.open_window(data, station_file)
    return demo.headless_demo(data.create(), station_file)


def main() -> None:
    """Entry point of the `teleop` command."""
    try:
        app(standalone_mode=True)
    except TeleopError as error:
        typer.echo(f"Error: {error.sentence}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
