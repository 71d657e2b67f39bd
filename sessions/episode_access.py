"""The part of the catalog's interface about episodes: recording, listing, verdicts, files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from sqlalchemy import select

from sessions import convert, episode_queries, episode_store, rollout_store, roster, verdicts
from sessions import reconcile as reconciliation
from sessions.access import CatalogAccess
from sessions.models import Episode, EpisodeThumbnail, Stream, Task
from sessions.roster import Writing
from sessions.rows import (
    Author,
    EpisodeFilter,
    EpisodePage,
    EpisodeRow,
    PageCursor,
    Reconciliation,
    RolloutRow,
    StateCounts,
    StreamRow,
    TaskProgress,
    Thumbnail,
)
from sessions.states import EpisodeState, Outcome

_ALL = EpisodeFilter()


class EpisodeAccess(CatalogAccess):
    """Episodes with their streams, pictures, verdicts and files."""

    def add_episode(
        self,
        row: EpisodeRow,
        streams: Iterable[StreamRow] = (),
        thumbnail: Thumbnail | None = None,
        rollout: RolloutRow | None = None,
        *,
        author: Author | None = None,
    ) -> EpisodeRow:
        """Add an episode whose file is durable; returns it as the catalog has it.

        Idempotent by UUID: a known episode stays as it is (verdict included). Unknown parents are
        made from the names in `row`, so this also rebuilds a row from an episode file's header.

        Raises:
            CatalogError: The UUID is known with other content, the path is taken or leaves the
                data directory, or the catalog cannot be written.
        """
        with self._writing(author) as writing:
            if episode_store.add(writing, row, streams, thumbnail) and rollout is not None:
                rollout_store.add(writing, row.uuid, rollout)
            return _existing(writing, row.uuid)

    def episodes(
        self, wanted: EpisodeFilter = _ALL, *, after: PageCursor | None = None, limit: int = 100
    ) -> EpisodePage:
        """A page of episodes, newest first; pass `next_cursor` as `after` for the next page."""
        with self._database.read() as db:
            return episode_queries.page(db, wanted, after, limit)

    def counts(self, wanted: EpisodeFilter = _ALL) -> StateCounts:
        """How many episodes a filter finds, by state."""
        with self._database.read() as db:
            return episode_queries.counts(db, wanted)

    def episode(self, uuid: str) -> EpisodeRow | None:
        """One episode, None if unknown."""
        with self._database.read() as db:
            return episode_queries.one(db, uuid)

    def streams(self, uuid: str) -> tuple[StreamRow, ...]:
        """The streams of an episode in the order recorded."""
        query = select(Stream).where(Stream.episode_uuid == uuid).order_by(Stream.position)
        with self._database.read() as db:
            return tuple(convert.stream_row(row) for row in db.scalars(query))

    def thumbnail(self, uuid: str) -> Thumbnail | None:
        """The picture of an episode, None if it has none."""
        with self._database.read() as db:
            found = db.get(EpisodeThumbnail, uuid)
            return found and Thumbnail(found.mime, found.width, found.height, found.image)

    def progress(self, task_id: str) -> TaskProgress:
        """Counts by state against the target of a task; `CatalogError` if unknown."""
        with self._database.read() as db:
            roster.get(db, Task, task_id)
            return episode_queries.progress(db, (task_id,))[task_id]

    def progress_of_all(self) -> Mapping[str, TaskProgress]:
        """Progress of every task by its id."""
        with self._database.read() as db:
            return episode_queries.progress(db, None)

    def set_verdict(
        self,
        uuid: str,
        state: EpisodeState,
        author: Author,
        reason: str = "",
        *,
        outcome: Outcome | None = None,
    ) -> EpisodeRow:
        """Save or discard an episode; the same verdict again changes nothing.

        Args:
            uuid: The episode.
            state: Saved or discarded.
            author: Who decides.
            reason: Why, in words or a reason key.
            outcome: Whether the task was achieved; None leaves it as it is.

        Raises:
            CatalogError: Unknown episode, or `state` is pending.
        """
        with self._writing(author) as writing:
            verdicts.set_verdict(writing, verdicts.get(writing.db, uuid), state, reason, outcome)
            return _existing(writing, uuid)

    def restore(self, uuid: str, author: Author) -> EpisodeRow:
        """Take a discarded episode out of the trash, as saved."""
        with self._writing(author) as writing:
            verdicts.restore(writing, verdicts.get(writing.db, uuid))
            return _existing(writing, uuid)

    def set_outcome(self, uuid: str, outcome: Outcome, author: Author) -> EpisodeRow:
        """Say whether an episode achieved its task; its state stays.

        Raises:
            CatalogError: Unknown episode.
        """
        with self._writing(author) as writing:
            verdicts.set_outcome(writing, verdicts.get(writing.db, uuid), outcome)
            return _existing(writing, uuid)

    def undo_last(self, session_id: str, author: Author) -> EpisodeRow | None:
        """Take back the session's newest verdict, restore, outcome or label of a takeover; None without one.

        Called again, it takes back the one before.
        """
        with self._writing(author) as writing:
            event = verdicts.last_undoable(writing.db, session_id)
            return None if event is None else _existing(writing, verdicts.undo(writing, event).uuid)

    def move_episode(self, uuid: str, path: str, *, author: Author | None = None) -> EpisodeRow:
        """Note that an episode's file lies at another path, relative to the data directory."""
        with self._writing(author) as writing:
            reconciliation.move(writing, verdicts.get(writing.db, uuid), path)
            return _existing(writing, uuid)

    def episode_paths(self) -> Mapping[str, str]:
        """Path of every episode by UUID, also of those whose file is missing."""
        with self._database.read() as db:
            return {uuid: path for uuid, path in db.execute(select(Episode.uuid, Episode.path))}

    def episodes_missing_on_disk(self) -> tuple[EpisodeRow, ...]:
        """Episodes whose file was not there at the last `reconcile`, newest first."""
        rows: list[EpisodeRow] = []
        page = self.episodes(EpisodeFilter(missing=True), limit=1000)
        rows.extend(page.rows)
        while page.next_cursor is not None:
            page = self.episodes(EpisodeFilter(missing=True), after=page.next_cursor, limit=1000)
            rows.extend(page.rows)
        return tuple(rows)

    def reconcile(self, files: Iterable[str], *, author: Author | None = None) -> Reconciliation:
        """Compare rows with the episode files that exist, given relative to the data directory.

        Rows without a file are flagged, rows that have theirs again cleared; files without a row
        are named, for the caller to rebuild with `add_episode`. Nothing is deleted.
        """
        with self._writing(author) as writing:
            return reconciliation.reconcile(writing, files)


def _existing(writing: Writing, uuid: str) -> EpisodeRow:
    writing.db.flush()
    row = episode_queries.one(writing.db, str(UUID(uuid)))
    if row is None:  # only after a delete outside this program, inside our own write lock
        raise RuntimeError(f"episode {uuid} vanished inside a transaction")
    return row
