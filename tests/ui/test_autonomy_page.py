"""The Autonomy page in both directions: the model shows, keys and buttons act."""

from dataclasses import replace

import pytest
from PyQt6.QtCore import QEvent, Qt
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QLabel

from teleop_app.core.config import StationConfig
from teleop_app.core.types import (
    Actor,
    AuthorityMode,
    AutonomyPhase,
    AutonomyTick,
    ControlState,
    Event,
    PolicyCheck,
    PolicyChunk,
    PolicyState,
    PolicyStatus,
    RecorderState,
    RecorderStatus,
)
from ui import theme
from ui.actions import ActionRegistry, Scope
from ui.bridge import StationBridge
from ui.pages.autonomy import AutonomyPage
from ui.viewmodels.autonomy import AutonomyModel
from ui.viewmodels.autonomy_state import Who
from ui.viewmodels.collect import CollectModel

M, P = AuthorityMode, AutonomyPhase
LISTED = {
    "policies": [
        {"name": "pi0", "title": "pi0 cubes", "driver": "openpi", "kind": "client", "problem": ""},
        {"name": "act", "title": "ACT cubes", "driver": "lerobot", "kind": "client", "problem": ""},
        {"name": "scripted", "title": "Expert", "driver": "scripted", "kind": "built-in", "problem": ""},
    ]
}
MISMATCH = PolicyCheck("image wrist", "224 x 224", "nothing", "mismatch", "There is no camera 'wrist'.")
FITS = PolicyCheck("prompt", "prompt", "the instruction", "ok")


@pytest.fixture
def themed(qapp):
    before = qapp.styleSheet()
    theme.apply(qapp, "dark")
    yield
    qapp.setStyleSheet(before)


@pytest.fixture
def bridge(qapp, fake_station):
    fake_station.answers["policies"] = LISTED
    bridge = StationBridge(fake_station)
    bridge.start()
    bridge._timer.stop()
    yield bridge
    bridge.stop()


@pytest.fixture
def page(qtbot, themed, bridge):
    actions = ActionRegistry()
    collect = CollectModel(bridge, StationConfig(), actions.key_label)
    model = AutonomyModel(bridge, collect, actions.key_label)
    page = AutonomyPage(bridge, model, actions)
    page.model, page.actions_table = model, actions
    qtbot.addWidget(page)
    page.resize(1210, 722)
    actions.activate(Scope.AUTONOMY)
    with qtbot.waitActive(page):
        page.show()
        page.windowHandle().requestActivate()
    for each in (collect, model):
        each.on_link(True)
        each.on_recorder(recorder())
    qtbot.waitUntil(lambda: len(model.desk.choices) == 3)
    page.refresh()
    page.setFocus()
    return page


@pytest.fixture
def tick(make_tick):
    def make(phase=P.POLICY, mode=M.SUPERVISED, takeover=0, seq=0, speed=1.0, **fields):
        return replace(
            make_tick(seq, **fields), autonomy=AutonomyTick(mode, phase, takeover, 0.5, 1, 0.0, 0, speed)
        )

    return make


def recorder(state=RecorderState.IDLE, **fields):
    return RecorderStatus(state, 0, **{"session": "s", "task": "pick-place", **fields})


def status(state=PolicyState.READY, **fields):
    return PolicyStatus(state, 0, **{"policy": "pi0", "title": "pi0 cubes", "version": "abc123", **fields})


def feed(page, *ticks, policy=None):
    if policy is not None:
        page.model.on_policy(policy)
    for each in ticks:
        page.model.on_ticks([each])
        page.model.collect.on_ticks([each])
    page.refresh()


def called(fake_station, qtbot, command):
    qtbot.waitUntil(lambda: command in [name for _, name, _ in fake_station.calls])
    return next(args for _, name, args in reversed(fake_station.calls) if name == command)


def policy_drives(tick, **fields):
    return tick(actor=Actor.POLICY, engaged=(True, True), state=ControlState.ENGAGED, **fields)


def words(widget):
    return " ".join(label.text() for label in widget.findChildren(QLabel) if label.isVisibleTo(widget))


# The policy


def test_without_a_policy_one_button_tries_the_built_in_one(page, fake_station, qtbot):
    assert page.policy.empty.isVisibleTo(page)
    page.policy.empty.button.click()
    assert called(fake_station, qtbot, "choose") == {"name": "scripted"}
    feed(page, policy=status(PolicyState.CONNECTING))
    assert not page.policy.empty.isVisibleTo(page) and page.policy.progress.isVisibleTo(page)


def test_a_chosen_policy_is_asked_for(page, fake_station, qtbot):
    index = page.policy.choice.findData("act")
    page.policy.choice.activated.emit(index)
    assert called(fake_station, qtbot, "choose") == {"name": "act"}


def test_mismatches_unfold_by_themselves_and_fold_away_when_it_drives(page, tick):
    feed(page, policy=status(PolicyState.FAULT, checks=(FITS, MISMATCH), text="It does not fit."))
    assert page.policy.checks.isVisibleTo(page)
    assert "1 mismatch" in page.policy.fold.text()
    assert "There is no camera 'wrist'." in words(page.policy.checks)
    assert page.policy.fault.isVisibleTo(page) and page.policy.fault.text.text() == "It does not fit."
    warning = PolicyCheck("rate", "15", "20", "warning", "Slower.")
    feed(page, tick(P.IDLE, M.MANUAL), policy=status(checks=(FITS, warning)))
    assert page.policy.checks.isVisibleTo(page)
    feed(page, policy_drives(tick), policy=status(PolicyState.RUNNING, checks=(FITS, warning)))
    assert not page.policy.checks.isVisibleTo(page)


def test_the_first_run_is_told_and_its_speed_can_be_set(page, fake_station, qtbot, tick):
    feed(page, policy_drives(tick, speed=0.4), policy=status(PolicyState.RUNNING))
    assert page.policy.notice.isVisibleTo(page)
    assert page.policy.speed.value() == 40
    page.policy.speed.setValue(70)
    assert called(fake_station, qtbot, "set_policy_speed") == {"speed": 0.7}
    feed(page, policy=status(PolicyState.RUNNING, seen=True))
    assert not page.policy.notice.isVisibleTo(page)


def test_while_it_is_blind_no_name_is_on_the_page(page, fake_station, qtbot, tick):
    page.policy.compare.click()
    page.policy.blind.first.setCurrentIndex(0)
    page.policy.blind.second.setCurrentIndex(1)
    page.policy.blind.start.click()
    assert called(fake_station, qtbot, "choose_blind") == {"names": ["pi0", "act"]}
    hidden = status(PolicyState.RUNNING, policy="", title="", version="", label="A", rate_hz=20.0)
    feed(page, policy_drives(tick), policy=hidden)
    shown = words(page) + page.policy.choice.currentText() + page.policy.facts.text()
    shown += " ".join(page.policy.choice.itemText(i) for i in range(page.policy.choice.count()))
    assert "Policy A" in shown
    assert not any(name in shown for name in ("pi0", "ACT", "abc123"))
    page.policy.blind.reveal.click()
    called(fake_station, qtbot, "reveal")


# Who drives


def test_who_drives_is_large_and_colours_the_frames(page, tick):
    feed(page, policy_drives(tick), policy=status(PolicyState.RUNNING))
    assert page.who.who is Who.POLICY
    assert {tile._driver for tile in page.views.mosaic.tiles} == {"policy"}
    feed(page, tick(P.BLEND, M.BLENDED, actor=Actor.BLEND, engaged=(True, True), state=ControlState.ENGAGED))
    assert page.who.who is Who.BOTH and page.modes.mode is M.BLENDED
    assert {tile._driver for tile in page.views.mosaic.tiles} == {"blend"}


@pytest.mark.parametrize(
    ("key", "command", "args"),
    [
        (Qt.Key.Key_F1, "authority", {"mode": "manual"}),
        (Qt.Key.Key_F2, "authority", {"mode": "supervised"}),
        (Qt.Key.Key_F3, "authority", {"mode": "blended"}),
        (Qt.Key.Key_F4, "authority", {"mode": "corrective"}),
        (Qt.Key.Key_P, "pause", {}),
        (Qt.Key.Key_F5, "rewind", {}),
        (Qt.Key.Key_T, "mark_phase", {"phase": "correct"}),
        (Qt.Key.Key_Plus, "set_blend", {"alpha": 0.6}),
        (Qt.Key.Key_Minus, "set_blend", {"alpha": 0.4}),
    ],
)
def test_one_key_each(page, fake_station, qtbot, tick, key, command, args):
    feed(page, policy_drives(tick), policy=status(PolicyState.RUNNING))
    QTest.keyClick(page, key)
    assert called(fake_station, qtbot, command) == args


def test_space_seizes_even_while_a_button_of_the_bar_has_the_focus(page, tick):
    feed(page, tick(P.IDLE, M.MANUAL), policy=status())
    page.policy.compare.setFocus()
    feed(page, policy_drives(tick), policy=status(PolicyState.RUNNING))
    page.policy.compare.setFocus()
    QTest.keyClick(page, Qt.Key.Key_Space)
    assert page.model.collect.driving.engaged == "left"


def test_while_the_keys_hold_an_arm_s_drives_and_does_not_label(page, fake_station, tick):
    page.model.on_recorder(recorder(RecorderState.RECORDING))
    feed(page, tick(P.HOLD), policy=status(PolicyState.RUNNING))
    QTest.keyClick(page, Qt.Key.Key_Space)
    assert page.model.collect.driving.engaged == "left"
    press = QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_S, Qt.KeyboardModifier.NoModifier)
    QTest.keyClick(page, Qt.Key.Key_S)
    assert page.model.view().outcome == ""
    assert page.success.text().split() == ["Success"]
    QApplication.sendEvent(page, press)
    page.model.collect.driving.sample(0)
    sample = page.model.collect.driving.sample(20_000_000)
    assert sample is not None and sample.arms["left"].twist[1] < 0


def test_hiding_the_page_lets_go(page, tick):
    QTest.keyClick(page, Qt.Key.Key_Space)
    page.hide()
    assert page.model.collect.driving.engaged is None


# Labels


def test_success_and_failure_keys(page, fake_station, qtbot):
    page.model.on_recorder(recorder(RecorderState.RECORDING))
    page.refresh()
    QTest.keyClick(page, Qt.Key.Key_S)
    assert called(fake_station, qtbot, "set_outcome") == {"outcome": "success"}
    assert page.success.wanted and not page.failure.wanted
    QTest.keyClick(page, Qt.Key.Key_F)
    qtbot.waitUntil(lambda: page.failure.wanted)


def test_a_digit_explains_the_newest_takeover(page, fake_station, qtbot):
    page.model.on_event(Event("autonomy.takeover", 1, "control", "", {"takeover": 2, "source": "keyboard"}))
    page.refresh()
    assert page.takeovers.count == 1
    assert page.takeovers.ask.text() == "Why takeover 2?"
    QTest.keyClick(page, Qt.Key.Key_4)
    assert called(fake_station, qtbot, "takeover_reason") == {"reason": "stuck", "takeover": 2}
    assert page.takeovers.ask.text() == ""


def test_g_starts_a_rollout_and_ends_it(page, fake_station, qtbot, tick):
    feed(page, tick(P.IDLE, M.MANUAL), policy=status())
    QTest.keyClick(page, Qt.Key.Key_G)
    called(fake_station, qtbot, "record")
    page.model.on_recorder(recorder(RecorderState.RECORDING))
    assert called(fake_station, qtbot, "authority") == {"mode": "supervised"}
    QTest.keyClick(page, Qt.Key.Key_G)
    called(fake_station, qtbot, "pause")
    called(fake_station, qtbot, "stop")


# The rest


def test_a_call_for_help_lies_over_the_pictures_until_it_is_answered(page, tick):
    feed(page, tick(P.HOLD), policy=status(PolicyState.RUNNING))
    page.model.on_event(Event("autonomy.help", 1, "policy", "The policy is unsure."))
    page.refresh()
    assert page.help.sentence == "The policy is unsure. Space takes over."
    assert page.who.who is Who.HELP
    page.model.on_event(Event("autonomy.resumed", 2, "control"))
    page.refresh()
    assert page.help.sentence == ""


def test_messages_of_the_policy_come_through_the_bridge(page, bridge, fake_station, make_tick):
    joints = make_tick(0).measured
    chunk = PolicyChunk("pi0", "v", 1, 1, 2, 0, 50_000_000, joints[None].repeat(4, axis=0), ("left",))
    chunks, states = [], []
    bridge.chunkArrived.connect(chunks.append)
    bridge.policyChanged.connect(states.append)
    fake_station.put(status(PolicyState.CONNECTING), chunk, replace(chunk, chunk=2), status())
    bridge.drain()
    assert [each.chunk for each in chunks] == [1, 2]
    assert [each.state for each in states] == [PolicyState.READY]


def test_it_fits_the_smallest_usual_screen_and_either_theme(page, qapp, qtbot, tick):
    for name in ("dark", "light"):
        theme.apply(qapp, name)
        qtbot.waitUntil(lambda n=name: page._theme == n)
        feed(page, policy_drives(tick), policy=status(PolicyState.RUNNING, checks=(FITS,)))
        page.cards.set_compact(True)
        assert page.heightForWidth(1210) <= 722
        assert page.minimumSizeHint().width() <= 1210
