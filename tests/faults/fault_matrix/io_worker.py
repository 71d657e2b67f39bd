"""Started with the failing calls loaded: does one thing after another in forked children, on request.

A request is a line of JSON on standard input, the answer a line on standard output.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[3])]

from fault_matrix.forked import Channel, Forked  # noqa: E402
from fault_matrix.io_shim import Fault, Shim  # noqa: E402
from fault_matrix.recording import Recorder, Take  # noqa: E402
from fault_matrix.store import recovered  # noqa: E402
from teleop_app.core.errors import TeleopError  # noqa: E402
from teleop_app.core.paths import DataDir  # noqa: E402

SECONDS = 0.3
OPERATIONS = ("record", "recover")


def operate(channel: Channel, operation: str, data: DataDir, take: Take) -> None:
    """The thing that is done while calls fail; a refusal is said with its time."""
    try:
        if operation == "record":
            Recorder(data, take, sync_s=0.05, flush_s=0.05).one(channel, SECONDS)
        else:
            outcome = recovered(data)
            channel.say(problems=[*outcome.problems, *(item.loss for item in outcome.recovered if item.loss)])
    except TeleopError as error:
        channel.say(told=error.sentence, at_ns=time.monotonic_ns())


def work(shim: Shim, request: dict[str, object], take: Take) -> dict[str, object]:
    """One request, in a child of its own."""
    data = DataDir(Path(str(request["store"])))
    fault = Fault(
        int(str(request["k"])), int(str(request["code"])), bool(request["sticky"]), bool(request["reads"])
    )

    def child(channel: Channel) -> None:
        shim.arm(data.root, fault)
        try:
            operate(channel, str(request["operation"]), data, take)
        finally:
            shim.disarm()
            failed_ns, what = shim.failed()
            channel.say(calls=shim.calls(), failed_ns=failed_ns, what=what)

    forked = Forked(child)
    lines = forked.end(30.0)
    return {"lines": lines, "status": forked.status}


def main() -> None:
    logging.disable(logging.CRITICAL)
    shim, take = Shim(), Take.of(SECONDS + 0.1, ("overhead",))
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(work(shim, json.loads(line), take)), flush=True)


if __name__ == "__main__":
    main()
