"""A late camera finds the state it was due to show, as long as the ring still has it."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from teleop_app.core.ring import RingReader, RingWriter


def test_the_nearest_record_is_found_among_those_kept(tmp_path: Path) -> None:
    reader = RingReader(tmp_path / "ring")
    assert reader.nearest(0) is None
    writer = RingWriter(tmp_path / "ring", slot_bytes=8, slots=8)
    assert reader.nearest(0) is None
    for number in range(1, 21):
        writer.write(number.to_bytes(8, "little"), stamp_ns=number * 100, seq=number)
    for wanted, found in ((5000, 20), (2000, 20), (1949, 19), (1951, 20), (1700, 17), (0, 14)):
        record = reader.nearest(wanted)
        assert record is not None
        assert (record.seq, int.from_bytes(record.payload, "little")) == (found, found)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=20), st.integers(-100, 1200))
def test_no_kept_record_is_nearer(tmp_path_factory, gaps: list[int], wanted: int) -> None:
    path = tmp_path_factory.mktemp("ring") / "ring"
    writer = RingWriter(path, slot_bytes=8, slots=6)
    stamps, now = [], 0
    for seq, gap in enumerate(gaps):
        now += gap
        stamps.append(now)
        writer.write(b"x", stamp_ns=now, seq=seq)
    record = RingReader(path).nearest(wanted)
    assert record is not None
    assert abs(record.stamp_ns - wanted) == min(abs(stamp - wanted) for stamp in stamps[-5:])
