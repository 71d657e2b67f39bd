"""How far apart in time the samples of every two streams of an episode lie, and how to show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, pairwise
from typing import Final

import numpy as np

from recorders.resample import nearest_index
from recorders.schema import IntArray, SyncPair
from teleop_app.core.clock import NS_PER_MS

MAX_STREAMS: Final = 12
"""Streams that are compared; 66 pairs."""
MAX_SAMPLES: Final = 2000
"""Samples of the slower stream that are measured, evenly spread over it."""
_PARTS: Final = 16


@dataclass(frozen=True, slots=True)
class SyncMatrix:
    """One figure of every pair of streams.

    Attributes:
        names: Of the streams, n of them.
        cells: n rows of n [ms], symmetric; None on the diagonal and where nothing is known.
    """

    names: tuple[str, ...]
    cells: tuple[tuple[float | None, ...], ...]


def sync_pairs(times: Mapping[str, IntArray]) -> tuple[SyncPair, ...]:
    """Spacing of every pair of streams.

    The work is bounded, so that it may be done when an operator waits: of a longer stream `MAX_SAMPLES`
    evenly spread samples are measured, and besides those the ones in the longest gaps of the other
    stream, so that an outage is never missed.

    Args:
        times: Capture times [ns] by stream, the most important first: streams beyond `MAX_STREAMS` and
            empty ones are left out. In any order; increasing is cheaper.
    """
    present = {name: _increasing(stamps) for name, stamps in times.items() if len(stamps)}
    chosen = dict(list(present.items())[:MAX_STREAMS])
    gaps = {name: _longest_gaps(stamps) for name, stamps in chosen.items()}
    pairs: list[SyncPair] = []
    for first, second in combinations(chosen, 2):
        slower, faster = (first, second) if len(chosen[first]) <= len(chosen[second]) else (second, first)
        pairs.append(_pair(slower, faster, chosen[slower], chosen[faster], gaps[faster]))
    return tuple(pairs)


def sync_matrix(pairs: Sequence[SyncPair], figure: str = "p95_ms") -> SyncMatrix:
    """The figure of every pair as a matrix.

    Args:
        pairs: As in an episode's footer.
        figure: `p50_ms`, `p95_ms`, `p99_ms`, `max_ms`, or `offset_ms`, which then reads: column later
            than row.
    """
    names = tuple(dict.fromkeys(name for pair in pairs for name in (pair.slower, pair.faster)))
    known: dict[tuple[str, str], float] = {}
    for pair in pairs:
        value = float(getattr(pair, figure))
        known[pair.slower, pair.faster] = value
        known[pair.faster, pair.slower] = -value if figure == "offset_ms" else value
    return SyncMatrix(names, tuple(tuple(known.get((row, column)) for column in names) for row in names))


def sync_lines(pairs: Sequence[SyncPair], figure: str = "p95_ms") -> list[str]:
    """The matrix as lines of text of one width, [ms]; no lines without pairs."""
    matrix = sync_matrix(pairs, figure)
    if not matrix.names:
        return []
    first = max(len(name) for name in matrix.names)
    widths = [max(7, len(name)) for name in matrix.names]
    head = " ".join(f"{name:>{width}}" for name, width in zip(matrix.names, widths, strict=True))
    lines = [f"{'':<{first}} {head}"]
    for name, cells in zip(matrix.names, matrix.cells, strict=True):
        texts = ("-" if cell is None else f"{cell:.2f}" for cell in cells)
        row = " ".join(f"{text:>{width}}" for text, width in zip(texts, widths, strict=True))
        lines.append(f"{name:<{first}} {row}")
    return lines


def sync_rows(pairs: Sequence[SyncPair]) -> list[dict[str, str | float]]:
    """One flat row a pair, for tables and JSON."""
    return [asdict(pair) for pair in pairs]


def _pair(slower: str, faster: str, slow_ns: IntArray, fast_ns: IntArray, gaps_ns: IntArray) -> SyncPair:
    measured, worst_ns = slow_ns, 0
    if len(slow_ns) > MAX_SAMPLES:
        measured = slow_ns[np.linspace(0, len(slow_ns) - 1, MAX_SAMPLES).astype(np.int64)]
        suspects = slow_ns[nearest_index(slow_ns, gaps_ns)]
        worst_ns = int(np.abs(_signed_ns(suspects, fast_ns)).max())
    signed_ns = _signed_ns(measured, fast_ns)
    distance_ns = np.sort(np.abs(signed_ns))
    p50, p95, p99 = (
        distance_ns[min(len(distance_ns) - 1, len(distance_ns) * q // 100)] for q in (50, 95, 99)
    )
    return SyncPair(
        slower=slower,
        faster=faster,
        p50_ms=_ms(p50),
        p95_ms=_ms(p95),
        p99_ms=_ms(p99),
        max_ms=_ms(max(int(distance_ns[-1]), worst_ns)),
        offset_ms=_ms(signed_ns.mean()),
    )


def _signed_ns(times_ns: IntArray, among_ns: IntArray) -> IntArray:
    return among_ns[nearest_index(among_ns, times_ns)] - times_ns


def _longest_gaps(stamps: IntArray) -> IntArray:
    """Where samples of another stream can be farthest: the ends, and the longest gap of each part."""
    gaps = np.diff(stamps)
    edges = np.linspace(0, len(gaps), _PARTS + 1).astype(np.int64)
    parts = [(start, stop) for start, stop in pairwise(edges.tolist()) if stop > start]
    longest = np.array([start + int(gaps[start:stop].argmax()) for start, stop in parts], np.int64)
    far = np.iinfo(np.int64).max // 4
    return np.concatenate([[-far], stamps[longest] + gaps[longest] // 2, [far]]).astype(np.int64)


def _increasing(stamps: IntArray) -> IntArray:
    stamps = np.asarray(stamps, np.int64)
    return stamps if bool((stamps[1:] >= stamps[:-1]).all()) else np.sort(stamps)


def _ms(time_ns: float) -> float:
    return round(float(time_ns) / NS_PER_MS, 3)
