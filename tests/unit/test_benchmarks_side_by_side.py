"""Comparisons with the peer: figures of both sides, parts in processes of their own, pictures and quality."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import all as whole_set
from benchmarks import peer_crash, rate_curve, subruns, table
from benchmarks.camera_bank import BankFrameSource, instant_of
from benchmarks.comparison import Comparison
from benchmarks.comparison import table as compared
from benchmarks.episodes import make_episodes
from benchmarks.figures import Figures
from benchmarks.own_episode import look
from benchmarks.pictures import Pictures, make_bank
from benchmarks.quality import psnr_db, ssim
from benchmarks.record_figures import add_ours, add_station, add_theirs, compare
from benchmarks.sides import OURS, STATION, TITLES, Take, takes
from benchmarks.subruns import Budget, Kept, SubRun, part
from devices.cameras.source import CameraFormat
from devices.sim.barcode import read_barcode
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.errors import ConfigError

WIDTH, HEIGHT = 160, 120


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bank(tmp_path_factory.mktemp("bank") / "bank.npy", WIDTH, HEIGHT, frames=8)


def test_a_comparison_has_a_ratio_and_says_whether_its_goal_is_met():
    less = Comparison("cpu", "s", "ours", "theirs", "the peer", times=8)
    more = Comparison("reads", "items/s", "ours", "theirs", "the peer", times=3, more_is_better=True)
    assert less.row({"ours": 0.5, "theirs": 4.5})["ratio"] == 9.0
    assert less.row({"ours": 0.5, "theirs": 4.5})["met"] is True
    assert less.row({"ours": 1.0, "theirs": 4.5})["met"] is False
    assert more.row({"ours": 90.0, "theirs": 30.0})["met"] is True
    assert more.row({"ours": 80.0, "theirs": 30.0})["met"] is False
    assert (less.goal, more.goal) == (">= 8 times less", ">= 3 times more")


def test_a_limit_holds_for_our_side_and_nothing_is_made_up_for_the_other():
    lost = Comparison("frames lost", "", "ours", "theirs", "the peer", at_most=0)
    row = lost.row({"ours": 0.0})
    assert (row["met"], row["theirs"], row["ratio"]) == (True, None, None)
    assert lost.row({"ours": 2.0, "theirs": 0.0})["met"] is False
    assert lost.row({"theirs": 5.0})["met"] is None
    text = compared([row])
    assert "| frames lost | 0 | not measured | the peer |  | <= 0 | yes |" in text


def test_side_by_side_comes_first_in_the_tables():
    figures = Figures()
    figures.add("ours", "ms", 10.0)
    figures.add("theirs", "ms", 30.0)
    figures.comparisons.append(Comparison("stop to durable", "ms", "ours", "theirs", "the peer", at_most=100))
    report = {
        "benchmark": "peer_record",
        "machine": {"cores": 2, "processor": "p", "load_average": [0, 0, 0], "file_system": "ext4"},
        "settings": {},
        "wall_s": 1.0,
        "cpu_s": 1.0,
        "side_by_side": figures.side_by_side(),
        "figures": [figure.as_dict() for figure in figures.done()],
        "not_measured": {},
        "notes": [],
    }
    results = {"started_utc": "", "revision": "", "quick": False, "reports": [report], "failed": {}}
    text = table.tables(table.summary(results))
    assert "| stop to durable [ms] | 10 | 30 | the peer | 3 | <= 100 ms | yes |" in text
    assert text.index("Side by side") < text.index("### peer_record")


def test_short_recordings_come_first_and_the_sides_take_turns():
    plan = list(takes([OURS, "png-av1"], [60.0, 10.0, 300.0], [4, 0], runs=5))
    assert [(take.seconds, take.load) for take in plan] == (
        [(10.0, 0)] * 10 + [(60.0, 0)] * 6 + [(10.0, 4)] * 6 + [(300.0, 0)] * 2
    )
    assert [take.side for take in plan[:4]] == [OURS, "png-av1", OURS, "png-av1"]
    assert all(take.timeout_s > take.expected_s > take.seconds for take in plan)


def test_a_budget_leaves_out_what_does_not_fit():
    budget = Budget(1.0)
    assert budget.allows(30.0) and not budget.allows(90.0)
    assert budget.reason == "left out: 1 minutes were given to this benchmark"


def test_parts_that_were_done_are_not_done_again_and_failed_ones_are(tmp_path: Path):
    file = tmp_path / "parts.jsonl"
    first = Kept(file)
    first.put("a", {"seconds": 1}, SubRun({"x": 1}, peak_mb=5.0))
    first.put("b", {"seconds": 1}, SubRun(None, "it was not done after 1 s"))
    again = Kept(file)
    assert again.get("a", {"seconds": 1}) == SubRun({"x": 1}, peak_mb=5.0)
    assert again.get("a", {"seconds": 2}) is None and again.get("b", {"seconds": 1}) is None
    assert again.taken_over == 1


def test_a_half_written_line_of_an_earlier_start_is_left_out(tmp_path: Path):
    file = tmp_path / "parts.jsonl"
    Kept(file).put("a", {}, SubRun({"x": 1}))
    file.write_text(file.read_text() + '\n{"key": "b", "result": {"x": 1}')
    again = Kept(file)
    assert again.get("a", {}) is not None
    again.put("c", {}, SubRun({"x": 2}))
    assert Kept(file).get("c", {}) == SubRun({"x": 2})


def test_a_part_gives_its_result_or_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "echo.py").write_text("import json, sys\nprint('noise')\nprint(sys.argv[1])\n")
    (tmp_path / "fails.py").write_text("raise SystemExit('no such camera')\n")
    (tmp_path / "dies.py").write_text("import os\nos.kill(os.getpid(), 9)\n")
    (tmp_path / "hangs.py").write_text("import time\nwhile True: time.sleep(1)\n")
    monkeypatch.setattr(subruns, "ROOT", tmp_path)
    assert part("echo", {"a": 1}, 60.0).result == {"a": 1}
    assert part("fails", {}, 60.0).reason == "it ended with code 1: no such camera"
    assert part("dies", {}, 60.0).reason == "it was ended by signal 9"
    assert part("hangs", {}, 0.3).reason == "it was not done after 0 s"


def test_without_the_peers_environment_the_command_says_how_to_make_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    monkeypatch.setenv(subruns.PEERS_VARIABLE, str(tmp_path / "none"))
    assert peer_crash.main([]) == ConfigError.exit_code
    said = capsys.readouterr()
    assert said.out == "" and "bootstrap/setup peers" in said.err


def test_a_bank_plays_to_and_fro_and_every_camera_sees_another_picture(bank: Path):
    pictures = Pictures(bank)
    assert pictures.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(pictures.plain(0, 2), pictures.plain(0, 12))  # 8 pictures: a period of 14
    assert not np.array_equal(pictures.plain(0, 2), pictures.plain(1, 2))


def test_a_camera_of_the_bank_shows_the_instant_it_is_stamped_with(bank: Path):
    source = BankFrameSource(bank, ("a", "b"))
    source.open({"b": CameraFormat(WIDTH, HEIGHT, 30, "")})
    source.latch(-(-100 * NS_PER_S // 30))
    image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    capture_ns = source.grab("b", image)
    assert read_barcode(image) == capture_ns // 1000
    assert instant_of(capture_ns, 30) == 100
    assert psnr_db(image, Pictures(bank).plain(1, 100)) > 80  # nothing but the barcode is different


def test_quality_falls_with_noise_and_the_barcode_does_not_count(bank: Path):
    source = np.array(Pictures(bank).plain(0, 0))
    random = np.random.default_rng(0)
    marked = source.copy()
    marked[-10:, :20] = 255
    assert psnr_db(marked, source) > 80 and ssim(marked, source) == pytest.approx(1.0)
    noisy = np.clip(source + random.normal(0, 10, source.shape), 0, 255).astype(np.uint8)
    assert psnr_db(noisy, source) == pytest.approx(28.1, abs=0.5)
    assert ssim(noisy, source) < 0.98


def test_quality_at_a_size_lies_between_the_points_and_never_outside():
    points = [[20, 1000.0, 40.0, 0.9], [30, 100.0, 30.0, 0.8]]
    psnr, likeness = rate_curve.at_size(points, 10**2.5) or (0.0, 0.0)
    assert psnr == pytest.approx(35.0) and likeness == pytest.approx(0.85)
    assert rate_curve.at_size(points, 99.0) is None and rate_curve.at_size([], 99.0) is None


def test_an_episode_of_a_bank_is_found_true_and_a_false_one_is_not(bank: Path, tmp_path: Path):
    [made] = make_episodes(tmp_path, 1, 0.5, width=WIDTH, height=HEIGHT, bank=bank)
    found = look(made.path, bank, graded=5)
    assert (found["wrong"], found["illegible"], found["frames"]) == (0, 0, 45)
    assert found["psnr"] > 27
    [other] = make_episodes(tmp_path, 1, 0.5, width=WIDTH, height=HEIGHT)
    assert look(other.path, bank, graded=5)["psnr"] < 20


def recordings() -> tuple[Figures, list[Take]]:
    """One recording of each side, with round numbers."""
    figures = Figures()
    own, other = Take(OURS, 10.0, 0, 0), Take("png-av1", 10.0, 0, 0)
    result = {
        "seconds": 10.0,
        "frames": 900,
        "due": 900,
        "lost": 3,
        "counted": 3,
        "wrong": 0,
        "illegible": 0,
        "joints_off_ms": 0.0,
        "ticks_lost": 0,
        "control": {"period_ms": [1.0, 2.0, 3.0]},
        "stop_ms": 20.0,
        "durable_ms": 5.0,
        "loop_cpu_s": 4.0,
        "save_cpu_s": 1.0,
        "control_cpu_s": 1.0,
        "peak_mb": 300.0,
        "bytes": 3_000_000,
        "psnr": 35.0,
        "ssim": 0.95,
    }
    add_ours(figures, own.head, result, 100.0)
    episode = {
        "due": 300,
        "rows": 290,
        "skipped": 10,
        "dropped": 5,
        "loop_s": 10.0,
        "loop_cpu_s": 10.0,
        "save_s": 30.0,
        "save_cpu_s": 48.0,
        "add_ms": [0.2, 1.0, 17.0],
    }
    checked = {
        "rows": 290,
        "looked_at": 145,
        "wrong": 4,
        "illegible": 0,
        "worst": 9,
        "unreadable": {"IndexError": 2},
        "psnr": 33.0,
        "ssim": 0.91,
    }
    result = {"episodes": [episode], "finalize_s": 0.1, "bytes": 1_000_000, "video_bytes": 870_000}
    add_theirs(figures, other, result, checked, 1300.0)
    return figures, [own, other]


def test_recordings_of_both_sides_are_compared_under_the_same_names():
    figures, done = recordings()
    compare(figures, done, [[17, 2000.0, 40.0, 0.97], [38, 500.0, 30.0, 0.8]])
    rows = {row["what"]: row for row in figures.side_by_side()}
    assert {row["side"] for row in rows.values()} == {TITLES["png-av1"]}
    assert (rows["10 s: frames lost"]["ours"], rows["10 s: frames lost"]["theirs"]) == (3, 35)
    assert rows["10 s: frames lost and not counted in the file"]["ours"] == 0
    assert rows["10 s: rows with a wrong picture"]["theirs"] == 8  # every second row was looked at
    assert rows["10 s: stop to durable"]["ratio"] == 1500.0
    processor = rows["10 s: processor, in all"]
    assert processor["ratio"] == pytest.approx(11.6) and processor["met"] is True
    assert rows["10 s: peak memory"]["ours"] == 200.0
    quality = rows["10 s: PSNR at their size"]
    assert 30 < quality["ours"] < 40 and quality["theirs"] == 33.0


def test_a_whole_station_stands_beside_the_peer_with_its_processor_time():
    figures, done = recordings()
    station = Take(STATION, 10.0, 0, 0)
    spent = {"seconds": 10.0, "due": 900, "lost": 0, "wrong": 0, "ticks_lost": 0, "stop_ms": 30.0}
    spent |= {"loop_cpu_s": 9.0, "save_cpu_s": 1.0, "peak_mb": 800.0}
    add_station(figures, station.head, spent, 100.0)
    compare(figures, [*done, station], [])
    [row] = [row for row in figures.side_by_side() if "with physics" in row["what"]]
    assert row["ours"] == 1.0 and row["theirs"] == pytest.approx(5.8)


def test_what_cannot_be_compared_is_a_row_without_a_value():
    figures, done = recordings()
    compare(figures, done, [])
    rows = {row["what"]: row for row in figures.side_by_side()}
    assert rows["10 s: PSNR at their size"]["ours"] is None
    assert any("outside of what our encoder was tried at" in why for why in figures.missing.values())


def test_every_comparison_has_full_and_quick_settings_that_it_understands():
    assert set(whole_set.PEERS_FULL) == set(whole_set.PEERS_QUICK)
    for name in whole_set.PEERS_FULL:
        assert Path(whole_set.__file__).with_name(f"{name}.py").is_file()


def test_programs_for_the_peers_environment_say_what_they_print(bank: Path):
    answer = part("benchmarks.rate_curve", {"pictures": str(bank), "frames": 12}, 100.0)
    assert answer.result is not None, answer.reason
    assert len(answer.result["points"]) == len(rate_curve.CRFS)
    json.dumps(answer.result)
