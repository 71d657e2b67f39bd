"""What an episode says of its times and losses: headline, words, dialog, inspector, copied text."""

import dataclasses
import uuid

import pytest
from PyQt6.QtWidgets import QApplication, QLabel

from recorders.schema import EpisodeFooter, LatencyHeader, SegmentRef, SyncPair
from recorders.synthetic import synthetic_header
from sessions import EpisodeRow, StreamRow
from ui.viewmodels.episode_report import Fit, fit_of, report_of
from ui.viewmodels.episodes import EpisodeDetails
from ui.widgets.episode_inspector import EpisodeInspector
from ui.widgets.inspector_parts import rate_text
from ui.widgets.sync_report import SyncReportDialog, pair_name

PAIRS = (
    SyncPair("/camera/overhead/video", "/joints/measured", 1.2, 2.4, 2.5, 3.0, 0.1),
    SyncPair("/camera/overhead/video", "/stream/left/wrench", 4.0, 24.4, 30.0, 61.0, -12.0),
    SyncPair("/joints/measured", "/stream/left/wrench", 0.2, 8.0, 9.0, 9.5, 0.0),
)


def footer(**changes):
    values = dict(duration_ns=8 * 10**9, outcome="success", counts={}, lost={}, sync=PAIRS)
    return EpisodeFooter(**(values | changes))


def header(**changes):
    return dataclasses.replace(synthetic_header(("overhead",), 64, 48), **changes)


def details_of(head, streams=()):
    row = EpisodeRow(
        uuid=head.uuid, session_id=str(uuid.UUID(int=1)), station="Cell", operator="Ada", task="stack",
        instruction="Stack", index_in_session=0, path="episodes/x.mcap", started_utc_ns=10**18,
        duration_ns=8 * 10**9, frame_count=240, size_bytes=10**6, blake3="ab" * 32, format_version="1",
        software_version="0",
    )  # fmt: skip
    return EpisodeDetails(row, tuple(streams), ())


def texts(widget):
    return "\n".join(label.text() for label in widget.findChildren(QLabel))


@pytest.mark.parametrize(
    ("ms", "fit"), [(5.0, Fit.CLOSE), (5.1, Fit.APART), (20.0, Fit.APART), (20.1, Fit.FAR)]
)
def test_a_spacing_has_a_word(ms, fit):
    assert fit_of(ms) is fit


def test_the_widest_pair_comes_first_and_the_headline_says_how_many_are_close():
    report = report_of(header(), footer())
    assert [pair.p95_ms for pair in report.pairs] == [24.4, 8.0, 2.4]
    assert report.headline == ("Widest: overhead and left/wrench, p95 24.4 ms. Within 5 ms: 1 of 3 pairs.")
    assert report.fit is Fit.FAR


def test_losses_are_told_by_stream_with_their_reasons():
    report = report_of(
        header(),
        footer(
            lost={"/camera/overhead/video": 12, "/joints/sent": 1, "/joints/measured": 0},
            lost_by_reason={"/camera/overhead/video": {"encoder": 2, "queue full": 10}},
            lost_reasons=(
                "10 samples of /camera/overhead/video refused because queue full.",
                "982 samples of /joints/measured came twice and are kept once.",
                "The disk is full.",
            ),
            truncated=True,
        ),
    )
    assert report.losses == ("overhead  12: queue full 10, encoder 2", "joints sent  1")
    assert report.notes == ("It ends before the operator stopped it.", "The disk is full.")
    assert report.remarks == ("982 samples of joints measured came twice and are kept once.",)


def test_latencies_and_earlier_files_are_listed():
    latency = LatencyHeader("overhead", 35_200_000, 900_000, "barcode", "2026-11-20T10:00:00Z")
    report = report_of(
        header(latencies=(latency,)),
        footer(segments=(SegmentRef("a.part0.mcap", 12_000_000, "ab" * 32, 0, 600 * 10**9),)),
    )
    assert report.latencies == ("overhead  35.2 ms ± 0.9 ms  (barcode, 2026-11-20)",)
    assert report.parts == ("1  a.part0.mcap  600 s  12.0 MB",)


def test_a_file_without_an_end_says_so_and_an_old_one_was_not_measured():
    assert report_of(header(), None).notes == ("The file has no end: it was cut off by a crash.",)
    old = report_of(header(), footer(sync=()))
    assert (old.pairs, old.fit) == ((), None)
    assert "Synchronisation was not measured." in old.text


def test_the_text_is_a_table_a_spreadsheet_takes():
    lines = report_of(header(), footer()).text.splitlines()
    table = [line.split("\t") for line in lines if "\t" in line]
    assert {len(line) for line in table} == {7}
    assert table[1] == ["overhead", "left/wrench", "4.00", "24.40", "30.00", "61.00", "-12.00"]


def test_the_dialog_shows_each_pair_once_in_the_matrix_and_copies_it(qtbot):
    report = report_of(header(), footer())
    dialog = SyncReportDialog(report)
    qtbot.addWidget(dialog)
    cells = [label.text() for label in dialog.findChildren(QLabel) if label.toolTip() == "far apart"]
    assert cells.count("24.4") == 2  # in the matrix and in the list
    dialog.choice.setCurrentText("largest")
    assert "61.0" in texts(dialog)
    assert pair_name(report.pairs[0]) in texts(dialog)
    dialog.copy.click()
    assert QApplication.clipboard().text() == report.text


def test_the_inspector_adds_the_report_of_the_same_episode_only(qtbot):
    inspector = EpisodeInspector()
    qtbot.addWidget(inspector)
    head = header()
    inspector.show_details(details_of(head))
    inspector.set_report(report_of(header(), footer()))
    assert "Synchronisation" not in texts(inspector.widget())
    inspector.set_report(report_of(head, footer(lost={"/camera/overhead/video": 3})))
    shown = texts(inspector.widget())
    assert "Widest: overhead and left/wrench" in shown
    assert "overhead  3" in shown
    assert "None was calibrated." in shown


def test_a_rate_that_was_not_kept_is_told_beside_the_wanted_one():
    assert rate_text(StreamRow("/stream/x", "wrench", 1000.0, 1001, 0, 0, 10**9)) == "1000 Hz"
    assert rate_text(StreamRow("/camera/a/video", "video", 30.0, 151, 149, 0, 10 * 10**9)) == "15.0 of 30 Hz"
