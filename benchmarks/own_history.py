"""Stops recordings in a store that already holds many episodes."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.path_rig import recording_path
from recorders.segment_names import episode_paths
from recorders.synthetic import synthetic_header, write_synthetic
from teleop_app.core.paths import DataDir

_LENGTH_S = 0.2


def work(settings: dict[str, Any]) -> dict[str, Any]:
    """Put `episodes` small ones into a store, then record `stops` of `seconds`."""
    with tempfile.TemporaryDirectory(dir=settings["folder"]) as name:
        data = DataDir(Path(name).resolve()).create()
        for _ in range(settings["episodes"]):
            write_synthetic(data.episodes, _LENGTH_S, synthetic_header(width=64, height=48))
        with recording_path(data.root, Path(settings["pictures"])) as path:
            takes = [path.record(settings["seconds"]) for _ in range(settings["stops"])]
        held = len(episode_paths(data.episodes))
    return {
        "stop_ms": [take.stop_ms for take in takes],
        "durable_ms": [take.durable_ms for take in takes],
        "episodes": held,
    }


if __name__ == "__main__":
    print("\n" + json.dumps(work(json.loads(sys.argv[1]))))
