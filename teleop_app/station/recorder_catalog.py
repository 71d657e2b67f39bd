"""What the recorder asks of the catalog: the session, rows of episodes, verdicts."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from pathlib import Path

from recorders.writer import FinishedEpisode
from sessions.repository import Catalog
from sessions.rows import Author, EpisodeFilter, EpisodeRow, Thumbnail
from sessions.states import EpisodeState, Outcome
from teleop_app.core.errors import CatalogError
from teleop_app.station.episode_rows import episode_row, rollout_of, stream_rows

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OpenSession:
    """The sitting that is going on.

    Attributes:
        id: Catalog id.
        operator: Person's name.
        task: Task name.
        simulation_task: Name of the simulated task, empty for a free task.
        instruction: Said by whoever opened the session; empty takes the scene's own.
        paraphrases: Other wordings of the task.
        target: Wanted number of saved episodes, 0 for none.
    """

    id: str
    operator: str
    task: str
    simulation_task: str
    instruction: str
    paraphrases: tuple[str, ...]
    target: int


class RecorderCatalog:
    """The catalog of one recorder. Every method may raise CatalogError.

    Args:
        catalog: Open catalog.
        root: The data directory.
        station: Station name.
    """

    def __init__(self, catalog: Catalog, root: Path, station: str) -> None:
        self._catalog = catalog
        self._root = root
        self._station = station
        self._process = Author.process("recorder")

    def warm_up(self) -> None:
        """Ask what a stop asks, so that the first stop does not wait for what databases do once."""
        nobody = str(uuid.uuid4())
        self._catalog.next_index(nobody)
        self._catalog.episode(nobody)
        self._catalog.counts(EpisodeFilter(session_ids=(nobody,)))
        self._catalog.episodes(EpisodeFilter(session_ids=(nobody,)), limit=20)

    def open_session(
        self, operator: str, task: str, instruction: str, target: int, simulated: dict[str, dict[str, object]]
    ) -> OpenSession:
        """Start a sitting; unknown people and tasks are made.

        Args:
            operator: Person's name.
            task: Task name.
            instruction: Overrides the task's own when given.
            target: Overrides the task's own when above 0.
            simulated: Tasks of the simulation by name.
        """
        station = self._catalog.ensure_station(self._station)
        person = self._catalog.ensure_person(operator)
        known = simulated.get(task, {})
        paraphrases = known.get("paraphrases")
        row = self._catalog.ensure_task(
            task,
            instruction=instruction or str(known.get("instruction", "")),
            paraphrases=tuple(map(str, paraphrases)) if isinstance(paraphrases, list) else (),
            target_count=target,
            simulation_task=task if known else None,
        )
        session = self._catalog.open_session(station.id, person.id)
        return OpenSession(
            id=session.id,
            operator=person.name,
            task=row.name,
            simulation_task=row.simulation_task or "",
            instruction=instruction or ("" if row.simulation_task else row.instruction),
            paraphrases=row.paraphrases,
            target=target or row.target_count,
        )

    def close_session(self, session: OpenSession) -> None:
        """End the sitting; no operator waits now, so the catalog takes the time that it needs."""
        self._catalog.close_session(session.id)
        self._catalog.fold()

    def close_stale_sessions(self) -> None:
        """End sittings that a crash left open."""
        for session in self._catalog.list_sessions(open_only=True):
            self._catalog.close_session(session.id)

    def add(self, session: OpenSession, finished: FinishedEpisode, thumbnail: Thumbnail | None) -> EpisodeRow:
        """The row of a durable episode, waiting for its verdict."""
        row = episode_row(
            finished.header,
            finished.footer,
            path=finished.path.relative_to(self._root).as_posix(),
            size_bytes=finished.size_bytes,
            blake3=finished.blake3,
            index_in_session=self._catalog.next_index(session.id),
        )
        streams = stream_rows(finished.header, finished.footer, finished.spans)
        return self._catalog.add_episode(row, streams, thumbnail, rollout_of(finished.footer))

    def judge(
        self, session: OpenSession, uuid: str, state: EpisodeState, reason: str, *, automatic: bool
    ) -> EpisodeRow:
        """Save or discard an episode in the operator's name, or the recorder's when automatic."""
        author = self._process if automatic else Author.person(session.operator)
        return self._catalog.set_verdict(uuid, state, author, reason)

    def set_outcome(self, session: OpenSession, uuid: str, outcome: Outcome) -> None:
        """Whether an episode achieved its task, in the operator's name."""
        self._catalog.set_outcome(uuid, outcome, Author.person(session.operator))

    def set_takeover(self, session: OpenSession, uuid: str, number: int, reason: str, outcome: str) -> None:
        """Label a takeover in the operator's name; 0 is the episode's last one, what is empty stays."""
        rollout = self._catalog.rollout(uuid)
        if number == 0 and rollout is not None and rollout.takeovers:
            number = rollout.takeovers[-1].number
        author = Author.person(session.operator)
        self._catalog.set_takeover(uuid, number, author, reason=reason or None, outcome=outcome or None)

    def undo(self, session: OpenSession) -> EpisodeRow | None:
        """Take back the session's last verdict; None when there is none."""
        return self._catalog.undo_last(session.id, Author.person(session.operator))

    def saved(self, session: OpenSession) -> int:
        """Episodes of the session that count as kept."""
        return self._catalog.counts(EpisodeFilter(session_ids=(session.id,))).saved

    def mean_size_bytes(self, session: OpenSession) -> float:
        """Mean size of the session's last episodes, 0 when it has none."""
        rows = self._catalog.episodes(EpisodeFilter(session_ids=(session.id,)), limit=20).rows
        return sum(row.size_bytes for row in rows) / len(rows) if rows else 0.0

    def try_add(self, session: OpenSession, finished: FinishedEpisode, thumbnail: Thumbnail | None) -> str:
        """As `add`; a failure is only told, since the next start rebuilds the row from the file."""
        try:
            self.add(session, finished, thumbnail)
        except CatalogError as error:
            logger.error("%s", error.sentence)
            return f"{error.sentence} The file is safe; its row is rebuilt when the station starts again."
        return ""

    def close(self) -> None:
        """Close the catalog."""
        self._catalog.close()
