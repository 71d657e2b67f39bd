"""`teleop import`: episodes of other stations are copied whole or refused with a sentence."""

from __future__ import annotations

import errno
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fault_matrix.bombs import zstd_bomb
from fault_matrix.mcap_model import McapModel
from recorders.durability import SystemCalls
from recorders.importers.episode import STAGING, import_episode
from recorders.mcap_layout import MAGIC
from recorders.recovery import digest_file
from recorders.segment_names import segment_paths
from recorders.synthetic import feed, synthetic_header, synthetic_samples, write_synthetic
from recorders.writer import EpisodeWriter
from teleop_app.core.errors import EpisodeError, StorageError
from teleop_app.core.paths import DataDir


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    return DataDir(tmp_path / "store").create()


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """An episode that another station recorded."""
    folder = tmp_path / "usb stick"
    folder.mkdir()
    header = replace(synthetic_header(("overhead",), 64, 48), station="Cell of the neighbours")
    return write_synthetic(folder, 0.3, header).path


def long_episode(folder: Path, segment_s: float = 1.0) -> Path:
    (folder / "open").mkdir(parents=True)
    header = synthetic_header(("overhead",), 64, 48)
    name = f"{header.uuid}.mcap"
    writer = EpisodeWriter(
        folder / "open" / name, header, destination=folder / name, flush_s=0.0, segment_s=segment_s
    )
    for sample in synthetic_samples(header, 3.2 * segment_s, header.anchor_monotonic_ns):
        feed(writer, sample)
    return writer.finish("success").path


def imported(faults: Any, data: DataDir, *arguments: object) -> tuple[int, list[dict[str, Any]]]:
    done = faults.teleop_here("import", "--json", *map(str, arguments), data=data.root)
    assert "Traceback" not in done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def files(data: DataDir) -> list[str]:
    folders = (data.open, data.episodes, data.damaged)
    assert not (data.root / STAGING).exists()
    return sorted(path.name for folder in folders for path in folder.glob("[!.]*"))


def test_an_episode_of_another_station_is_copied_whatever_its_name(
    faults: Any, data: DataDir, foreign: Path
) -> None:
    renamed = foreign.rename(foreign.with_name("holiday photos.mcap"))
    before = digest_file(renamed)
    code, (line,) = imported(faults, data, renamed)
    assert (code, line["outcome"]) == (0, "imported")
    assert digest_file(renamed) == before == digest_file(data.episodes / f"{line['uuid']}.mcap")
    row = faults.row_of(data, line["uuid"])
    assert (row.station, row.blake3) == ("Cell of the neighbours", before.blake3)
    assert faults.store_problems(data) == []
    code, (again,) = imported(faults, data, renamed.parent)
    assert (code, again["outcome"], again["uuid"]) == (0, "present", line["uuid"])
    assert files(data) == [f"{line['uuid']}.mcap"]


def test_a_file_without_a_row_gets_its_row(faults: Any, data: DataDir, foreign: Path) -> None:
    shutil.copy(foreign, data.episodes)
    assert imported(faults, data, foreign)[1][0]["outcome"] == "imported"
    assert faults.store_problems(data) == []


def test_a_long_episode_comes_with_all_its_files(faults: Any, data: DataDir, tmp_path: Path) -> None:
    source = long_episode(tmp_path / "long")
    parts = segment_paths(source.parent, source.stem)
    assert len(parts) >= 2
    code, lines = imported(faults, data, *sorted(source.parent.glob("*.mcap")))
    assert (code, [line["outcome"] for line in lines]) == (0, ["imported"])
    assert files(data) == sorted(path.name for path in [*parts, source])
    assert faults.store_problems(data) == []
    other = DataDir(tmp_path / "other").create()
    parts[0].unlink()
    code, (line,) = imported(faults, other, source)
    assert code == 1 and parts[0].name in line["text"] and files(other) == []
    code, (line,) = imported(faults, other, parts[1])
    assert code == 1 and "only a part of an episode" in line["text"] and source.name in line["text"]


def test_an_episode_that_was_cut_off_is_refused_and_recovered_on_request(
    faults: Any, data: DataDir, foreign: Path
) -> None:
    foreign.write_bytes(foreign.read_bytes()[: foreign.stat().st_size * 2 // 3])
    before = digest_file(foreign)
    code, (line,) = imported(faults, data, foreign)
    assert (code, line["outcome"], files(data)) == (1, "refused", [])
    assert f"teleop import --recover {foreign}" in line["text"]
    code, (line,) = imported(faults, data, "--recover", foreign)
    assert (code, line["outcome"]) == (0, "recovered")
    assert "cut off by a crash" in line["text"]
    assert digest_file(foreign) == before
    assert faults.row_of(data, foreign.stem).recovered
    assert faults.store_problems(data) == []


def damaged(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x40
    path.write_bytes(bytes(content))


def without_footer(path: Path) -> None:
    model = McapModel.read(path)
    del model.metadata[1:]
    model.write(path)


def of_a_newer_program(path: Path) -> None:
    model = McapModel.read(path)
    text = model.metadata[0].metadata["json"].replace('"format_version":1', '"format_version":99')
    model.metadata[0].metadata["json"] = text
    model.write(path)


def of_strange_parts(path: Path) -> None:
    model = McapModel.read(path)
    plain = json.loads(model.metadata[-1].metadata["json"])
    part = {"name": "../../etc/passwd", "size_bytes": 1, "blake3": "ab" * 32, "start_ns": 0, "end_ns": 1}
    plain["segments"] = [part]
    model.metadata[-1].metadata["json"] = json.dumps(plain)
    model.write(path)


HOSTILE = {
    "damaged": (damaged, "damaged"),
    "foreign": (lambda path: path.write_bytes(b"holiday" * 5000), "not an episode"),
    "empty": (lambda path: path.write_bytes(b""), "not an episode"),
    "bomb": (lambda path: path.write_bytes(MAGIC + zstd_bomb(63 << 20) * 4), "end is missing"),
    "no footer": (without_footer, "no footer"),
    "newer": (of_a_newer_program, "Update the program"),
    "parts": (of_strange_parts, "etc/passwd"),
    "missing": (Path.unlink, "cannot be opened"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_no_whole_episode_is_refused_and_adds_nothing(
    faults: Any, data: DataDir, foreign: Path, kind: str
) -> None:
    make, part = HOSTILE[kind]
    make(foreign)
    code, (line,) = imported(faults, data, foreign)
    assert (code, line["outcome"]) == (1, "refused")
    assert part in line["text"] and line["text"].endswith(".")
    assert files(data) == []


def test_a_refused_file_stops_no_other(faults: Any, data: DataDir, foreign: Path) -> None:
    (foreign.parent / "notes.mcap").write_text("notes")
    code, lines = imported(faults, data, foreign.parent)
    assert code == 1
    assert sorted(line["outcome"] for line in lines) == ["imported", "refused"]


def test_another_file_of_the_same_episode_is_refused(data: DataDir, foreign: Path) -> None:
    stored = data.episodes / foreign.name
    stored.write_bytes(b"something else")
    with pytest.raises(EpisodeError, match="another file of the episode .* is in the store already"):
        import_episode(foreign, data.root, data.episodes)
    assert stored.read_bytes() == b"something else"


class Failing(SystemCalls):
    """The k-th call fails."""

    def __init__(self, k: int) -> None:
        self.left = k

    def _step(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def open(self, path: Path) -> int:
        self._step()
        return super().open(path)

    def write(self, descriptor: int, payload: memoryview) -> int:
        self._step()
        return super().write(descriptor, payload)

    def sync(self, descriptor: int) -> None:
        self._step()
        super().sync(descriptor)

    def rename(self, source: Path, destination: Path) -> None:
        self._step()
        super().rename(source, destination)


def test_a_disk_that_fails_during_the_copy_leaves_nothing_behind(data: DataDir, foreign: Path) -> None:
    for k in (1, 2, 3, 4):
        with pytest.raises(StorageError, match="No space left on device"):
            import_episode(foreign, data.root, data.episodes, calls=Failing(k))
        assert files(data) == []
    assert import_episode(foreign, data.root, data.episodes, calls=Failing(5)).uuid == foreign.stem


def test_progress_reaches_the_end(data: DataDir, foreign: Path) -> None:
    told: list[tuple[int, int]] = []
    import_episode(foreign, data.root, data.episodes, lambda done, total: told.append((done, total)))
    assert told[-1] == (foreign.stat().st_size,) * 2
