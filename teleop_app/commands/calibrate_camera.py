"""`teleop calibrate camera` and `teleop calibrate board`: lens and place of a camera with a printed board."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from devices.cameras.board_print import check_sentence, save_board
from devices.cameras.camera_calibrator import Calibrated, CameraCalibrator
from devices.cameras.charuco import Board
from devices.cameras.hand_eye import MountKind
from teleop_app.commands.options import DataDirOption, StationOption, chosen_data_dir
from teleop_app.core.calibration import CalibrationStore
from teleop_app.core.config import StationConfig, load_station
from teleop_app.core.errors import ConfigError, StationError
from teleop_app.station.camera_calibration import CameraCalibrationSession, CameraPlace, Looked
from teleop_app.station.client import StationClient
from teleop_app.station.launch import running_station
from teleop_app.station.link_poses import LinkPoses

SquareOption = Annotated[float, typer.Option("--square-mm", help="Width of a square, measured on the print.")]
ColumnsOption = Annotated[int, typer.Option(help="Squares across.")]
RowsOption = Annotated[int, typer.Option(help="Squares down.")]


def board(
    out: Annotated[Path, typer.Option("--out", help="File to write, .pdf or .png.")] = Path("board.pdf"),
    square_mm: SquareOption = 30.0,
    columns: ColumnsOption = 9,
    rows: RowsOption = 6,
) -> None:
    """Write the board that cameras are calibrated with, at true scale."""
    described = _board(square_mm, columns, rows)
    typer.echo(f"Wrote {out}. {save_board(described, out)}")
    typer.echo(check_sentence(described))


def camera(
    name: Annotated[str, typer.Argument(help="Camera name in the station file.")],
    on_link: Annotated[
        str, typer.Option("--on-link", help="Link that carries the camera; the board lies still.")
    ] = "",
    board_on: Annotated[
        str, typer.Option("--board-on", help="Link that holds the board; the camera is fixed.")
    ] = "",
    keep_lens: Annotated[bool, typer.Option("--keep-lens", help="Find the place alone.")] = False,
    seconds: Annotated[float, typer.Option(min=1.0, max=3600.0, help="Longest time.")] = 300.0,
    square_mm: SquareOption = 30.0,
    columns: ColumnsOption = 9,
    rows: RowsOption = 6,
    data_dir: DataDirOption = None,
    station_file: StationOption = None,
) -> None:
    """Calibrate a camera's lens, and its place when a link is given. Ctrl-C ends with the views so far."""
    if on_link and board_on:
        raise ConfigError("--on-link and --board-on exclude each other", next_step="Give the one that is so")
    if keep_lens and not (on_link or board_on):
        raise ConfigError("--keep-lens finds the place alone", next_step="Give --on-link or --board-on too")
    described = _board(square_mm, columns, rows)
    data = chosen_data_dir(data_dir).create()
    store = CalibrationStore(data.calibrations)
    with running_station(data, station_file) as client:
        place = _place(_config(client), on_link, board_on)
        session = CameraCalibrationSession(
            client, name, store, board=described, place=place, keep_lens=keep_lens
        )
        with closing(session):
            _watch(session, seconds)
            result, path = session.finish()
    for sentence in _report(result):
        typer.echo(sentence)
    typer.echo(f"Wrote {path}. It is in force when the cameras start the next time.")


def _watch(session: CameraCalibrationSession, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    with Live(console=Console(stderr=True), refresh_per_second=8, transient=True) as live:
        try:
            while session.calibrator.progress < 1.0 and time.monotonic() < deadline:
                looked = session.turn(0.5)
                live.update(_page(session.calibrator, looked))
        except KeyboardInterrupt:
            return


def _page(calibrator: CameraCalibrator, looked: Looked | None) -> Table:
    page = Table.grid()
    if looked is None:
        page.add_row("[red]The camera delivers no pictures.[/red]")
        return page
    page.add_row(f"[bold]{looked.feedback.sentence}[/bold]")
    for row in looked.feedback.coverage:
        page.add_row(" ".join("[green]#[/green]" if seen else "." for seen in row))
    page.add_row(f"[dim]{len(calibrator.views)} views, {calibrator.progress:.0%} done. Ctrl-C ends.[/dim]")
    return page


def _report(result: Calibrated) -> list[str]:
    found = list(result.sentences)
    if result.lens is not None:
        matrix = result.lens.matrix
        listed = " ".join(f"{error:.2f}" for error in result.lens.view_errors_px)
        found.append(f"Focal length {matrix[0, 0]:.1f} x {matrix[1, 1]:.1f} px; each view [px]: {listed}")
    if result.mount is not None:
        where = " ".join(f"{value:+.4f}" for value in result.mount.parent_T_camera)
        found.append(f"In '{result.calibration.parent}': x y z qw qx qy qz = {where}")
    return found


def _place(config: StationConfig, on_link: str, board_on: str) -> CameraPlace | None:
    link = on_link or board_on
    if not link:
        return None
    from teleop_app.app import cell_description

    arms, spec = cell_description(config)
    names = [name for arm in arms for name in (*arm.joint_names, arm.gripper_name)]
    poses = LinkPoses(spec.compile(), names, link)
    return CameraPlace(MountKind.ON_LINK if on_link else MountKind.FIXED, link, poses)


def _config(client: StationClient) -> StationConfig:
    card = client.card()
    if card is None:
        raise StationError("The station has ended", next_step="Start it again and calibrate anew")
    return load_station(Path(card.station_file))


def _board(square_mm: float, columns: int, rows: int) -> Board:
    return Board(columns, rows).with_square(square_mm / 1e3)
