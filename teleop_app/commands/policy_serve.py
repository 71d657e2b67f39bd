"""`teleop policy serve`: a policy of the store, a driver's, or a Python function's, for others to ask."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from teleop_app.autonomy.plain_policy import policy_of_factory
from teleop_app.autonomy.policy_library import PolicyLibrary
from teleop_app.autonomy.registry import driver_names, make_policy
from teleop_app.autonomy.server import PolicyServer
from teleop_app.commands.options import DataDirOption, JsonOption, StationOption, print_json
from teleop_app.commands.policy_station import chosen_station, template_cell
from teleop_app.core.clock import MonotonicClock
from teleop_app.core.errors import ConfigError, PolicyError
from teleop_app.core.policy import Policy, PolicyContext

if TYPE_CHECKING:
    from types import FrameType


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
    data, config = chosen_station(data_dir, station_file)
    library = PolicyLibrary(data.policies, template_cell(config))
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
