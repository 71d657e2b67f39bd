"""The closed vocabularies of the catalog; every column that holds one is typed with it.

A new value needs a new migration, even an empty one: an older program then refuses the catalog
with a sentence instead of meeting a word it does not know.
"""

from __future__ import annotations

from enum import StrEnum

from teleop_app.core.types import Verdict


class Role(StrEnum):
    """What a person may do at a station."""

    OPERATOR = "operator"
    ANNOTATOR = "annotator"
    SUPERVISOR = "supervisor"


EpisodeState = Verdict
"""Where the verdict on an episode stands; the file is durable in every state."""


class Outcome(StrEnum):
    """Whether the task was achieved, as far as anybody has said."""

    SUCCESS = "success"
    FAILURE = "failure"
    UNKNOWN = "unknown"


class AuthorKind(StrEnum):
    """Who can write an event: a person, or a process acting by itself."""

    PERSON = "person"
    PROCESS = "process"


class SubjectType(StrEnum):
    """What an event is about."""

    CATALOG = "catalog"
    STATION = "station"
    PERSON = "person"
    TASK = "task"
    SESSION = "session"
    EPISODE = "episode"


class EventKind(StrEnum):
    """What happened. Kinds are never renamed: old events keep theirs."""

    CREATED = "created"
    RENAMED = "renamed"
    EDITED = "edited"
    SESSION_OPENED = "session_opened"
    SESSION_CLOSED = "session_closed"
    RECORDED = "recorded"
    VERDICT = "verdict"
    RESTORED = "restored"
    OUTCOME = "outcome"
    TAKEOVER = "takeover"
    UNDONE = "undone"
    FILE_MISSING = "file_missing"
    FILE_FOUND = "file_found"
    FILE_MOVED = "file_moved"
    NOTE = "note"


UNDOABLE_KINDS = (EventKind.VERDICT, EventKind.RESTORED, EventKind.OUTCOME, EventKind.TAKEOVER)
"""Events that `undo_last` may take back."""

STATE_KINDS = (
    EventKind.RECORDED,
    EventKind.VERDICT,
    EventKind.RESTORED,
    EventKind.OUTCOME,
    EventKind.UNDONE,
)
"""Events that an episode's state is derived from."""
