"""What the genuine loader makes of a dataset whose recorder was killed, and what lies in its files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from benchmarks.lerobot.dataset import NAME, main


def work(settings: dict[str, Any]) -> dict[str, Any]:
    """Episodes and rows that can be read, and why not more; frames and rows in files that open."""
    root = Path(settings["root"])
    found = {"episodes": 0, "rows": 0, "why": ""}
    try:
        from lerobot.datasets.lerobot_dataset import LeRobotDataset

        dataset = LeRobotDataset(NAME, root=root)
        for index in range(len(dataset)):
            dataset[index]
            found["rows"] += 1
        found["episodes"] = dataset.num_episodes
    except Exception as error:  # whatever a damaged dataset leads to
        said = re.sub(r"\s*https?://\S+", " the hub", str(error)).partition("\n")[0]
        found["why"] = f"{type(error).__name__}: {said[:120]}"
    return found | {
        "pictures": len(list(root.rglob("*.png"))),
        "video_frames": sum(_frames(path) for path in root.rglob("*.mp4")),
        "state_rows": sum(_rows(path) for path in (root / "data").rglob("*.parquet")),
    }


def _frames(path: Path) -> int:
    import av

    try:
        with av.open(str(path)) as container:
            return sum(1 for _ in container.decode(video=0))
    except (av.FFmpegError, OSError, IndexError):
        return 0


def _rows(path: Path) -> int:
    import pyarrow
    from pyarrow import parquet

    try:
        return parquet.read_table(path).num_rows
    except (pyarrow.ArrowException, OSError):
        return 0


if __name__ == "__main__":
    main(work)
