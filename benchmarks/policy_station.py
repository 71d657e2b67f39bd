"""What a policy costs a whole station: the control loop's punctuality, and every process's processor time.

Run: python -m benchmarks.policy_station [--seconds 30] [--runs 3] [--execute 1] [--markdown]

Each run records the simulated cell with no policy chosen (a hand drives), with the built-in expert driving,
and with the same expert behind `teleop policy serve`, which is sent two pictures of 224x224 a question.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from benchmarks import episode_figures as episode
from benchmarks.command import parser, positive, run
from benchmarks.figures import Figures, NotMeasuredError
from benchmarks.rig import CAMERAS, BenchStation, Take, bench_config, bench_station, remove_episode
from recorders.reader import EpisodeReader
from teleop_app.autonomy.policy_templates import TemplateCell, template
from teleop_app.core.paths import DataDir
from teleop_app.core.types import Actor, AuthorityMode, ControlTick, PolicyState, PolicyStatus
from teleop_app.station.client import StationClient, wait_for

_CELL = TemplateCell((("left", 6), ("right", 6)), CAMERAS)
_SEEN = CAMERAS[:2]
_PICTURE_PX = 224
_WAIT_S = 60.0
_OPTIONS = "\n[options]\nerror_rate = 0.0\n"


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__, runs=3)
    options.add_argument("--seconds", type=float, default=30.0, help="length of each recording")
    options.add_argument("--execute", type=positive, default=1, help="actions executed of a chunk, at 20 Hz")
    return run("policy_station", measure, options.parse_args(argv))


def measure(arguments: argparse.Namespace, folder: Path, figures: Figures) -> dict[str, Any]:
    """The three in turn, all on one station."""
    data = DataDir(folder.resolve()).create()
    data.policies.mkdir()
    config = bench_config()
    config.autonomy.first_run_speed = 1.0
    config.autonomy.help_per_minute = 0.0
    config.autonomy.starve_pause_s = 20.0
    (data.policies / "built-in.toml").write_text(_text("scripted", _OPTIONS, "", arguments.execute))
    with _server(data) as (server, url), bench_station(folder, config) as station:
        options = f'\n[options]\nurl = "{url}"\n'
        (data.policies / "served.toml").write_text(_text("openpi", options, _images(), arguments.execute))
        realtime = bool(station.control().get("realtime"))
        settings: dict[str, tuple[str, Callable[[], AbstractContextManager[object]] | None]] = {
            "no policy, a hand drives: ": ("", None),
            "built-in policy drives: ": ("built-in", partial(_driving, station.client, "built-in")),
            "served policy drives: ": ("served", partial(_driving, station.client, "served")),
        }
        for _ in range(arguments.runs):
            for head, (policy, driven) in settings.items():
                before_s = _cpu_s(server)
                take = station.record(arguments.seconds, driven=driven)
                _add(figures, station, take, head, policy)
                if policy == "served":
                    # From before the arms went home until the episode was stored, as it cannot be cut finer.
                    cores = (_cpu_s(server) - before_s) / take.seconds
                    figures.add(f"{head}processor, policy server", "cores", cores)
                remove_episode(take.path)
    return {
        "seconds": arguments.seconds,
        "runs": arguments.runs,
        "policy rate": 20.0,
        "horizon": 16,
        "execute": arguments.execute,
        "pictures": f"{len(_SEEN)} {_PICTURE_PX}x{_PICTURE_PX}",
        "SCHED_FIFO": "granted" if realtime else "refused",
    }


def _add(figures: Figures, station: BenchStation, take: Take, head: str, policy: str) -> None:
    with EpisodeReader(take.path) as reader:
        figures.add_spread(f"{head}control lateness", "us", episode.lateness_us(reader))
        ticks = episode.tick_loss(reader)
        figures.add(f"{head}ticks due", "", ticks.due)
        figures.add(f"{head}ticks missing in the file", "", ticks.lost, at_most=0)
        figures.add(f"{head}ticks left out by control", "", take.missed_ticks, at_most=0)
        if policy:
            by_it = [actor == Actor.POLICY for actor in reader.ticks().actor]
            by_it = by_it[by_it.index(True) if True in by_it else 0 :]  # what was kept from before is no loss
            driven = 100.0 * sum(by_it) / len(by_it)
            figures.add(f"{head}ticks driven by it", "%", driven, at_least=95)
            figures.add(f"{head}chunks", "1/s", len(reader.chunks()) / take.seconds)
        figures.notes += [f"{head}{incident}" for incident in episode.incidents(reader)]
    for name in station.processes:
        figures.add(f"{head}processor, {name}", "cores", take.cpu_s[name] / take.seconds)
    figures.add(f"{head}processor, all", "cores", sum(take.cpu_s.values()) / take.seconds)


@contextmanager
def _driving(client: StationClient, policy: str) -> Iterator[None]:
    """The policy drives for the length of the block."""
    with closing(client.subscribe(["policy", "tick"], ["policy", "control"])) as said:
        client.call("policy", "choose", name=policy)

        def ready(_topic: str, value: Any) -> bool:
            if not isinstance(value, PolicyStatus) or value.policy != policy:
                return False
            if value.state is PolicyState.FAULT:
                raise NotMeasuredError(f"The policy {policy!r} does not drive", why=value.text)
            return value.state is PolicyState.READY

        wait_for(said, ready, _WAIT_S, f"the policy {policy!r}")
        client.call("control", "authority", mode=AuthorityMode.SUPERVISED.value)
        try:
            wait_for(
                said,
                lambda _, value: isinstance(value, ControlTick) and value.actor is Actor.POLICY,
                _WAIT_S,
                f"the policy {policy!r} to drive",
            )
            yield
        finally:
            client.call("control", "authority", mode=AuthorityMode.MANUAL.value)
            client.call("policy", "dismiss")


@contextmanager
def _server(data: DataDir) -> Iterator[tuple[psutil.Process, str]]:
    """`teleop policy serve` with the expert, and its address."""
    argv = [sys.executable, "-m", "teleop_app.cli", "--data-dir", str(data.root), "policy", "serve"]
    argv += ["--policy", "scripted", "--option", "error_rate=0.0", "--port", "0", "--json"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout is not None else ""
            if not line:
                raise NotMeasuredError("The policy server did not start")
            yield psutil.Process(process.pid), json.loads(line)["url"]
        finally:
            process.terminate()


def _cpu_s(process: psutil.Process) -> float:
    spent = process.cpu_times()
    return spent.user + spent.system


def _text(driver: str, options: str, images: str, execute: int) -> str:
    """The expert's policy file with another driver, options and pictures."""
    text = template("scripted", _CELL).replace('driver = "scripted"', f'driver = "{driver}"')
    text = text.replace("execute = 8", f"execute = {execute}").replace(
        "\n[observation]", options + "\n[observation]"
    )
    return text.replace("\n[[observation.states]]", images + "\n[[observation.states]]")


def _images() -> str:
    return "".join(
        f'\n[[observation.images]]\nkey = "observation/images/{camera}"\ncamera = "{camera}"\n'
        f"width = {_PICTURE_PX}\nheight = {_PICTURE_PX}\n"
        for camera in _SEEN
    )


if __name__ == "__main__":
    sys.exit(main())
