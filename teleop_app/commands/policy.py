"""`teleop policy`: the policies of a store, what a station makes of them, and serving one to others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from teleop_app.autonomy.inquiry import Question
from teleop_app.autonomy.policy_file import PolicyName
from teleop_app.autonomy.policy_library import PolicyEntry, PolicyLibrary
from teleop_app.autonomy.policy_templates import template
from teleop_app.autonomy.registry import all_drivers, options_of
from teleop_app.commands import policy_novelty, policy_report, policy_serve
from teleop_app.commands.options import (
    DataDirOption,
    JsonOption,
    StationOption,
    chosen_data_dir,
    counted,
    print_json,
)
from teleop_app.commands.policy_station import chosen_station, template_cell
from teleop_app.core.bus import Endpoints
from teleop_app.core.clock import NS_PER_MS
from teleop_app.core.errors import ConfigError, PolicyError, TeleopError
from teleop_app.core.policy import PolicyDriver
from teleop_app.core.types import PolicyCheck

if TYPE_CHECKING:
    import mujoco

    from teleop_app.control.assembly import ArmDescription

app = typer.Typer(
    help="Policies: list, describe, check against the station, serve, compare.", no_args_is_help=True
)
app.command("serve")(policy_serve.serve)
app.command("novelty")(policy_novelty.novelty)
app.command("report")(policy_report.report)

_NAME = next(each.pattern for each in get_args(PolicyName)[1].metadata if hasattr(each, "pattern"))


@app.command("list")
def list_policies(
    as_json: JsonOption = False, data_dir: DataDirOption = None, station_file: StationOption = None
) -> None:
    """The policies of the store, what is wrong with them, and the drivers; with --json one object a line."""
    _, config = chosen_station(data_dir, station_file)
    library = PolicyLibrary(chosen_data_dir(data_dir).policies, template_cell(config))
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
    data, config = chosen_station(data_dir, station_file)
    cell = template_cell(config)
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

    data, config = chosen_station(data_dir, station_file)
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
