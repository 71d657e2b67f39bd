"""Stations, people, tasks, sessions and episodes through the catalog's interface."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from sessions import (
    Author,
    Catalog,
    EpisodeRow,
    EventKind,
    Role,
    StreamRow,
    SubjectType,
    TaskDefault,
    Thumbnail,
    open_catalog,
)
from teleop_app.core.errors import CatalogError

NOW = 1_700_000_000_000_000_000


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with open_catalog(tmp_path, Author.process("recorder"), utc_ns=lambda: NOW) as opened:
        yield opened


def _episode(**changes: object) -> EpisodeRow:
    ident = str(uuid.uuid4())
    row = EpisodeRow(
        uuid=ident,
        session_id=str(uuid.uuid4()),
        station="cell",
        operator="Ann",
        task="pick-place",
        instruction="Put the red cube into the tray",
        index_in_session=3,
        path=f"episodes/{ident}.mcap",
        started_utc_ns=NOW - 20,
        duration_ns=10,
        frame_count=3,
        size_bytes=100,
        blake3="ab" * 32,
        format_version="1",
        software_version="0.1.0",
        dropped_frames=1,
        human_share=0.75,
        script_share=0.25,
        sync_p95_s=0.004,
        control_rate_hz=199.9,
        control_lateness_p99_s=0.0003,
        seed=2**63 - 1,
        recovered=True,
        recovery_loss="the last 0.2 s of camera left",
    )
    return dataclasses.replace(row, **changes)  # type: ignore[arg-type]


def test_episode_comes_back_as_it_went_in(catalog: Catalog) -> None:
    given = _episode()
    streams = (
        StreamRow("z/first", "video", 30.0, 90, 1, 5, 3_000),
        StreamRow("a/second", "joints", 200.0, 600, 0, 5, 3_000),
    )
    picture = Thumbnail("image/webp", 160, 120, b"RIFF....")
    row = catalog.add_episode(given, streams, picture)
    ids = {name: getattr(row, name) for name in ("station_id", "operator_id", "task_id")}
    assert row == dataclasses.replace(given, created_utc_ns=NOW, **ids)
    assert catalog.episode(given.uuid) == row
    assert catalog.streams(given.uuid) == streams
    assert catalog.thumbnail(given.uuid) == picture
    assert catalog.task(row.task_id).instruction == given.instruction
    assert catalog.person(row.operator_id).roles == (Role.OPERATOR,)
    assert catalog.next_index(row.session_id) == 4


def test_adding_again_changes_nothing_but_brings_a_picture(catalog: Catalog) -> None:
    given = _episode()
    first = catalog.add_episode(given)
    events = catalog.recent_events()
    picture = Thumbnail("image/jpeg", 1, 1, b"x")
    assert catalog.add_episode(dataclasses.replace(given, index_in_session=9), thumbnail=picture) == first
    assert catalog.thumbnail(given.uuid) == picture
    assert catalog.recent_events() == events


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"path": "../outside.mcap"}, "not a path inside the data directory"),
        ({"path": "/etc/passwd"}, "not a path inside the data directory"),
        ({"path": "a\\b.mcap"}, "not a path inside the data directory"),
        ({"path": ""}, "not a path inside the data directory"),
        ({"uuid": "nonsense"}, "is not the UUID of an episode"),
        ({"session_id": ""}, "is not the UUID of a session"),
        ({"seed": 2**63}, "cannot be stored"),
        ({"task": " \t"}, "is not a name for a task"),
        ({"operator": "A\x00nn"}, "is not a name for a person"),
        ({"station": "x" * 121}, "this one has 121"),
    ],
)
def test_bad_episode_is_refused_whole(catalog: Catalog, changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(CatalogError, match=sentence):
        catalog.add_episode(_episode(**changes))
    assert catalog.counts().total == 0
    assert catalog.recent_events() == ()


def test_two_files_cannot_share_a_uuid_or_a_path(catalog: Catalog) -> None:
    first = catalog.add_episode(_episode())
    with pytest.raises(CatalogError, match=r"another content: .* has checksum abab"):
        catalog.add_episode(dataclasses.replace(first, blake3="cd" * 32))
    with pytest.raises(CatalogError, match=f"already belongs to episode {first.uuid}"):
        catalog.add_episode(_episode(path=first.path))


def test_figures_that_are_not_numbers_do_not_lose_the_episode(catalog: Catalog) -> None:
    row = catalog.add_episode(_episode(sync_p95_s=float("nan"), control_rate_hz=float("inf")))
    assert (row.sync_p95_s, row.control_rate_hz) == (None, None)


def test_ids_in_a_header_win_over_names(catalog: Catalog) -> None:
    first = catalog.add_episode(_episode())
    catalog.rename_task(first.task_id, "sorting")
    again = catalog.add_episode(_episode(task="pick-place", task_id=first.task_id))
    assert (again.task_id, again.task) == (first.task_id, "sorting")
    assert catalog.task_named("pick-place") is None


def test_names_are_unique_and_renames_are_logged(catalog: Catalog) -> None:
    ann, bob = catalog.ensure_person(" Ann  Lee "), catalog.ensure_person("Bob")
    assert ann.name == "Ann Lee"
    assert catalog.ensure_person("Ann Lee") == ann
    with pytest.raises(CatalogError, match="already a person called 'Bob'"):
        catalog.rename_person(ann.id, "Bob")
    catalog.rename_person(bob.id, "Bo", author=Author.person("Ann Lee"))
    created, renamed = catalog.events(SubjectType.PERSON, bob.id)
    assert (created.kind, renamed.kind) == (EventKind.CREATED, EventKind.RENAMED)
    assert renamed.payload == {"from": "Bob", "to": "Bo"}
    assert renamed.author == Author.person("Ann Lee")
    assert [person.name for person in catalog.list_people()] == ["Ann Lee", "Bo"]


def test_roles_are_added_by_ensure_and_replaced_by_set(catalog: Catalog) -> None:
    ann = catalog.ensure_person("Ann", (Role.SUPERVISOR,))
    assert catalog.ensure_person("Ann").roles == (Role.OPERATOR, Role.SUPERVISOR)
    assert catalog.set_roles(ann.id, (Role.ANNOTATOR,)).roles == (Role.ANNOTATOR,)
    assert catalog.list_people(Role.SUPERVISOR) == ()


def test_task_edits_keep_what_was(catalog: Catalog) -> None:
    task = catalog.ensure_task("stack", instruction="Stack", simulation_task="stack")
    edited = catalog.update_task(
        task.id, paraphrases=["Pile them", " ", "Pile them", "Build a tower"], target_count=50
    )
    assert edited.paraphrases == ("Pile them", "Build a tower")
    assert edited.target_count == 50
    assert edited.instruction == "Stack"
    catalog.update_task(task.id, target_count=50)  # no change, no event
    _, event = catalog.events(SubjectType.TASK, task.id)
    assert event.payload["target_count"] == {"from": 0, "to": 50}
    with pytest.raises(CatalogError, match="-1 episodes is out of range"):
        catalog.update_task(task.id, target_count=-1)
    catalog.update_task(task.id, archived=True)
    assert catalog.list_tasks() == ()
    assert [row.name for row in catalog.list_tasks(archived=True)] == ["stack"]


def test_defaults_do_not_overwrite_what_people_changed(catalog: Catalog) -> None:
    defaults = [
        TaskDefault(name="pick-place", instruction="Pick", target_count=10, simulation_task="pick-place"),
        TaskDefault(name="belt-pick", instruction="Catch"),
    ]
    first = catalog.seed_defaults(defaults)
    catalog.update_task(first[0].id, target_count=99)
    again = catalog.seed_defaults(defaults)
    assert [task.target_count for task in again] == [99, 0]
    assert [task.id for task in again] == [task.id for task in first]


def test_sessions_open_once_and_close_once(catalog: Catalog) -> None:
    station, ann = catalog.ensure_station("cell"), catalog.ensure_person("Ann")
    session = catalog.open_session(station.id, ann.id)
    assert catalog.open_session(station.id, ann.id, session_id=session.id) == session
    assert (session.station, session.operator, session.ended_utc_ns) == ("cell", "Ann", None)
    assert catalog.list_sessions(open_only=True) == (session,)
    closed = catalog.close_session(session.id)
    assert closed.ended_utc_ns == NOW
    assert catalog.close_session(session.id) == closed
    assert catalog.list_sessions(open_only=True) == ()
    kinds = [event.kind for event in catalog.events(SubjectType.SESSION, session.id)]
    assert kinds == [EventKind.SESSION_OPENED, EventKind.SESSION_CLOSED]
    with pytest.raises(CatalogError, match="no person nobody"):
        catalog.open_session(station.id, "nobody")


def test_store_keeps_its_uuid(tmp_path: Path) -> None:
    with open_catalog(tmp_path, Author.process("gui")) as first:
        store = first.store_uuid
    with open_catalog(tmp_path, Author.process("gui")) as second:
        assert second.store_uuid == store == str(uuid.UUID(store))


def test_rows_outlive_the_catalog(tmp_path: Path) -> None:
    with open_catalog(tmp_path, Author.process("gui")) as catalog:
        row = catalog.add_episode(_episode())
        session = catalog.list_sessions()[0]
    assert row.task == "pick-place"
    assert session.operator == "Ann"


def test_latest_event_id_grows_with_every_change_of_any_process(catalog: Catalog) -> None:
    assert catalog.latest_event_id() == 0
    with open_catalog(catalog.path.parent, Author.process("gui")) as other:
        seen = [catalog.latest_event_id()]
        row = other.add_episode(_episode())
        seen.append(catalog.latest_event_id())
        other.rename_task(row.task_id, "sorting")
        seen.append(catalog.latest_event_id())
        note = other.log(EventKind.NOTE, SubjectType.EPISODE, row.uuid, {"text": "look at the gripper"})
        seen.append(catalog.latest_event_id())
    assert seen == sorted(set(seen))
    assert catalog.events(SubjectType.EPISODE, row.uuid)[-1] == note
    assert seen[-1] == note.id == catalog.recent_events(1)[0].id


def test_what_is_folded_lies_in_the_file_itself(catalog: Catalog, tmp_path: Path) -> None:
    row = _episode()
    catalog.add_episode(row)
    catalog.fold()
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / catalog.path.name).write_bytes(catalog.path.read_bytes())
    with open_catalog(alone, Author.process("test")) as copy:
        assert copy.episode(row.uuid) is not None
