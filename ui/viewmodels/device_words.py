"""How a device does, in words and figures."""

from __future__ import annotations

from collections.abc import Mapping

from devices.driver import DriverKind
from teleop_app.core.types import ProcessState
from ui.theme import Role
from ui.viewmodels.devices import Live, StationDevice

WAITING = "waiting"
"""State of a device that nobody uses yet, which is no fault."""


def state_words(device: StationDevice, live: Live, problem: str) -> tuple[str, Role]:
    """Returns a sentence on a device and its colour: muted while there is nothing to say.

    Args:
        device: What the station file says.
        live: What its process says.
        problem: Why it cannot work as it stands in the station file, empty when it can.
    """
    if problem:
        return _sentence(problem), Role.FAULT
    if not device.saved:
        return "Save, then restart the station to use it.", Role.WARNING
    match live.state:
        case None:
            shared = "-" not in device.process
            text = "" if shared else "The station does not run it: start or restart the station."
            return text, Role.MUTED
        case ProcessState.FAULT:
            return _sentence(live.text or "Its process is down and is started anew."), Role.FAULT
        case ProcessState.STARTING:
            return "Its process is starting.", Role.MUTED
        case ProcessState.STOPPED:
            return "Its process has stopped.", Role.MUTED
        case ProcessState.RUNNING:
            if live.text:
                return _sentence(live.text), Role.WARNING
            if live.device_state == WAITING:
                return "Nobody is connected yet.", Role.MUTED
            return (_sentence(live.device_state) if live.device_state else ""), Role.GOOD


def figures_text(live: Live) -> str:
    """Returns rate, age and losses of a device that runs, empty for one that does not."""
    if live.state is not ProcessState.RUNNING:
        return ""
    return "   ".join(figures(live.metrics))


def figures(metrics: Mapping[str, float]) -> list[str]:
    """Returns rate, age, losses and errors as short texts, those that are known."""
    parts = []
    if metrics.get("rate_hz"):
        parts.append(f"{metrics['rate_hz']:.0f} Hz")
    if "age_ms" in metrics and metrics.get("rate_hz"):
        parts.append(f"{min(metrics['age_ms'], 9999.0):.0f} ms old")
    lost = metrics.get("lost", 0.0)
    if "lost" in metrics:
        parts.append(f"{lost:.0f} lost")
    if metrics.get("errors"):
        parts.append(f"{metrics['errors']:.0f} errors")
    return parts


def kind_title(kind: DriverKind) -> str:
    """Returns the heading over drivers of a kind."""
    return {
        DriverKind.INPUT: "Inputs",
        DriverKind.FOLLOWER: "Follower arms",
        DriverKind.CAMERA: "Cameras",
        DriverKind.SENSOR: "Sensors",
        DriverKind.BASE: "Mobile bases",
        DriverKind.LIFT: "Lifts",
        DriverKind.HAND: "Hands",
    }[kind]


def _sentence(text: str) -> str:
    stripped = text.strip()
    return stripped[:1].upper() + stripped[1:] + ("" if stripped.endswith((".", "!", "?")) else ".")
