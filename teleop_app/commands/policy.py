"""`teleop policy`: the policies of a store, what a station makes of them, and serving one to others."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from teleop_app.autonomy.inquiry import Question
from teleop_app.autonomy.plain_policy import policy_of_factory
from teleop_app.autonomy.policy_file import PolicyName
from teleop_app.autonomy.policy_library import PolicyEntry, PolicyLibrary
from teleop_app.autonomy.policy_templates import TemplateCell, template
from teleop_app.autonomy.registry import all_drivers, driver_names, make_policy, options_of
from teleop_app.autonomy.server import PolicyServer
from teleop_app.commands import policy_report
from teleop_app.commands.options import (
    DataDirOption,
    JsonOption,
    StationOption,
    chosen_data_dir,
    counted,
    print_json,
)
from teleop_app.core.bus import Endpoints
from teleop_app.core.clock import NS_PER_MS, MonotonicClock
from teleop_app.core.config import StationConfig
from teleop_app.core.errors import ConfigError, PolicyError, TeleopError
from teleop_app.core.paths import DataDir
from teleop_app.core.policy import Policy, PolicyContext, PolicyDriver
from teleop_app.core.types import PolicyCheck

if TYPE_CHECKING:
    from types import FrameType

    import mujoco

    from teleop_app.control.assembly import ArmDescription

app = typer.Typer(
    help="Policies: list, describe, check against the station, serve, compare.", no_args_is_help=True
)
app.command("report")(policy_report.report)

_NAME = next(each.pattern for each in get_args(PolicyName)[1].metadata if hasattr(each, "pattern"))


@app.command("list")
def list_policies(
    as_json: JsonOption = False, data_dir: DataDirOption = None, station_file: StationOption = None
) -> None:
    """The policies of the store, what is wrong with them, and the drivers; with --json one object a line."""
    _, config = _station(data_dir, station_file)
    library = PolicyLibrary(chosen_data_dir(data_dir).policies, _cell(config))
    drivers, broken = all_drivers()
    entries = [(entry, _problem(library, entry)) for entry in library.entries()]
    if as_json:
        for entry, problem in entries:
            print_json({"policy": entry.name} | _described(entry, drivers) | {"problem": problem})
        for driver in drivers:
            print_json({"driver": driver.name} | _driver(driver) | {"problem": ""})
        for each in broken:
            print_json({"driver": each.name, "problem": each.sentence})
        return
    for entry, problem in entries:
        typer.echo(f"{entry.name:<20} {entry.driver or '-':<10} {problem or entry.title}")
    typer.echo("Drivers:")
    for driver in drivers:
        typer.echo(f"{driver.name:<20} {driver.kind.value:<10} {driver.title}. {driver.proof}")
    for each in broken:
        typer.echo(f"{each.name:<20} {'broken':<10} {each.sentence}")


@app.command("init")
def init(
    protocol: Annotated[str, typer.Option("--protocol", help="What it speaks, or a built-in policy.")],
    name: Annotated[str, typer.Argument(help="Of the policy; that of the protocol without.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    data_dir: DataDirOption = None,
    station_file: StationOption = None,
) -> None:
    """Write a policy file for this station's arms and cameras, to be completed by hand."""
    name = name or protocol
    if not re.fullmatch(_NAME, name):
        raise ConfigError(
            f"A policy cannot be named {name!r:.80}",
            next_step="Use small letters, digits, '_', '.' and '-', beginning with a letter",
        )
    data, config = _station(data_dir, station_file)
    cell = _cell(config)
    path = PolicyLibrary(data.policies, cell).path_of(name)
    if path.exists() and not force:
        raise ConfigError(f"{path} exists already", next_step="Edit it, or replace it with --force")
    text = template(protocol, cell)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    typer.echo(f"Wrote {path}. Complete it, then: teleop policy check {name}")


@app.command("check")
def check(
    name: Annotated[str, typer.Argument(help="Policy of the store.")],
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
    station_file: StationOption = None,
) -> None:
    """Open a policy, compare it with the station, and ask it once; nothing moves."""
    from teleop_app import app as application
    from teleop_app.commands.policy_check import camera_sizes, trial_view
    from teleop_app.station.policy_cell import PolicyCell
    from teleop_app.station.policy_shelf import StationShelf
    from teleop_app.station.process import ProcessContext

    data, config = _station(data_dir, station_file)
    run_dir = data.run_dir()
    context = ProcessContext("policy-check", config, data, Endpoints(run_dir), run_dir)

    def describe() -> tuple[list[ArmDescription], mujoco.MjSpec]:
        return application.cell_description(config)

    shelf = StationShelf(context, describe)
    file = shelf.load(name)
    sizes = camera_sizes(data.episodes)
    inquiry = shelf.inquiry(file, lambda: sizes)
    try:
        opened = inquiry.open()
        facts = opened.facts
        if as_json:
            print_json({"policy": name, "name": facts.name, "version": facts.version})
        else:
            typer.echo(f"{name}: {facts.name or file.driver} {facts.version}".rstrip())
        for each in opened.checks:
            _print_check(each, as_json=as_json)
        if opened.mismatches:
            raise PolicyError(
                f"The policy {name!r} does not fit this station",
                why=counted(opened.mismatches, "mismatch").replace("mismatchs", "mismatches"),
            )
        if file.observation.truth:
            _say(
                "Not asked: it reads where the simulated cell's objects are, which only a station knows.",
                as_json,
            )
            return
        usual = {camera.name: (640, 480) for camera in config.cameras} | sizes
        layout = PolicyCell(config, *describe(), lambda: usual).layout()
        view, origin = trial_view(data.episodes, layout)
        began_ns = context.clock.now_ns()
        answer = inquiry.ask(Question(view, view.capture_ns))
        latency_ms = (context.clock.now_ns() - began_ns) / NS_PER_MS
        server_ms = answer.server_ns / NS_PER_MS
        if as_json:
            print_json(
                {
                    "asked_with": origin,
                    "actions": len(answer.actions),
                    "latency_ms": round(latency_ms, 3),
                    "server_ms": round(server_ms, 3),
                }
            )
        else:
            typer.echo(f"Asked with {origin}.")
            own = f", {server_ms:.1f} ms of it the server's inference" if server_ms else ""
            typer.echo(f"{counted(len(answer.actions), 'action')} after {latency_ms:.1f} ms{own}.")
    finally:
        inquiry.close()


@app.command("serve")
def serve(
    policy: Annotated[
        str, typer.Option("--policy", help="Policy of the store, driver, or Python factory module:function.")
    ],
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="TCP; 0: any free one.")] = 8000,
    host: Annotated[
        str, typer.Option("--host", help="Where to listen; others than this machine need a key.")
    ] = ("127.0.0.1"),
    api_key_env: Annotated[
        str, typer.Option("--api-key-env", help="Environment variable with the key that clients must show.")
    ] = "",
    option: Annotated[
        list[str] | None, typer.Option("--option", help="Setting NAME=VALUE of the driver or factory.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option("--rate", min=0.1, max=200.0, help="Of its actions [Hz], else 20.")
    ] = None,
    horizon: Annotated[
        int | None, typer.Option("--horizon", min=1, max=256, help="Actions of a chunk, else 16.")
    ] = None,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
    station_file: StationOption = None,
) -> None:
    """Serve a policy by openpi's protocol until Ctrl-C."""
    key = os.environ.get(api_key_env, "") if api_key_env else ""
    if api_key_env and not key:
        raise ConfigError(f"The environment variable {api_key_env}, which shall hold the key, is not set")
    options = _parsed(option or [])
    if ":" in policy:
        made = policy_of_factory(policy, options)
    else:
        made = _stored_or_driver(policy, options, rate, horizon, data_dir, station_file)
    # What the policy raises is also told on the server's side.
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    server = PolicyServer(made, host, port, key)
    server.start()
    try:
        facts = server.facts
        told = {"url": server.url, "name": facts.name, "version": facts.version, "key": bool(key)}
        named = " ".join(filter(None, (facts.name or policy, facts.version)))
        if as_json:
            print_json(told)
        else:
            typer.echo(f"{named} is served at {server.url}. Ctrl-C ends it.")
        _wait_for_the_end()
    finally:
        server.stop()


def _print_check(check: PolicyCheck, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(check))
        return
    typer.echo(f"  {check.level:<9} {check.what}: expects {check.expects}; offered {check.offers}")
    if check.text:
        typer.echo(f"  {'':<9} {check.text}")


def _say(text: str, as_json: bool) -> None:
    if as_json:
        print_json({"text": text})
    else:
        typer.echo(text)


def _wait_for_the_end() -> None:
    """Until SIGINT or SIGTERM."""
    ended = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        ended.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stored_or_driver(
    name: str,
    options: Mapping[str, Any],
    rate_hz: float | None,
    horizon: int | None,
    data_dir: Path | None,
    station_file: Path | None,
) -> Policy:
    """A policy of the store, with its settings replaced by those given; else a driver's."""
    data, config = _station(data_dir, station_file)
    library = PolicyLibrary(data.policies, _cell(config))
    known = {entry.name for entry in library.entries()}
    if name in known:
        file = library.load(name)
        driver, options = file.driver, dict(file.options) | dict(options)
        rate_hz, horizon = rate_hz or file.rate_hz, horizon or file.horizon
    elif name in driver_names():
        driver = name
    else:
        listed = ", ".join(dict.fromkeys([*sorted(known), *driver_names()]))
        raise PolicyError(f"There is no policy {name!r:.80}", next_step=f"Choose one of: {listed:.400}")
    context = PolicyContext(
        name=name,
        arms=tuple(arm.name for arm in config.arms),
        joint_names=(),
        rate_hz=rate_hz or 20.0,
        horizon=horizon or 16,
        clock=MonotonicClock(),
    )
    return make_policy(driver, context, options)


def _station(data_dir: Path | None, station_file: Path | None) -> tuple[DataDir, StationConfig]:
    from teleop_app import app as application

    data = chosen_data_dir(data_dir).create()
    return data, application.station_config(data, station_file)[0]


def _cell(config: StationConfig) -> TemplateCell:
    from teleop_app import app as application

    counts = {arm.name: len(arm.joint_names) for arm in application.cell_description(config)[0]}
    arms = tuple((arm.name, counts.get(arm.name, 0)) for arm in config.arms)
    return TemplateCell(arms, tuple(camera.name for camera in config.cameras))


def _problem(library: PolicyLibrary, entry: PolicyEntry) -> str:
    """Why a policy cannot be used: its file, its driver, or the driver's settings."""
    if entry.problem:
        return entry.problem
    try:
        file = library.load(entry.name)
        options_of(file.driver, entry.name, file.options)
    except TeleopError as error:
        return error.sentence
    return ""


def _described(entry: PolicyEntry, drivers: Sequence[PolicyDriver]) -> dict[str, Any]:
    kind = next((driver.kind.value for driver in drivers if driver.name == entry.driver), "")
    path = str(entry.path) if entry.path else ""
    return {"title": entry.title, "driver": entry.driver, "kind": kind, "file": path}


def _driver(driver: PolicyDriver) -> dict[str, Any]:
    return {
        "title": driver.title,
        "kind": driver.kind.value,
        "proof": driver.proof,
        "options": sorted(driver.options.model_fields),
    }


def _parsed(settings: Sequence[str]) -> dict[str, Any]:
    """Settings from `name=value`; values are JSON where they read as such, else texts."""
    found: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name.isidentifier():
            raise ConfigError(f"--option {setting!r} is not of the form NAME=VALUE")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found
