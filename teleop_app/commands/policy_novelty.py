"""`teleop policy novelty`: learn from training episodes what a policy's pictures usually look like."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import track

from recorders.reader import EpisodeReader
from sessions.repository import open_catalog
from sessions.rows import Author
from sessions.states import EpisodeState, Outcome
from teleop_app.autonomy.novelty import FEATURES, MAX_PICTURES, Novelty, features
from teleop_app.autonomy.policy_library import PolicyLibrary
from teleop_app.autonomy.policy_templates import TemplateCell
from teleop_app.commands.episodes import OutcomesOption, StatesOption, TaskOption, find_episodes, resolve
from teleop_app.commands.options import DataDirOption, JsonOption, chosen_data_dir, print_json
from teleop_app.core.errors import EpisodeError, PolicyError
from teleop_app.core.geometry import Array
from teleop_app.core.paths import DataDir

_APART_S = 0.5
_MOST_EPISODES = 200


def novelty(
    policy: Annotated[str, typer.Argument(help="Policy of the store; its cameras are learned.")],
    episode: Annotated[list[str] | None, typer.Option("--episode", help="Only these UUIDs.")] = None,
    task: TaskOption = "",
    state: StatesOption = None,
    outcome: OutcomesOption = None,
    out: Annotated[str, typer.Option("--out", help="File name beside the policy file.")] = "",
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Learn from training episodes how a policy's pictures look, so that it asks for help elsewhere."""
    data = chosen_data_dir(data_dir).create()
    # Only files of the store name cameras: the built-in policies see none.
    file = PolicyLibrary(data.policies, TemplateCell((), ())).load(policy)
    cameras = tuple(dict.fromkeys(image.camera for image in file.observation.images))
    if not cameras:
        raise PolicyError(f"The policy {policy!r} sees no pictures", next_step="There is nothing to learn")
    name = out or f"{policy}-novelty.npz"
    if Path(name).name != name or not name.endswith(".npz"):
        raise PolicyError(f"{name!r} is not the name of an .npz file", next_step="Give a name, no folder")
    paths = _select(data, episode or [], task, state, outcome)
    shown = paths if as_json else track(paths, "Looking", console=Console(stderr=True), transient=True)
    learned = fit_novelty(shown, cameras)
    path = data.policies / name
    learned.save(path)
    if as_json:
        print_json({"path": str(path), "episodes": len(paths), "cameras": list(cameras)})
    else:
        typer.echo(f'Wrote {path} from {len(paths)} episodes. To use it, set: novelty = "{name}"')


def fit_novelty(paths: Iterable[Path], cameras: tuple[str, ...]) -> Novelty:
    """From the pictures of episode files, two a second at most.

    Args:
        paths: Of the files.
        cameras: To be learned.

    Raises:
        EpisodeError: An episode cannot be read, or lacks a camera.
        PolicyError: There are too few pictures.
    """
    found: dict[str, list[Array]] = {camera: [] for camera in cameras}
    for path in paths:
        with EpisodeReader(path) as reader:
            rates = {camera.name: camera.fps for camera in reader.header.cameras}
            for camera in cameras:
                if camera not in rates:
                    known = ", ".join(rates) or "none"
                    raise EpisodeError(
                        f"The episode {path.stem} has no camera {camera!r}",
                        next_step=f"It has: {known}. Choose episodes of the policy's own cameras",
                    )
                step = max(1, round(_APART_S * rates[camera]))
                seen = [features(picture) for picture in reader.frames(camera, step=step)]
                found[camera].append(np.array(seen[:MAX_PICTURES]).reshape(-1, FEATURES))
    return Novelty.fit(found)


def _select(
    data: DataDir,
    uuids: list[str],
    task: str,
    states: list[EpisodeState] | None,
    outcomes: list[Outcome] | None,
) -> list[Path]:
    """The newest episodes that the options select."""
    with open_catalog(data.root, Author.person("command line")) as catalog:
        if uuids:
            rows = [resolve(catalog, uuid) for uuid in uuids]
        else:
            kept = states or [EpisodeState.SAVED, EpisodeState.PENDING]
            rows = find_episodes(catalog, task=task, states=kept, outcomes=outcomes, limit=_MOST_EPISODES)
    return [data.root / row.path for row in rows]
