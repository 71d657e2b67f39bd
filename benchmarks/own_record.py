"""One episode of the recording path, in a process of its own: what it cost and what is in it."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.own_episode import look
from benchmarks.path_rig import recording_path


def work(settings: dict[str, Any]) -> dict[str, Any]:
    """Record `seconds` from the bank `pictures` into a store in `folder`; `whole`: by all of a station."""
    with tempfile.TemporaryDirectory(dir=settings["folder"]) as folder:
        bank = Path(settings["pictures"])
        with recording_path(Path(folder), bank, whole=settings["whole"]) as path:
            take = path.record(settings["seconds"])
        return asdict(take) | {"path": ""} | look(take.path, bank, settings["graded"])


if __name__ == "__main__":
    print("\n" + json.dumps(work(json.loads(sys.argv[1]))))
