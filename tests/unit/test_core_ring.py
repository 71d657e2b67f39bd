"""The shared-memory ring: newest record, whole or not at all."""

import multiprocessing
from pathlib import Path

import pytest

from teleop_app.core.errors import BusError
from teleop_app.core.ring import RingReader, RingWriter


def test_a_reader_may_come_first_and_sees_the_newest(tmp_path: Path) -> None:
    reader = RingReader(tmp_path / "ring")
    assert reader.latest() is None
    writer = RingWriter(tmp_path / "ring", slot_bytes=16, slots=3)
    assert reader.latest() is None
    for number in range(10):
        writer.write(bytes([number]) * (number + 1), stamp_ns=-number, seq=number)
    record = reader.latest()
    assert record is not None
    assert (record.seq, record.stamp_ns, record.payload) == (9, -9, b"\x09" * 10)
    assert reader.next_new() is None
    writer.write(b"", stamp_ns=1, seq=10)
    assert reader.next_new() is not None and reader.next_new() is None
    with pytest.raises(BusError, match="17 bytes does not fit"):
        writer.write(bytes(17), 0, 0)


def test_a_restarted_writer_goes_on_and_another_size_makes_readers_reopen(tmp_path: Path) -> None:
    path = tmp_path / "ring"
    first = RingWriter(path, 8, 2)
    first.write(b"one", 1, 1)
    reader = RingReader(path)
    assert reader.latest() is not None
    first.close()
    again = RingWriter(path, 8, 2)
    again.write(b"two", 2, 2)
    record = reader.latest()
    assert record is not None and record.payload == b"two"
    again.close()
    larger = RingWriter(path, 64, 2)
    assert reader.latest() is None
    larger.write(b"three", 3, 3)
    record = reader.latest()
    assert record is not None and record.payload == b"three"


def test_garbage_in_the_file_is_no_record(tmp_path: Path) -> None:
    path = tmp_path / "ring"
    path.write_bytes(b"not a ring")
    assert RingReader(path).latest() is None
    writer = RingWriter(path, 8, 2)
    writer.write(b"ok", 1, 1)
    raw = bytearray(path.read_bytes())
    at = raw.index(b"ok")
    raw[at] ^= 1
    path.write_bytes(raw)
    assert RingReader(path).latest() is None


def write_many(path: str, count: int) -> None:
    writer = RingWriter(Path(path), 4096, 2)
    for number in range(count):
        writer.write(number.to_bytes(4, "little") * 1024, number, number)


def test_a_racing_reader_never_sees_a_torn_record(tmp_path: Path) -> None:
    path = tmp_path / "ring"
    process = multiprocessing.get_context("spawn").Process(target=write_many, args=(str(path), 20_000))
    process.start()
    reader, seen = RingReader(path), 0
    while process.is_alive():
        record = reader.next_new()
        if record is not None:
            seen += 1
            assert record.payload == record.seq.to_bytes(4, "little") * 1024
    process.join()
    assert process.exitcode == 0
    record = reader.latest()
    assert record is not None and record.seq == 19_999
