"""Chooses the size and rate of the simulated cameras from the measured cost of a frame."""

import time
from dataclasses import dataclass
from typing import Final

from devices.sim.cell import Cell
from devices.sim.model import CAMERA_NAMES, Look
from devices.sim.renderer import CellRenderer
from teleop_app.core.geometry import Array

OPTIONS: Final = ((640, 480, 30), (320, 240, 30), (320, 240, 15))
"""Width [px], height [px] and rate [frame/s], best first; the last is taken whatever it costs."""

_ROUNDS: Final = 4


@dataclass(frozen=True, slots=True)
class RenderChoice:
    """What the probe found.

    Attributes:
        width: Chosen width [px].
        height: Chosen height [px].
        fps: Chosen rate [frame/s].
        ms_per_frame: Measured cost of a frame of each size tried, e.g. `{"640x480": 14.2}` [ms].
        device: What draws.
        software: Whether the processor draws.
        fits: Whether the choice keeps within the budget.
        reason: The choice in a sentence.
    """

    width: int
    height: int
    fps: int
    ms_per_frame: dict[str, float]
    device: str
    software: bool
    fits: bool
    reason: str


def probe(look: Look, cameras: int = 3, budget_cores: float = 0.6) -> RenderChoice:
    """Times real frames of a look, largest size first, until one fits. Blocks for about a second.

    Args:
        look: Look of the cell.
        cameras: How many cameras will run.
        budget_cores: How much of one core rendering may take, 1.0 is a whole core.

    Raises:
        DeviceError: No off-screen OpenGL here.
    """
    cell = Cell(look)
    costs: dict[str, float] = {}
    for option in OPTIONS:
        width, height, fps = option
        size = f"{width}x{height}"
        with CellRenderer(cell.model, width, height) as renderer:
            if size not in costs:
                costs[size] = frame_cost_ms(renderer, cell.qpos)
            device, software = renderer.device, renderer.software
        load = costs[size] * 1e-3 * fps * cameras
        fits = load <= budget_cores
        if fits or option == OPTIONS[-1]:
            drawn_by = "the processor" if software else device
            verdict = "within" if fits else "more than"
            reason = (
                f"A {size} frame costs {costs[size]:.1f} ms on {drawn_by}; {cameras} cameras at {fps}/s take "
                f"{load:.2f} of a core, {verdict} the {budget_cores:.2f} allowed."
            )
            return RenderChoice(width, height, fps, costs, device, software, fits, reason)
    msg = "no camera format to choose from"
    raise RuntimeError(msg)


def frame_cost_ms(renderer: CellRenderer, qpos: Array) -> float:
    """Median cost of a frame over the standard cameras [ms].

    For a software renderer it is processor time over all its threads, which stayed within 10 % on an idle
    and on an overloaded machine, where wall time grew tenfold; for a graphics card it is wall time.
    """
    cameras = CAMERA_NAMES[:3]
    for camera in cameras:
        renderer.render(qpos, camera)
    costs: list[float] = []
    for _ in range(_ROUNDS):
        wall, processor = time.perf_counter(), time.process_time()
        for camera in cameras:
            renderer.render(qpos, camera)
        spent = time.perf_counter() - wall
        if renderer.software:
            spent = time.process_time() - processor
        costs.append(1e3 * spent / len(cameras))
    costs.sort()
    return 0.5 * (costs[(_ROUNDS - 1) // 2] + costs[_ROUNDS // 2])
