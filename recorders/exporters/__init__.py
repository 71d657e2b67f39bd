"""Dataset exporters by name, as the command line offers them.

`load_exporter("lerobot")` gives `export_lerobot`; modules are imported when asked for, so that listing the
names costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from teleop_app.core.errors import ExportError


@dataclass(frozen=True, slots=True)
class ExporterEntry:
    """One exporter.

    Attributes:
        name: As typed after `teleop export`.
        summary: One line for listings.
        module: Where it lives.
        function: `(sources, out_dir, options, progress) -> ExportReport`.
        options: Its options class.
    """

    name: str
    summary: str
    module: str
    function: str
    options: str


EXPORTERS = {
    entry.name: entry
    for entry in (
        ExporterEntry(
            name="lerobot",
            summary="LeRobot v3.0 dataset; recorded video goes over without encoding",
            module="recorders.exporters.lerobot",
            function="export_lerobot",
            options="LeRobotOptions",
        ),
    )
}
"""The exporters there are."""


def load_exporter(name: str) -> tuple[Callable[..., Any], type]:
    """The export function of `name` and its options class.

    Raises:
        ExportError: There is no such exporter.
    """
    entry = EXPORTERS.get(name)
    if entry is None:
        raise ExportError(
            f"There is no exporter '{name}'", next_step=f"Use one of {', '.join(sorted(EXPORTERS))}"
        )
    module = import_module(entry.module)
    return getattr(module, entry.function), getattr(module, entry.options)
