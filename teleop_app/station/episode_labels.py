"""What people say of an episode before its verdict: whether it succeeded, why takeovers were needed."""

from __future__ import annotations

from collections.abc import Callable

from recorders.rollout_watch import EVENT_OUTCOME, EVENT_TAKEOVER
from sessions.states import Outcome
from teleop_app.core.errors import CatalogError, StationError
from teleop_app.core.types import Event, RecorderState
from teleop_app.station.episode_flow import EpisodeFlow
from teleop_app.station.episode_work import EpisodeWork
from teleop_app.station.process import ProcessContext
from teleop_app.station.recorder_catalog import RecorderCatalog


class EpisodeLabels:
    """Puts labels where they belong: into the open file, or into the catalog once the file is closed.

    Args:
        context: Of the recorder process.
        flow: Says whether an episode is in review.
        work: Has the episodes.
        catalog: Of episodes that are stored.
        publish: Publishes an event.
    """

    def __init__(
        self,
        context: ProcessContext,
        flow: EpisodeFlow,
        work: EpisodeWork,
        catalog: RecorderCatalog,
        publish: Callable[[Event], None],
    ) -> None:
        self._context = context
        self._flow = flow
        self._work = work
        self._catalog = catalog
        self._publish = publish

    def set_outcome(self, outcome: Outcome) -> None:
        """Say whether the open or the reviewed episode achieved its task; it wins over the simulation's word.

        Raises:
            StationError: There is no such episode.
            CatalogError: The catalog refuses it.
        """
        work = self._work
        episode = self._labelled_episode("An outcome cannot be told")
        text = f"The episode is called a {outcome.value}."
        if outcome is Outcome.UNKNOWN:
            text = "Whether the episode succeeded is open."
        event = self._context.event(EVENT_OUTCOME, text, episode=episode, outcome=outcome.value)
        if work.recording is not None:
            work.recording.said_outcome = outcome.value
            work.note(event)
        elif work.session is not None:
            self._catalog.set_outcome(work.session, episode, outcome)
        self._publish(event)

    def set_takeover(self, takeover: int, reason: str, outcome: str) -> None:
        """Label a takeover of the open or the reviewed episode; what is empty stays as it is.

        Args:
            takeover: Its number, 0 for the last one.
            reason: One of `TAKEOVER_REASONS`.
            outcome: `resumed`, `finished` or `aborted`.

        Raises:
            StationError: There is no such episode.
            CatalogError: The episode has no such takeover, or the catalog refuses it.
        """
        work = self._work
        episode = self._labelled_episode("A takeover cannot be labelled")
        fields = {"takeover": takeover, "reason": reason, "outcome": outcome}
        event = self._context.event(EVENT_TAKEOVER, "", episode=episode, **fields)
        if work.recording is not None:
            work.take_arrived()  # the last takeover may still wait to be written
            work.note(event)
        elif work.session is not None:
            self._catalog.set_takeover(work.session, episode, takeover, reason, outcome)
        self._publish(event)

    def explain_takeover(self, event: Event) -> None:
        """Control was told a reason: that of an episode which is stored already goes into the catalog."""
        work = self._work
        number, reason = event.fields.get("takeover"), event.fields.get("reason")
        if work.session is None or not isinstance(number, int) or not isinstance(reason, str):
            return
        if work.recording is not None and work.recording.writer.has_takeover(number):
            return  # the open file has the event
        for episode, finished in work.finished.items():
            rollout = finished.footer.rollout
            if rollout is None or number not in {takeover.number for takeover in rollout.takeovers}:
                continue
            try:
                self._catalog.set_takeover(work.session, episode, number, reason, "")
            except CatalogError as error:
                work.refused(error)

    def _labelled_episode(self, what: str) -> str:
        if self._work.recording is not None:
            return self._work.recording.uuid
        if self._work.session is None or self._flow.state is not RecorderState.REVIEW:
            raise StationError(
                what,
                why="no episode is open or waits for a verdict",
                next_step="Do it while one is recorded, or before it is saved",
            )
        return self._work.episode
