"""`teleop calibrate arm`: walk a person through the calibration of an arm of servos."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from devices.leaders.calibrating import arm_calibrator
from devices.leaders.calibration import ArmCalibrator, CalibrationStep
from teleop_app.commands.options import DataDirOption, StationOption, chosen_data_dir
from teleop_app.core.calibration import ArmCalibration, CalibrationStore
from teleop_app.core.clock import NS_PER_S, Clock, MonotonicClock
from teleop_app.core.config import load_station
from teleop_app.core.errors import DeviceError, StationError

_PERIOD_NS = NS_PER_S // 30
Pressed = Callable[[], str | None]
Show = Callable[[ArmCalibrator, str], None]


def arm(
    name: Annotated[str, typer.Argument(help="Leader (name of the input) or follower (name of the arm).")],
    data_dir: DataDirOption = None,
    station_file: StationOption = None,
) -> None:
    """Calibrate a leader or follower arm of servos: offset, sign and range of each joint. Moves nothing."""
    data = chosen_data_dir(data_dir).create()
    config = load_station(station_file or data.station_file)
    clock = MonotonicClock()
    calibrator = arm_calibrator(config, name, clock)
    keys = _Keys()
    try:
        with Live(console=Console(stderr=True), refresh_per_second=15, transient=True) as live:
            found = walk(calibrator, keys.pressed, lambda one, text: live.update(_page(one, text)), clock)
    finally:
        calibrator.close()
    path = CalibrationStore(data.calibrations).save(found)
    for joint in found.joints:
        sign = "+" if joint.sign > 0 else "-"
        span = f"{joint.lower_rad:+.2f} to {joint.upper_rad:+.2f} rad"
        typer.echo(f"{joint.name:<14} servo {joint.servo:<3} {sign}  {joint.offset_rad:+.3f} rad  {span}")
    typer.echo(f"Wrote {path}. It is in force when the arm is connected the next time.")


def walk(calibrator: ArmCalibrator, pressed: Pressed, show: Show, clock: Clock) -> ArmCalibration:
    """Step through a calibration until it is done.

    Args:
        calibrator: On an open bus.
        pressed: A line that was entered since the last call, None without; `q` gives up.
        show: Draws the present step and a complaint, thirty times a second.
        clock: Paces it.

    Raises:
        StationError: The person gave up; nothing is written.
    """
    complaint = ""
    while calibrator.step is not CalibrationStep.DONE:
        clock.sleep_until(clock.now_ns() + _PERIOD_NS)
        try:
            if calibrator.step is not CalibrationStep.START:
                calibrator.update()
            line = pressed()
            if line is not None:
                if line.strip().lower() == "q":
                    raise StationError("The calibration was given up", why="nothing was written")
                calibrator.advance()
                complaint = ""
        except DeviceError as error:
            complaint = error.sentence
        show(calibrator, complaint)
    return calibrator.result()


class _Keys:
    """Lines of standard input, without waiting for them."""

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._listen, name="keys", daemon=True).start()

    def pressed(self) -> str | None:
        """A line, None when none came; `q` at the end of the input."""
        return None if self._lines.empty() else self._lines.get()

    def _listen(self) -> None:
        for line in sys.stdin:
            self._lines.put(line)
        self._lines.put("q")


def _page(calibrator: ArmCalibrator, complaint: str) -> Table:
    page = Table.grid(padding=(0, 0))
    page.add_row(f"[bold]{calibrator.instruction}[/bold]")
    page.add_row(f"[red]{complaint}[/red]" if complaint else "")
    table = Table(box=None, padding=(0, 2))
    for title in ("joint", "now [rad]", "smallest", "largest"):
        table.add_column(title, justify="left" if title == "joint" else "right")
    for name, live in calibrator.live.items():
        marked = f"[bold cyan]{name}[/bold cyan]" if name == calibrator.joint else name
        table.add_row(marked, f"{live.rad:+.3f}", f"{live.lower:+.3f}", f"{live.upper:+.3f}")
    page.add_row(table)
    page.add_row(f"[dim]{calibrator.progress:.0%} done. Enter goes on, q and Enter gives up.[/dim]")
    return page
