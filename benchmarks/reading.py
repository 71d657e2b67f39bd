"""How fast the items of a dataset come, by itself and through torch's DataLoader; for both sides alike."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

Rate = dict[str, float]
_WARM_UP = 3
_BATCH = 8
_WORKERS = 2


def single(
    dataset: Any, items: int, seed: int, see: Callable[[Any], Any] = lambda item: item
) -> dict[str, Rate]:
    """Items at random and in order, in this process.

    Args:
        dataset: With `len` and numbered items.
        items: How many of each, at most all.
        seed: Of the random order.
        see: Applied to every item, and counted with it.
    """
    count = min(items, len(dataset))
    order = np.random.default_rng(seed).permutation(len(dataset))[:count].tolist()
    for index in range(min(_WARM_UP, count)):
        see(dataset[index])
    return {
        "random": _rate((see(dataset[index]) for index in order), count),
        "sequential": _rate((see(dataset[index]) for index in range(count)), count),
    }


def through_loader(dataset: Any, items: int, seed: int) -> dict[str, Rate]:
    """The same through torch's DataLoader, two workers and batches of 8; starting the workers is counted."""
    import torch
    from torch.utils.data import DataLoader, Subset

    count = min(items, len(dataset)) // _BATCH * _BATCH
    order = np.random.default_rng(seed).permutation(len(dataset))[:count].tolist()

    def rate(indices: Iterable[int]) -> Rate:
        part = Subset(dataset, list(indices))
        loader = DataLoader(part, _BATCH, num_workers=_WORKERS, multiprocessing_context="fork")
        return _rate((batch for batch in loader for _ in range(_BATCH)), count)

    torch.set_num_threads(1)
    return {"random": rate(order), "sequential": rate(range(count))}


def _rate(items: Iterable[Any], count: int) -> Rate:
    spent, began = _processor_s(), time.perf_counter()
    came = sum(1 for _ in items)
    took_s = time.perf_counter() - began
    if came != count:
        raise ValueError(f"{came} items came, {count} were asked for")
    return {"items_per_s": count / took_s, "cpu_ms": (_processor_s() - spent) * 1e3 / count}


def _processor_s() -> float:
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in spent)
