"""The preview steps back before what is recorded suffers, and comes back when it can."""

import pytest

from ui.preview_pace import (
    MAX_HZ,
    MIN_HZ,
    SHARE,
    SMALL_TILE_HZ,
    STRAINED_MIN_HZ,
    ScenePace,
    Strain,
    camera_period_s,
    picture_divisor,
    preview_note,
    rate_step,
)


def settled(cost_s, software=True, strain=0):
    pace = ScenePace(software)
    for _ in range(50):
        pace.spent(cost_s)
    pace.strain = strain
    return pace


@pytest.mark.parametrize("cost_s", [0.012, 0.025, 0.05])
def test_drawing_in_software_keeps_to_its_share_of_the_thread(cost_s):
    assert cost_s / settled(cost_s).interval_s == pytest.approx(SHARE)


def test_a_cheap_view_is_drawn_at_most_30_times_a_second_and_a_dear_one_at_least_4():
    assert settled(0.001).interval_s == pytest.approx(1 / MAX_HZ)
    assert settled(0.4).interval_s == pytest.approx(1 / MIN_HZ)


def test_under_strain_the_view_is_drawn_less_often_still():
    steps = [settled(0.012, strain=level).interval_s for level in range(4)]
    assert steps == sorted(set(steps))
    assert settled(0.4, strain=3).interval_s == pytest.approx(1 / STRAINED_MIN_HZ)


def test_hardware_is_given_more():
    assert settled(0.02, software=False).interval_s < settled(0.02).interval_s


def test_losses_count_only_while_recording():
    strain = Strain()
    assert [strain.observe(0.3, False, float(t)) for t in range(1, 6)] == [0] * 5
    assert [strain.observe(0.3, True, float(t)) for t in range(6, 12)] == [1, 2, 3, 4, 5, 5]


def test_a_full_queue_is_a_strain_too():
    strain = Strain()
    assert strain.observe(0.0, True, 10.0, backlog=0.9) == 1
    assert strain.observe(0.0, False, 12.0, backlog=0.9) == 1


def test_the_rate_steps_back_first_and_the_resolution_only_then():
    assert [rate_step(level) for level in range(6)] == [0, 1, 2, 3, 3, 3]
    assert [picture_divisor(level) for level in range(6)] == [1, 1, 1, 1, 2, 4]


def test_a_tile_says_how_its_picture_is_reduced_and_nothing_while_it_is_not():
    assert preview_note(1 / 12, 0) == ""
    assert preview_note(0.1, 2) == "preview 10/s"
    assert preview_note(0.25, 5) == "preview 4/s, ¼ size"


def test_a_loss_of_one_percent_is_no_strain():
    strain = Strain()
    assert strain.observe(0.01, True, 10.0) == 0


def test_it_steps_back_at_once_and_forward_slowly():
    strain = Strain()
    assert strain.observe(0.05, True, 10.0) == 1
    assert strain.observe(0.05, True, 10.5) == 1
    assert [strain.observe(0.0, True, t) for t in (11.0, 12.0, 13.0)] == [1, 1, 1]
    assert strain.observe(0.0, True, 13.6) == 0


def test_small_tiles_are_drawn_less_often_than_the_large_one():
    assert camera_period_s(large=True, software=True, strain=0) == 0.0
    assert camera_period_s(large=False, software=True, strain=0) == pytest.approx(1 / SMALL_TILE_HZ)
    assert camera_period_s(large=False, software=False, strain=0) == 0.0
    large = [camera_period_s(large=True, software=True, strain=n) for n in range(4)]
    small = [camera_period_s(large=False, software=True, strain=n) for n in range(4)]
    assert large == sorted(set(large))
    assert small == sorted(small)
    assert small[3] > small[0]
