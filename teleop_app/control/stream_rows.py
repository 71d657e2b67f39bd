"""Rows of a numeric stream, gathered tick by tick and published in batches."""

from __future__ import annotations

import numpy as np

from teleop_app.core.clock import NS_PER_S
from teleop_app.core.geometry import Array
from teleop_app.core.types import StreamBatch, StreamSetup

_BATCH_NS = NS_PER_S // 25
_SETUP_NS = NS_PER_S


class StreamRows:
    """Gathers one stream. Batches come about 25 times a second, its setup once a second.

    Args:
        setup: What it is.
    """

    def __init__(self, setup: StreamSetup) -> None:
        self._setup = setup
        self._stamps: list[int] = []
        self._rows: list[Array] = []
        self._seq = 0
        self._newest_ns = 0
        self._setup_due_ns = 0
        self._batch_due_ns = 0

    def add(self, capture_ns: int, values: Array) -> None:
        """Take a row; one that is no newer than the last, of another width, or not finite, is left out."""
        fits = values.shape == (len(self._setup.values),) and np.isfinite(values).all()
        if capture_ns <= self._newest_ns or not fits:
            return
        self._newest_ns = capture_ns
        self._stamps.append(capture_ns)
        self._rows.append(values.copy())

    def take(self, now_ns: int) -> list[StreamSetup | StreamBatch]:
        """What is due to be published now."""
        messages: list[StreamSetup | StreamBatch] = []
        if now_ns >= self._setup_due_ns:
            self._setup_due_ns = now_ns + _SETUP_NS
            messages.append(self._setup)
        if self._rows and now_ns >= self._batch_due_ns:
            self._batch_due_ns = now_ns + _BATCH_NS
            stamps = np.array(self._stamps, dtype=np.int64)
            batch = StreamBatch(self._setup.name, self._seq, stamps, np.array(self._rows), receive_ns=now_ns)
            messages.append(batch)
            self._seq += len(stamps)
            self._stamps, self._rows = [], []
        return messages
