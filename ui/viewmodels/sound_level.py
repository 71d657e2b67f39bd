"""How loud a recording is along its time line, thin enough to draw."""

from __future__ import annotations

import numpy as np

from recorders.reader import EpisodeReader
from recorders.schema import Array, AudioTrack, IntArray
from teleop_app.core.clock import NS_PER_S

BIN_NS = NS_PER_S // 50
_WINDOW_NS = 30 * NS_PER_S
"""Of sound that is held at a time."""


def level_of(reader: EpisodeReader, microphone: str, start_ns: int, end_ns: int) -> tuple[Array, Array]:
    """Returns the peak of each 20 ms that has sound.

    Args:
        reader: Of an open episode.
        microphone: As its header has it.
        start_ns: Of the time line, monotonic.
        end_ns: Of the time line, monotonic.

    Returns:
        Times since `start_ns` [s] and levels 0..1 of full scale, shape (k,) each.

    Raises:
        EpisodeError: The file is damaged.
    """
    bins: list[IntArray] = []
    peaks: list[Array] = []
    for begin in range(start_ns, end_ns + 1, _WINDOW_NS):
        track = reader.audio(microphone, (begin, min(begin + _WINDOW_NS, end_ns + 1)))
        if len(track.capture_ns):
            found, peak = peaks_of(track, start_ns)
            bins.append(found)
            peaks.append(peak)
    if not bins:
        return np.zeros(0), np.zeros(0)
    return np.concatenate(bins).astype(np.float64) * (BIN_NS / NS_PER_S), np.concatenate(peaks)


def peaks_of(track: AudioTrack, start_ns: int) -> tuple[IntArray, Array]:
    """Returns the numbers of the 20 ms bins that have sound, and the peak of each, 0..1."""
    number = (track.capture_ns - start_ns) // BIN_NS
    first = np.concatenate([[0], np.flatnonzero(np.diff(number)) + 1])
    loud = np.abs(track.samples.astype(np.int32)).max(axis=1)
    return number[first], np.maximum.reduceat(loud, first).astype(np.float64) / 32768.0
