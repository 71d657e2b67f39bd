"""What our policy client adds to a server's own inference, beside openpi's own client on the same servers.

Run: python -m benchmarks.policy_client [--runs 3] [--questions 500] [--markdown]

Loopback, two pictures of 224 x 224, a state and a text; the policy repeats the state. The servers are
openpi's own, from the peers' environment, and `teleop policy serve`; each is asked by both clients in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command import parser, positive, run
from benchmarks.comparison import Comparison
from benchmarks.figures import Figures
from benchmarks.openpi_peer import HORIZON, observation
from benchmarks.subruns import ROOT, part, peers_python
from teleop_app.autonomy.clients.channel import WebSocketOptions
from teleop_app.autonomy.clients.openpi import OpenpiPolicy
from teleop_app.core.clock import MonotonicClock
from teleop_app.core.errors import StationError
from teleop_app.core.policy import PolicyContext, PolicyRequest

P50_MS = 3.0
_START_S = 60.0
_WARM_UP = 20


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__, runs=3)
    options.add_argument("--questions", type=positive, default=500, help="to each server by each client")
    return run("policy_client", measure, options.parse_args(argv))


def measure(arguments: argparse.Namespace, folder: Path, figures: Figures) -> dict[str, Any]:
    """Both servers, each asked by both clients, as often as there are runs."""
    python = peers_python()
    port = _free_port()
    theirs = [str(python), "-m", "benchmarks.openpi_peer", json.dumps({"port": port})]
    ours = [sys.executable, "-m", "teleop_app.cli", "--data-dir", str(folder / "store"), "policy", "serve"]
    ours += ["--policy", "hold", "--host", "127.0.0.1", "--port"]
    for _ in range(arguments.runs):
        with _serving(theirs, port) as url:
            _ask_both(url, "openpi's server", arguments.questions, figures)
        other = _free_port()
        with _serving([*ours, str(other)], other) as url:
            _ask_both(url, "our server", arguments.questions, figures)
    for server in ("openpi's server", "our server"):
        for which in ("p50", "p99"):
            figures.comparisons.append(
                Comparison(
                    f"question beyond the inference, {which}",
                    "ms",
                    f"our client, {server} {which}",
                    f"openpi's client, {server} {which}",
                    server,
                    at_most=P50_MS if which == "p50" else None,
                )
            )
    return {"questions": arguments.questions, "pictures": "2 x 224 x 224", "horizon": HORIZON}


def _ask_both(url: str, server: str, questions: int, figures: Figures) -> None:
    figures.add_spread(f"our client, {server}", "ms", _asked(url, questions), {50: P50_MS})
    settings = {"url": url, "questions": questions + _WARM_UP}
    done = part("benchmarks.openpi_peer", settings, _START_S + questions, peers=True)
    if done.result is None:
        figures.missing[f"openpi's client, {server}"] = done.reason
    else:
        figures.add_spread(f"openpi's client, {server}", "ms", done.result["ms"][_WARM_UP:])


def _asked(url: str, questions: int) -> list[float]:
    """Milliseconds of each question beyond the server's own inference."""
    context = PolicyContext("benchmark", ("left",), (), 20.0, HORIZON, MonotonicClock())
    policy, request = OpenpiPolicy(context, WebSocketOptions(url=url)), PolicyRequest(observation())
    taken: list[float] = []
    try:
        policy.open()
        for _ in range(questions + _WARM_UP):
            began = time.perf_counter()
            answer = policy.infer(request)
            taken.append((time.perf_counter() - began) * 1e3 - answer.server_ns / 1e6)
            np.testing.assert_array_equal(answer.actions[-1], request.observation["state"])
    finally:
        policy.close()
    return taken[_WARM_UP:]


@contextmanager
def _serving(argv: list[str], port: int) -> Iterator[str]:
    """A server in a process of its own, until the block ends; its URL."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    process = subprocess.Popen(
        argv,
        cwd=ROOT,
        env=environment | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + _START_S
        while not _healthy(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise StationError(f"A policy server does not start: {' '.join(argv[:3])}")
            time.sleep(0.1)
        yield f"ws://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5.0) as answer:
            return answer.status == 200
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
