"""An emulated Quest in a real Chromium against the real server: what people do, and what goes wrong."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser

from benchmarks.emulated_quest import EmulatedQuest, new_window
from teleop_app.core.types import ArmInput, ControlState, Event, RecorderState, RecorderStatus

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def held(quest: EmulatedQuest, page: Any) -> Iterator[EmulatedQuest]:
    """The right hand is where it was, open, and then holds its arm."""
    quest.do("quest.updateVisibilityState('visible'); unseen.clear(); quest.primaryInputMode = 'controller'")
    quest.place("right", (0.2, 1.2, -0.4))
    quest.press("right", "squeeze", 0.0)
    page.arm("right", lambda arm: arm.valid and not arm.clutch, "an open hand")
    quest.press("right", "squeeze", 1.0)
    page.arm("right", lambda arm: arm.clutch, "a hand that holds")
    yield quest
    quest.press("right", "squeeze", 0.0)


def holds(arm: ArmInput) -> bool:
    return arm.clutch


def lets_go(arm: ArmInput) -> bool:
    return not arm.clutch and not arm.valid


def squeeze_anew(quest: EmulatedQuest, page: Any) -> None:
    page.arm("right", lambda arm: arm.valid and not arm.clutch, "a held squeeze that does not count")
    quest.press("right", "squeeze", 0.0)
    page.arm("right", lambda arm: arm.valid and not arm.clutch, "an open hand")
    quest.press("right", "squeeze", 1.0)
    page.arm("right", holds, "a new squeeze")


def test_the_hand_arrives_to_the_micrometre(held: EmulatedQuest, page: Any) -> None:
    before = page.arm("right", holds, "the hand").pose
    held.place("right", (0.25, 1.3, -0.6))
    moved = page.arm("right", lambda arm: abs(arm.pose[0] - before[0]) > 0.04, "the moved hand").pose
    np.testing.assert_allclose(moved[:3] - before[:3], [0.05, 0.2, 0.1], atol=1e-6)
    assert moved[1] > before[1], "away from the operator is away"


def test_trigger_and_buttons(held: EmulatedQuest, page: Any) -> None:
    held.press("right", "trigger", 0.6)
    page.arm("right", lambda arm: arm.gripper == pytest.approx(0.4, abs=1e-6), "the trigger")
    held.press("right", "a-button", 1.0)
    page.next(lambda sample: "record" in sample.buttons, "the record button")
    held.press("right", "a-button", 0.0)
    held.press("right", "trigger", 0.0)
    page.next(lambda sample: sample.buttons == (), "a button let go of")
    held.press("left", "thumbstick", 1.0)
    page.arm("left", lambda arm: arm.precise, "precision mode")
    held.press("left", "thumbstick", 0.0)


def test_a_hand_that_is_not_seen_lets_go(held: EmulatedQuest, page: Any) -> None:
    held.do("unseen.add('right')")
    page.arm("right", lets_go, "an arm that is let go of")
    held.do("unseen.clear()")
    squeeze_anew(held, page)


def test_a_controller_that_is_switched_off_lets_go(held: EmulatedQuest, page: Any) -> None:
    held.do("quest.controllers.right.connected = false")
    page.arm("right", lets_go, "an arm that is let go of")
    held.do("quest.controllers.right.connected = true")
    squeeze_anew(held, page)


def test_recentring_lets_go_before_the_poses_jump(held: EmulatedQuest, page: Any) -> None:
    held.do("quest.position.x = 0.3")
    start = page.arm("right", holds, "the hand").pose
    place = len(page.samples)
    held.do("quest.recenter()")
    page.arm("right", lambda arm: arm.valid and abs(arm.pose[0] - start[0] + 0.3) < 1e-3, "the jump")
    since = [sample.arms["right"] for sample in page.samples[place:]]
    assert all(abs(arm.pose[0] - start[0]) < 1e-3 for arm in since if arm.clutch), "a jump while held"
    squeeze_anew(held, page)


def test_the_headsets_own_menu_lets_go(held: EmulatedQuest, page: Any) -> None:
    held.do("quest.updateVisibilityState('visible-blurred')")
    page.arm("right", lets_go, "an arm that is let go of")
    page.until(lambda: page.device.state == "hidden", "the state")
    assert "own menu" in page.device.sentence and "squeeze anew" in page.device.sentence
    held.do("quest.updateVisibilityState('visible')")
    squeeze_anew(held, page)


def test_a_headset_that_sleeps_lets_go_and_is_said(held: EmulatedQuest, page: Any) -> None:
    held.do(
        "window.awake = window.requestAnimationFrame;"
        "window.requestAnimationFrame = (next) => { window.slept = next; return 1; }"
    )
    page.next(lambda sample: all(map(lets_go, sample.arms.values())), "arms that are let go of")
    page.until(lambda: page.device.state == "asleep", "the state")
    assert page.device.sentence.startswith("No frames from the headset for ")
    held.do("window.requestAnimationFrame = window.awake; window.requestAnimationFrame(window.slept)")
    squeeze_anew(held, page)
    page.until(lambda: page.device.state == "driving", "the state")


def test_a_broken_connection_lets_go_and_comes_back(held: EmulatedQuest, page: Any) -> None:
    driver, place = page.device._hall.driver, len(page.samples)
    page.device._server.call(lambda: driver.close("the network went away"))
    page.next(lambda sample: all(map(lets_go, sample.arms.values())), "arms that are let go of", place)
    squeeze_anew(held, page)
    assert page.device._hall.driver.number > driver.number


def test_bare_hands_arrive_with_25_joints(held: EmulatedQuest, page: Any) -> None:
    held.do("quest.primaryInputMode = 'hand'")
    arm = page.arm("right", lambda arm: arm.hand is not None, "a hand")
    assert arm.hand.shape == (25, 7) and np.isfinite(arm.hand).all()
    np.testing.assert_array_equal(arm.pose, arm.hand[0])
    assert not arm.clutch, "a squeeze of the controller does not hold for the hand"


def test_pulses_come_in_the_hand_that_they_are_about(held: EmulatedQuest, page: Any) -> None:
    held.do("pulses.length = 0")
    page.device.observe(Event("safety.limit", 0, "control", "The left arm is at its limit.", {"arm": "left"}))
    page.device.cue("limit")
    page.until(lambda: held.do("pulses.length"), "a pulse")
    page.device.observe(Event("safety.estop", 0, "control", "E-stop pressed.", {}))
    page.device.cue("estop")
    page.until(lambda: held.do("pulses.length") == 7, "three pulses in both hands")
    pulses = held.do("pulses")
    assert pulses[0] == ["left", 0.6, 90] and {pulse[0] for pulse in pulses[1:]} == {"left", "right"}


def test_the_page_shows_the_station(held: EmulatedQuest, page: Any) -> None:
    status = RecorderStatus(
        RecorderState.RECORDING, 0, instruction="Put the red cube away", elapsed_s=65.0, saved=2, target=9
    )
    page.device.observe(status)
    page.device.observe(Event("safety.hold", 0, "control", "The arm holds: <b>no</b> input."))
    held.wait_text("#recording", "1:05 recording")
    assert held.page.text_content("#task") == "Put the red cube away"
    assert held.page.text_content("#warning") == "The arm holds: <b>no</b> input."
    assert held.page.text_content("#driver").startswith("You drive")
    assert ControlState.IDLE.value not in held.page.text_content("#robot")


def test_a_second_client_watches_may_stop_and_takes_over_by_consent(
    held: EmulatedQuest, page: Any, chromium: Browser
) -> None:
    context, second = new_window(chromium)
    second.pair(page.url, page.pin)
    second.enter()
    second.wait_text("#badge", "Watching")
    assert "drives" in second.page.text_content("#driver")
    page.until(lambda: "would like to" in held.page.text_content("#driver"), "the wish of the second")
    first = page.device._hall.driver.number
    page.arm("right", holds, "the first one still holds")
    place = len(page.samples)
    second.do("document.getElementById('estop').click()")
    page.next(lambda sample: "estop" in sample.buttons and lets_go(sample.arms["right"]), "the stop", place)
    page.next(lambda sample: sample.buttons == (), "the button let go of")
    page.device.hand_over()
    second.wait_text("#badge", "You drive")
    assert page.device._hall.driver.number != first
    second.press("left", "trigger", 0.5)
    page.arm("left", lambda arm: arm.gripper == 0.5, "the second one's hand")
    place = len(page.samples)
    second.do("quest.activeSession.end()")
    page.next(lambda sample: all(map(lets_go, sample.arms.values())), "arms that are let go of", place)
    context.close()
    held.do("quest.activeSession.end()")
    held.wait_view("monitor")
    held.enter()
    page.until(lambda: page.device._hall.driver and page.device._hall.driver.number == first, "the first one")


def test_a_wrong_pin_is_said_and_a_monitor_has_no_headset(page: Any, chromium: Browser) -> None:
    context, plain = new_window(chromium, headset=False)
    pin = page.pin
    plain.page.goto(page.url)
    plain.wait_view("pair")
    plain.page.fill("#pin", f"{(int(pin) + 1) % 1_000_000:06d}")
    plain.page.click("#pin-form button")
    plain.wait_text("#pair-error", "This PIN is wrong")
    assert plain.page.input_value("#pin") == ""
    plain.pair(page.url, pin)
    plain.wait_text("#xr-note", "open this page in a headset")
    assert not plain.page.is_visible("#enter")
    page.device.revoke(page.device.pairing()["clients"][-1]["id"])
    plain.wait_view("pair")
    assert plain.page.text_content("#pair-error") == "The pairing was revoked. Pair anew."
    plain.page.goto(page.device.pairing()["qr_url"])
    plain.wait_view("monitor")
    assert plain.do("location.hash") == ""
    plain.page.click("#unpair")
    plain.wait_view("pair")
    context.close()


def test_nothing_was_lost_and_the_rate_is_the_headsets(held: EmulatedQuest, page: Any) -> None:
    page.until(lambda: "latency_ms" in page.device.metrics, "a round trip")
    metrics = page.device.metrics
    assert metrics["malformed"] == 0 and metrics["flooded"] == 0
    frames = [sample for sample in page.samples if sample.device_ns is not None]
    assert len(frames) > 100
    assert all(b.seq > a.seq for a, b in zip(page.samples, page.samples[1:], strict=False))
