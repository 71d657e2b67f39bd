"""Runs under the genuine lerobot's own Python: loads a dataset and tells what it saw.

python lerobot_probe.py read ROOT OUT.npz INDEX...   items at these indices, metadata as JSON on stdout
python lerobot_probe.py windows ROOT OUT.npz         delta_timestamps windows of every item, and a batch
python lerobot_probe.py stats ROOT                   lerobot's own statistics of each episode's columns
python lerobot_probe.py resume ROOT EPISODES         records more episodes with lerobot, then reads all
python lerobot_probe.py stream ROOT                  every item through StreamingLeRobotDataset
python lerobot_probe.py policy ROOT                  an ACT policy takes one training step
"""

import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"

import numpy as np
import torch
from lerobot.datasets.compute_stats import get_feature_stats
from lerobot.datasets.lerobot_dataset import LeRobotDataset

NAME = "someone/dataset"


def pixels(image):
    """uint8 (..., height, width, 3) of lerobot's float channels-first image."""
    return np.moveaxis(np.rint(image.numpy() * 255).astype(np.uint8), -3, -1)


def read(root, out, *indices):
    dataset = LeRobotDataset(NAME, root=root)
    arrays, texts = {}, {}
    for index in map(int, indices):
        for key, value in dataset[index].items():
            if isinstance(value, str):
                texts.setdefault(key, []).append(value)
            else:
                image = key.startswith("observation.images.")
                arrays.setdefault(key, []).append(pixels(value) if image else value.numpy())
    np.savez(out, **{key: np.stack(values) for key, values in arrays.items()})
    return {
        "length": len(dataset),
        "episodes": dataset.num_episodes,
        "fps": dataset.fps,
        "robot_type": dataset.meta.robot_type,
        "features": {key: [f["dtype"], list(f["shape"]), f["names"]] for key, f in dataset.features.items()},
        "tasks": {text: int(row.task_index) for text, row in dataset.meta.tasks.iterrows()},
        "stats": {key: {k: np.shape(v) for k, v in s.items()} for key, s in dataset.meta.stats.items()},
        "lengths": [int(episode["length"]) for episode in dataset.meta.episodes],
        "texts": texts,
    }


def windows(root, out):
    cameras = [k for k in LeRobotDataset(NAME, root=root).meta.video_keys]
    plain = LeRobotDataset(NAME, root=root)
    step = 1 / plain.fps
    deltas = {
        "action": [step * i for i in range(5)],
        "observation.state": [-step, 0.0],
        cameras[0]: [-2 * step, 0.0],
    }
    dataset = LeRobotDataset(NAME, root=root, delta_timestamps=deltas)
    keys = [*deltas, *(f"{key}_is_pad" for key in deltas)]
    items = [dataset[i] for i in range(len(dataset))]
    arrays = {
        key: np.stack([pixels(i[key]) if i[key].ndim == 4 else i[key].numpy() for i in items]) for key in keys
    }
    np.savez(out, **arrays)
    loader = torch.utils.data.DataLoader(dataset, batch_size=8, shuffle=True, num_workers=0)
    batch = next(iter(loader))
    return {
        "camera": cameras[0],
        "batch": {key: list(value.shape) for key, value in batch.items() if hasattr(value, "shape")},
        "texts": {key: len(value) for key, value in batch.items() if isinstance(value, list)},
    }


def stats(root):
    dataset = LeRobotDataset(NAME, root=root)
    told = []
    for episode in dataset.meta.episodes:
        rows = range(episode["dataset_from_index"], episode["dataset_to_index"])
        columns = dataset.hf_dataset.select(rows).with_format("arrow")[:].to_pydict()
        found = {}
        for key, feature in dataset.features.items():
            if feature["dtype"] in ("video", "string"):
                continue
            values = np.asarray(columns[key])
            result = get_feature_stats(values, axis=0, keepdims=values.ndim == 1)
            found[key] = {name: np.asarray(value).tolist() for name, value in result.items()}
        told.append(found)
    return {"episodes": told}


def resume(root, episodes):
    dataset = LeRobotDataset(NAME, root=root, vcodec="h264")
    for episode in range(int(episodes)):
        for _ in range(7):
            frame = {"task": "recorded by lerobot"}
            for key, feature in dataset.features.items():
                if feature["dtype"] == "video":
                    frame[key] = np.full(feature["shape"], 40 * episode, np.uint8)
                elif feature["dtype"] == "string":
                    frame[key] = "human"
                elif key not in ("timestamp", "frame_index", "episode_index", "index", "task_index"):
                    frame[key] = np.zeros(feature["shape"], feature["dtype"])
            dataset.add_frame(frame)
        dataset.save_episode()
    dataset.finalize()
    again = LeRobotDataset(NAME, root=root)
    seen = [again[i] for i in range(len(again))]
    return {
        "length": len(again),
        "index": [int(item["index"]) for item in seen],
        "episode_index": [int(item["episode_index"]) for item in seen],
        "tasks": sorted({item["task"] for item in seen}),
    }


def stream(root):
    from lerobot.datasets.streaming_dataset import StreamingLeRobotDataset

    dataset = StreamingLeRobotDataset(NAME, root=root, shuffle=False, max_num_shards=1)
    plain = LeRobotDataset(NAME, root=root)
    key = plain.meta.video_keys[0]
    worst, seen = 0.0, 0
    for item in dataset:
        expected = plain[int(item["index"])][key]
        worst = max(worst, float((item[key] - expected).abs().max()))
        seen += 1
    return {"seen": seen, "worst": worst}


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    answer = globals()[command](*arguments)
    print(json.dumps(answer))
