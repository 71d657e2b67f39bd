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
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from devices.driver import DeviceContext, DriverKind
from devices.registry import find_driver, make_device
from teleop_app.core.bus import Endpoints
from teleop_app.core.calibration import CalibrationStore
from teleop_app.core.config import (
    ArmSection,
    InputDeviceSection,
    SensorSection,
    StationConfig,
    load_station,
    station_text,
)
from teleop_app.core.errors import ConfigError, DeviceError, EpisodeError, TeleopError
from teleop_app.core.paths import DataDir, make_private, shared_memory_dir
from teleop_app.station.process import (
    ProcessContext,
    ask_for_share,
    leave_last_words,
    log_to_file,
    stop_on_signals,
)
from teleop_app.station.roster import (
    SIMULATED,
    ProcessRole,
    check_cameras,
    follower_process,
    input_process,
    is_simulated,
    process_names,
    roster,
    sensor_process,
)
from teleop_app.station.supervise import ProcessPlan, Supervisor

if TYPE_CHECKING:
    import mujoco

    from devices.cameras.source import FrameSource
    from devices.protocols import Camera, Follower, FollowerDriver, InputDevice, Sensor
    from devices.sim.replay import ReplayResult
    from sessions import TaskDefault
    from teleop_app.control.assembly import ArmDescription
    from teleop_app.control.bodies import StationBodies
    from teleop_app.station.checks import Check
    from ui.gl.scene_feed import SceneSource

logger = logging.getLogger(__name__)


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
    from teleop_app.station.device_checks import check_devices

    try:
        config, _ = station_config(data, None)
    except (TeleopError, OSError):
        return  # environment_checks has said so
    if any(arm.follower == SIMULATED for arm in config.arms):
        yield _check_simulation(config)
    yield from check_devices(config, CalibrationStore(data.calibrations))
    yield _check_encoder(config)
    yield _check_gamepad()


def open_window(data: DataDir, station_file: Path | None) -> int:
    """Open the window; the exit code.

    Raises:
        TeleopError: The store, its station file or its catalog cannot be opened.
    """
    import ui.gl  # noqa: F401  (first: imports mujoco without a GL platform, which would clash with Qt's)
    from devices.protocols import Verification
    from ui.application import WindowParts, run_window
    from ui.widgets.setup_parts import DriverLabel

    data.create()
    config, station_file = station_config(data, station_file)
    parts = WindowParts(
        data=data,
        config=config,
        station_file=station_file,
        scene=_scene(config),
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


def _scene(config: StationConfig) -> SceneSource | None:
    """What the 3-D view draws; None, with the reason in the log, when the robot's model cannot be used."""
    from recorders.vector_posture import VectorPosture
    from ui.gl.scene_feed import SceneSource

    try:
        arms, spec = cell_description(config)
    except ConfigError as error:
        logger.warning("there is no 3-D view: %s", error.sentence)
        return None
    sites = {arm.name: arm.tcp_site for arm in arms}
    names = tuple(name for arm in arms for name in (*arm.joint_names, arm.gripper_name))
    if is_simulated(config):
        from devices.sim.model import load_model

        return SceneSource(load_model(config.simulation.look), sites, joint_names=names)
    model = spec.compile()
    return SceneSource(model, sites, VectorPosture(model, names).qpos, names)


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
    def plan(role: ProcessRole) -> ProcessPlan:
        argv = [sys.executable, "-m", "teleop_app.app", role.name, "--data-dir", str(data.root)]
        argv += ["--station", str(station_file)]
        return ProcessPlan(role.name, argv, essential=role.essential, consequence=role.consequence)

    return [plan(role) for role in roster(config, gamepad=config.inputs.gamepad and _gamepad_present())]


def _build_simulation(context: ProcessContext) -> Runnable:
    from devices.sim.cell import Cell
    from teleop_app.station.simulation import SimulationProcess

    simulation = context.config.simulation
    return SimulationProcess(context, Cell(simulation.look, simulation.task, simulation.seed))


def _build_cameras(context: ProcessContext) -> Runnable:
    from devices.cameras.simulated import SimFrameSource
    from devices.cameras.synthetic import SyntheticFrameSource
    from teleop_app.station.cameras import CamerasProcess

    check_cameras(context.config)
    emulated = {
        camera.name: camera.emulated_latency_ms
        for camera in context.config.cameras
        if camera.emulated_latency_ms
    }
    makers: dict[str, Callable[[], FrameSource]] = {
        "sim": lambda: SimFrameSource(context.config.simulation.look, context.rings),
        "synthetic": lambda: SyntheticFrameSource(emulated),
    }
    sources: dict[str, FrameSource] = {}
    for driver in dict.fromkeys(camera.driver for camera in context.config.cameras):
        made = makers.get(driver)
        sources[driver] = made() if made else _real_cameras(context, driver)
    return CamerasProcess(context, sources)


def _real_cameras(context: ProcessContext, driver: str) -> FrameSource:
    from devices.cameras.threaded_source import ThreadedSource

    cameras: dict[str, Camera] = {
        camera.name: make_device(
            DriverKind.CAMERA, driver, _device_context(context, camera.name), camera.options
        )
        for camera in context.config.cameras
        if camera.driver == driver
    }
    return ThreadedSource(cameras, CalibrationStore(context.data.calibrations), context.clock)


def _build_control(context: ProcessContext) -> Runnable:
    from devices.followers.link import LinkedFollower, follower_link
    from teleop_app.control.assembly import build_control_loop
    from teleop_app.station.control import ControlProcess

    config, clock = context.config, context.clock
    arms, spec = cell_description(config)
    followers: list[Follower] = []
    if is_simulated(config):
        from devices.sim.link import sim_follower

        followers.append(sim_follower(context.rings, clock))
    else:
        for arm, described in zip(config.arms, arms, strict=True):
            names = (*described.joint_names, described.gripper_name)
            title, link = f"Arm '{arm.name}'", follower_link(arm.name)
            proven = find_driver(DriverKind.FOLLOWER, arm.follower).verification
            followers.append(LinkedFollower(context.rings, link, title, names, clock, proven))
    loop = build_control_loop(config, arms, spec, followers, clock)
    loop.bodies = bodies = station_bodies(context)
    if bodies is None:
        return ControlProcess(context, loop, followers)
    from teleop_app.station.hand_ranges import HandRanges

    ranges = HandRanges(bodies, CalibrationStore(context.data.calibrations))
    ranges.load()
    return ControlProcess(context, loop, followers, ranges.commands)


def station_bodies(context: ProcessContext) -> StationBodies | None:
    """Mobile base, lift and hands of a station, not yet opened; None when it has none of them.

    Raises:
        ConfigError: There is no such driver, or its settings do not fit the station.
        DeviceError: A driver cannot be used.
    """
    from teleop_app.control.bodies import build_bodies

    base, lift = context.config.mobile_base, context.config.lift

    def made(kind: DriverKind, driver: str, name: str, options: dict[str, Any]) -> Any:
        return make_device(kind, driver, _device_context(context, name), options) if driver else None

    return build_bodies(
        context.config,
        base=made(DriverKind.BASE, base.driver, "base", base.options),
        lift=made(DriverKind.LIFT, lift.driver, "lift", lift.options),
        hands=[made(DriverKind.HAND, hand.driver, hand.name, hand.options) for hand in context.config.hands],
    )


def cell_description(config: StationConfig) -> tuple[list[ArmDescription], mujoco.MjSpec]:
    """The arms of a station and its robot model: of the simulated cell, or composed of the arms' models.

    Raises:
        ConfigError: A robot model cannot be used, or simulated and real arms are mixed.
    """
    from teleop_app.control.assembly import ArmDescription

    if is_simulated(config):
        from devices.sim.arms import ARMS
        from devices.sim.model import build_spec

        found = [
            ArmDescription(arm.side, arm.joint_names, arm.gripper_name, arm.tcp_site_name, arm.home_q)
            for arm in ARMS
        ]
        return found, build_spec("primitive")
    from devices.models.cell import cell_arms, cell_spec

    composed = [
        ArmDescription(arm.name, arm.joint_names, arm.gripper_name, arm.tcp_site, arm.home, arm.velocity)
        for arm in cell_arms(config)
    ]
    return composed, cell_spec(config)


def _build_follower(context: ProcessContext, arm: ArmSection) -> Runnable:
    from devices.models.cell import cell_arms
    from teleop_app.station.follower import FollowerArm, FollowerProcess
    from teleop_app.station.follower_guard import target_limits

    described = next(each for each in cell_arms(context.config) if each.name == arm.name)
    names = (*described.joint_names, described.gripper_name)
    limits = target_limits(described.lower, described.upper, described.velocity, context.config.safety)
    driver: FollowerDriver = make_device(
        DriverKind.FOLLOWER, arm.follower, _device_context(context, arm.name, (arm.name,)), arm.options
    )
    return FollowerProcess(context, driver, FollowerArm(arm.name, arm.follower, names, limits))


def _build_sensor(context: ProcessContext, section: SensorSection) -> Runnable:
    from teleop_app.station.sensor import SensorProcess

    sensor: Sensor = make_device(
        DriverKind.SENSOR, section.driver, _device_context(context, section.name), section.options
    )
    return SensorProcess(context, sensor, section.name, section.driver)


def _build_input(context: ProcessContext, section: InputDeviceSection) -> Runnable:
    from teleop_app.station.operator import InputProcess

    arms = tuple(section.arms) or tuple(arm.name for arm in context.config.arms)
    device: InputDevice = make_device(
        DriverKind.INPUT, section.driver, _device_context(context, section.name, arms), section.options
    )
    return InputProcess(context, device, driver=section.driver)


def _device_context(context: ProcessContext, name: str, arms: tuple[str, ...] = ()) -> DeviceContext:
    calibrations = CalibrationStore(context.data.calibrations)
    return DeviceContext(name, arms, context.config, calibrations, context.clock)


def _build_policy(context: ProcessContext) -> Runnable:
    from teleop_app.station.policy import PolicyProcess
    from teleop_app.station.policy_shelf import StationShelf

    return PolicyProcess(context, StationShelf(context, partial(cell_description, context.config)))


def _build_recorder(context: ProcessContext) -> Runnable:
    from sessions import Author, open_catalog
    from teleop_app.station.recorder import RecorderProcess

    with open_catalog(context.data.root, Author.process("recorder")) as catalog:
        catalog.seed_defaults(simulation_tasks())
    _, spec = cell_description(context.config)
    spec.compile()
    return RecorderProcess(context, robot_model=spec.to_xml())


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
    "policy": _build_policy,
    "operator": _build_operator,
    "gamepad": _build_gamepad,
}


def _builder(config: StationConfig, process: str) -> Callable[[ProcessContext], Runnable]:
    """What builds a process.

    Raises:
        ConfigError: The station has no such process.
    """
    makers = dict(_BUILDERS)
    makers |= {follower_process(arm.name): partial(_build_follower, arm=arm) for arm in config.arms}
    makers |= {sensor_process(each.name): partial(_build_sensor, section=each) for each in config.sensors}
    makers |= {
        input_process(each.name): partial(_build_input, section=each) for each in config.inputs.devices
    }
    if process not in makers:
        raise ConfigError(
            f"The station has no process {process!r}", next_step=f"It has: {', '.join(process_names(config))}"
        )
    return makers[process]


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
    parser.add_argument("process", help="`station`, or one of its processes")
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
        shares = {role.name: role.niceness for role in roster(config)}
        ask_for_share(shares.get(options.process, 0))
        _builder(config, options.process)(context).run()
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
