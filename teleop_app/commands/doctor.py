"""`teleop doctor`: is this machine fit to record?"""

from __future__ import annotations

from dataclasses import asdict

import typer

from teleop_app.commands.options import DataDirOption, JsonOption, chosen_data_dir, print_json
from teleop_app.station.checks import Level, environment_checks, worst

_MARKS = {Level.OK: "ok", Level.WARNING: "WARN", Level.FAILURE: "FAIL"}


def doctor(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Check environment, rights, disk, devices and versions. Exit code 1 on a failure."""
    from teleop_app import app as application

    data = chosen_data_dir(data_dir)
    checks = []
    for check in (*environment_checks(data), *application.device_checks(data)):
        checks.append(check)
        if not as_json:
            remedy = f"  -> {check.remedy}" if check.remedy else ""
            typer.echo(f"{_MARKS[check.level]:<5} {check.name:<22} {check.text}{remedy}")
    if as_json:
        print_json([asdict(check) for check in checks])
    raise typer.Exit(1 if worst(checks) is Level.FAILURE else 0)
