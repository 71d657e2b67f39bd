"""The summary of a policy: figures by version, what may be concluded, the blind comparison."""

import threading
import uuid

import pytest

from sessions import Author, EpisodeRow, EpisodeState, Outcome, RolloutRow, TakeoverRow, open_catalog
from sessions.rollouts import RolloutFilter, Trial
from teleop_app.core.errors import CatalogError
from ui.viewmodels.autonomy_summary import (
    MOST_VERSIONS,
    AutonomySummaryModel,
    Scope,
    blinded,
    summary_view,
)
from ui.widgets.autonomy_summary import AutonomySummary, SuccessBars, rate_words

S, F, U = Outcome.SUCCESS, Outcome.FAILURE, Outcome.UNKNOWN


def trial(number, outcome=S, policy="towels", version="v1", label="", takeovers=0, session="one") -> Trial:
    made = tuple(
        TakeoverRow(
            number=each + 1,
            start_ns=0,
            end_ns=1,
            source="keys",
            phase="correct",
            reason="grasp",
            outcome="resumed",
        )
        for each in range(takeovers)
    )
    rollout = RolloutRow(
        policy=policy,
        version=version,
        label=label,
        modes=("supervised",),
        actor_s={"policy": 30.0, "human": 10.0 * takeovers},
        takeovers=made,
        chunks=100,
        latency_p50_ms=90.0,
        latency_p99_ms=180.0,
    )
    return Trial(
        uuid=str(number),
        session_id=session,
        task="t",
        started_utc_ns=number,
        outcome=outcome,
        state=EpisodeState.SAVED,
        rollout=rollout,
    )


def many(count: int, successes: int, first: int = 0, **changes) -> list[Trial]:
    return [trial(first + i, S if i < successes else F, **changes) for i in range(count)]


def view_of(trials, *, blind=False):
    return summary_view(trials, scope=Scope.SESSION, blind=blind)


# Figures and words.


def test_versions_stand_side_by_side_in_the_order_in_which_they_drove():
    view = view_of([*many(4, 3), *many(4, 1, 10, version="v2")])
    assert [column.version for column in view.columns] == ["v1", "v2"]
    assert [column.summary.success_rate for column in view.columns] == [0.75, 0.25]
    assert rate_words(view.columns[0]) == "75%  (30\N{EN DASH}95)  3 of 4"


def test_few_rollouts_tell_nothing_apart():
    verdict = view_of([*many(5, 3), *many(5, 4, 10, version="v2")]).verdict
    assert verdict.startswith("v2 succeeds 20 points more often than v1")
    assert "10 rollouts cannot tell them apart" in verdict


def test_many_rollouts_tell_them_apart():
    verdict = view_of([*many(40, 38), *many(40, 8, 100, version="v2")]).verdict
    assert verdict.startswith("v2 succeeds 75 points less often than v1 (95 % interval \N{MINUS SIGN}")
    assert "cannot" not in verdict


def test_without_judgement_there_is_no_verdict_but_advice():
    trials = [trial(1), trial(2, U, version="v2")]
    assert "No rollout of v2 is judged" in view_of(trials).verdict
    assert rate_words(view_of(trials).columns[1]) == "none of 1 judged"


def test_only_the_newest_versions_are_shown_and_the_rest_is_said():
    trials = [trial(i, version=f"v{i}") for i in range(MOST_VERSIONS + 2)]
    view = view_of(trials)
    assert [column.version for column in view.columns] == ["v2", "v3", "v4"]
    assert view.note == "2 earlier versions not shown."


def test_policies_of_other_names_go_by_their_names():
    view = view_of([trial(1, policy="towels"), trial(2, policy="cups")])
    assert view.verdict.startswith("cups succeeds as often as towels")


# Blind.


def test_a_blind_comparison_shows_letters_only():
    trials = [
        trial(0, policy="secret-old"),
        *many(3, 2, 10, policy="secret-b", version="h1", label="B"),
        *many(3, 1, 20, policy="secret-a", version="h2", label="A"),
    ]
    view = view_of(trials, blind=True)
    assert [column.title for column in view.columns] == ["Policy A", "Policy B"]
    assert "secret" not in repr(view) and "h1" not in repr(view)
    assert [column.summary.episodes for column in view.columns] == [3, 3]


def test_a_letter_counts_for_what_it_means_now():
    trials = [trial(1, F, policy="old", label="A"), trial(2, S, policy="new", label="A")]
    [left] = blinded(trials)
    assert left.uuid == "2" and left.rollout.policy == "A" and left.rollout.version == ""


# The model.


class Shelf:
    """Trials in memory, and who asked for them."""

    def __init__(self, trials=()) -> None:
        self.kept = list(trials)
        self.event = 1
        self.reads = 0
        self.threads: set[str] = set()
        self.error: CatalogError | None = None

    def trials(self, wanted: RolloutFilter = RolloutFilter()) -> tuple[Trial, ...]:  # noqa: B008
        self.reads += 1
        self.threads.add(threading.current_thread().name)
        return tuple(
            each for each in self.kept if not wanted.session_ids or each.session_id in wanted.session_ids
        )

    def latest_event_id(self) -> int:
        if self.error is not None:
            raise self.error
        return self.event


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def model(shelf, qtbot):
    model = AutonomySummaryModel(shelf)
    yield model
    model.close()


def test_it_reads_off_the_gui_thread_and_only_when_something_happened(model, shelf, qtbot):
    shelf.kept = many(2, 1)
    model.set_session("one")
    assert shelf.reads == 0
    model.watch(True)
    qtbot.waitUntil(lambda: bool(model.view.columns))
    assert threading.current_thread().name not in shelf.threads
    before = shelf.reads
    model.poll()
    qtbot.waitUntil(lambda: not model._reading)
    assert shelf.reads == before
    shelf.kept += many(1, 1, 5)
    shelf.event += 1
    model.poll()
    qtbot.waitUntil(lambda: model.view.columns[0].summary.episodes == 3)
    model.watch(False)
    assert not model.watched


def test_sessions_are_kept_apart_until_all_are_asked_for(model, shelf, qtbot):
    shelf.kept = [*many(2, 1), *many(3, 3, 10, session="two")]
    model.set_session("two")
    model.watch(True)
    qtbot.waitUntil(lambda: bool(model.view.columns))
    assert model.view.columns[0].summary.episodes == 3
    model.set_scope(Scope.ALL)
    qtbot.waitUntil(lambda: model.view.columns[0].summary.episodes == 5)


def test_going_blind_hides_the_names_at_once(model, shelf, qtbot):
    shelf.kept = many(2, 1, policy="secret", label="A")
    model.set_session("one")
    model.watch(True)
    qtbot.waitUntil(lambda: bool(model.view.columns))
    model.set_scope(Scope.ALL)
    model.set_blind(True)
    assert model.view.columns == () and model.scope is Scope.SESSION
    qtbot.waitUntil(lambda: bool(model.view.columns))
    assert "secret" not in repr(model.view)


def test_a_catalog_that_cannot_be_read_is_told_once(model, shelf, qtbot):
    told = []
    model.failed.connect(told.append)
    shelf.error = CatalogError("The catalog cannot be read")
    for _ in range(2):
        model.poll()
        qtbot.waitUntil(lambda: not model._reading)
    assert len(told) == 1
    shelf.error = None
    shelf.kept = many(1, 1)
    model.set_session("one")
    model.poll()
    qtbot.waitUntil(lambda: bool(model.view.columns))


def test_it_reads_the_real_catalog(tmp_path, qtbot):
    catalog = open_catalog(tmp_path, Author.process("recorder"))
    session = str(uuid.uuid4())
    model = AutonomySummaryModel(catalog)
    try:
        for number, outcome in enumerate([S, S, F]):
            ident = str(uuid.uuid4())
            episode = EpisodeRow(
                uuid=ident,
                session_id=session,
                station="cell",
                operator="Ada",
                task="pick-place",
                instruction="Put it there",
                index_in_session=number,
                path=f"episodes/{ident}.mcap",
                started_utc_ns=1_000_000_000 * (number + 1),
                duration_ns=10,
                frame_count=3,
                size_bytes=100,
                blake3="ab" * 32,
                format_version="1",
                software_version="0.1.0",
                outcome=outcome,
            )
            catalog.add_episode(episode, rollout=trial(number, takeovers=number).rollout)
        model.set_session(session)
        model.watch(True)
        qtbot.waitUntil(lambda: bool(model.view.columns))
        [column] = model.view.columns
        assert column.summary.episodes == 3 and column.summary.interventions == 3
    finally:
        model.close()
        catalog.close()


# The widget.


@pytest.fixture
def summary(model, shelf, qtbot):
    shelf.kept = [*many(4, 3, takeovers=1), *many(4, 4, 10, version="v2")]
    summary = AutonomySummary(model)
    qtbot.addWidget(summary)
    summary.resize(340, 420)
    return summary


def test_it_follows_the_catalog_while_it_is_seen(summary, model, qtbot):
    assert summary._stack.currentIndex() == 0 and "begins with the first rollout" in summary.empty.text()
    model.set_session("one")
    summary.show()
    qtbot.waitUntil(lambda: summary._stack.currentIndex() == 1)
    assert summary.figure("Interventions / rollout", 0) == "1.0"
    assert summary.figure("Interventions / rollout", 1) == "0.0"
    assert summary.figure("Interventions / minute", 0) == "2.0"
    assert summary.figure("Policy drove", 0) == "75%"
    assert summary.figure("Unaided", 0).startswith("0%")
    assert summary.figure("Latency p50 / p99", 1) == "90 / 180 ms"
    assert summary.figure("Taken over for", 0) == "grasp 4"
    assert "cannot tell them apart" in summary.verdict.text()
    summary.hide()
    assert not model.watched


def test_blind_there_is_nothing_to_choose(summary, model, qtbot):
    model.set_session("one")
    summary.show()
    model.set_blind(True)
    qtbot.waitUntil(lambda: not model._reading)
    assert summary.scope.isHidden() and not summary._blind.isHidden()
    assert "A or B" in summary.empty.text()


def test_bar_and_whiskers_are_as_long_as_the_figures(qtbot):
    from ui import theme

    bars = SuccessBars()
    qtbot.addWidget(bars)
    bars.resize(408, 10)
    view = view_of([*many(10, 5), *[trial(100 + i, S, version="v2", takeovers=1) for i in range(10)]])
    bars.set_columns(view.columns)
    image = bars.grab().toImage()
    t = theme.tokens()

    def reach(y: int, color: str) -> tuple[int, int]:
        found = [x for x in range(image.width()) if image.pixelColor(x, y).name().upper() == color.upper()]
        return min(found), max(found)

    # Of 400 px the first version fills half, beside the whiskers; the second is all with help, so paler.
    bottom = 40 - 6
    assert reach(bottom, t.policy) == (pytest.approx(4, abs=1), pytest.approx(203, abs=1))
    interval = view.columns[0].summary.success
    low, high = reach(40 - 4 - 7, t.text)
    assert low == pytest.approx(4 + 400 * interval.low, abs=2)
    assert high == pytest.approx(4 + 400 * interval.high, abs=2)
    paler = theme.blend(t.policy, t.raised, 0.45)
    second = image.pixelColor(20, 80 - 6)
    assert abs(second.red() - int(paler[1:3], 16)) <= 2 and abs(second.blue() - int(paler[5:7], 16)) <= 2
