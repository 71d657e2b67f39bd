"""The chunks of episode files that were read last."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from recorders.mcap_layout import Bytes, Offsets


@dataclass(slots=True)
class CachedChunk:
    """Content of a chunk, and where each channel's messages begin in it once somebody asked."""

    data: Bytes
    offsets: dict[int, Offsets] | None = None


class ChunkCache:
    """The chunks that were read last, of one file or of several."""

    def __init__(self, limit_bytes: int = 32 << 20) -> None:
        self._limit_bytes = limit_bytes
        self._chunks: OrderedDict[tuple[int, int], CachedChunk] = OrderedDict()
        self._bytes = 0

    def get(self, key: tuple[int, int]) -> CachedChunk | None:
        """A chunk by file and start."""
        found = self._chunks.get(key)
        if found is not None:
            self._chunks.move_to_end(key)
        return found

    def put(self, key: tuple[int, int], chunk: CachedChunk) -> None:
        """Keep a chunk, and forget the oldest ones."""
        self._chunks[key] = chunk
        self._bytes += len(chunk.data)
        while self._bytes > self._limit_bytes and len(self._chunks) > 1:
            self._bytes -= len(self._chunks.popitem(last=False)[1].data)

    def clear(self) -> None:
        """Forget everything."""
        self._chunks.clear()
        self._bytes = 0
