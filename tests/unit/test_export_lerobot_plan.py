"""Which file each episode of a LeRobot dataset goes into."""

import numpy as np
import pytest

from recorders.exporters import lerobot_plan
from recorders.exporters.lerobot_layout import (
    TIMESTAMP_TOLERANCE_S,
    FileIndex,
    loads_exactly,
    timestamps,
    video_key,
)
from recorders.exporters.lerobot_options import LeRobotOptions
from recorders.exporters.lerobot_plan import EMPTY, StartingPoint, plan_dataset
from recorders.exporters.prepared import PreparedEpisode, PreparedVideo
from teleop_app.core.errors import ExportError

TOP = "observation.images.top"


def episode(uuid="e", rows=30, size=100, sets="s", task="wave", fps=30):
    video = PreparedVideo(
        camera="top", width=64, height=48, first_packet=0, remuxed=True, reason="", parameter_sets=sets,
        size=size, skew_max_s=0.0,
    )  # fmt: skip
    return PreparedEpisode(
        options="", key=uuid, uuid=uuid, rows=rows, fps=fps, task=task, robot_type="r", columns={}, absent={},
        videos=(video,), stats={}, origin={}, trimmed=0, state_error_max_s=0, action_age_max_s=0,
        grid_error_max_s=0,
    )  # fmt: skip


@pytest.fixture
def bytes_for_megabytes(monkeypatch):
    """Limits count bytes, so that small episodes reach them."""
    monkeypatch.setattr(lerobot_plan, "MEBIBYTE", 1)


def video_places(plan):
    return [(p.videos[TOP].file.file, p.videos[TOP].first_frame) for p in plan.places]


def test_rows_files_and_tasks_follow_each_other():
    episodes = [episode(rows=30), episode(rows=10, task="fold"), episode(rows=20)]
    plan = plan_dataset(episodes, [10, 10, 10], EMPTY, LeRobotOptions())
    assert [p.episode_index for p in plan.places] == [0, 1, 2]
    assert [p.first_index for p in plan.places] == [0, 30, 40]
    assert [p.task_index for p in plan.places] == [0, 1, 0]
    assert plan.tasks == {"wave": 0, "fold": 1}
    assert video_places(plan) == [(0, 0), (0, 30), (0, 40)]
    assert plan.notes == ()


@pytest.mark.usefixtures("bytes_for_megabytes")
def test_files_end_before_their_limit():
    options = LeRobotOptions(data_files_size_in_mb=25, video_files_size_in_mb=250)
    plan = plan_dataset([episode(size=100)] * 5, [10] * 5, EMPTY, options)
    assert [p.data.file for p in plan.places] == [0, 0, 1, 1, 2]
    assert video_places(plan) == [(0, 0), (0, 30), (1, 0), (1, 30), (2, 0)]


@pytest.mark.usefixtures("bytes_for_megabytes")
def test_an_episode_larger_than_a_file_gets_one():
    plan = plan_dataset([episode(size=9)] * 2, [9] * 2, EMPTY, LeRobotOptions(video_files_size_in_mb=1))
    assert video_places(plan) == [(0, 0), (1, 0)]


@pytest.mark.usefixtures("bytes_for_megabytes")
def test_a_full_folder_starts_the_next():
    options = LeRobotOptions(chunks_size=2, video_files_size_in_mb=1, data_files_size_in_mb=1)
    plan = plan_dataset([episode()] * 5, [10] * 5, EMPTY, options)
    assert [(p.data.chunk, p.data.file) for p in plan.places] == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]


def test_other_parameter_sets_start_a_file_and_are_noted():
    plan = plan_dataset(
        [episode(sets="a"), episode(sets="b"), episode(sets="b"), episode(sets="a")],
        [1] * 4,
        EMPTY,
        LeRobotOptions(),
    )
    assert video_places(plan) == [(0, 0), (1, 0), (1, 30), (2, 0)]
    assert plan.notes == (
        "Camera 'top': 2 more video files, because the encoder's parameters change between episodes",
    )


def test_adding_goes_on_after_what_is_there():
    start = StartingPoint(
        4, 100, {"fold": 0}, FileIndex(0, 3), {video_key("top"): FileIndex(0, 7)}, FileIndex(0, 1)
    )
    plan = plan_dataset([episode(), episode(task="fold")], [1, 1], start, LeRobotOptions())
    assert [p.episode_index for p in plan.places] == [4, 5]
    assert plan.places[0].first_index == 100
    assert [p.task_index for p in plan.places] == [1, 0]
    assert video_places(plan) == [(7, 0), (7, 30)]
    assert plan.places[0].data == FileIndex(0, 3)


def test_long_files_end_where_float32_would_miss_frames():
    plan = plan_dataset([episode(rows=5000)] * 40, [1] * 40, EMPTY, LeRobotOptions())
    for place in plan.places:
        assert loads_exactly(place.videos[TOP].first_frame, 5000, 30)
    assert max(place.videos[TOP].first_frame for place in plan.places) / 30 > 800
    assert max(place.videos[TOP].file.file for place in plan.places) >= 4
    assert "float32" in plan.notes[0]


def test_exactness_is_lerobots_own_rule():
    """What lerobot 0.4.4 computes in `decode_video_frames_torchcodec`, frame by frame."""
    for first in (0, 20_000, 27_126, 130_000):
        found = True
        for row, stamp in enumerate(timestamps(5000, 30).tolist()):
            asked = np.float32(first / 30 + stamp)
            found &= bool(abs(asked - np.float32((first + row) / 30)) < TIMESTAMP_TOLERANCE_S)
        assert loads_exactly(first, 5000, 30) == found
    assert loads_exactly(0, 10**6, 30)
    assert not loads_exactly(27_126, 5000, 30)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"extras": ("smell",)}, "The extra 'smell' is not known"),
        ({"task_text": "poem"}, "The task text 'poem' is not known"),
        ({"overwrite": True, "append": True}, "both replaced and added to"),
        ({"cameras": ()}, "No camera is selected"),
        ({"chunks_size": 1001}, "1001 files a folder are not possible"),
        ({"video_files_size_in_mb": 0}, "video_files_size_in_mb is 0"),
    ],
)
def test_wrong_options_are_told(wrong, sentence):
    with pytest.raises(ExportError, match=sentence):
        LeRobotOptions(**wrong).check()
