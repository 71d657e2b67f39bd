"""Reads a dataset with the genuine loader."""

from __future__ import annotations

from typing import Any

from benchmarks.lerobot.dataset import NAME, main
from benchmarks.reading import single, through_loader


def work(settings: dict[str, Any]) -> dict[str, Any]:
    """Rates of `items`, with the decoder `backend`; through torch's DataLoader where `loader` is set.

    Each in a process of its own: workers that fork from a process that has decoded share its open files.
    """
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    dataset = LeRobotDataset(NAME, root=settings["root"], video_backend=settings["backend"])
    items, seed = settings["items"], settings["seed"]
    return (through_loader if settings["loader"] else single)(dataset, items, seed)


if __name__ == "__main__":
    main(work)
