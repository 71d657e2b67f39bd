"""Mutated episodes for everything that reads episodes, in a child with limited memory and time."""

from __future__ import annotations

import copy
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

from fault_matrix.fuzz_targets import try_all
from fault_matrix.limits import Outcome, run_limited
from fault_matrix.mcap_model import McapModel
from fault_matrix.mutations import mutate_bytes, mutate_model
from fault_matrix.recording import Recorder, Take
from fault_matrix.row import Budget, Row, RowReport
from teleop_app.core.paths import DataDir

MAX_MEMORY_MB = 700.0
MAX_CPU_S = 15.0
COSTLY_EVERY = 5
"""Exports, imports and training rows are tried with one case of so many."""


@dataclass(slots=True)
class Material:
    """The whole episode that all mutations start from."""

    path: Path
    content: bytes
    model: McapModel

    @classmethod
    def make(cls, folder: Path) -> Material:
        take = Take.of(0.5, ("overhead", "left_wrist"))
        recorder = Recorder(DataDir(folder / "material").create(), take, speed=0.0, flush_s=0.02)
        writer = recorder.writer(take.new_header())
        recorder.feed(writer, 0.5)
        path = writer.finish("success").path
        return cls(path, path.read_bytes(), McapModel.read(path))

    def mutated(self, path: Path, chance: random.Random) -> str:
        """Write a mutated episode to `path`; what was done to it."""
        if chance.random() < 0.4:
            name, content = mutate_bytes(self.content, chance)
            path.write_bytes(content)
            return name
        model = copy.deepcopy(self.model)
        name = mutate_model(model, chance)
        model.write(path, chance.choice((4 << 10, 64 << 10, 4 << 20)))
        return name


def one_case(material: Material, folder: Path, seed: str, *, costly: bool) -> tuple[str, Outcome]:
    """The case of a seed: what was done to the file, and how the child ended."""
    folder.mkdir(parents=True)
    path = folder / material.path.name
    name = material.mutated(path, random.Random(seed))
    outcome = run_limited(lambda channel: try_all(path, folder, channel, costly=costly))
    return name, outcome


def run(budget: Budget, report: RowReport) -> None:
    material = Material.make(budget.folder)
    memory_mb: list[float] = []
    cpu_s: list[float] = []
    for number in budget.tries(report):
        folder = budget.folder / f"case-{number}"
        costly = number % COSTLY_EVERY == 0
        name, outcome = one_case(material, folder, f"{budget.seed}-{number}", costly=costly)
        memory_mb.append(float(outcome.said.get("memory_mb", 0.0)))
        cpu_s.append(float(outcome.said.get("cpu_s", 0.0)))
        problem = outcome.problem()
        if memory_mb[-1] > MAX_MEMORY_MB or cpu_s[-1] > MAX_CPU_S:
            problem = problem or f"{memory_mb[-1]:.0f} MB and {cpu_s[-1]:.1f} s of processor time"
        if problem:
            report.problems.append(
                f"case {budget.seed}-{number} ({name}) at {outcome.said.get('at')}: {problem}"
            )
        else:
            report.add(refused=int("read" in outcome.said), read=int("read" not in outcome.said))
        shutil.rmtree(folder)
    report.spread("memory [MB]", memory_mb)
    report.spread("processor time [s]", cpu_s)


ROW = Row(
    "fuzz",
    "mutated episodes (records, sizes, offsets, bombs, lies with valid checksums): read, verify, recover, "
    "train, import, export, in a limited child",
    "a result or a sentence; <= 700 MB and <= 15 s of processor time",
    count=3000,
    sample=30,
    run=run,
)
