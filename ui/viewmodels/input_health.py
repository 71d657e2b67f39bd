"""How every input does: rate, age, dropouts, who drives; quiet while all is well."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace

from teleop_app.core.clock import NS_PER_S
from teleop_app.core.config import StationConfig
from teleop_app.core.types import ProcessState, ProcessStatus, StationStatus
from teleop_app.station.roster import input_process
from ui.viewmodels.device_words import figures
from ui.widgets.status_cells import Level

DROPOUT_SPAN_NS = 10 * NS_PER_S
"""Losses are told for this long."""

OTHERS = ("gamepad", "operator")
"""Processes of inputs that every station may have, and the names of their sources."""
_SOURCES = {"operator": "scripted"}


@dataclass(frozen=True, slots=True)
class InputHealth:
    """One input.

    Attributes:
        name: Of the source.
        level: Quiet, amber or red.
        figures: Rate, age and losses, short; a word when there are none.
        sentence: What is off and what to do; what it is when quiet.
        drives: It moves the arms now.
        person: A person moves it, not a program.
        lost: Samples lost in the last seconds.
    """

    name: str
    level: Level
    figures: str
    sentence: str
    drives: bool = False
    lost: int = 0
    person: bool = True


class InputWatch:
    """Follows the processes of the inputs.

    Args:
        config: The station file.
    """

    def __init__(self, config: StationConfig) -> None:
        self._processes = {input_process(d.name): d.name for d in config.inputs.devices}
        self._drivers = {d.name: d.driver for d in config.inputs.devices}
        self._processes |= {name: _SOURCES.get(name, name) for name in OTHERS}
        self._stale_ms = config.safety.stale_hold_ms
        self._deadman = config.safety.deadman
        self._statuses: dict[str, ProcessStatus] = {}
        self._lost: dict[str, deque[tuple[int, float]]] = {}
        self._linked = False

    def on_station(self, status: StationStatus) -> None:
        """The processes of the station."""
        self._linked = True
        self._statuses = {p.process: p for p in status.processes if p.process in self._processes}
        for process, each in self._statuses.items():
            history = self._lost.setdefault(process, deque(maxlen=64))
            lost = each.metrics.get("lost", 0.0)
            if history and lost < history[-1][1]:
                history.clear()  # the process started anew
            history.append((status.capture_ns, lost))
            while history and status.capture_ns - history[0][0] > DROPOUT_SPAN_NS:
                history.popleft()

    def on_link(self, linked: bool) -> None:
        """The station was found or lost."""
        self._linked = linked
        if not linked:
            self._statuses.clear()
            self._lost.clear()

    def view(self, driver: str, keyboard: bool) -> tuple[InputHealth, ...]:
        """Returns every input, the keyboard first.

        Args:
            driver: Name of the source that drives, empty for nobody.
            keyboard: Whether this window sends samples.
        """
        if not self._linked:
            return ()
        words = "" if keyboard else "ready"
        found = [
            InputHealth(
                "keyboard", Level.QUIET, words, "Keys and mouse of this window.", driver == "keyboard"
            )
        ]
        for process, name in self._processes.items():
            status = self._statuses.get(process)
            if status is not None:
                judged = self._judge(process, name, status, driver == name)
                found.append(replace(judged, person=name != _SOURCES["operator"]))
            elif process not in OTHERS:
                sentence = f"The station does not run the input '{name}'. Restart the station on Setup."
                found.append(InputHealth(name, Level.WARNING, "not running", sentence))
        return tuple(found)

    def _judge(self, process: str, name: str, status: ProcessStatus, drives: bool) -> InputHealth:
        lost = self._dropouts(process)
        text = "  ".join(figures(_recent(status.metrics, lost)))
        worse = Level.FAULT if drives or name == self._deadman else Level.WARNING
        if status.state is ProcessState.FAULT:
            said = status.text or f"The input '{name}' is down and is started anew."
            return InputHealth(name, Level.FAULT, "down", said, drives, lost)
        if status.state is not ProcessState.RUNNING:
            return InputHealth(name, Level.QUIET, "starting", f"The input '{name}' is starting.", drives)
        if status.text:
            quiet = name == _SOURCES["operator"]
            return InputHealth(
                name, Level.QUIET if quiet else worse, text or "waiting", status.text, drives, lost
            )
        if status.metrics.get("waiting"):
            level = Level.WARNING if name == self._deadman else Level.QUIET
            said = f"Nobody is connected to '{name}' yet. Setup, Devices says how."
            return InputHealth(name, level, "waiting", said, drives, lost)
        age_ms = status.metrics.get("age_ms", 0.0)
        if drives and age_ms > self._stale_ms:
            sentence = (
                f"The newest sample of '{name}' is {age_ms:.0f} ms old: the arms hold. "
                f"{self._remedy(name)} Then engage anew."
            )
            return InputHealth(name, Level.FAULT, text, sentence, drives, lost)
        if lost:
            span_s = DROPOUT_SPAN_NS // NS_PER_S
            sentence = f"'{name}' lost {lost} samples in the last {span_s} s. {self._remedy(name)}"
            return InputHealth(name, Level.WARNING, text, sentence, drives, lost)
        sentence = f"'{name}' drives." if drives else f"'{name}' is there."
        return InputHealth(name, Level.QUIET, text or "ready", sentence, drives)

    def _dropouts(self, process: str) -> int:
        history = self._lost.get(process)
        return round(history[-1][1] - history[0][1]) if history else 0

    def _remedy(self, name: str) -> str:
        match self._drivers.get(name, ""):
            case "webxr":
                return "Bring the headset nearer to the Wi-Fi router, or use 5 GHz."
            case "openxr":
                return "Keep the controllers in the headset's sight."
            case driver if driver.endswith("-leader"):
                return "See its plug and its supply voltage."
            case _:
                return "See its cable or its battery."


def _recent(metrics: Mapping[str, float], lost: int) -> dict[str, float]:
    """Rate and age, and the losses of the last seconds instead of all of them."""
    kept = {name: value for name, value in metrics.items() if name in ("rate_hz", "age_ms")}
    return kept | ({"lost": float(lost)} if lost else {})
