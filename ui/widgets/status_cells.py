"""What the bottom strip says, worked out without widgets. Green is silent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum

from teleop_app.core.types import (
    CameraSetup,
    ProcessState,
    RecorderState,
    RecorderStatus,
    StationStatus,
)
from ui.bridge import CameraMeter, ControlMeter
from ui.viewmodels.setup_restart import process_title
from ui.viewmodels.trust import losses

CAMERA_FPS_SHARE = 0.9
CAMERA_LOSS_LIMIT = 0.01
CONTROL_RATE_SHARE = 0.97
FEW_EPISODES_LEFT = 20


class Level(IntEnum):
    """How loud a cell is."""

    QUIET = 0
    WARNING = 1
    FAULT = 2


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the strip.

    Attributes:
        name: Stable name.
        text: Shown, short.
        level: Muted, amber or red.
        remedy: A sentence for the tooltip: what is off and what to do; what it means when quiet.
    """

    name: str
    text: str
    level: Level = Level.QUIET
    remedy: str = ""


class Link(Enum):
    """How the window stands with its station."""

    NOT_STARTED = "not started"
    STARTING = "starting"
    LINKED = "linked"
    LOST = "lost"


def link_state(*, linked: bool, was_linked: bool, running: bool) -> Link:
    """Returns how the window stands with its station.

    Args:
        linked: It is heard.
        was_linked: It was heard before.
        running: Its processes run, or are being started.
    """
    if linked:
        return Link.LINKED
    if was_linked:
        return Link.LOST
    return Link.STARTING if running else Link.NOT_STARTED


def link_cell(link: Link, station: StationStatus | None) -> Cell:
    """Says whether the station is heard and all its processes live."""
    if link is Link.NOT_STARTED:
        return Cell("link", "Station not started", remedy="It starts with the first session, on Home.")
    if link is Link.STARTING:
        return Cell("link", "Starting\N{HORIZONTAL ELLIPSIS}", remedy="The station is being started.")
    if link is Link.LOST:
        return Cell(
            "link",
            "Station not heard",
            Level.FAULT,
            "No message from the station for two seconds. The arms hold by themselves. "
            "Start it on the Setup page, or see its logs.",
        )
    if station is not None:
        dead = [p for p in station.processes if p.state is ProcessState.FAULT]
        if dead:
            names = ", ".join(process_title(p.process) for p in dead)
            processes = ", ".join(p.process for p in dead)
            reason = next((p.text for p in dead if p.text), "")
            return Cell(
                "link",
                f"{names} down",
                Level.FAULT,
                f"The {processes} process is down. {reason} It is started anew by itself; "
                "if it keeps failing, see the pre-flight list on Setup.".replace("  ", " "),
            )
        starting = [process_title(p.process) for p in station.processes if p.state is ProcessState.STARTING]
        if starting:
            names = ", ".join(starting)
            return Cell(
                "link", f"Starting {names}", Level.WARNING, f"Still starting: {names}. Wait a moment."
            )
    return Cell("link", "Station linked", remedy="The station answers and all its processes run.")


def device_cell(station: StationStatus | None) -> Cell | None:
    """Says which devices are off or odd although their processes run; None while all are well."""
    if station is None:
        return None
    odd = [p for p in station.processes if "-" in p.process and p.state is ProcessState.RUNNING and p.text]
    if not odd:
        return None
    names = ", ".join(process_title(p.process) for p in odd)
    text = names if len(odd) == 1 else f"{len(odd)} devices off"
    sentences = "\n".join(f"{process_title(p.process)}: {p.text}" for p in odd)
    return Cell("devices", text, Level.WARNING, f"{sentences}\nSee Setup, Devices.")


def control_cell(meter: ControlMeter, wanted_hz: float) -> Cell:
    """Says how regular the control loop is."""
    rate, late = meter.rate_hz, meter.late_p99_ms
    if rate <= 0.0:
        return Cell("control", "Control \u2013", remedy="No control tick has come yet.")
    text = f"Control {rate:.0f} Hz  p99 {late:.1f} ms"
    period_ms = 1000.0 / wanted_hz
    if rate < CONTROL_RATE_SHARE * wanted_hz:
        return Cell(
            "control",
            text,
            Level.FAULT if rate < 0.8 * wanted_hz else Level.WARNING,
            f"Control runs at {rate:.0f} Hz instead of {wanted_hz:.0f}. Close other programs, or lower "
            "the camera rate on Setup.",
        )
    if late > period_ms:
        return Cell(
            "control",
            text,
            Level.WARNING,
            f"One tick in a hundred is more than {late:.1f} ms late. Allow real-time scheduling "
            "(rtprio limit), or close other programs.",
        )
    return Cell("control", text, remedy="Rate of the control loop and 99th percentile of its lateness.")


def camera_cell(name: str, meter: CameraMeter | None, setup: CameraSetup | None) -> Cell:
    """Says how many frames of a camera come and how many are lost."""
    cell = f"camera.{name}"
    if meter is None or meter.fps <= 0.0:
        return Cell(
            cell, f"{name} \u2013", Level.WARNING, f"No picture from {name} yet. See the cameras on Setup."
        )
    fps, lost = meter.fps, meter.lost_share
    text = f"{name} {fps:.0f} fps"
    wanted = setup.fps if setup is not None else 0
    if lost > CAMERA_LOSS_LIMIT:
        return Cell(
            cell,
            f"{text}  {lost:.0%} lost",
            Level.FAULT if lost > 0.1 else Level.WARNING,
            f"{name} lost {lost:.1%} of its frames in the last seconds. Lower its size or rate on Setup.",
        )
    if wanted and fps < CAMERA_FPS_SHARE * wanted:
        return Cell(
            cell,
            text,
            Level.WARNING,
            f"{name} delivers {fps:.0f} of {wanted} frames a second. Lower its size or rate on Setup.",
        )
    size = f", {setup.width}x{setup.height} at {setup.fps} fps" if setup is not None else ""
    return Cell(cell, text, remedy=f"No frame of {name} lost{size}.")


_RECORDER_WORDS = {
    RecorderState.IDLE: "ready",
    RecorderState.COUNTDOWN: "starting",
    RecorderState.RECORDING: "recording",
    RecorderState.FINALISING: "writing",
    RecorderState.REVIEW: "awaits verdict",
    RecorderState.FAULT: "fault",
}


def recorder_cell(recorder: RecorderStatus | None) -> Cell:
    """Says what the recorder does."""
    if recorder is None:
        return Cell("recorder", "Recorder \u2013", remedy="The recorder has not been heard yet.")
    word = _RECORDER_WORDS[recorder.state]
    if recorder.state is RecorderState.FAULT:
        return Cell(
            "recorder",
            "Recorder fault",
            Level.FAULT,
            recorder.text or "The recorder cannot write. See the pre-flight list on Setup.",
        )
    found = losses(recorder.lost, recorder.dropped) if recorder.state is RecorderState.RECORDING else ()
    if found:
        lost = sum(loss.count for loss in found)
        return Cell(
            "recorder",
            f"Recorder {word}  {lost} lost",
            Level.FAULT,
            "Missing from the file of this episode; redo it if they matter.\n"
            + "\n".join(loss.line for loss in found),
        )
    if recorder.text:
        return Cell("recorder", f"Recorder {word}", Level.WARNING, recorder.text)
    return Cell(
        "recorder", f"Recorder {word}", remedy="Episodes are safe on disk before they are called saved."
    )


def disk_cell(recorder: RecorderStatus | None, station: StationStatus | None) -> Cell:
    """Says how many more episodes fit on the disk."""
    left = recorder.episodes_left if recorder is not None else -1
    free = f"{station.disk_free_bytes / 1e9:.0f} GB free" if station is not None else "Disk \u2013"
    if left < 0:
        return Cell("disk", free, remedy="Free space of the data directory.")
    text = f"{left:,} episodes left".replace(",", " ")
    if left < FEW_EPISODES_LEFT:
        return Cell(
            "disk",
            text,
            Level.FAULT if left < 3 else Level.WARNING,
            f"Only about {left} more episodes fit ({free}). Free space, or choose another data directory.",
        )
    return Cell("disk", text, remedy=f"Estimate from the episodes so far; {free}.")


def all_cells(
    *,
    link: Link,
    station: StationStatus | None,
    recorder: RecorderStatus | None,
    control: ControlMeter,
    wanted_hz: float,
    meters: Mapping[str, CameraMeter],
    setups: Mapping[str, CameraSetup],
) -> list[Cell]:
    """Returns the whole strip from left to right; of a station that is not heard only what is sure."""
    if link is not Link.LINKED:
        return [control_cell(ControlMeter(), wanted_hz), link_cell(link, None)]
    names = list(dict.fromkeys([*setups, *meters]))
    devices = device_cell(station)
    return [
        control_cell(control, wanted_hz),
        *(camera_cell(name, meters.get(name), setups.get(name)) for name in names),
        recorder_cell(recorder),
        disk_cell(recorder, station),
        *([devices] if devices is not None else []),
        link_cell(link, station),
    ]
