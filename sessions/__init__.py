"""The catalog: SQLAlchemy models, queries and migrations."""

from __future__ import annotations

from sessions.repository import Catalog, TaskDefault, open_catalog
from sessions.rows import (
    Author,
    EpisodeFilter,
    EpisodePage,
    EpisodeRow,
    EventRow,
    PageCursor,
    PersonRow,
    Reconciliation,
    SessionRow,
    StateCounts,
    StationRow,
    StreamRow,
    TaskProgress,
    TaskRow,
    Thumbnail,
)
from sessions.states import (
    AuthorKind,
    EpisodeState,
    EventKind,
    Outcome,
    Role,
    SubjectType,
)

__all__ = [
    "Author",
    "AuthorKind",
    "Catalog",
    "EpisodeFilter",
    "EpisodePage",
    "EpisodeRow",
    "EpisodeState",
    "EventKind",
    "EventRow",
    "Outcome",
    "PageCursor",
    "PersonRow",
    "Reconciliation",
    "Role",
    "SessionRow",
    "StateCounts",
    "StationRow",
    "StreamRow",
    "SubjectType",
    "TaskDefault",
    "TaskProgress",
    "TaskRow",
    "Thumbnail",
    "open_catalog",
]
