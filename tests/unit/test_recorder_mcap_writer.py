"""The bytes of our MCAP writer are those of the library's."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

import pytest
from mcap.reader import make_reader
from mcap.writer import CompressionType, Writer

from recorders.container import Container
from recorders.mcap_writer import CHUNK_BYTES, McapWriter


class Memory(bytearray):
    def write(self, payload: bytes | bytearray) -> int:
        self.extend(payload)
        return len(payload)

    def tell(self) -> int:
        return len(self)

    def flush(self) -> None:
        pass


def fill(writer: McapWriter | Writer, end_chunk: Callable[[], None], messages: int) -> None:
    writer.start("profile", "library")
    writer.add_metadata("about", {"this": "that", "ä": "ö"})
    schema = writer.register_schema("a.B", "protobuf", b"not really")
    channels = [writer.register_channel(f"/{name}", "protobuf", schema) for name in "abc"]
    for index in range(messages):
        at_ns = 1_000_000 + index * 1000 - index % 7 * 1500
        writer.add_message(channels[index % 3], at_ns, bytes(index % 251), at_ns + 5, index)
        if index % 50 == 49:
            end_chunk()
    end_chunk()
    late = writer.register_schema("late", "protobuf", b"")
    writer.add_message(writer.register_channel("/late", "protobuf", late), 5, b"before all", 6, 7)


@pytest.mark.parametrize("messages", [0, 1, 120, 1000])
def test_the_file_is_the_one_that_the_library_writes(messages: int) -> None:
    ours, theirs = Memory(), Memory()
    writer = McapWriter(ours)
    fill(writer, writer.end_chunk, messages)
    writer.end_chunk()
    writer.add_attachment(9, "a file", "text/plain", b"content")
    writer.finish()
    library = Writer(cast("IO[bytes]", theirs), CHUNK_BYTES, CompressionType.ZSTD, enable_data_crcs=True)
    fill(library, library.flush, messages)
    library.flush()
    library.add_attachment(9, 9, "a file", "text/plain", b"content")
    library.finish()
    if messages == 0:  # the library then forgets the time of the only message
        assert len(ours) == len(theirs)
    else:
        assert ours == theirs
    reader = make_reader(io.BytesIO(ours), validate_crcs=True)
    assert sum(1 for _ in reader.iter_messages()) == messages + 1


def test_a_chunk_ends_at_its_size() -> None:
    out = Memory()
    writer = McapWriter(out)
    writer.start("", "")
    channel = writer.register_channel("/a", "protobuf", writer.register_schema("a", "protobuf", b""))
    for index in range(3):
        writer.add_message(channel, index, bytes(CHUNK_BYTES // 2), index, index)
    assert len(out) > 200  # one chunk was written
    writer.finish()
    summary = make_reader(io.BytesIO(out)).get_summary()
    assert summary is not None and len(summary.chunk_indexes) == 2


@pytest.mark.parametrize("size", [200_000, 3_000_000, 20 << 20])
def test_content_that_shrinks_like_a_bomb_is_stored_as_it_is_and_read_back(tmp_path: Path, size: int) -> None:
    path = tmp_path / "still.mcap"
    with path.open("wb") as file:
        writer = McapWriter(file)
        writer.start("test", "test")
        channel = writer.register_channel("/still", "", writer.register_schema("still", "", b""))
        for number in range(3):
            writer.add_message(channel, number, bytes(size), number, number)
        writer.finish()
    container = Container(path)
    read = [payload for block in container.blocks("/still") for payload in block.payloads()]
    assert read == [bytes(size)] * 3
    container.close()
