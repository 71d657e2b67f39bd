"""Opens a dataset with the genuine loader: which rows show the picture that was recorded with them."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.lerobot.dataset import FPS, NAME, image_key, main
from benchmarks.pictures import Pictures
from benchmarks.quality import psnr_db, ssim
from devices.sim.barcode import read_barcode


def pixels(image: Any) -> np.ndarray:
    """uint8, shape (height, width, 3), of the loader's picture."""
    return np.moveaxis(np.rint(image.numpy() * 255).astype(np.uint8), 0, -1)


def work(settings: dict[str, Any]) -> dict[str, Any]:
    """Look at up to `rows` rows in order, and at the quality of up to `graded` of them."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    pictures, cameras = Pictures(settings["pictures"]), settings["cameras"]
    dataset = LeRobotDataset(NAME, root=settings["root"])
    count = len(dataset)
    wanted = np.unique(np.linspace(0, count - 1, min(count, settings["rows"])).astype(int))
    graded = (
        set(wanted[:: max(1, len(wanted) // settings["graded"])].tolist()) if settings["graded"] else set()
    )
    found: dict[str, Any] = {"wrong": 0, "illegible": 0, "worst": 0, "unreadable": {}, "psnr": [], "ssim": []}
    for index in wanted.tolist():
        try:
            row = dataset[index]
        except Exception as error:  # whatever a damaged dataset leads to
            kind = type(error).__name__
            found["unreadable"][kind] = found["unreadable"].get(kind, 0) + 1
            continue
        _look(found, row, pictures, cameras, graded=index in graded)
    for name in ("psnr", "ssim"):
        found[name] = float(np.median(found[name])) if found[name] else None
    return found | {"rows": count, "looked_at": len(wanted), "episodes": dataset.num_episodes}


def _look(
    found: dict[str, Any], row: dict[str, Any], pictures: Pictures, cameras: list[str], *, graded: bool
) -> None:
    recorded = round(float(row["observation.state"][0]))
    distance = 0
    for number, camera in enumerate(cameras):
        image = pixels(row[image_key(camera)])
        code = read_barcode(image)
        if code is None:
            found["illegible"] += 1
            continue
        shown = round(code * FPS / 1e6)
        distance = max(distance, abs(shown - recorded))
        if graded and shown == recorded:
            source = pictures.plain(number, shown)
            found["psnr"].append(psnr_db(image, source))
            found["ssim"].append(ssim(image, source))
    found["wrong"] += distance > 0
    found["worst"] = max(found["worst"], distance)


if __name__ == "__main__":
    main(work)
