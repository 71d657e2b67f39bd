"""Files that are cut, flipped, foreign or hostile: a sentence, never a crash or a silent wrong answer."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.writer import Writer

from fault_matrix.mcap_model import McapModel
from recorders.container import Container
from recorders.mcap_layout import MAGIC, RECORD_HEAD
from recorders.reader import EpisodeReader
from recorders.records import to_metadata
from recorders.recovery import recover_open
from recorders.schema import METADATA_HEADER
from recorders.synthetic import synthetic_header, write_synthetic
from recorders.verify import exit_status, verify_file, verify_files
from teleop_app.core.errors import EpisodeError


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_synthetic(
        tmp_path_factory.mktemp("whole"), 0.4, synthetic_header(("overhead",), 64, 48)
    ).path


@pytest.fixture(scope="module")
def content(whole: Path) -> bytes:
    return whole.read_bytes()


def boundaries(content: bytes) -> list[int]:
    """Where each record of a file starts, and its end."""
    found, at = [], len(MAGIC)
    while at < len(content) - len(MAGIC):
        found.append(at)
        at += RECORD_HEAD.size + RECORD_HEAD.unpack_from(content, at)[1]
    return [*found, at]


def test_every_truncation_at_a_record_boundary_is_found_and_salvaged(
    whole: Path, content: bytes, tmp_path: Path
) -> None:
    for cut in boundaries(content):
        for folder in ("open", "episodes", "damaged"):
            (tmp_path / str(cut) / folder).mkdir(parents=True)
        base = tmp_path / str(cut)
        path = base / "open" / whole.name
        path.write_bytes(content[:cut])
        assert not verify_file(path).ok
        with pytest.raises(EpisodeError, match="truncated"):
            EpisodeReader(path)
        (result,) = recover_open(base / "open", base / "episodes", base / "damaged")
        assert not path.exists()
        if result.header is None:
            assert result.path.read_bytes() == content[:cut]
        else:
            report = verify_file(result.path, blake3=result.blake3, full=True)
            assert report.findings == ()
            assert result.footer is not None
            assert result.footer.recovered == bool(result.loss)
            assert not result.loss or "cut off by a crash" in result.loss
        assert recover_open(base / "open", base / "episodes", base / "damaged") == []


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_every_flipped_bit_is_found(whole: Path, content: bytes, tmp_path: Path, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(content) - 1))
    bit = data.draw(st.integers(0, 7))
    path = tmp_path / whole.name
    path.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
    assert not verify_file(path).ok


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_files_are_read_or_refused_with_a_sentence(
    whole: Path, content: bytes, tmp_path: Path, data: st.DataObject
) -> None:
    path = tmp_path / whole.name
    damaged = bytearray(content[: data.draw(st.integers(0, len(content)))])
    for _ in range(data.draw(st.integers(0, 5))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(damaged))
    try:
        with EpisodeReader(path, open_truncated=True) as reader:
            reader.joints("measured")
            reader.ticks()
            reader.operator("left")
            reader.world()
            reader.events()
            list(reader.frames("overhead"))
    except EpisodeError as error:
        assert error.sentence.endswith(".")


@pytest.mark.parametrize("text", [b"", b"x", b"not an episode at all" * 100, MAGIC, MAGIC + b"\0" * 40])
def test_foreign_files_are_refused(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "a.mcap"
    path.write_bytes(text)
    with pytest.raises(EpisodeError, match=r"not an episode|truncated|damaged"):
        EpisodeReader(path)
    assert exit_status([verify_file(path)]) == 1


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(EpisodeError, match="cannot be opened: No such file"):
        EpisodeReader(tmp_path / "none.mcap")
    assert exit_status(verify_files([tmp_path / "none.mcap"])) == 1


def test_an_mcap_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start("ros2")
        writer.finish()
    with pytest.raises(EpisodeError, match="not an episode of this program: it has no episode header"):
        EpisodeReader(path)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ('"format_version":1', "has format 2: this program reads formats up to 1. Update the program"),
        ('"width":64', "impossible size or rate"),
        ('"seed":7', "wrong seed"),
        ('"arms"', "EpisodeHeader is incomplete"),
    ],
)
def test_headers_out_of_bounds_are_refused(tmp_path: Path, wrong: str, sentence: str) -> None:
    changes = {
        '"format_version":1': '"format_version":2',
        '"width":64': '"width":999999',
        '"seed":7': '"seed":"seven"',
        '"arms"': '"legs"',
    }
    metadata = to_metadata(synthetic_header(width=64, height=48))
    assert wrong in metadata["json"]
    metadata["json"] = metadata["json"].replace(wrong, changes[wrong])
    path = tmp_path / "a.mcap"
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start("teleop-episode")
        writer.add_metadata(METADATA_HEADER, metadata)
        writer.finish()
    with pytest.raises(EpisodeError, match=sentence):
        EpisodeReader(path)


def chunk(compression: bytes, payload: bytes, size: int, crc: int) -> bytes:
    body = struct.pack("<QQQII", 0, 0, size, crc, len(compression)) + compression
    body += struct.pack("<Q", len(payload)) + payload
    return RECORD_HEAD.pack(6, len(body)) + body


def test_a_decompression_bomb_is_refused_before_it_grows(tmp_path: Path) -> None:
    bomb = zstandard.compress(bytes(200 << 20))
    head = RECORD_HEAD.pack(1, 8) + struct.pack("<II", 0, 0)
    for size in (1000, 200 << 20):
        path = tmp_path / f"{size}.mcap"
        path.write_bytes(MAGIC + head + chunk(b"zstd", bomb, size, 1))
        container = Container(path, open_truncated=True)
        assert container.contents.chunks == []
        container.close()


def test_a_record_longer_than_the_file_allocates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    head = RECORD_HEAD.pack(1, 8) + struct.pack("<II", 0, 0)
    path.write_bytes(MAGIC + head + RECORD_HEAD.pack(0x0C, 2**63) + b"x")
    container = Container(path, open_truncated=True)
    assert container.contents.whole_bytes == len(MAGIC) + len(head)
    container.close()
    summary = struct.pack("<QQ", 2**63, 0)
    footer = RECORD_HEAD.pack(2, 20) + summary + struct.pack("<I", zlib.crc32(summary))
    path.write_bytes(MAGIC + head + footer + MAGIC)
    with pytest.raises(EpisodeError, match="damaged"):
        Container(path)


def header_lies(path: Path, change: dict[str, object]) -> None:
    """A whole file with valid checksums whose header says something else."""
    model = McapModel.read(path)
    plain = json.loads(model.metadata[0].metadata["json"]) | change
    model.metadata[0].metadata["json"] = json.dumps(plain)
    model.write(path)


@pytest.mark.parametrize(
    "change",
    [
        {"anchor_utc_ns": 2**63},
        {"anchor_monotonic_ns": -(10**300)},
        {"started_utc_ns": 2**64 - 1},
        {"seed": 10**300},
        {"control_rate_hz": 2**63},
    ],
)
def test_numbers_beyond_64_bits_in_a_header_are_refused(
    tmp_path: Path, content: bytes, whole: Path, change: dict[str, object]
) -> None:
    path = tmp_path / whole.name
    path.write_bytes(content)
    header_lies(path, change)
    with pytest.raises(EpisodeError, match=f"wrong {next(iter(change))}"):
        EpisodeReader(path)


def test_a_topic_with_the_schema_of_another_is_refused(tmp_path: Path, content: bytes, whole: Path) -> None:
    """From the fuzz campaign: the poses of an arm under the schema of the events."""
    path = tmp_path / whole.name
    path.write_bytes(content)
    model = McapModel.read(path)
    pose = next(c for c in model.channels if c.topic == "/operator/left/pose")
    event = next(c for c in model.channels if c.topic == "/events")
    for message in [m for m in model.messages if m.channel_id == pose.id]:
        message.data = next(m for m in model.messages if m.channel_id == event.id).data
    model.channels[model.channels.index(pose)] = replace(pose, schema_id=event.schema_id)
    model.write(path)
    with EpisodeReader(path) as reader, pytest.raises(EpisodeError, match="other fields than its topic"):
        reader.operator("left")
