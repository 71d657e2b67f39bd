"""Devices and people that deliver nonsense: refused in a sentence, counted, and nothing else is lost."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recorders.reader import EpisodeReader
from recorders.schema import EpisodeHeader, topic_video
from recorders.synthetic import feed, full_header, synthetic_header, synthetic_samples
from recorders.verify import verify_file
from recorders.writer import EpisodeWriter, FinishedEpisode
from sessions import Author, open_catalog
from teleop_app.core.errors import CatalogError
from teleop_app.core.paths import DataDir
from teleop_app.core.types import (
    AudioBlock,
    ControlTick,
    DepthPacket,
    Event,
    Sample,
    StreamBatch,
    VideoPacket,
)
from teleop_app.station.episode_rows import verdict_reasons
from teleop_app.station.store_recovery import rebuild_row

HEADER = full_header(synthetic_header(("overhead", "left_wrist"), 64, 48))
SAMPLES = list(synthetic_samples(HEADER, 0.5, HEADER.anchor_monotonic_ns))
GIGANTIC = 40 << 20
Spoil = Callable[[Any], Sample]


def written(folder: Path, samples: list[Sample], header: EpisodeHeader = HEADER) -> FinishedEpisode:
    folder.mkdir(exist_ok=True)
    name = f"{header.uuid}.mcap"
    (folder / name).unlink(missing_ok=True)
    writer = EpisodeWriter(folder / f".{name}", header, destination=folder / name, flush_s=0.05)
    for sample in samples:
        feed(writer, sample)
    return writer.finish("success")


def later(sample: Any, by_ns: int) -> Any:
    """The sample with its time moved."""
    name = "tick_ns" if isinstance(sample, ControlTick) else "capture_ns"
    return dataclasses.replace(sample, **{name: getattr(sample, name) + by_ns})


SPOILERS: dict[str, tuple[type, Spoil]] = {
    "a frame of another size": (VideoPacket, lambda s: dataclasses.replace(s, width=s.width + 2)),
    "a frame without a byte": (VideoPacket, lambda s: dataclasses.replace(s, payload=b"")),
    "a gigantic frame": (VideoPacket, lambda s: dataclasses.replace(s, payload=s.payload + bytes(GIGANTIC))),
    "a frame of the past": (VideoPacket, lambda s: later(s, -(10**10))),
    "a frame before time began": (VideoPacket, lambda s: later(s, -(2**62))),
    "a camera that nobody named": (VideoPacket, lambda s: dataclasses.replace(s, camera="../../stranger")),
    "a depth image of another unit": (DepthPacket, lambda s: dataclasses.replace(s, unit_m=1.0)),
    "a depth image that is none": (DepthPacket, lambda s: dataclasses.replace(s, payload=b"\x89PNG")),
    "a stream of another width": (StreamBatch, lambda s: dataclasses.replace(s, values=s.values[:, :-1])),
    "a stream that is not finite": (StreamBatch, lambda s: dataclasses.replace(s, values=s.values * np.nan)),
    "a stream whose time runs back": (
        StreamBatch,
        lambda s: dataclasses.replace(s, capture_ns=s.capture_ns[::-1].copy() - 10**9),
    ),
    "sound at another rate": (AudioBlock, lambda s: dataclasses.replace(s, rate_hz=8000)),
    "sound with half a sample": (AudioBlock, lambda s: dataclasses.replace(s, payload=s.payload + b"x")),
    "a tick of the past": (ControlTick, lambda s: later(s, -(10**9))),
    "a tick with too few joints": (ControlTick, lambda s: dataclasses.replace(s, sent=s.sent[:3])),
    "a gigantic event": (Event, lambda s: dataclasses.replace(s, text="x" * GIGANTIC)),
}


@pytest.mark.parametrize("what", SPOILERS)
def test_one_bad_sample_is_refused_counted_and_costs_no_other(tmp_path: Path, what: str) -> None:
    kind, spoil = SPOILERS[what]
    places = [index for index, sample in enumerate(SAMPLES) if isinstance(sample, kind)]
    at = places[len(places) // 2]
    whole = written(tmp_path / "whole", SAMPLES)
    spoiled = written(tmp_path / "spoiled", [*SAMPLES[:at], spoil(SAMPLES[at]), *SAMPLES[at + 1 :]])
    footer = spoiled.footer
    missing = Counter(whole.footer.counts) - Counter(footer.counts)
    assert missing and len({topic.removesuffix("/stamps") for topic in missing}) <= 5
    assert sum(footer.lost.values()) >= 1
    assert footer.lost == {topic: sum(by.values()) for topic, by in footer.lost_by_reason.items()}
    assert footer.lost_reasons and all(reason.endswith(".") for reason in footer.lost_reasons)
    assert verify_file(spoiled.path, blake3=spoiled.blake3, full=True).findings == ()


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(sorted(SPOILERS)), st.integers(0, len(SAMPLES) - 1)), max_size=25))
def test_whatever_is_bad_the_episode_is_whole_and_its_books_are_right(
    tmp_path: Path, faults: list[tuple[str, int]]
) -> None:
    samples: list[Sample] = list(SAMPLES)
    for what, near in faults:
        kind, spoil = SPOILERS[what]
        at = next(
            (i for i in (*range(near, len(samples)), *range(near)) if isinstance(samples[i], kind)), None
        )
        if at is not None and "gigantic" not in what:
            samples[at] = spoil(samples[at])
    finished = written(tmp_path, samples)
    footer = finished.footer
    assert verify_file(finished.path, blake3=finished.blake3, full=True).findings == ()
    for camera in HEADER.cameras:
        topic = topic_video(camera.name)
        given_frames = sum(isinstance(s, VideoPacket) and s.camera == camera.name for s in samples)
        assert footer.counts.get(topic, 0) + footer.lost.get(topic, 0) >= given_frames


def test_a_camera_that_never_starts_is_said(tmp_path: Path) -> None:
    samples = [s for s in SAMPLES if not (isinstance(s, VideoPacket) and s.camera == "overhead")]
    finished = written(tmp_path, samples)
    assert "No frames at all from overhead." in verdict_reasons(finished.header, finished.footer)
    assert verify_file(finished.path, full=True).findings == ()
    with EpisodeReader(finished.path) as reader:
        assert len(reader.video("overhead").seq) == 0
        assert len(reader.video("left_wrist").seq) == 30


NAMES = st.one_of(
    st.sampled_from(
        [
            "..",
            "../../etc/passwd",
            "/etc/passwd",
            "\0",
            "a\0b",
            "CON",
            "nul.mcap",
            "x" * 10_000,
            "",
            " ",
            "\u202e",
        ]
    ),
    st.text(max_size=50),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(NAMES, NAMES, NAMES)
def test_hostile_names_stay_text(tmp_path: Path, operator: str, task: str, station: str) -> None:
    """Names never become paths: the episode reads back as it was, and its row exists or is refused."""
    data = DataDir(tmp_path / "store").create()
    header = dataclasses.replace(HEADER, operator=operator, task=task, station=station, instruction=task)
    before = {path for path in tmp_path.rglob("*") if "store" not in path.parts}
    finished = written(data.episodes, SAMPLES[:200], header)
    with EpisodeReader(finished.path) as reader:
        assert (reader.header.operator, reader.header.task, reader.header.station) == (
            operator,
            task,
            station,
        )
    with open_catalog(data.root, Author.process("test")) as catalog:
        if catalog.episode(header.uuid) is None:
            try:
                assert rebuild_row(catalog, data, finished.path) == header.uuid
            except CatalogError as error:
                assert error.sentence.endswith(".")
    assert sorted(path.name for path in data.episodes.iterdir()) == [f"{header.uuid}.mcap"]
    assert {path for path in tmp_path.rglob("*") if "store" not in path.parts} == before


HOSTILE_ARGUMENTS = {
    "parent": "..",
    "climbing": "../../etc/passwd",
    "root": "/dev",
    "long": "x" * 5000,
    "backwards": "\u202e",
    "unknown": "no such episode",
    "short": "0" * 8,
    "format": "%s",
    "sql": "'; --",
}


@pytest.mark.parametrize("kind", HOSTILE_ARGUMENTS)
@pytest.mark.parametrize("command", ["verify", "import", "replay"])
def test_hostile_names_on_the_command_line_are_sentences(
    faults: Any, tmp_path: Path, command: str, kind: str
) -> None:
    done = faults.teleop_here(command, HOSTILE_ARGUMENTS[kind], data=tmp_path / "store")
    said = done.stderr + done.stdout
    assert done.returncode != 0
    assert "Traceback" not in said
    assert said.strip().endswith((".", "wrong"))
