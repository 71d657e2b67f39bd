"""Shared autonomy in a dataset: the columns, and the cuts and weights of each preset."""

import dataclasses
import json

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from recorders.exporters.lerobot import export_lerobot
from recorders.exporters.lerobot_options import LeRobotOptions
from recorders.exporters.presets import PRESETS, class_weights
from recorders.exporters.source import Judgement
from recorders.reader import EpisodeReader
from recorders.synthetic import feed, synthetic_header, synthetic_samples, write_synthetic
from recorders.synthetic_autonomy import FIRST_TAKEOVER, POLICY, VERSION, write_rollout
from recorders.writer import EpisodeWriter
from teleop_app.core.errors import ExportError
from teleop_app.core.types import Actor, AutonomyPhase, ControlTick

AUTONOMY = LeRobotOptions(extras=("autonomy",))
ROWS = 60


def header():
    return synthetic_header(("overhead",), width=64, height=48)


def table(root):
    paths = sorted((root / "data").rglob("*.parquet"))
    return pq.read_table(paths).to_pydict()


def features(root):
    return json.loads((root / "meta/info.json").read_text())["features"]


def episodes_of(root):
    return pq.read_table(root / "meta/episodes").to_pylist()


@pytest.fixture(scope="module")
def rollout(tmp_path_factory):
    return write_rollout(tmp_path_factory.mktemp("rollout"), header=header()).path


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A person drives for a second; no policy is there."""
    folder = tmp_path_factory.mktemp("demo")
    head = header()
    writer = EpisodeWriter(folder / ".open.mcap", head, destination=folder / f"{head.uuid}.mcap")
    for sample in synthetic_samples(head, 1.0, head.anchor_monotonic_ns):
        if isinstance(sample, ControlTick):
            sample = dataclasses.replace(sample, actor=Actor.HUMAN)
        feed(writer, sample)
    return writer.finish("success").path


@pytest.fixture(scope="module")
def exported(rollout, tmp_path_factory):
    root = tmp_path_factory.mktemp("exported") / "out"
    said = Judgement("failure", {FIRST_TAKEOVER: ("stuck", "resumed")})
    export_lerobot([rollout], root, AUTONOMY, judgements={rollout.stem: said})
    return root, table(root)


def test_who_had_the_say_and_why(exported):
    _, rows = exported
    assert len(rows["index"]) == ROWS
    driving = ["policy"] * 25 + ["human"] * 18 + ["none"] * 3 + ["policy"] * 14
    assert rows["actor"] == driving
    assert rows["intervention"] == [actor == "human" for actor in driving]
    assert rows["autonomy.phase"][25:43] == ["recover"] * 9 + ["correct"] * 9
    assert rows["autonomy.takeover"] == [FIRST_TAKEOVER if actor == "human" else 0 for actor in driving]
    assert {
        (a, r, o)
        for a, r, o in zip(
            driving, rows["autonomy.takeover_reason"], rows["autonomy.takeover_outcome"], strict=True
        )
    } == {("policy", "", ""), ("none", "", ""), ("human", "stuck", "resumed")}
    assert set(rows["autonomy.mode"]) == {"supervised"}
    assert rows["autonomy.alpha"] == [float(actor == "policy") for actor in driving]


def test_proposal_human_commanded_and_sent_are_told_apart(exported, rollout):
    _, rows = exported
    with EpisodeReader(rollout) as reader:
        tracks = {kind: reader.joints(kind) for kind in ("policy", "commanded", "sent")}
        instants = reader.video("overhead").capture_ns
    for row, at in enumerate(instants):
        for column, kind in (("action.policy", "policy"), ("action.commanded", "commanded")):
            held = max(0, np.searchsorted(tracks[kind].capture_ns, at, side="right") - 1)
            expected = tracks[kind].position[held].astype(np.float32)
            np.testing.assert_array_equal(rows[column][row], expected)
        human = [0.5] * 14 if rows["actor"][row] == "human" else rows["action"][row]
        assert rows["action.human"][row] == human
    assert rows["autonomy.policy_valid"] == [True] * ROWS
    assert rows["autonomy.human_valid"] == rows["intervention"]


def test_where_the_proposal_came_from(exported, rollout):
    _, rows = exported
    with EpisodeReader(rollout) as reader:
        chunks = {chunk.chunk: chunk for chunk in reader.chunks()}
        instants = reader.video("overhead").capture_ns
    assert set(rows["autonomy.chunk"]) == set(range(1, 11))
    for row, (number, at) in enumerate(zip(rows["autonomy.chunk"], instants, strict=True)):
        chunk = chunks[number]
        assert rows["autonomy.observation_age_s"][row] == pytest.approx((at - chunk.observation_ns) / 1e9)
        assert rows["autonomy.latency_s"][row] == pytest.approx(chunk.latency_ns / 1e9)
        assert rows["autonomy.uncertainty"][row] == pytest.approx(chunk.uncertainty)
        assert 0.0 <= rows["autonomy.index"][row] < 8.0
    assert set(rows["autonomy.policy"]) == {POLICY}
    assert set(rows["autonomy.version"]) == {VERSION}
    assert set(rows["autonomy.delay_steps"]) == {2}
    assert set(rows["autonomy.uncertainty_valid"]) == {True}
    assert set(rows["autonomy.novelty_valid"]) == {False}
    assert set(rows["autonomy.novelty"]) == {0.0}  # unknown is never NaN


def test_the_outcome_is_what_people_said_last(exported, rollout, tmp_path):
    _, rows = exported
    assert set(rows["outcome"]) == {"failure"}
    assert rows["next.done"] == [False] * 59 + [True]
    assert not any(rows["next.success"]) and not any(rows["next.reward"])
    export_lerobot([rollout], tmp_path / "own", AUTONOMY)  # the file's own word: success
    own = table(tmp_path / "own")
    assert set(own["outcome"]) == {"success"}
    assert own["next.success"] == [False] * 59 + [True]
    assert own["next.reward"] == [0.0] * 59 + [1.0]


def test_every_number_is_finite_and_declared(exported):
    root, rows = exported
    declared = features(root)
    for name, feature in declared.items():
        if feature["dtype"] in ("float32", "int64"):
            assert np.isfinite(np.array(rows[name], np.float64)).all(), name
    assert declared["autonomy.takeover"]["dtype"] == "int64"
    assert declared["autonomy.phase"]["dtype"] == "string"
    assert declared["action.policy"]["shape"] == [14]


def test_a_demonstration_shares_the_columns(rollout, demo, tmp_path):
    report = export_lerobot([demo, rollout], tmp_path / "out", AUTONOMY)
    assert report.left_out == {}
    rows = {name: values[:30] for name, values in table(tmp_path / "out").items()}
    assert set(rows["autonomy.phase"]) == {"demonstrate"}
    assert set(rows["autonomy.policy"]) == {""} and set(rows["autonomy.chunk"]) == {0}
    assert not any(rows["intervention"]) and not any(rows["autonomy.policy_valid"])
    assert rows["action.policy"] == rows["action"]
    assert all(rows["autonomy.human_valid"])
    assert rows["action.human"] == rows["action.commanded"]


def test_blending_is_an_intervention_too(tmp_path):
    phases = ((AutonomyPhase.POLICY, 0.5), (AutonomyPhase.BLEND, 0.5))
    path = write_rollout(tmp_path, phases, header()).path
    export_lerobot([path], tmp_path / "out", AUTONOMY)
    rows = table(tmp_path / "out")
    assert set(zip(rows["actor"], rows["intervention"], rows["autonomy.alpha"], strict=True)) == {
        ("policy", False, 1.0),
        ("blend", True, 0.25),
    }
    with pytest.raises(ExportError, match="'hg-dagger' leaves nothing of 1 episodes"):
        export_lerobot([path], tmp_path / "dagger", LeRobotOptions(preset="hg-dagger"))


def test_by_default_a_dataset_has_none_of_them(rollout, tmp_path):
    export_lerobot([rollout], tmp_path / "out")
    assert not [name for name in features(tmp_path / "out") if name.startswith(("autonomy", "action."))]


@pytest.mark.parametrize("preset", ["hg-dagger", "rac"])
def test_what_a_person_did_becomes_episodes_of_its_own(rollout, demo, tmp_path, preset):
    options = LeRobotOptions(extras=("actor", "outcome", "autonomy"), preset=preset)
    twice = write_rollout(
        tmp_path,
        (
            (AutonomyPhase.CORRECT, 0.5),
            (AutonomyPhase.POLICY, 0.3),
            (AutonomyPhase.RECOVER, 0.2),
            (AutonomyPhase.CORRECT, 0.5),
        ),
        header(),
    ).path
    report = export_lerobot([rollout, demo, twice], tmp_path / "out", options)
    rows = table(tmp_path / "out")
    assert [episode.rows for episode in report.episodes] == [18, 30, 16, 20]
    assert set(rows["actor"]) == {"human"}
    assert rows["index"] == list(range(84))
    for episode, record in zip(report.episodes, episodes_of(tmp_path / "out"), strict=True):
        span = slice(record["dataset_from_index"], record["dataset_to_index"])
        assert rows["frame_index"][span] == list(range(episode.rows))
        assert rows["timestamp"][span] == np.float32(np.arange(episode.rows) / 30).tolist()
        assert rows["next.done"][span] == [False] * (episode.rows - 1) + [True]
    # a stretch that the policy went on after is no success; that which ends the episode is
    succeeded = np.flatnonzero(rows["next.success"]).tolist()
    assert succeeded == [47, 83]
    said = json.loads((tmp_path / "out/meta/teleop.json").read_text())["episodes"]
    assert [item["rows"] for item in said] == [[25, 43], None, [0, 16], [25, 45]]
    assert "in 4 episodes" in report.notes[0]


def test_pictures_of_a_stretch_are_those_of_its_rows(rollout, tmp_path):
    export_lerobot([rollout], tmp_path / "out", LeRobotOptions(preset="rac"))
    path = tmp_path / "out/videos/observation.images.overhead/chunk-000/file-000.mp4"
    with av.open(str(path)) as container:
        found = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]
    with EpisodeReader(rollout) as reader:
        own = [image.astype(int) for image in reader.frames("overhead", 25, 43)]
    assert len(found) == len(own) == 18
    assert max(np.abs(a - b).mean() for a, b in zip(found, own, strict=True)) < 4.0


def test_an_interrupted_cut_goes_on_where_it_stopped(rollout, demo, tmp_path):
    def stop(progress):
        if progress.stage == "write":
            raise KeyboardInterrupt

    options = LeRobotOptions(preset="rac")
    with pytest.raises(KeyboardInterrupt):
        export_lerobot([rollout, demo], tmp_path / "out", options, stop)
    report = export_lerobot([rollout, demo], tmp_path / "out", options)
    assert report.resumed == 2
    again = export_lerobot([rollout, demo], tmp_path / "other", options)
    assert table(tmp_path / "out") == table(tmp_path / "other")
    assert report.rows == again.rows == 48


def test_another_judgement_prepares_anew(rollout, tmp_path):
    def stop(progress):
        if progress.stage == "write":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_lerobot([rollout], tmp_path / "out", AUTONOMY, stop)
    judged = {rollout.stem: Judgement("failure")}
    report = export_lerobot([rollout], tmp_path / "out", AUTONOMY, judgements=judged)
    assert report.resumed == 0
    assert set(table(tmp_path / "out")["outcome"]) == {"failure"}


@pytest.mark.parametrize("preset", ["iwr", "sirius"])
def test_weights_follow_the_classes(rollout, demo, tmp_path, preset):
    options = LeRobotOptions(preset=preset, pre_intervention_s=0.3)
    export_lerobot([rollout, demo], tmp_path / "out", options)
    rows = table(tmp_path / "out")
    kinds = ["policy"] * 16 + ["pre-intervention"] * 9 + ["intervention"] * 18 + ["policy"] * 17
    assert rows["sample_class"] == kinds + ["demo"] * 30
    weights = np.array(rows["sample_weight"])
    classes = np.array(rows["sample_class"])
    assert weights.mean() == pytest.approx(1.0)
    assert weights[classes == "intervention"].sum() == pytest.approx(45.0)
    if preset == "iwr":
        assert set(weights[classes != "intervention"].tolist()) == {float(np.float32(45 / 72))}
    else:
        assert set(weights[classes == "pre-intervention"].tolist()) == {0.0}
        assert set(weights[classes == "demo"].tolist()) == {1.0}
        assert weights[classes == "policy"].sum() == pytest.approx(15.0)
    stats = json.loads((tmp_path / "out/meta/stats.json").read_text())["sample_weight"]
    assert stats["mean"] == pytest.approx([1.0])
    assert stats["max"] == pytest.approx([weights.max()])
    assert features(tmp_path / "out")["sample_weight"]["dtype"] == "float32"


@pytest.mark.parametrize("preset", ["iwr", "sirius"])
@pytest.mark.parametrize(
    "counts",
    [
        {"demo": 10},
        {"policy": 7},
        {"intervention": 4},
        {"demo": 90, "intervention": 10},
        {"demo": 90, "policy": 5, "intervention": 5},
        {"policy": 50, "pre-intervention": 10, "intervention": 5},
        {"policy": 50, "pre-intervention": 10, "intervention": 5, "demo": 0},
        {"pre-intervention": 10, "intervention": 5},
    ],
)
def test_weights_of_any_mixture_have_the_mean_one(preset, counts):
    weights = class_weights(preset, counts)
    present = {name: count for name, count in counts.items() if count}
    assert set(weights) == set(present)
    assert min(weights.values()) >= 0.0
    total = sum(present.values())
    assert sum(weights[name] * count for name, count in present.items()) / total == pytest.approx(1.0)


def test_recap_keeps_failures_and_forces_corrections_positive(rollout, demo, tmp_path):
    failed = write_rollout(tmp_path, header=header(), outcome="failure").path
    export_lerobot([rollout, demo, failed], tmp_path / "out", LeRobotOptions(preset="recap"))
    rows = table(tmp_path / "out")
    assert len(rows["index"]) == 150
    assert rows["outcome"] == ["success"] * 90 + ["failure"] * 60
    assert set(rows["autonomy.version"]) == {"", VERSION}
    assert rows["intervention_forced_positive"] == rows["intervention"]
    assert sum(rows["intervention_forced_positive"]) == 36
    assert np.flatnonzero(rows["next.reward"]).tolist() == [59, 89]
    assert "action.policy" not in rows  # a policy would take it for an output


def test_choices_that_cannot_be_are_sentences(rollout, tmp_path):
    for options, sentence in (
        (LeRobotOptions(preset="dagger"), "The preset 'dagger' is not known. Use one of hg-dagger, iwr"),
        (LeRobotOptions(preset="sirius", append=True), "the weights of the rows that are there would change"),
        (LeRobotOptions(preset="iwr", pre_intervention_s=float("nan")), "nan s before a takeover"),
    ):
        with pytest.raises(ExportError, match=sentence):
            export_lerobot([rollout], tmp_path / "out", options)
    assert set(PRESETS) == {"hg-dagger", "iwr", "sirius", "rac", "recap"}


def test_an_old_episode_without_a_policy_exports_as_before(tmp_path):
    path = write_synthetic(tmp_path, 0.5, header()).path
    export_lerobot([path], tmp_path / "out", LeRobotOptions(preset="hg-dagger"))
    assert len(table(tmp_path / "out")["index"]) == 15
