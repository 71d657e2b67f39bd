"""Reads a store with our loader: here, or in the peers' environment, which has torch.

There it finds what it needs beside our own packages in the folder that PACKAGES_VARIABLE names.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any

import numpy as np

from benchmarks.reading import single, through_loader

PACKAGES_VARIABLE = "TELEOP_BENCHMARK_PACKAGES"


def work(settings: dict[str, Any]) -> dict[str, Any]:
    """Rates of `items`; through torch's DataLoader where `loader` is set."""
    _borrow_packages(os.environ.get(PACKAGES_VARIABLE, ""))
    from recorders.dataset import EpisodeDataset

    dataset = EpisodeDataset(settings["store"])
    items, seed = settings["items"], settings["seed"]
    if settings["loader"]:
        return through_loader(dataset, items, seed)
    converted = single(dataset, items, seed, _as_floats)
    return single(dataset, items, seed) | {f"{name}, as floats": rate for name, rate in converted.items()}


def _borrow_packages(folder: str) -> None:
    """What the peers' environment lacks, last on the path; but the PyAV that our decoder was made for."""
    if folder:
        sys.path.insert(0, folder)
        importlib.import_module("av")
        sys.path.remove(folder)
        sys.path.append(folder)


def _as_floats(item: dict[str, Any]) -> dict[str, Any]:
    """Pictures as LeRobot gives them: float32 from 0 to 1, channels first."""
    return {
        key: np.moveaxis(value, -1, 0).astype(np.float32) / np.float32(255)
        if isinstance(value, np.ndarray) and value.ndim == 3
        else value
        for key, value in item.items()
    }


if __name__ == "__main__":
    print("\n" + json.dumps(work(json.loads(sys.argv[1]))))
