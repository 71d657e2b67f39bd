"""What is in a chunk: unfolded within bounds and checked."""

from __future__ import annotations

import zlib

import zstandard

from recorders.mcap_file import McapFile
from recorders.mcap_layout import CHUNK_HEAD, MAX_CHUNK_BYTES, largest_content
from teleop_app.core.errors import EpisodeError


def unfolded(file: McapFile, body: memoryview) -> bytes | memoryview:
    """Content of a chunk record, checked against its CRC.

    Args:
        file: Where it is from.
        body: Of the record.

    Raises:
        EpisodeError: It is damaged or too large.
    """
    if len(body) < CHUNK_HEAD.size:
        raise file.damaged("a chunk is cut off")
    _, _, size, crc, name_length = CHUNK_HEAD.unpack_from(body)
    at = CHUNK_HEAD.size + name_length + 8
    if name_length > 16 or at > len(body) or size > MAX_CHUNK_BYTES:
        raise file.damaged(f"a chunk of {size} bytes exceeds the limit of {MAX_CHUNK_BYTES}")
    compression = bytes(body[CHUNK_HEAD.size : CHUNK_HEAD.size + name_length])
    payload = body[at:]
    if size > largest_content(len(payload)):
        raise file.damaged(f"a chunk of {len(payload)} bytes would unfold to {size}")
    if compression == b"zstd":
        try:
            if zstandard.frame_content_size(payload) != size:  # it decides what is allocated
                raise file.damaged("a chunk states two different sizes")
            content = zstandard.ZstdDecompressor().decompress(
                payload, max_output_size=size, allow_extra_data=False
            )
        except zstandard.ZstdError as error:
            raise file.damaged("a chunk cannot be decompressed") from error
    elif compression == b"":
        content = payload
    else:
        raise EpisodeError(
            f"{file.path.name} cannot be read", why=f"its compression {compression!r} is not known"
        )
    if len(content) != size or zlib.crc32(content) != crc:
        raise file.damaged("the checksum of a chunk is wrong")
    return content
