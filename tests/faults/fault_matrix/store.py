"""What must be true of a store after any fault."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field

from recorders.recovery import digest_file
from recorders.segment_names import episode_paths
from recorders.verify import verify_file
from sessions import Author, open_catalog
from teleop_app.core.paths import DataDir
from teleop_app.station.store_recovery import StoreRecovery, recover_store

AUTHOR = Author.process("fault campaign")


def store_problems(data: DataDir, *, full: bool = True) -> list[str]:
    """Everything wrong with a store: files that do not verify, and rows and files that do not agree."""
    with open_catalog(data.root, AUTHOR) as catalog:
        rows = {row.uuid: row for row in catalog.episodes(limit=1000).rows}
        problems = list(catalog.check())
    files = {path.stem: path for path in episode_paths(data.episodes)}
    problems += [f"row without file {uuid}" for uuid in rows.keys() - files.keys()]
    problems += [f"file without row {uuid}" for uuid in files.keys() - rows.keys()]
    problems += [f"row {row.uuid} is marked missing" for row in rows.values() if row.missing]
    for uuid, path in files.items():
        blake3 = rows[uuid].blake3 if uuid in rows else ""
        problems += [f"{uuid}: {s}" for s in verify_file(path, blake3=blake3, full=full).findings]
    return problems


def contents(data: DataDir) -> dict[str, str]:
    """Digest of every episode file, and of what the catalog says."""
    digests = {
        str(path.relative_to(data.root)): hashlib.blake2b(path.read_bytes()).hexdigest()
        for folder in (data.open, data.episodes, data.damaged)
        for path in sorted(folder.iterdir())
        if path.is_file() and not path.name.startswith(".")
    }
    with open_catalog(data.root, AUTHOR) as catalog:
        for row in catalog.episodes(limit=1000).rows:
            digests[f"row {row.uuid}"] = hashlib.blake2b(repr(row).encode()).hexdigest()
    return digests


def recovered(data: DataDir) -> StoreRecovery:
    """Recovery as the recorder does it at its start."""
    with open_catalog(data.root, AUTHOR) as catalog:
        return recover_store(data, catalog)


@dataclass(slots=True)
class Watch:
    """Keeps what a writer acknowledged, and holds the store to it.

    Attributes:
        data: The store.
        acknowledged: BLAKE3 by UUID.
        recovery_ms: How long each first recovery took.
    """

    data: DataDir
    acknowledged: dict[str, str] = field(default_factory=dict)
    recovery_ms: list[float] = field(default_factory=list)

    def hear(self, lines: list[str]) -> list[dict[str, str]]:
        """Take the lines of a writer; what they say, whole lines only."""
        said = [json.loads(line) for line in lines if line.endswith("}\n")]
        for item in said:
            if item.get("ack"):
                self.acknowledged[item["ack"]] = item["blake3"]
        return said

    def after_fault(self) -> tuple[StoreRecovery, list[str]]:
        """Recover, and once more; what the recovery did and what is wrong now."""
        began = time.perf_counter()
        first = recovered(self.data)
        self.recovery_ms.append((time.perf_counter() - began) * 1e3)
        before = contents(self.data)
        again = recovered(self.data)
        problems = []
        if again.recovered or again.rebuilt or contents(self.data) != before:
            problems.append(f"A second recovery changed something: {again.sentences()}")
        problems += self.lost()
        problems += store_problems(self.data)
        return first, problems

    def lost(self) -> list[str]:
        """Acknowledged episodes that are gone or changed."""
        with open_catalog(self.data.root, AUTHOR) as catalog:
            rows = {uuid: catalog.episode(uuid) for uuid in self.acknowledged}
        found = []
        for uuid, blake3 in self.acknowledged.items():
            row = rows[uuid]
            if row is None or row.missing or not (self.data.root / row.path).exists():
                found.append(f"The acknowledged episode {uuid} is lost.")
            elif {row.blake3, digest_file(self.data.root / row.path).blake3} != {blake3}:
                found.append(f"The acknowledged episode {uuid} is another file now.")
        return found
