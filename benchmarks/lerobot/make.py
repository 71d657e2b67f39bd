"""Makes a dataset as fast as it can, to be read afterwards."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.lerobot.dataset import FPS, create, item, main
from benchmarks.pictures import Pictures

_ROOM_S = 0.003
_QUEUE = 100_000


def work(settings: dict[str, Any]) -> dict[str, Any]:
    """`episodes` of `seconds` each; the encoders' queue takes whole episodes, so that no frame is dropped."""
    pictures, cameras = Pictures(settings["pictures"]), settings["cameras"]
    dataset = create(settings["root"], settings["mode"], cameras, pictures, encoder_queue_maxsize=_QUEUE)
    rows = round(settings["seconds"] * FPS)
    for episode in range(settings["episodes"]):
        for number in range(rows):
            dataset.add_frame(item(pictures, cameras, episode * rows + number, float(number)))
            time.sleep(_ROOM_S)
        dataset.save_episode()
    dataset.finalize()
    return {"rows": rows * settings["episodes"]}


if __name__ == "__main__":
    main(work)
