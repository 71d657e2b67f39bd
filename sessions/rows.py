"""What the catalog hands out and takes in: frozen values with no link to a database session.

Timestamps are integer UTC nanoseconds, ids are canonical UUID text. A row may be
passed between threads and kept for as long as wanted; it never changes and never loads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from sessions.states import (
    AuthorKind,
    EpisodeState,
    EventKind,
    Outcome,
    Role,
    SubjectType,
)

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes an event: a person by name, or a process by name."""

    kind: AuthorKind
    name: str

    @classmethod
    def person(cls, name: str) -> Author:
        """A person, by the name shown on screen."""
        return cls(AuthorKind.PERSON, name)

    @classmethod
    def process(cls, name: str) -> Author:
        """A process of the station, e.g. `recorder`."""
        return cls(AuthorKind.PROCESS, name)


@dataclass(frozen=True, slots=True)
class StationRow:
    """One robot cell."""

    id: str
    name: str
    created_utc_ns: int


@dataclass(frozen=True, slots=True)
class PersonRow:
    """Somebody who operates, annotates or supervises."""

    id: str
    name: str
    roles: tuple[Role, ...]
    created_utc_ns: int


@dataclass(frozen=True, slots=True)
class TaskRow:
    """Something to collect episodes of.

    `simulation_task` names the simulated task that checks success, None for a free task.
    `target_count` is the number of saved episodes wanted, 0 when no target is set.
    """

    id: str
    name: str
    simulation_task: str | None
    instruction: str
    paraphrases: tuple[str, ...]
    target_count: int
    archived: bool
    created_utc_ns: int


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One sitting of an operator at a station; `ended_utc_ns` is None while it lasts."""

    id: str
    station_id: str
    station: str
    operator_id: str
    operator: str
    started_utc_ns: int
    ended_utc_ns: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeRow:
    """One recorded episode, on the way in and on the way out.

    On the way in, `station`, `operator`, `task` and `session_id` are enough: parents that the
    catalog does not know are made, so a row rebuilt from an episode file's header goes through
    the same call as a fresh recording. Ids, when given, win over names (a task may have been
    renamed since the file was written). On the way out all ids and current names are filled.

    `path` is relative to the data directory, with forward slashes. `human_share`,
    `script_share` and `policy_share` are the fractions 0..1 of ticks each drove.
    `sync_p95_s` is the 95th percentile of the synchronisation error between streams [s],
    `control_lateness_p99_s` the 99th percentile of control tick lateness [s]; None = not measured.
    `recovery_loss` says in words what a recovery could not bring back. `missing` is set when the
    file was not on disk at the last reconciliation. `seed` lies in 0..2**63-1.
    `blake3` is the hex digest of the whole file.
    """

    uuid: str
    session_id: str
    station: str
    operator: str
    task: str
    instruction: str
    index_in_session: int
    path: str
    started_utc_ns: int
    duration_ns: int
    frame_count: int
    size_bytes: int
    blake3: str
    format_version: str
    software_version: str
    state: EpisodeState = EpisodeState.PENDING
    outcome: Outcome = Outcome.UNKNOWN
    verdict_reason: str = ""
    dropped_frames: int = 0
    human_share: float = 0.0
    script_share: float = 0.0
    policy_share: float = 0.0
    sync_p95_s: float | None = None
    control_rate_hz: float | None = None
    control_lateness_p99_s: float | None = None
    seed: int | None = None
    recovered: bool = False
    recovery_loss: str = ""
    missing: bool = False
    created_utc_ns: int = 0
    station_id: str = ""
    operator_id: str = ""
    task_id: str = ""


@dataclass(frozen=True, slots=True)
class StreamRow:
    """One stream of an episode: `rate_hz` nominal, `count` written, `dropped` counted as lost.

    `start_ns` and `end_ns` are on the episode's own monotonic clock.
    """

    name: str
    kind: str
    rate_hz: float
    count: int
    dropped: int
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small encoded picture of an episode, `mime` image/webp or image/jpeg; size in pixels."""

    mime: str
    width: int
    height: int
    image: bytes


@dataclass(frozen=True, slots=True)
class TakeoverRow:
    """A person took the robot over from a policy.

    `number` counts over the station's life; `start_ns` and `end_ns` are on the episode's own monotonic clock.
    `source` is the input that did it, `phase` what it began with (`recover` or `correct`). `outcome` is
    `resumed` (the policy went on), `finished` (the episode ended with it), `aborted`, or empty.
    """

    number: int
    start_ns: int
    end_ns: int
    source: str = ""
    phase: str = ""
    reason: str = ""
    outcome: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutRow:
    """How a policy was used in an episode.

    `version` is the checkpoint's, `label` that of a blind comparison. `modes` are the authority modes that
    were in force, in order of appearance. `actor_s` and `phase_s` tell for how long each drove and each
    phase lasted, from the record key on [s]. `refused` counts answers of the policy that were refused. The
    latencies are from request to answer [ms], None without an answer.
    """

    policy: str
    version: str = ""
    label: str = ""
    execution: str = ""
    modes: tuple[str, ...] = ()
    actor_s: Mapping[str, float] = field(default_factory=dict)
    phase_s: Mapping[str, float] = field(default_factory=dict)
    takeovers: tuple[TakeoverRow, ...] = ()
    help_calls: int = 0
    chunks: int = 0
    refused: int = 0
    latency_p50_ms: float | None = None
    latency_p99_ms: float | None = None

    @property
    def is_trial(self) -> bool:
        """The policy might act, at least for a while: not only a person with a policy watching."""
        return bool(set(self.modes) - {"manual", "paused"})


@dataclass(frozen=True, slots=True)
class EventRow:
    """One entry of the append-only log; `undoes_id` names the event an undo took back."""

    id: int
    time_utc_ns: int
    author: Author
    kind: EventKind
    subject_type: SubjectType
    subject_id: str
    payload: Mapping[str, JsonValue]
    undoes_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeFilter:
    """Which episodes to list; an empty filter means all, every given part must hold.

    `text` is split into words, each of which must occur in the instruction, the task name or the
    operator name, whatever the case and accents; eight or more leading digits of a UUID find it.
    Times are `started_utc_ns`: from inclusive, before exclusive.
    """

    text: str = ""
    task_ids: tuple[str, ...] = ()
    operator_ids: tuple[str, ...] = ()
    session_ids: tuple[str, ...] = ()
    states: tuple[EpisodeState, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    started_from_ns: int | None = None
    started_before_ns: int | None = None
    missing: bool | None = None
    recovered: bool | None = None


@dataclass(frozen=True, slots=True)
class PageCursor:
    """Where the next page starts: after this episode in the order newest first."""

    started_utc_ns: int
    uuid: str


@dataclass(frozen=True, slots=True)
class EpisodePage:
    """One page of episodes, newest first; `next_cursor` is None on the last."""

    rows: tuple[EpisodeRow, ...]
    next_cursor: PageCursor | None


@dataclass(frozen=True, slots=True)
class StateCounts:
    """Numbers of episodes by state; `missing` of them have no file."""

    pending: int = 0
    saved: int = 0
    discarded: int = 0
    missing: int = 0

    @property
    def total(self) -> int:
        """All episodes counted."""
        return self.pending + self.saved + self.discarded


@dataclass(frozen=True, slots=True)
class TaskProgress:
    """How far a task is: saved episodes with their file on disk against the target."""

    task_id: str
    target_count: int
    counts: StateCounts
    saved_on_disk: int
    successes: int

    @property
    def remaining(self) -> int:
        """Saved episodes still wanted, 0 when reached or when no target is set."""
        return max(0, self.target_count - self.saved_on_disk)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What comparing rows with files found.

    `missing` lost their file since last time, `found` have it again, `moved` were found under
    another path, `unknown_files` have no row and can be rebuilt from their own header.
    """

    missing: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    unknown_files: tuple[str, ...] = field(default=())
