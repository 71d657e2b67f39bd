"""What the recorder says of an episode is good, plain or a concern: checked on its own sentences."""

import inspect

import pytest

from teleop_app.station import episode_rows
from ui.viewmodels.verdict_remarks import Mood, Remark, remarks


def test_concerns_come_first_and_the_length_is_left_to_the_summary():
    shown = remarks(("Task done.", "Length 7.8 s.", "Frames lost: 3 of overhead."))
    assert shown == (Remark("Frames lost: 3 of overhead.", Mood.CONCERN), Remark("Task done.", Mood.GOOD))


@pytest.mark.parametrize(
    ("text", "mood"),
    [
        ("No frames lost.", Mood.GOOD),
        ("Nobody said whether it worked.", Mood.NEUTRAL),
        ("Task not done.", Mood.CONCERN),
        ("No frames at all from overhead.", Mood.CONCERN),
        ("Something nobody has thought of yet.", Mood.CONCERN),
    ],
)
def test_moods(text, mood):
    assert remarks((text,)) == (Remark(text, mood),)


@pytest.mark.parametrize(
    "text", ["Task done.", "No frames lost.", "Nobody said whether it worked.", "Task not done.", "Length "]
)
def test_the_sentences_are_the_ones_the_recorder_says(text):
    assert f'"{text}' in inspect.getsource(episode_rows).replace('f"', '"')
