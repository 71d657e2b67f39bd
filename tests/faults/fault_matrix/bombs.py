"""Small bytes that unfold to many."""

from __future__ import annotations

import struct
import zlib
from functools import cache

import numpy as np
import zstandard

from recorders.mcap_layout import CHUNK_HEAD, RECORD_HEAD
from recorders.video import H264Encoder


@cache
def h264_bomb(side: int = 4096) -> bytes:
    """A keyframe of a grey picture, 4096 x 4096."""
    encoder = H264Encoder(side, side, 30)
    payload = encoder.encode(np.zeros((side, side, 3), np.uint8))
    encoder.close()
    return payload


@cache
def png_bomb(side: int = 30_000) -> bytes:
    """A grey 16-bit picture of 30 000 x 30 000: 1.8 GB from 1.7 MB."""

    def part(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packer = zlib.compressobj(9)
    row = bytes(1 + 2 * side)
    body = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 16, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", body) + part(b"IEND", b"")


@cache
def jpeg_bomb(side: int = 60_000) -> bytes:
    """The head of a JPEG that says 60 000 x 60 000."""
    frame = struct.pack(">HBHHB", 17, 8, side, side, 3) + bytes((1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0))
    return b"\xff\xd8\xff\xc0" + frame + b"\xff\xd9"


@cache
def zstd_bomb(size: int) -> bytes:
    """A chunk record of zeros: 20 kB say, 500 MB in memory."""
    packer = zstandard.ZstdCompressor(level=3).compressobj(size=size)
    block = bytes(1 << 20)
    payload = b"".join(packer.compress(block) for _ in range(size >> 20)) + packer.flush()
    crc = 0
    for _ in range(size >> 20):
        crc = zlib.crc32(block, crc)
    body = CHUNK_HEAD.pack(0, 2**63, size, crc, 4) + b"zstd" + struct.pack("<Q", len(payload)) + payload
    return RECORD_HEAD.pack(6, len(body)) + body


def chunk_index(start: int, length: int) -> bytes:
    """What a summary says of a chunk without messages."""
    body = struct.pack("<QQQQIQ", 0, 2**63, start, length, 0, 0) + struct.pack("<I", 4) + b"zstd"
    body += struct.pack("<QQ", length, length)
    return RECORD_HEAD.pack(8, len(body)) + body
