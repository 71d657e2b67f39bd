"""Samples straight from episodes: right pairing, padding, order, filters, and refusals in sentences."""

import dataclasses
import pickle

import numpy as np
import pytest

from recorders.dataset import EpisodeDataset
from recorders.reader import EpisodeReader
from recorders.synthetic import synthetic_header, write_synthetic
from teleop_app.core.errors import EpisodeError

CAMERAS = ("overhead", "left_wrist", "right_wrist")
SECONDS = (1.0, 0.5)
UUIDS = tuple(f"{number:08}-0000-4000-8000-000000000000" for number in range(2))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    (store / "episodes").mkdir()
    for number, (seconds, outcome) in enumerate(zip(SECONDS, ("success", "failure"), strict=True)):
        header = dataclasses.replace(synthetic_header(width=64, height=48), uuid=UUIDS[number])
        write_synthetic(store / "episodes", seconds, header, outcome=outcome)
    return store


@pytest.fixture(scope="module")
def dataset(folder):
    dataset = EpisodeDataset(folder)
    yield dataset
    dataset.close()


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


def test_a_sample_is_a_frame_of_each_camera_with_state_and_action(dataset, folder):
    assert dataset.lengths == (30, 15)
    sample = dataset[37]
    assert (sample["episode_index"], sample["frame_index"], sample["task"]) == (1, 7, "Wave both arms")
    with EpisodeReader(folder / "episodes" / f"{UUIDS[1]}.mcap") as reader:
        at_ns = sample["time_ns"]
        for camera in CAMERAS:
            np.testing.assert_array_equal(sample[f"observation.images.{camera}"], reader.frame(camera, 7))
            assert (
                reader.video(camera).capture_ns[7] == at_ns + sample[f"observation.images.{camera}_error_ns"]
            )
        sent = reader.joints("sent")
        held = np.flatnonzero(sent.capture_ns <= at_ns)[-1]
        np.testing.assert_array_equal(sample["action"], sent.position[held].astype(np.float32))
        assert sample["action_error_ns"] == at_ns - sent.capture_ns[held]
    assert sample["observation.state"].shape == (14,)


def test_every_way_through_gives_the_same_samples(dataset):
    one_by_one = [dataset[index] for index in range(len(dataset))]
    assert all(same(a, b) for a, b in zip(one_by_one, dataset.sequential(), strict=True))
    order = np.random.default_rng(3).permutation(len(dataset)).tolist()
    for index, sample in zip(order, dataset.__getitems__(order), strict=True):
        assert same(sample, one_by_one[index])


def test_shuffled_order_holds_every_sample_once(dataset):
    def key(sample):
        return int(sample["episode_index"]), int(sample["frame_index"])

    shuffled = [key(sample) for sample in dataset.sequential(shuffle=16, seed=1)]
    assert sorted(shuffled) == [key(sample) for sample in dataset.sequential()]
    assert shuffled != sorted(shuffled)
    assert shuffled == [key(sample) for sample in dataset.sequential(shuffle=16, seed=1)]


def test_horizon_and_history_are_padded_at_the_ends(folder):
    period = 1 / 30
    camera = "observation.images.overhead"
    deltas = {"action": [0.0, period, 2 * period], camera: [-period, 0.0]}
    dataset = EpisodeDataset(folder, delta_s=deltas)
    first, last = dataset[0], dataset[29]
    assert first["action"].shape == (3, 14)
    assert first["action_is_pad"].tolist() == [False, False, False]
    assert last["action_is_pad"].tolist() == [False, True, True]
    np.testing.assert_array_equal(last["action"][1], last["action"][0])
    assert first[f"{camera}_is_pad"].tolist() == [True, False]
    np.testing.assert_array_equal(dataset[5][camera][0], dataset[4][camera][1])
    np.testing.assert_array_equal(dataset[5]["action"][1], dataset[6]["action"][0])
    dataset.close()


def test_episodes_take_turns_with_few_files_open(folder, dataset, monkeypatch):
    monkeypatch.setattr("recorders.dataset._OPEN_EPISODES", 1)
    turns = EpisodeDataset(folder)
    for index in (3, 33, 4, 34, 3, 44):
        assert same(turns[index], dataset[index])
    assert all(same(a, b) for a, b in zip(turns.sequential(), dataset.sequential(), strict=True))
    turns.close()


def test_a_file_that_changed_meanwhile_is_not_read_on(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("recorders.dataset._OPEN_EPISODES", 1)
    for path in (folder / "episodes").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    dataset = EpisodeDataset(tmp_path)
    assert dataset[3]["episode_index"] == 0
    assert dataset[33]["episode_index"] == 1
    with (tmp_path / f"{UUIDS[0]}.mcap").open("ab") as file:
        file.write(b"more")
    with pytest.raises(EpisodeError, match="was altered"):
        dataset[5]
    dataset.close()


def test_it_is_pickled_without_its_open_files(dataset):
    again = pickle.loads(pickle.dumps(dataset))
    assert same(again[10], dataset[10])
    again.close()


def test_pictures_are_scaled(folder):
    dataset = EpisodeDataset(folder, cameras=["left_wrist"], size=(32, 20))
    assert dataset[3]["observation.images.left_wrist"].shape == (20, 32, 3)
    assert "observation.images.overhead" not in dataset[3]
    dataset.close()


def test_only_episodes_with_a_wanted_outcome(folder):
    dataset = EpisodeDataset(folder, outcomes=["failure"])
    assert [path.name for path in dataset.episodes] == [f"{UUIDS[1]}.mcap"]
    dataset.close()


def test_refusals_are_sentences(folder, dataset, tmp_path):
    with pytest.raises(EpisodeError, match="There is no episode in"):
        EpisodeDataset(tmp_path)
    with pytest.raises(EpisodeError, match="has no camera 'chest'"):
        EpisodeDataset(folder, cameras=["chest"])
    with pytest.raises(EpisodeError, match="outcome unknown"):
        EpisodeDataset(folder, outcomes=["unknown"])
    with pytest.raises(EpisodeError, match="There is no stream 'smell'"):
        EpisodeDataset(folder, streams=["smell"])
    with pytest.raises(EpisodeError, match="no entry 'actions'"):
        EpisodeDataset(folder, delta_s={"actions": [0.0]})
    with pytest.raises(EpisodeError, match="finite"):
        EpisodeDataset(folder, delta_s={"action": [float("nan")]})
    with pytest.raises(IndexError):
        dataset[45]


def test_episodes_of_two_robots_are_refused(folder, tmp_path):
    other = dataclasses.replace(synthetic_header(width=64, height=48), robot_type="so101")
    path = write_synthetic(tmp_path, 0.2, other).path
    with pytest.raises(EpisodeError, match="viperx_bimanual and so101"):
        EpisodeDataset([*(folder / "episodes").glob("*.mcap"), path])
    small = write_synthetic(tmp_path, 0.2, synthetic_header(width=32, height=32)).path
    with pytest.raises(EpisodeError, match="32x32"):
        EpisodeDataset([*(folder / "episodes").glob("*.mcap"), small])
