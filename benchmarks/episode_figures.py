"""What an episode file says about how it was recorded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import NotMeasuredError
from devices.sim.barcode import WRAP_US, read_barcode
from recorders.reader import EpisodeReader
from recorders.schema import TOPIC_TICK, topic_joints
from recorders.tracks import concatenated, unwrapped
from teleop_app.core.clock import NS_PER_MS, NS_PER_S

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]
_INCIDENTS = ("safety.", "process.", "recorder.gap", "recorder.fault", "control.released")
_ENDINGS = ("safety.cleared", "safety.recovered")
IN_FLIGHT_NS = 100 * NS_PER_MS


@dataclass(frozen=True, slots=True)
class Loss:
    """Frames or ticks that were due and those that are missing."""

    due: int
    lost: int


def frame_loss(reader: EpisodeReader) -> dict[str, Loss]:
    """By camera. Due is every index of the common grid from the first frame of any camera on.

    Frames of the last `IN_FLIGHT_NS` before the last tick do not count: they may have been at the encoder
    when the recording was stopped.

    Raises:
        NotMeasuredError: A camera has no frame at all.
    """
    tracks = [reader.video(camera.name) for camera in reader.header.cameras]
    end_ns = int(reader.ticks().capture_ns[-1]) - IN_FLIGHT_NS
    counted = {track.camera.name: np.unique(track.seq[track.capture_ns <= end_ns]) for track in tracks}
    empty = [name for name, seq in counted.items() if len(seq) == 0]
    if empty:
        raise NotMeasuredError(f"The loss of frames was not measured: camera {empty[0]} has none")
    due = max(int(seq[-1]) for seq in counted.values()) - min(int(seq[0]) for seq in counted.values()) + 1
    return {name: Loss(due, due - len(seq)) for name, seq in counted.items()}


def first_frame_ms(reader: EpisodeReader) -> float:
    """From the record key to the capture of the first frame that every camera has; negative with pre-roll.

    Raises:
        NotMeasuredError: The file does not say when it was started, or a camera has no frame.
    """
    started = [event.capture_ns for event in reader.events() if event.kind == "recorder.started"]
    key_ns = reader.header.start_ns or next(iter(started), 0)
    tracks = [reader.video(camera.name).capture_ns for camera in reader.header.cameras]
    if not key_ns or any(len(times) == 0 for times in tracks):
        raise NotMeasuredError("The first frame was not measured: the start or the frames are missing")
    return (max(int(times[0]) for times in tracks) - key_ns) / NS_PER_MS


def _numbered(reader: EpisodeReader, topic: str) -> tuple[IntArray, IntArray]:
    blocks = list(reader.container.blocks(topic))
    seq = unwrapped(concatenated(block.seq.astype(np.int64) for block in blocks))
    return seq, concatenated(block.log_utc_ns for block in blocks)


def tick_loss(reader: EpisodeReader) -> Loss:
    """Control ticks between the first and the last one in the file.

    Raises:
        NotMeasuredError: The file has no ticks.
    """
    seq, _ = _numbered(reader, TOPIC_TICK)
    if len(seq) == 0:
        raise NotMeasuredError("The loss of ticks was not measured: the episode has none")
    due = int(seq[-1] - seq[0]) + 1
    return Loss(due, due - len(seq))


def lateness_us(reader: EpisodeReader) -> Array:
    """How late each tick began."""
    return reader.ticks().lateness_ns / 1e3


def incidents(reader: EpisodeReader) -> list[str]:
    """What went wrong during the recording, with the time since its first tick."""
    began_ns = int(reader.ticks().capture_ns[0])
    return [
        f"after {(event.capture_ns - began_ns) / NS_PER_S:.2f} s: {event.text} ({event.kind})"
        for event in reader.events()
        if event.kind.startswith(_INCIDENTS) and event.kind not in _ENDINGS
    ]


def driven_percent(reader: EpisodeReader) -> float:
    """Share of the ticks from the record key on that somebody drove."""
    ticks = reader.ticks()
    return 100.0 * float(np.mean(ticks.input_age_ns[ticks.capture_ns >= reader.header.start_ns] >= 0))


@dataclass(frozen=True, slots=True)
class InputLatency:
    """From the hand to the joint targets handed to the followers.

    Attributes:
        used_ms: On each tick that used a sample for the first time: from that sample's capture.
        every_ms: For each operator sample: until a target was sent that knew it or a newer one.
    """

    used_ms: Array
    every_ms: Array


def input_latency(reader: EpisodeReader) -> InputLatency:
    """Latencies over the ticks that somebody drove."""
    ticks = reader.ticks()
    tick_seq, _ = _numbered(reader, TOPIC_TICK)
    sent_seq, sent_utc_ns = _numbered(reader, topic_joints("sent"))
    sent_ns = reader.to_monotonic(sent_utc_ns)
    _, at_tick, at_sent = np.intersect1d(tick_seq, sent_seq, return_indices=True)
    driven = ticks.input_age_ns[at_tick] >= 0
    at_tick, at_sent = at_tick[driven], at_sent[driven]
    captured_ns = ticks.capture_ns[at_tick] - ticks.input_age_ns[at_tick]
    handed_ns = sent_ns[at_sent]
    new = np.diff(captured_ns, prepend=captured_ns[:1]) > 0
    used_ms = (handed_ns[new] - captured_ns[new]) / NS_PER_MS
    inputs_ns = reader.input_times()
    newest_ns = np.maximum.accumulate(captured_ns)
    inside = inputs_ns[(inputs_ns >= newest_ns[0]) & (inputs_ns <= newest_ns[-1])] if len(newest_ns) else []
    every_ms = np.zeros(0)
    if len(inside):
        every_ms = (handed_ns[np.searchsorted(newest_ns, inside)] - inside) / NS_PER_MS
    return InputLatency(used_ms, every_ms)


@dataclass(frozen=True, slots=True)
class TrueSync:
    """Cameras of the simulated cell: what the barcode in the picture says against the rest of the file.

    Attributes:
        stamp_ms: Physics time at the frame's capture time (from the world track) minus the barcode's.
        row_ms: Physics time of the measured joints nearest to the frame's capture time, minus the barcode's:
            the true distance of picture and joints in a row of a dataset.
        unreadable: Frames without a readable barcode.
    """

    stamp_ms: Array
    row_ms: Array
    unreadable: int


def true_sync(reader: EpisodeReader, camera: str) -> TrueSync:
    """Of every frame of a camera of the simulated cell.

    Raises:
        NotMeasuredError: The file has no world or joints to compare with.
    """
    world, joints_ns = reader.world(), reader.joints("measured").capture_ns
    if world is None or len(joints_ns) == 0:
        raise NotMeasuredError("The sync error was not measured: the episode has no world or no joints")
    captured_ns = reader.video(camera).capture_ns
    codes = [read_barcode(image) for image in reader.frames(camera)]
    seen = np.array([code is not None for code in codes])
    inside = (captured_ns >= world.capture_ns[0]) & (captured_ns <= world.capture_ns[-1]) & seen
    shown_us = np.array([code or 0 for code in codes], np.float64)[inside]
    frame_ns = captured_ns[inside]
    after = np.clip(np.searchsorted(joints_ns, frame_ns), 1, len(joints_ns) - 1)
    before_is_nearer = frame_ns - joints_ns[after - 1] < joints_ns[after] - frame_ns
    row_ns = joints_ns[after - before_is_nearer]

    def physics_us(at_ns: IntArray) -> Array:
        origin_ns = world.capture_ns[0]  # differences, so that float64 keeps every nanosecond
        return np.interp(at_ns - origin_ns, world.capture_ns - origin_ns, world.sim_time_s * 1e6)

    def error_ms(at_ns: IntArray) -> Array:
        wrapped = (physics_us(at_ns) - shown_us + WRAP_US / 2) % WRAP_US - WRAP_US / 2
        return wrapped / 1e3

    return TrueSync(error_ms(frame_ns), error_ms(row_ns), int((~seen).sum()))


def mislabelled_keyframes(reader: EpisodeReader, camera: str) -> tuple[int, int]:
    """Keyframes of a synthetic camera whose barcode is not their capture time: (how many, of how many).

    The synthetic source draws its capture time [us] into the picture, so any mix-up between camera,
    encoder and file shows here.
    """
    track = reader.video(camera)
    keyframes = np.flatnonzero(track.keyframe)
    wrong = sum(
        read_barcode(reader.frame(camera, index)) != int(track.capture_ns[index]) // 1000 % WRAP_US
        for index in keyframes.tolist()
    )
    return wrong, len(keyframes)
