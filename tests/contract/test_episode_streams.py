"""A file with every kind of stream: complete, and recovered after the writer was killed half-way."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory

from recorders.recovery import recover_open
from recorders.schema import topic_audio, topic_depth, topic_stream, topic_video
from recorders.synthetic import feed, full_header, synthetic_header, synthetic_samples, write_synthetic
from recorders.synthetic_sensors import HEADSET, MICROPHONE, WRENCH, stream_values
from recorders.verify import verify_file
from recorders.writer import EpisodeWriter
from teleop_app.core.types import DepthPacket

SECONDS = 1.0
EXPECTED = {
    topic_video("overhead"): 30,
    topic_video("right_wrist"): 60,
    "/camera/right_wrist/stamps": 60,
    topic_depth("overhead"): 30,
    "/camera/overhead/depth/stamps": 30,
    topic_stream(WRENCH.name): 1000,
    topic_stream(HEADSET.name): 90,
    topic_audio(MICROPHONE.name): 50,
    "/clock/left/wrench": 1,
    "/control/tick": 200,
    "/force/left/left_finger": 100,
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory):
    header = full_header(synthetic_header(width=64, height=48))
    return write_synthetic(tmp_path_factory.mktemp("full"), SECONDS, header)


def test_every_stream_is_whole_and_at_its_own_rate(finished) -> None:
    assert finished.footer.lost == {} and finished.footer.lost_reasons == ()
    assert {topic: finished.footer.counts[topic] for topic in EXPECTED} == EXPECTED
    assert verify_file(finished.path, full=True).findings == ()


def test_a_stock_reader_gives_the_values_that_were_true(finished) -> None:
    with finished.path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True, decoder_factories=[DecoderFactory()])
        rows = [
            (message.log_time, list(sample.values))
            for *_, message, sample in reader.iter_decoded_messages(topics=topic_stream(WRENCH.name))
        ]
    header = finished.header
    since = np.array([time for time, _ in rows], np.int64) - header.anchor_utc_ns
    truth = stream_values(WRENCH, since / 1e9)
    assert np.array_equal([values for _, values in rows], truth)


def test_recovery_keeps_every_stream(tmp_path: Path) -> None:
    header = full_header(synthetic_header(width=64, height=48))
    open_folder, episodes, damaged = (tmp_path / name for name in ("open", "episodes", "damaged"))
    for folder in (open_folder, episodes, damaged):
        folder.mkdir()
    path = open_folder / f"{header.uuid}.mcap"
    writer = EpisodeWriter(path, header, destination=episodes / path.name, flush_s=0.0)
    samples = list(synthetic_samples(header, SECONDS, header.anchor_monotonic_ns))
    for sample in samples[: len(samples) // 2]:
        feed(writer, sample)
    writer.abandon()  # as a kill: no end, no footer
    (recovery,) = recover_open(open_folder, episodes, damaged)
    assert recovery.footer is not None and recovery.footer.recovered
    with recovery.path.open("rb") as file:
        counts = Counter(
            channel.topic for _, channel, _ in make_reader(file, validate_crcs=True).iter_messages()
        )
    half = {topic: counts[topic] / (number / 2) for topic, number in EXPECTED.items() if number > 1}
    assert all(0.7 < share <= 1.1 for share in half.values()), half
    assert verify_file(recovery.path, full=True).ok


def test_a_depth_image_that_does_not_unpack_is_found(tmp_path: Path) -> None:
    header = full_header(synthetic_header(width=64, height=48))
    writer = EpisodeWriter(tmp_path / "o", header, destination=tmp_path / f"{header.uuid}.mcap")
    for sample in synthetic_samples(header, 0.3, header.anchor_monotonic_ns):
        if isinstance(sample, DepthPacket) and sample.seq == 4:
            sample = replace(sample, payload=sample.payload[:60] + bytes(len(sample.payload) - 60))
        feed(writer, sample)
    path = writer.finish().path
    assert verify_file(path).findings == ()
    assert verify_file(path, full=True).findings == (
        "1 depth images of camera overhead cannot be unpacked, the first is 4.",
    )
