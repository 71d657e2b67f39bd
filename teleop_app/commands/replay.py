"""`teleop replay`: run an episode's actions again in the simulated cell."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from sessions.repository import open_catalog
from sessions.rows import Author
from teleop_app.commands.episodes import resolve
from teleop_app.commands.options import DataDirOption, JsonOption, chosen_data_dir, print_json


def replay(
    uuid: Annotated[str, typer.Argument(help="UUID, or at least its first 8 characters.")],
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send the recorded actions to a fresh simulated cell and compare; exit code 1 if the task fails."""
    from teleop_app import app as application

    data = chosen_data_dir(data_dir).create()
    with open_catalog(data.root, Author.person("command line")) as catalog:
        row = resolve(catalog, uuid)
    result = application.replay_episode(data.root / row.path)
    if as_json:
        print_json({"episode": row.uuid, **asdict(result)})
    else:
        verdict = "succeeds again" if result.success else "does not succeed"
        typer.echo(f"{row.uuid}: {row.task} {verdict} after {result.duration_s:.1f} s.")
        typer.echo(
            f"Arm joints differ by {result.joint_rms_rad:.4f} rad rms, "
            f"at most {result.joint_max_rad:.4f} rad ({result.worst_joint})."
        )
    raise typer.Exit(0 if result.success else 1)
