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
    RolloutRow,
    SessionRow,
    StateCounts,
    StationRow,
    StreamRow,
    TakeoverRow,
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
    "RolloutRow",
    "SessionRow",
    "StateCounts",
    "StationRow",
    "StreamRow",
    "SubjectType",
    "TakeoverRow",
    "TaskDefault",
    "TaskProgress",
    "TaskRow",
    "Thumbnail",
    "open_catalog",
]
