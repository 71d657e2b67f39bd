"""`teleop estop`: stop the arms of the running station, or let them go again."""

from __future__ import annotations

from typing import Annotated

import typer

from teleop_app.commands.options import DataDirOption, JsonOption, chosen_data_dir, print_json
from teleop_app.core.errors import StationError
from teleop_app.station.client import StationClient


def estop(
    reset: Annotated[bool, typer.Option("--reset", help="Unlatch it; nothing moves until engaged.")] = False,
    reason: Annotated[str, typer.Option(help="Kept with the event.")] = "pressed on the command line",
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Latch the e-stop of the station that runs on the store: every arm ramps to rest and is held.

    It keeps power on the motors and is not a rated safety function.
    """
    data = chosen_data_dir(data_dir)
    client = StationClient(data)
    if client.card() is None:  # one that is not ready yet may have arms that move
        raise StationError(
            f"Nothing was stopped: no station runs on {data.root}",
            next_step="Name the store of the one you mean with --data-dir, or use the robot's own e-stop",
        )
    answer = (
        client.call("control", "reset_estop") if reset else client.call("control", "estop", reason=reason)
    )
    if as_json:
        print_json({"estopped": answer["estopped"]})
    elif answer["estopped"]:
        typer.echo("E-stop latched: the arms ramp to rest and hold. Reset it with: teleop estop --reset")
    else:
        typer.echo("E-stop reset. Nothing moves until somebody engages anew.")
