"""Messages of chunks' content, many at once, found by the offsets that a message index gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from mcap.opcode import Opcode

from recorders.mcap_layout import MESSAGE, RECORD_HEAD, Bytes, Offsets

_BESIDE_PAYLOAD = MESSAGE.itemsize - RECORD_HEAD.size
"""What a message record's length counts beside the payload."""


@dataclass(frozen=True, slots=True)
class Block:
    """Messages of one channel in one chunk, or in several that follow each other.

    Attributes:
        data: Content of the chunks, shape (bytes,).
        starts: Where each message's payload begins in `data`, shape (k,).
        lengths: Of each payload, shape (k,).
        seq: Shape (k,).
        log_utc_ns: Shape (k,).
        publish_utc_ns: Shape (k,).
    """

    data: Bytes
    starts: Offsets
    lengths: Offsets
    seq: Offsets
    log_utc_ns: Offsets
    publish_utc_ns: Offsets

    def payloads(self) -> Iterator[bytes]:
        """Each message's bytes."""
        for start, length in zip(self.starts.tolist(), self.lengths.tolist(), strict=True):
            yield self.data[start : start + length].tobytes()


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages of some channels in chunks that follow each other.

    Attributes:
        chunks: Numbers of the chunks in `Contents.chunks`, shape (n,).
        begins: Where the content of each begins in the blocks' data, shape (n,).
        blocks: By channel; a channel without messages here is left out.
    """

    chunks: Offsets
    begins: Offsets
    blocks: Mapping[int, Block]


def messages_at(contents: Sequence[Bytes], offsets: Mapping[int, Sequence[Offsets]]) -> dict[int, Block]:
    """Messages of channels in the content of chunks.

    Args:
        contents: Of each chunk; they are put one behind the other.
        offsets: By channel its messages in each chunk, as the message indexes have it.

    Raises:
        ValueError: An index points at something else than a message of its channel; the text says so.
    """
    data = contents[0] if len(contents) == 1 else np.concatenate(contents)
    sizes = np.array([len(content) for content in contents], np.int64)
    ends = np.cumsum(sizes)
    begins = ends - sizes
    return {
        channel: _block(channel, data, begins, ends, found)
        for channel, found in offsets.items()
        if any(len(each) for each in found)
    }


def _block(channel: int, data: Bytes, begins: Offsets, ends: Offsets, found: Sequence[Offsets]) -> Block:
    chunk = np.repeat(np.arange(len(found)), [len(each) for each in found])
    offsets = np.concatenate(found)
    room = (ends - begins)[chunk]
    if (offsets < 0).any() or (offsets > room - MESSAGE.itemsize).any():
        raise ValueError("a message index points outside its chunk")
    at = offsets + begins[chunk]
    heads = np.ndarray((len(data) - MESSAGE.itemsize + 1,), MESSAGE, data, strides=(1,))[at]
    lengths = heads["length"].astype(np.int64) - _BESIDE_PAYLOAD
    starts = at + MESSAGE.itemsize
    if (
        (heads["op"] != Opcode.MESSAGE).any()
        or (heads["channel"] != channel).any()
        or (lengths < 0).any()
        or (lengths > ends[chunk] - starts).any()
    ):
        raise ValueError("a message index points at something else")
    return Block(
        data=data,
        starts=starts,
        lengths=lengths,
        seq=heads["seq"].astype(np.int64),
        log_utc_ns=heads["log"].astype(np.int64),
        publish_utc_ns=heads["publish"].astype(np.int64),
    )


def no_messages(data: Bytes) -> Block:
    """A block without messages."""
    return Block(data, *(np.zeros(0, np.int64) for _ in range(5)))
