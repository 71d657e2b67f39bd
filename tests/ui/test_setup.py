"""The Setup page: the station file as a form, tasks and people, pre-flight."""

import pytest
from pydantic import BaseModel, Field

from sessions import Author, Role, open_catalog
from teleop_app.core.config import StationConfig, load_station, station_text
from teleop_app.core.errors import StationError
from teleop_app.core.paths import DataDir
from teleop_app.core.types import ProcessState, ProcessStatus, StationStatus
from teleop_app.station.checks import Check, Level
from ui.pages.setup import SetupPage
from ui.viewmodels.setup import SetupModel, parts_of
from ui.viewmodels.setup_fields import SECTIONS, FieldKind, attribute_help, is_list, section_fields
from ui.viewmodels.setup_preflight import PreflightModel
from ui.viewmodels.setup_roster import RosterModel
from ui.widgets.setup_parts import FORMS

AUTHOR = Author.person("Ada")


class Station:
    """Answers commands at once and remembers them."""

    def __init__(self, refuses=()):
        self.calls = []
        self.refuses = set(refuses)

    def call(self, process, command, /, done=None, failed=None, **args):
        self.calls.append((process, command, args))
        if args.get("process") in self.refuses:
            failed(StationError(f"{args['process']} does not start"))
        elif done is not None:
            done({})


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "station.toml"
    path.write_text("# our cell\n[safety]\nstale_hold_ms = 80.0  # measured\n")
    return path


@pytest.fixture
def catalog(tmp_path):
    with open_catalog(tmp_path / "store", AUTHOR) as opened:
        yield opened


def field(section, name, index=None):
    return next(spec for spec in section_fields(section, index) if spec.place.endswith(f".{name}"))


# Fields


FULL = StationConfig(
    latencies=[{"stream": "overhead", "latency_ms": 1.0}],
    inputs={"devices": [{"name": "quest", "driver": "webxr"}]},
    sensors=[{"name": "wrist", "driver": "serial-wrench"}],
    hands=[{"name": "left_hand", "arm": "left", "driver": "sim-hand"}],
)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_field_of_the_station_file_is_in_the_form_with_label_help_and_editor(section):
    specs = section_fields(section, 0 if is_list(section) else None)
    dumped = FULL.model_dump()
    for part in section.split("."):
        dumped = dumped[part]
    names = list((dumped[0] if is_list(section) else dumped).keys())
    own = [name for name in names if f"{section}.{name}" not in SECTIONS]
    assert [spec.place.rpartition(".")[2] for spec in specs] == own
    assert all(spec.label and spec.help for spec in specs)


def test_every_section_but_the_latencies_has_a_form_on_the_page():
    assert {name for _, _, names in FORMS for name in names} == set(SECTIONS) - {"latencies"}


def test_units_ranges_choices_and_help_come_from_the_model():
    hold = field("safety", "stale_hold_ms")
    assert (hold.unit, hold.limits, hold.kind) == ("ms", "10 to 1000", FieldKind.NUMBER)
    assert hold.help.startswith("Input older than this")
    assert field("safety", "max_joint_jerk_rad_s3").unit == "rad/s³"
    assert field("recording", "preset").choices[0] == "ultrafast"
    assert field("arms", "workspace_min", 1).place == "arms[1].workspace_min"
    assert field("arms", "workspace_min", 1).kind is FieldKind.VECTOR
    assert field("station", "embodiment").kind is FieldKind.LONG_TEXT
    assert field("inputs", "sounds").kind is FieldKind.SWITCH


def test_help_may_run_over_lines():
    class Section(BaseModel):
        """Words.

        Attributes:
            first: One that goes on
                here.
            second: Two.
        """

        first: int = Field(default=0)
        second: int = Field(default=0)

    assert attribute_help(Section) == {"first": "One that goes on here.", "second": "Two."}


# The station file


def test_places_are_split_into_keys_and_indices():
    assert parts_of("arms[1].workspace_min") == ["arms", 1, "workspace_min"]


def test_saving_keeps_the_comments_of_the_file(qtbot, file):
    model = SetupModel(file)
    assert not model.dirty
    model.set_value("safety.stale_hold_ms", 60.0)
    assert model.dirty
    assert model.save()
    text = file.read_text()
    assert "# our cell" in text
    assert load_station(file).safety.stale_hold_ms == 60.0
    assert not model.dirty


def test_a_wrong_value_is_told_at_its_field_and_cannot_be_saved(qtbot, file):
    model = SetupModel(file)
    before = file.read_text()
    model.set_value("safety.stale_hold_ms", 5.0)
    assert "10" in model.problem_at("safety.stale_hold_ms")
    assert model.problem_at("safety.stale_release_ms") == ""
    assert model.problems_in("safety") == 1
    assert not model.save()
    assert file.read_text() == before
    model.set_value("safety.stale_hold_ms", "fast")
    assert "number" in model.problem_at("safety.stale_hold_ms")
    model.revert()
    assert model.problems == {}
    assert model.value("safety.stale_hold_ms") == 80.0


def test_two_values_that_contradict_are_told_at_the_section(qtbot, file):
    model = SetupModel(file)
    model.set_value("safety.stale_hold_ms", 900.0)
    assert "must not exceed" in model.section_problem("safety")


def test_a_malformed_file_can_only_be_corrected_as_text(qtbot, file):
    file.write_text("[safety]\nstale_hold_ms = 5\nunknown = 1\n")
    model = SetupModel(file)
    assert model.broken
    assert "2 wrong fields" in model.file_problem.sentence
    assert not model.save_text("[safety\n")
    assert model.broken
    assert model.save_text("[safety]\nstale_hold_ms = 50\n")
    assert not model.broken
    assert model.saved.safety.stale_hold_ms == 50.0


def test_a_missing_file_counts_as_the_defaults_and_is_made_on_save(qtbot, tmp_path):
    model = SetupModel(tmp_path / "new" / "station.toml")
    assert not model.dirty
    model.set_value("station.name", "Cell 4")
    assert model.save()
    assert load_station(tmp_path / "new" / "station.toml").station.name == "Cell 4"


def test_what_another_program_wrote_is_taken_over_unless_something_is_unsaved(qtbot, file):
    model = SetupModel(file)
    file.write_text("[station]\nname = 'Renamed'\n")
    model.check_disk()
    assert model.value("station.name") == "Renamed"
    model.set_value("station.name", "Mine")
    file.write_text("[station]\nname = 'Theirs'\n")
    with qtbot.waitSignal(model.told):
        model.check_disk()
    assert model.value("station.name") == "Mine"


def test_an_unwritable_folder_is_told_as_a_sentence(qtbot, tmp_path):
    (tmp_path / "blocked").write_text("a file where the folder should be")
    model = SetupModel(tmp_path / "blocked" / "station.toml")
    model.set_value("station.name", "Cell 5")
    with qtbot.waitSignal(model.refused) as refused:
        assert not model.save()
    assert "could not be saved" in refused.args[0].sentence
    assert model.dirty


def test_items_are_added_with_a_free_name_and_removed(qtbot, file):
    model = SetupModel(file)
    count = model.count("cameras")
    model.add_item("cameras")
    model.add_item("cameras")
    assert model.count("cameras") == count + 2
    assert model.problems == {}
    model.remove_item("cameras", 0)
    assert model.save()
    assert [camera.name for camera in load_station(file).cameras][-2:] == ["camera_1", "camera_2"]


def test_saving_names_the_processes_to_restart_and_restarts_them(qtbot, file):
    station = Station()
    model = SetupModel(file, station)
    model.set_linked(True)
    model.set_value("safety.stale_hold_ms", 60.0)
    model.save()
    assert model.to_restart == ("control", "policy")
    model.restart()
    assert station.calls == [("station", "restart", {"process": name}) for name in ("control", "policy")]
    assert model.to_restart == ()


def test_a_restart_that_fails_stays_to_be_done(qtbot, file):
    model = SetupModel(file, Station(refuses={"cameras"}))
    model.set_linked(True)
    model.set_value("recording.crf", 30)
    model.save()
    with qtbot.waitSignal(model.refused):
        model.restart()
    assert model.to_restart == ("cameras",)
    assert not model.restarting


def test_mapping_is_given_to_control_live(qtbot, file):
    station = Station()
    model = SetupModel(file, station)
    model.set_linked(True)
    model.set_value("mapping.scale", 2.0)
    model.save()
    assert model.to_restart == ()
    process, command, args = station.calls[0]
    assert (process, command, args["scale"]) == ("control", "set_mapping", 2.0)


def test_without_a_station_nothing_is_to_restart(qtbot, file):
    model = SetupModel(file)
    model.set_value("safety.stale_hold_ms", 60.0)
    model.save()
    assert model.to_restart == ()


# Tasks and people


@pytest.fixture
def roster(qtbot, catalog):
    catalog.ensure_task("stack", instruction="Stack the cubes")
    catalog.ensure_person("Ada")
    model = RosterModel(catalog, lambda: AUTHOR)
    with qtbot.waitSignal(model.changed):
        model.load()
    yield model
    model.close()


def test_a_task_is_edited_and_the_edit_taken_back(qtbot, roster, catalog):
    task = roster.tasks[0]
    with qtbot.waitSignal(roster.told) as told, qtbot.waitSignal(roster.changed):
        roster.save_task(task, "stacking", "Stack them", ("Pile them",), 20)
    saved = catalog.task(task.id)
    assert (saved.name, saved.instruction, saved.paraphrases, saved.target_count) == (
        "stacking",
        "Stack them",
        ("Pile them",),
        20,
    )
    with qtbot.waitSignal(roster.changed):
        told.args[1]()
    assert catalog.task(task.id).name == "stack"


def test_a_task_is_archived_and_a_name_that_is_taken_is_refused(qtbot, roster, catalog):
    with qtbot.waitSignal(roster.changed):
        roster.add_task("sort")
    first = next(task for task in roster.tasks if task.name == "stack")
    with qtbot.waitSignal(roster.changed):
        roster.archive_task(first)
    assert catalog.task(first.id).archived
    with qtbot.waitSignal(roster.refused) as refused:
        roster.save_task(first, "sort", "", (), 0)
    assert "already" in refused.args[0].sentence


def test_people_get_names_and_roles(qtbot, roster, catalog):
    with qtbot.waitSignal(roster.changed):
        roster.add_person("Grace")
    grace = next(person for person in roster.people if person.name == "Grace")
    with qtbot.waitSignal(roster.changed):
        roster.set_roles(grace, (Role.SUPERVISOR,))
    with qtbot.waitSignal(roster.changed):
        roster.rename_person(grace, "Grace H.")
    renamed = catalog.person(grace.id)
    assert (renamed.name, renamed.roles) == ("Grace H.", (Role.SUPERVISOR,))


# Pre-flight


def status(**states):
    processes = tuple(
        ProcessStatus(name, 1, state, 0, "" if state is ProcessState.RUNNING else "It died.")
        for name, state in states.items()
    )
    return StationStatus("Cell", 0, processes, 50_000_000_000)


@pytest.fixture
def preflight(qtbot, data_dir):
    extra = [Check("Gripper", Level.WARNING, "worn", "Replace the pads")]
    model = PreflightModel(DataDir(data_dir), StationConfig, lambda: extra)
    yield model
    model.close()


def test_the_machine_is_checked_off_the_gui_thread(qtbot, preflight):
    assert preflight.verdict == "No station runs"
    preflight.run()
    assert preflight.running
    qtbot.waitUntil(lambda: not preflight.running)
    names = [check.name for check in preflight.machine_checks]
    assert "H.264 encoder" in names
    assert names[-1] == "Gripper"


def test_a_dead_process_makes_it_not_ready(qtbot, preflight):
    preflight.on_station(status(simulation=ProcessState.RUNNING))
    assert preflight.verdict == "Ready to record"
    preflight.on_station(status(simulation=ProcessState.FAULT))
    assert preflight.level is Level.FAILURE
    assert preflight.verdict == "Not ready: 1 problem"
    preflight.on_link(False)
    assert preflight.verdict == "No station runs"


# The page


@pytest.fixture
def page(qtbot, catalog, file, data_dir):
    made = SetupPage(DataDir(data_dir), file, catalog, lambda: AUTHOR)
    qtbot.addWidget(made)
    yield made
    made.close_page()


def test_typing_into_a_field_changes_the_draft_and_shows_the_problem_there(qtbot, page):
    editor = page.forms["safety"].editor("safety.stale_hold_ms")
    edit = editor.first
    edit.clear()
    qtbot.keyClicks(edit, "5")
    page.show_titled("Safety")
    assert "10" in editor.problem
    assert not page.save.isEnabled()
    edit.clear()
    qtbot.keyClicks(edit, "70")
    assert editor.problem == ""
    assert page.save.isEnabled()
    page.save.click()
    assert load_station(page.model.path).safety.stale_hold_ms == 70.0
    assert not page.save.isEnabled()


def test_with_nothing_to_calibrate_the_page_leads_to_the_devices(qtbot, page):
    page.show_titled("Calibration")
    assert page.calibration.find_devices.isVisibleTo(page.calibration)
    page.calibration.find_devices.click()
    assert page.sections.currentItem().text() == "Devices"


def test_a_malformed_file_leads_to_its_text(qtbot, page, file):
    file.write_text("[station\n")
    page.model.revert()
    assert "not valid TOML" in page.notice
    page.notice_button.click()
    assert page.section == "File"
    page.text.setPlainText(station_text(StationConfig()))
    assert page.save.isEnabled()
    page.save.click()
    assert page.notice == ""


def test_adding_an_arm_adds_its_card(qtbot, page):
    before = len(page.forms["arms"].grids)
    page.model.add_item("arms")
    assert len(page.forms["arms"].grids) == before + 1
    page.model.revert()
    assert len(page.forms["arms"].grids) == before
