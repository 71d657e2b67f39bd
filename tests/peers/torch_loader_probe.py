"""Runs in the peers' environment: torch's DataLoader over our dataset, in this process and in two workers."""

import json
import sys
import tempfile
from pathlib import Path


def main(root: str, packages: str, store: str) -> None:
    with tempfile.TemporaryDirectory() as first:
        for name in ("av", "av.libs"):  # the one that our decoder was made for, in spawned workers too
            (Path(first) / name).symlink_to(Path(packages) / name)
        sys.path[:0] = [root, first]
        sys.path.append(packages)
        told = read(store)
    print("\n" + json.dumps(told))


def read(store: str) -> dict[str, object]:
    import torch
    from torch.utils.data import DataLoader

    from recorders.dataset import EpisodeDataset

    dataset = EpisodeDataset(store, delta_s={"action": [0.0, 1 / 30, 2 / 30]})
    told: dict[str, object] = {"length": len(dataset), "wrong": 0}
    for context in ("fork", "spawn"):
        loader = DataLoader(dataset, batch_size=8, num_workers=2, multiprocessing_context=context)
        seen = 0
        for batch in loader:
            for row in range(len(batch["frame_index"])):
                sample = dataset[seen]
                for key, value in sample.items():
                    got = batch[key][row]
                    same = (
                        got == value if isinstance(value, str) else torch.equal(got, torch.as_tensor(value))
                    )
                    told["wrong"] = int(str(told["wrong"])) + (not same)
                seen += 1
            told["shapes"] = {
                key: list(value.shape) for key, value in batch.items() if hasattr(value, "shape")
            }
        told[context] = seen
    return told


if __name__ == "__main__":
    main(*sys.argv[1:])
