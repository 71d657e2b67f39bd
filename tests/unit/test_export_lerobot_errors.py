"""What an export refuses, and in which words."""

import dataclasses
import errno
import shutil
from contextlib import contextmanager

import numpy as np
import pytest

from recorders.exporters import load_exporter
from recorders.exporters.lerobot import export_lerobot, open_episode
from recorders.exporters.lerobot_options import LeRobotOptions
from recorders.exporters.report import ExportProgress
from recorders.synthetic import synthetic_header, with_cameras, write_synthetic
from teleop_app.core.errors import EpisodeError, ExportError


@pytest.fixture(scope="module")
def episodes(tmp_path_factory):
    """Three short episodes of one kind."""
    folder = tmp_path_factory.mktemp("episodes")
    return [write_synthetic(folder, 0.3).path for _ in range(3)]


@pytest.fixture
def out(tmp_path):
    return tmp_path / "dataset"


def altered(**changes):
    """An opener whose episodes have other values of some attributes or methods."""

    @contextmanager
    def opener(path):
        with open_episode(path) as source:
            for name, change in changes.items():
                setattr(source, name, change(source))
            yield source

    return opener


def test_no_episodes(out):
    with pytest.raises(ExportError, match="There are no episodes to export. Record some"):
        export_lerobot([], out)


def test_an_episode_named_twice(episodes, out):
    with pytest.raises(ExportError, match="is selected twice"):
        export_lerobot([episodes[0], episodes[0]], out)


def test_a_foreign_folder_is_never_touched(episodes, out):
    out.mkdir()
    (out / "thesis.txt").write_text("precious")
    for options in (LeRobotOptions(), LeRobotOptions(overwrite=True), LeRobotOptions(append=True)):
        with pytest.raises(ExportError, match="holds something that is not a LeRobot v3.0 dataset"):
            export_lerobot(episodes, out, options)
    assert [path.name for path in out.parent.iterdir() if path.name != "teleop-data"] == ["dataset"]
    assert (out / "thesis.txt").read_text() == "precious"


def test_a_file_is_no_folder(episodes, out):
    out.write_text("precious")
    with pytest.raises(ExportError, match="is a file"):
        export_lerobot(episodes, out)


def test_a_dataset_is_replaced_only_when_asked(episodes, out):
    export_lerobot(episodes[:1], out)
    with pytest.raises(ExportError, match="replace it with --overwrite, or add to it with --append"):
        export_lerobot(episodes, out)
    assert not (out.parent / ".dataset.partial").exists()
    report = export_lerobot(episodes, out, LeRobotOptions(overwrite=True))
    assert len(report.episodes) == 3
    assert sorted(path.name for path in out.parent.iterdir() if "dataset" in path.name) == ["dataset"]


def test_adding_the_same_episodes_again_adds_nothing(episodes, out):
    export_lerobot(episodes, out)
    with pytest.raises(ExportError, match="holds all 3 episodes already"):
        export_lerobot(episodes, out, LeRobotOptions(append=True))


def test_other_extras_do_not_fit_a_dataset(episodes, out):
    export_lerobot(episodes[:1], out)
    with pytest.raises(ExportError, match="do not fit the dataset dataset: .* 'observation.force'"):
        export_lerobot(episodes[1:], out, LeRobotOptions(append=True, extras=("velocity", "effort", "skew")))


def test_mixed_cameras_are_named_with_a_way_out(episodes, out, tmp_path):
    other = write_synthetic(tmp_path, 0.3, synthetic_header(("overhead",), width=64, height=48))
    with pytest.raises(ExportError, match="1 of 4 episodes have other cameras than the rest") as caught:
        export_lerobot([*episodes, other.path], out)
    assert other.header.uuid in str(caught.value)
    assert "or only the cameras they share" in str(caught.value)
    report = export_lerobot([*episodes, other.path], out, LeRobotOptions(cameras=("overhead",)))
    assert len(report.episodes) == 4


def test_mixed_rates_are_mixed_cameras(episodes, out, tmp_path):
    slow = with_cameras(synthetic_header(width=64, height=48), fps=15)
    path = write_synthetic(tmp_path, 0.3, slow).path
    with pytest.raises(ExportError, match=r"overhead 64x48@15.*overhead 64x48@30"):
        export_lerobot([*episodes, path], out)


def test_cameras_of_different_rates_in_one_episode(out, tmp_path):
    header = synthetic_header(width=64, height=48)
    cameras = (dataclasses.replace(header.cameras[0], fps=15), *header.cameras[1:])
    path = write_synthetic(tmp_path, 0.3, dataclasses.replace(header, cameras=cameras)).path
    with pytest.raises(ExportError, match="overhead 15, left_wrist 30, right_wrist 30 frames a second"):
        export_lerobot([path], out)


def test_mixed_joints_are_named(episodes, out, tmp_path):
    header = synthetic_header(width=64, height=48)
    header = dataclasses.replace(header, joint_names=tuple(f"arm/{n}" for n in range(14)))
    path = write_synthetic(tmp_path, 0.3, header).path
    with pytest.raises(ExportError, match="1 of 4 episodes have other joints than the rest"):
        export_lerobot([*episodes, path], out)


def test_an_unknown_camera(episodes, out):
    with pytest.raises(ExportError, match="has no camera 'roof': it has overhead, left_wrist, right_wrist"):
        export_lerobot(episodes, out, LeRobotOptions(cameras=("roof",)))


@pytest.mark.parametrize("kind", ["measured", "sent"])
def test_a_missing_stream(episodes, out, kind):
    def without(source):
        joints = source.joints
        return lambda wanted: joints("policy" if wanted == kind else wanted)

    with pytest.raises(ExportError, match=f"has no {kind} joint samples"):
        export_lerobot(episodes, out, opener=altered(joints=without))


def test_a_value_that_is_not_finite(episodes, out):
    def poisoned(source):
        joints = source.joints

        def read(kind):
            track = joints(kind)
            position = track.position.copy()
            position[20:40, 3] = np.nan
            return dataclasses.replace(track, position=position)

        return read

    with pytest.raises(ExportError, match=r"not finite in 'observation.state', row \d+, 'left/forearm_roll'"):
        export_lerobot(episodes, out, opener=altered(joints=poisoned))


def test_unrecorded_extras_are_left_out_and_said(episodes, out):
    def silent(source):
        joints = source.joints

        def read(kind):
            track = joints(kind)
            return dataclasses.replace(track, effort=np.full_like(track.effort, np.nan))

        return read

    report = export_lerobot(episodes, out, opener=altered(joints=silent))
    assert list(report.left_out) == ["observation.effort"]
    assert "the followers reported no joint effort" in report.left_out["observation.effort"]


def test_a_full_disk_is_told_before_anything_is_written(episodes, out, monkeypatch):
    usage = shutil.disk_usage(out.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1024 * 1024))
    with pytest.raises(ExportError, match="and .* has 1 MiB free. Free space or choose another disk"):
        export_lerobot(episodes, out)
    monkeypatch.undo()
    report = export_lerobot(episodes, out)
    assert report.resumed == 3


def test_a_disk_that_fills_up_meanwhile_keeps_what_is_prepared(episodes, out):
    def fail(progress: ExportProgress) -> None:
        if progress.stage == "write" and progress.episodes_done == 1:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ExportError, match="The disk of .*dataset is full. Free space and export again"):
        export_lerobot(episodes, out, progress=fail)
    assert not out.exists()
    assert export_lerobot(episodes, out).resumed == 3


@pytest.mark.parametrize(
    ("number", "sentence"), [(errno.EROFS, "cannot be written"), (errno.EIO, "failed: Input/output error")]
)
def test_other_failures_of_the_disk(episodes, out, number, sentence):
    def fail(progress: ExportProgress) -> None:
        raise OSError(number, {errno.EROFS: "Read-only file system", errno.EIO: "Input/output error"}[number])

    with pytest.raises(ExportError, match=sentence):
        export_lerobot(episodes, out, progress=fail)


def test_two_exports_to_one_folder(episodes, out):
    def export_too(progress: ExportProgress) -> None:
        export_lerobot(episodes[:1], out)

    with pytest.raises(ExportError, match="Another export to .*dataset is at work"):
        export_lerobot(episodes, out, progress=export_too)


def test_a_damaged_episode_file_is_told_by_the_reader(episodes, out, tmp_path):
    torn = tmp_path / "torn.mcap"
    torn.write_bytes(episodes[0].read_bytes()[:2000])
    with pytest.raises(EpisodeError, match="torn"):
        export_lerobot([*episodes[1:], torn], out)


def test_a_damaged_dataset_is_not_added_to(episodes, out):
    export_lerobot(episodes[:1], out)
    (out / "meta" / "stats.json").write_text("{")
    with pytest.raises(ExportError, match="cannot be added to: its metadata is damaged"):
        export_lerobot(episodes[1:], out, LeRobotOptions(append=True))


def test_the_registry_knows_its_names():
    function, options = load_exporter("lerobot")
    assert function is export_lerobot
    assert options is LeRobotOptions
    with pytest.raises(ExportError, match="There is no exporter 'hdf5'. Use one of lerobot"):
        load_exporter("hdf5")


def test_a_link_to_a_folder_stays_a_link(episodes, out, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    out.symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    export_lerobot(episodes[:1], out)
    export_lerobot(episodes, out, LeRobotOptions(overwrite=True))
    assert out.is_symlink()
    assert (tmp_path / "elsewhere" / "meta" / "info.json").is_file()
