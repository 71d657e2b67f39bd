"""Mutated episodes for everything that reads episodes, in a child with limited memory and time."""

from __future__ import annotations

import copy
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fault_matrix.forked import Channel
from fault_matrix.limits import Outcome, run_limited
from fault_matrix.mcap_model import McapModel
from fault_matrix.mutations import mutate_bytes, mutate_model
from fault_matrix.row import Budget, Row, RowReport
from recorders.exporters.lerobot import export_lerobot
from recorders.reader import EpisodeReader
from recorders.recovery import recover_open
from recorders.schema import JOINT_KINDS
from recorders.synthetic import full_header, synthetic_header, write_synthetic
from recorders.verify import verify_file
from teleop_app.core.errors import TeleopError

MAX_MEMORY_MB = 700.0
MAX_CPU_S = 15.0
EXPORT_EVERY = 5


@dataclass(slots=True)
class Material:
    """The whole episode that all mutations start from."""

    path: Path
    content: bytes
    model: McapModel

    @classmethod
    def make(cls, folder: Path) -> Material:
        header = full_header(synthetic_header(("overhead", "left_wrist"), 64, 48))
        path = write_synthetic(folder, 0.5, header).path
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


def read_everything(path: Path) -> None:
    """All that a reader offers.

    Raises:
        TeleopError: The file is refused.
    """
    with EpisodeReader(path, open_truncated=True) as reader:
        for kind in JOINT_KINDS:
            reader.joints(kind)
        for arm in reader.header.arms:
            reader.operator(arm)
        for name in reader.header.force_sensors:
            reader.force(name)
        reader.ticks()
        reader.world()
        reader.events()
        reader.input_times()
        _ = reader.instruction, reader.attachments
        for camera in reader.header.cameras:
            for _ in reader.frames(camera.name, stop=200):
                pass


def recover(path: Path, folder: Path) -> None:
    """Recovery of the file, as if a crash had left it.

    Raises:
        TeleopError: The disk refuses.
    """
    for name in ("open", "episodes", "damaged"):
        (folder / name).mkdir()
    shutil.copy(path, folder / "open" / path.name)
    recover_open(folder / "open", folder / "episodes", folder / "damaged")
    left = list((folder / "open").glob("[!.]*"))
    stored = [*(folder / "episodes").iterdir(), *(folder / "damaged").iterdir()]
    if left or len(stored) != 1:
        raise AssertionError(f"recovery left {left} and stored {stored}")
    if stored[0].parent.name == "damaged" and stored[0].read_bytes() != path.read_bytes():
        raise AssertionError("recovery changed a file that it could not read")


def try_all(path: Path, folder: Path, channel: Channel, *, export: bool) -> None:
    """Each reading part on the file: a result or a sentence; anything else leaves as an exception."""
    parts: dict[str, Callable[[], object]] = {
        "read": lambda: read_everything(path),
        "verify": lambda: verify_file(path, full=True),
        "recover": lambda: recover(path, folder),
    }
    if export:
        parts["export"] = lambda: export_lerobot([path], folder / "dataset")
    for name, part in parts.items():
        channel.say(at=name)
        try:
            part()
        except TeleopError as error:
            if not error.sentence.endswith("."):
                raise AssertionError(f"no sentence: {error.sentence!r}") from error
            channel.say(**{name: error.sentence[:200]})


def one_case(material: Material, folder: Path, seed: str, *, export: bool) -> tuple[str, Outcome]:
    """The case of a seed: what was done to the file, and how the child ended."""
    folder.mkdir(parents=True)
    path = folder / material.path.name
    name = material.mutated(path, random.Random(seed))
    outcome = run_limited(lambda channel: try_all(path, folder, channel, export=export))
    return name, outcome


def run(budget: Budget, report: RowReport) -> None:
    material = Material.make(budget.folder)
    memory_mb: list[float] = []
    cpu_s: list[float] = []
    for number in budget.tries(report):
        folder = budget.folder / f"case-{number}"
        export = number % EXPORT_EVERY == 0
        name, outcome = one_case(material, folder, f"{budget.seed}-{number}", export=export)
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
    "export, in a limited child",
    "a result or a sentence; <= 700 MB and <= 15 s of processor time",
    count=3000,
    sample=40,
    run=run,
)
