"""The composition root: the only file that names concrete devices and wires them to processes.

`python -m teleop_app.app PROCESS --data-dir DIR [--station FILE]` runs one process of a station. What only
some processes need is imported where they are built: a station starts seconds sooner.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from teleop_app.core.bus import Endpoints
from teleop_app.core.config import StationConfig, load_station, station_text
from teleop_app.core.errors import ConfigError, DeviceError, EpisodeError, TeleopError
from teleop_app.core.paths import DataDir, make_private, shared_memory_dir
from teleop_app.station.process import (
    ProcessContext,
    ask_for_share,
    leave_last_words,
    log_to_file,
    stop_on_signals,
)
from teleop_app.station.supervise import ProcessPlan, Supervisor

if TYPE_CHECKING:
    from devices.sim.replay import ReplayResult
    from sessions import TaskDefault
    from teleop_app.station.checks import Check

logger = logging.getLogger(__name__)

_CONSEQUENCES = {
    "simulation": "The arms do not answer until it is back.",
    "control": "The robot holds its last position; engage anew when it is back.",
    "cameras": "No images arrive; a running recording is kept and marked.",
    "recorder": "What was recorded so far is recovered when it is back.",
    "operator": "The scripted operator stops; everything else goes on.",
    "gamepad": "The gamepad does nothing; everything else goes on.",
}

# A real arm and a real camera do not stall because a browser starts on the host; these stand in for them.
_NICENESS = {"simulation": -10, "cameras": -5, "recorder": -5}


class Runnable(Protocol):
    """A process of the station."""

    def run(self) -> None:
        """Run until told to stop."""
        ...


def station_config(data: DataDir, station_file: Path | None) -> tuple[StationConfig, Path]:
    """The named station file, else the store's own, written with the defaults when it is not there.

    Raises:
        ConfigError: It is malformed, or the named one is missing.
    """
    if station_file is None:
        station_file = data.station_file
        if not station_file.exists():
            station_file.write_text(station_text(StationConfig()), encoding="utf-8")
    return load_station(station_file), station_file


def run_station(data: DataDir, station_file: Path | None) -> None:
    """Run a station here until SIGTERM or SIGINT.

    Raises:
        TeleopError: It cannot start, with the reason.
    """
    data.create()
    config, station_file = station_config(data, station_file)
    context = _context("station", config, data)
    stop_on_signals(context)
    log_to_file(data, "station")
    Supervisor(context, _plans(config, data, station_file), str(station_file)).run()


def device_checks(data: DataDir) -> Iterator[Check]:
    """Checks of the devices that the store's station names."""
    try:
        config, _ = station_config(data, None)
    except (TeleopError, OSError):
        return  # environment_checks has said so
    if any(arm.follower == "sim" for arm in config.arms):
        yield _check_simulation(config)
    yield _check_encoder(config)
    yield _check_gamepad()


def open_window(data: DataDir, station_file: Path | None) -> int:
    """Open the window; the exit code.

    Raises:
        TeleopError: The store, its station file or its catalog cannot be opened.
    """
    import ui.gl  # noqa: F401  (first: imports mujoco without a GL platform, which would clash with Qt's)
    from devices.protocols import Verification
    from devices.sim.arms import ARMS
    from devices.sim.model import load_model
    from ui.application import WindowParts, run_window
    from ui.pages.collect import SceneSource
    from ui.widgets.setup_parts import DriverLabel

    data.create()
    config, station_file = station_config(data, station_file)
    scene = SceneSource(load_model(config.simulation.look), {arm.side: arm.tcp_site_name for arm in ARMS})
    parts = WindowParts(
        data=data,
        config=config,
        station_file=station_file,
        scene=scene,
        tasks=simulation_tasks(),
        device_checks=lambda: device_checks(data),
        drivers=[
            DriverLabel("keyboard and mouse", "input", Verification.SIMULATED),
            DriverLabel("gamepad", "input", Verification.EMULATOR),
            DriverLabel("scripted", "input", Verification.SIMULATED),
            DriverLabel("sim", "follower", Verification.SIMULATED),
            DriverLabel("sim", "camera", Verification.SIMULATED),
            DriverLabel("synthetic", "camera", Verification.SIMULATED),
        ],
    )
    return run_window(parts)


def simulation_tasks() -> list[TaskDefault]:
    """The tasks of the simulated cell, as a first run offers them."""
    from devices.sim.tasks import TASKS
    from sessions import TaskDefault

    return [
        TaskDefault(
            name=task.name,
            instruction=task.title,
            target_count=50,
            simulation_task=task.name,
        )
        for task in TASKS.values()
    ]


def replay_episode(path: Path, progress: Callable[[float], None] | None = None) -> ReplayResult:
    """Run the actions of a simulated episode again and compare.

    Raises:
        EpisodeError: The file is not a readable episode of the simulated cell.
    """
    from devices.sim.replay import Recording, replay
    from recorders.reader import EpisodeReader

    with EpisodeReader(path) as reader:
        world, sent, measured = reader.world(), reader.joints("sent"), reader.joints("measured")
        header = reader.header
    if world is None or len(world.qpos) == 0:
        raise EpisodeError(f"{path.name} cannot be replayed", why="it was not recorded in the simulated cell")
    recording = Recording(
        task=header.task,
        seed=max(header.seed, 0),
        start_qpos=world.qpos[0],
        start_ns=int(world.capture_ns[0]),
        action_ns=sent.capture_ns,
        actions=sent.position,
        measured_ns=measured.capture_ns,
        measured=measured.position,
    )
    return replay(recording, progress)


def _plans(config: StationConfig, data: DataDir, station_file: Path) -> list[ProcessPlan]:
    def plan(name: str, *, essential: bool = True) -> ProcessPlan:
        argv = [sys.executable, "-m", "teleop_app.app", name, "--data-dir", str(data.root)]
        argv += ["--station", str(station_file)]
        return ProcessPlan(name, argv, essential=essential, consequence=_CONSEQUENCES[name])

    plans = []
    simulated = any(arm.follower == "sim" for arm in config.arms)
    if simulated:
        plans.append(plan("simulation"))
    plans += [plan("control"), plan("cameras"), plan("recorder")]
    if simulated:
        plans.append(plan("operator", essential=False))
    if config.inputs.gamepad and _gamepad_present():
        plans.append(plan("gamepad", essential=False))
    return plans


def _build_simulation(context: ProcessContext) -> Runnable:
    from devices.sim.cell import Cell
    from teleop_app.station.simulation import SimulationProcess

    simulation = context.config.simulation
    return SimulationProcess(context, Cell(simulation.look, simulation.task, simulation.seed))


def _build_cameras(context: ProcessContext) -> Runnable:
    from devices.cameras.simulated import SimFrameSource
    from devices.cameras.source import FrameSource
    from devices.cameras.synthetic import SyntheticFrameSource
    from teleop_app.station.cameras import CamerasProcess

    emulated = {
        camera.name: camera.emulated_latency_ms
        for camera in context.config.cameras
        if camera.emulated_latency_ms
    }
    makers: dict[str, Callable[[], FrameSource]] = {
        "sim": lambda: SimFrameSource(context.config.simulation.look, context.rings),
        "synthetic": lambda: SyntheticFrameSource(emulated),
    }
    wanted = {camera.driver for camera in context.config.cameras}
    if unknown := wanted - makers.keys():
        raise ConfigError(
            f"There is no camera driver {sorted(unknown)[0]!r}",
            next_step=f"Choose one of: {', '.join(makers)}",
        )
    return CamerasProcess(context, {driver: makers[driver]() for driver in wanted})


def _build_control(context: ProcessContext) -> Runnable:
    from devices.sim.arms import ARMS
    from devices.sim.link import sim_follower
    from devices.sim.model import build_spec
    from teleop_app.control.assembly import ArmDescription, build_control_loop
    from teleop_app.station.control import ControlProcess

    arms = [
        ArmDescription(arm.side, arm.joint_names, arm.gripper_name, arm.tcp_site_name, arm.home_q)
        for arm in ARMS
    ]
    followers = [sim_follower(context.rings, context.clock)]
    loop = build_control_loop(context.config, arms, build_spec("primitive"), followers, context.clock)
    return ControlProcess(context, loop, followers)


def _build_recorder(context: ProcessContext) -> Runnable:
    from devices.sim.model import model_xml
    from sessions import Author, open_catalog
    from teleop_app.station.recorder import RecorderProcess

    with open_catalog(context.data.root, Author.process("recorder")) as catalog:
        catalog.seed_defaults(simulation_tasks())
    model = model_xml("primitive") if any(arm.follower == "sim" for arm in context.config.arms) else ""
    return RecorderProcess(context, robot_model=model)


def _build_operator(context: ProcessContext) -> Runnable:
    from devices.inputs.scripted import ScriptedOperator
    from devices.sim.model import load_model
    from teleop_app.station.operator import InputProcess

    config = context.config
    arms = tuple(arm.name for arm in config.arms)
    device = ScriptedOperator(
        load_model("primitive"), arms, context.clock, config.mapping, config.simulation.seed
    )
    return InputProcess(context, device)


def _build_gamepad(context: ProcessContext) -> Runnable:
    from devices.inputs.gamepad import Gamepad
    from teleop_app.station.operator import InputProcess

    return InputProcess(context, Gamepad(tuple(arm.name for arm in context.config.arms), context.clock))


_BUILDERS: dict[str, Callable[[ProcessContext], Runnable]] = {
    "simulation": _build_simulation,
    "control": _build_control,
    "cameras": _build_cameras,
    "recorder": _build_recorder,
    "operator": _build_operator,
    "gamepad": _build_gamepad,
}


def _context(name: str, config: StationConfig, data: DataDir) -> ProcessContext:
    run_dir = make_private(data.run_dir())
    return ProcessContext(
        name=name,
        config=config,
        data=data,
        endpoints=Endpoints(run_dir),
        rings=shared_memory_dir(run_dir),
    )


def _check_simulation(config: StationConfig) -> Check:
    from devices.sim.model import load_model
    from teleop_app.station.checks import Check, Level

    try:
        model = load_model(config.simulation.look)
    except TeleopError as error:
        return Check("Simulated cell", Level.FAILURE, error.what, error.next_step)
    return Check("Simulated cell", Level.OK, f"{config.simulation.look}, {model.nv} degrees of freedom")


def _check_encoder(config: StationConfig) -> Check:
    from recorders.encoder_choice import choose_encoder
    from teleop_app.station.checks import Check, Level

    try:
        choice = choose_encoder(config.recording.encoder)
    except ConfigError as error:
        return Check("Video encoder", Level.FAILURE, f"{error.what}: {error.why}", error.next_step)
    return Check("Video encoder", Level.OK, choice.reason)


def _gamepad_present() -> bool:
    with contextlib.suppress(DeviceError, ImportError):
        from devices.inputs.gamepad import connected_gamepads

        return bool(connected_gamepads())
    return False


def _check_gamepad() -> Check:
    from teleop_app.station.checks import Check, Level

    found = _gamepad_present()
    return Check("Gamepad", Level.OK, "found" if found else "none connected (keyboard and mouse always work)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one process of a station; the exit code tells the supervisor why it ended."""
    parser = argparse.ArgumentParser(prog="python -m teleop_app.app")
    parser.add_argument("process", choices=["station", *_BUILDERS])
    parser.add_argument("--data-dir", required=True, type=Path)
    parser.add_argument("--station", type=Path)
    options = parser.parse_args(argv)
    data = DataDir.choose(options.data_dir)
    run_dir = make_private(data.run_dir())
    try:
        if options.process == "station":
            run_station(data, options.station)
            return 0
        config, _ = station_config(data, options.station)
        context = _context(options.process, config, data)
        stop_on_signals(context)
        log_to_file(data, options.process)
        ask_for_share(_NICENESS.get(options.process, 0))
        _BUILDERS[options.process](context).run()
    except TeleopError as error:
        if options.process != "station":  # whoever started the station shows its last words
            logger.error("%s", error.sentence)
        leave_last_words(run_dir, options.process, error.sentence)
        return error.exit_code
    except Exception:
        logger.exception("the %s process failed", options.process)
        return 70
    return 0


if __name__ == "__main__":
    sys.exit(main())
