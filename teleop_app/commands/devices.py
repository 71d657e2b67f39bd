"""`teleop devices`: which drivers there are, how far they are proven, and what is connected."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from devices.driver import Driver, DriverKind, Found
from devices.registry import all_drivers, look_for, missing_packages
from teleop_app.commands.options import JsonOption, counted, print_json
from teleop_app.core.attribute_help import attribute_help
from teleop_app.core.errors import ConfigError

app = typer.Typer(help="Drivers, and the devices that are connected.", no_args_is_help=True)

KindsOption = Annotated[list[DriverKind] | None, typer.Option("--kind", help="Only this kind.")]
NamesArgument = Annotated[list[str] | None, typer.Argument(help="Drivers; all of them without.")]


@app.command("list")
def list_drivers(kind: KindsOption = None, as_json: JsonOption = False) -> None:
    """Every driver, how far it is proven, and what it still needs; with --json one object a line."""
    drivers, broken = all_drivers()
    drivers = [driver for driver in drivers if not kind or driver.kind in kind]
    broken = [each for each in broken if not kind or each.kind in kind]
    if as_json:
        for driver in drivers:
            print_json(_described(driver))
        for each in broken:
            print_json({"name": each.name, "kind": each.kind.value, "problem": each.sentence})
        return
    for driver in drivers:
        head = f"{driver.kind.value:<9} {driver.name:<17} {driver.verification.value:<18} {driver.title}"
        typer.echo(f"{head}{_need(driver)}")
    for each in broken:
        typer.echo(f"{each.kind.value:<9} {each.name:<17} {'broken':<18} {each.sentence}")
    typer.echo(counted(len(drivers), "driver"))


@app.command("show")
def show(name: Annotated[str, typer.Argument(help="Driver.")], as_json: JsonOption = False) -> None:
    """A driver: what proves it, and its settings with their defaults."""
    for driver in _chosen([name]):
        if as_json:
            print_json(_described(driver) | {"options": _options(driver)})
            continue
        typer.echo(f"{driver.name}: {driver.title} ({driver.kind.value})")
        typer.echo(f"{driver.verification.value}. {driver.proof}{_need(driver)}")
        for option in _options(driver):
            default = "needed" if option["needed"] else f"default {option['default']!r}"
            typer.echo(f"  {option['name']:<24} {default:<24} {option['help']}")


@app.command("find")
def find(names: NamesArgument = None, kind: KindsOption = None, as_json: JsonOption = False) -> None:
    """Look for devices that are connected; moves and changes nothing. With --json one object a line."""
    drivers = [driver for driver in _chosen(names or []) if not kind or driver.kind in kind]
    count = failed = 0
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=len(drivers))
        for driver in drivers:
            progress.update(task, description=f"Looking for {driver.title}", advance=1)
            devices, problem = look_for(driver)
            _print_found(driver, devices, problem, as_json=as_json)
            count += len(devices)
            failed += bool(problem)
    if not as_json:
        trouble = f", {counted(failed, 'driver')} could not look" if failed else ""
        typer.echo(f"{counted(count, 'device')} found{trouble}")
    raise typer.Exit(1 if failed and names else 0)


def _print_found(driver: Driver, devices: tuple[Found, ...], problem: str, *, as_json: bool) -> None:
    if as_json:
        for device in devices:
            print_json({"driver": driver.name, "kind": driver.kind.value} | asdict(device))
        if problem:
            print_json({"driver": driver.name, "kind": driver.kind.value, "problem": problem})
        return
    for device in devices:
        serial = f", serial {device.serial}" if device.serial else ""
        typer.echo(f"{driver.kind.value:<9} {driver.name:<17} {device.title}{serial}")
        if device.options:
            typer.echo(f"{'':<27} options = {_inline(device.options)}")
        if device.remark:
            typer.echo(f"{'':<27} {device.remark}")
    if problem:
        typer.echo(f"{driver.kind.value:<9} {driver.name:<17} {problem}", err=True)


def _chosen(names: list[str]) -> list[Driver]:
    drivers, broken = all_drivers()
    for name in names:
        if not any(driver.name == name for driver in drivers):
            reason = next((each.sentence for each in broken if each.name == name), "")
            known = ", ".join(sorted({driver.name for driver in drivers}))
            raise ConfigError(
                f"There is no usable driver {name!r}", why=reason, next_step=f"Choose one of: {known}"
            )
    return [driver for driver in drivers if not names or driver.name in names]


def _described(driver: Driver) -> dict[str, Any]:
    return {
        "name": driver.name,
        "kind": driver.kind.value,
        "title": driver.title,
        "verification": driver.verification.value,
        "proof": driver.proof,
        "needs": list(driver.needs),
        "missing": list(missing_packages(driver)),
        "extra": driver.extra,
    }


def _need(driver: Driver) -> str:
    missing = missing_packages(driver)
    if not missing:
        return ""
    remedy = f"pip install 'teleop-app[{driver.extra}]'" if driver.extra else f"install {', '.join(missing)}"
    return f" (not installed: {', '.join(missing)}; {remedy})"


def _options(driver: Driver) -> list[dict[str, Any]]:
    helps = attribute_help(driver.options)
    return [
        {
            "name": name,
            "needed": field.is_required(),
            "default": None if field.is_required() else field.get_default(call_default_factory=True),
            "help": helps.get(name) or field.description or "",
        }
        for name, field in driver.options.model_fields.items()
    ]


def _inline(options: Any) -> str:
    """Options as an inline table of the station file."""
    return "{ " + ", ".join(f"{name} = {_toml(value)}" for name, value in options.items()) + " }"


def _toml(value: Any) -> str:
    import tomlkit

    return tomlkit.item(value).as_string()
