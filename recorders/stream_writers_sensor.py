"""Writes what sensors deliver at their own rates: numeric streams, sound, forces, clock fits, the world."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from recorders import message_bodies, messages, wire
from recorders.message_sink import (
    FUTURE,
    NOT_FINITE,
    UNDECLARED,
    WRONG_SHAPE,
    MessageSink,
)
from recorders.schema import (
    TOPIC_WORLD,
    AudioHeader,
    EpisodeHeader,
    StreamHeader,
    is_topic_name,
    topic_audio,
    topic_audio_stamps,
    topic_clock,
    topic_force,
    topic_stream,
)
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.types import AudioBlock, ClockFit, ForceBatch, StreamBatch, WorldState

MAX_BATCH_SAMPLES = 10_000
MAX_STREAM_VALUES = 4096
MAX_NAMES = 256
"""Clocks, and force sensors, that an episode holds."""
UNKNOWN = "nothing said what it measures"
NEW_FORMAT = "its format is not the one that the episode began with"
TOO_MANY_SAMPLES = f"it held more than {MAX_BATCH_SAMPLES} samples"
BAD_NAME = f"its name was no topic name, or there were more than {MAX_NAMES} of its kind"
MAX_CHANNELS = 64
_SAMPLE_BYTES = 2
_SOUND_STREAM = (
    "it needs a name of its own of letters, digits, _, -, . and /, a rate above 0, "
    f"and 1 to {MAX_STREAM_VALUES} values"
)
_SOUND_AUDIO = (
    "it needs a name of its own of letters, digits, _, -, . and /, a rate above 0, "
    f"and 1 to {MAX_CHANNELS} channels"
)


class SensorWriter:
    """Streams beside cameras and control; those that the header must name are refused when it does not."""

    def __init__(self, sink: MessageSink, header: EpisodeHeader) -> None:
        self._sink = sink
        self._ledger = sink.ledger
        self.rewrite_header(header)
        self._force_names = set(header.force_sensors)
        self._clock_names: set[str] = set()

    def rewrite_header(self, header: EpisodeHeader) -> None:
        """The header names more streams and microphones from now on."""
        self._streams = {stream.name: stream for stream in header.streams}
        self._audio = {source.name: source for source in header.audio}

    def add_stream(self, batch: StreamBatch) -> int:
        """Samples of a numeric stream; how many of them were written."""
        topic, stream = topic_stream(batch.stream), self._streams.get(batch.stream)
        count = max(1, len(batch.capture_ns))
        if stream is None:
            self._ledger.refuse(topic, UNKNOWN, count)
            return 0
        if len(batch.capture_ns) == 0:
            return 0
        first_ns, last_ns = int(batch.capture_ns[0]), int(batch.capture_ns[-1])
        period_ns = round(NS_PER_S / stream.rate_hz)
        seq = self._ledger.continued(topic, batch.seq, first_ns, period_ns, count, last_ns)
        if reason := _stream_refusal(batch, stream):
            self._ledger.refuse(topic, reason, count)
            return 0
        return self._add_samples(topic, batch, seq)

    def _add_samples(self, topic: str, batch: StreamBatch, seq: int) -> int:
        """One message a sample, so that a viewer plots each at its own time."""
        sink, ledger, times = self._sink, self._ledger, self._sink.times[topic]
        width = batch.values.shape[1]
        head, size = wire.sample_head(width), 8 * width
        raw = np.ascontiguousarray(batch.values, "<f8").tobytes()
        finite = np.asarray(np.isfinite(batch.values).all(axis=1))
        stamps = batch.capture_ns.tolist()
        devices = None if batch.device_ns is None else batch.device_ns.astype("<i8").tobytes()
        written = 0
        for row, at_ns in enumerate(stamps):
            if not finite[row]:
                ledger.refuse(topic, NOT_FINITE)
            elif sink.in_order(topic, at_ns):
                payload = sink.stamp(at_ns) + head + raw[row * size : (row + 1) * size]
                if devices is not None:
                    payload += wire.DEVICE_STAMP + devices[8 * row : 8 * row + 8]
                ready_ns = batch.receive_ns or at_ns
                if sink.put(topic, messages.SAMPLE, at_ns, payload, ready_ns, seq + row):
                    times.append(at_ns)
                    written += 1
        return written

    def add_audio(self, block: AudioBlock) -> bool:
        """Sound; whether it was written."""
        topic, source = topic_audio(block.source), self._audio.get(block.source)
        frames = max(1, len(block.payload) // (_SAMPLE_BYTES * max(1, block.channels)))
        if source is None:
            self._ledger.refuse(topic, UNDECLARED, frames)
            return False
        at_ns = block.capture_ns
        end_ns = at_ns + (frames - 1) * NS_PER_S // source.rate_hz
        seq = self._ledger.continued(topic, block.seq, at_ns, NS_PER_S // source.rate_hz, frames, end_ns)
        if (block.rate_hz, block.channels) != (source.rate_hz, source.channels):
            self._ledger.refuse(topic, NEW_FORMAT, frames)
        elif not block.payload or len(block.payload) % (_SAMPLE_BYTES * block.channels):
            self._ledger.refuse(topic, WRONG_SHAPE, frames)
        elif block.receive_ns and at_ns > block.receive_ns + NS_PER_S:
            self._ledger.refuse(topic, FUTURE, frames)
        elif self._sink.in_order(topic, at_ns, frames):
            payload = self._sink.stamp(at_ns) + message_bodies.audio_body(block)
            ready_ns = block.receive_ns or end_ns
            written = self._sink.put(topic, messages.RAW_AUDIO, at_ns, payload, ready_ns, seq, frames)
            if written and block.device_ns:
                times = block.device_ns, block.receive_ns, 0
                self._sink.put_stamps(topic_audio_stamps(block.source), at_ns, seq, *times)
            return written
        return False

    def add_clock(self, fit: ClockFit) -> None:
        """How a device's clock maps to the host's now."""
        topic, at_ns = topic_clock(fit.stream), fit.capture_ns
        if not _admitted(fit.stream, self._clock_names):
            self._ledger.refuse(topic_clock("?"), BAD_NAME)
        elif not math.isfinite(fit.drift_ppm):
            self._ledger.refuse(topic, NOT_FINITE)
        elif self._sink.in_order(topic, at_ns):
            payload = self._sink.stamp(at_ns) + message_bodies.clock_body(fit, self._sink.offset_ns)
            self._sink.put(topic, messages.CLOCK_FIT, at_ns, payload, at_ns, self._ledger.counts[topic])

    def add_force(self, batch: ForceBatch) -> None:
        """Contact forces; each sensor's part is one message at the time of its first sample."""
        count = len(batch.capture_ns)
        if count == 0:
            return
        whole = batch.force.shape == (count, len(batch.names), 3)
        finite = bool(whole and np.isfinite(batch.force).all())
        first_ns, last_ns = int(batch.capture_ns[0]), int(batch.capture_ns[-1])
        period_ns = (last_ns - first_ns) // (count - 1) if count > 1 else 0
        for index, name in enumerate(batch.names):
            if not _admitted(name, self._force_names):
                self._ledger.refuse(topic_force("?"), BAD_NAME, count)
                continue
            topic = topic_force(name)
            seq = self._ledger.continued(topic, batch.seq, first_ns, period_ns, count, last_ns)
            if not finite:
                self._ledger.refuse(topic, NOT_FINITE if whole else WRONG_SHAPE, count)
            elif self._sink.in_order(topic, first_ns, count):
                body = message_bodies.force_body(batch, index, self._sink.offset_ns)
                payload = self._sink.stamp(first_ns) + body
                ready_ns = batch.receive_ns or last_ns
                if self._sink.put(topic, messages.FORCE, first_ns, payload, ready_ns, seq, count):
                    self._sink.times[topic].extend(batch.capture_ns.tolist())

    def add_world(self, world: WorldState) -> None:
        """State of the simulated world."""
        at_ns = world.capture_ns
        seq = self._ledger.continued(TOPIC_WORLD, world.seq, at_ns)
        if not (np.isfinite(world.qpos).all() and math.isfinite(world.sim_time_s)):
            self._ledger.refuse(TOPIC_WORLD, NOT_FINITE)
        elif self._sink.in_order(TOPIC_WORLD, at_ns):
            payload = self._sink.stamp(at_ns) + message_bodies.world_body(world)
            self._sink.put(TOPIC_WORLD, messages.WORLD, at_ns, payload, at_ns, seq)


def with_sound_streams(header: EpisodeHeader) -> tuple[EpisodeHeader, list[str]]:
    """The header without the streams and microphones that cannot be recorded, and a sentence on each."""
    sentences: list[str] = []
    streams: dict[str, StreamHeader] = {}
    for stream in header.streams:
        sound = is_topic_name(stream.name) and stream.name not in streams
        if sound and 0 < len(stream.values) <= MAX_STREAM_VALUES and 0 < stream.rate_hz < math.inf:
            streams[stream.name] = stream
        else:
            sentences.append(f"Stream {stream.name[:40]!r} is not recorded: {_SOUND_STREAM}.")
    audio: dict[str, AudioHeader] = {}
    for source in header.audio:
        sound = is_topic_name(source.name) and source.name not in audio
        if sound and source.rate_hz > 0 and 0 < source.channels <= MAX_CHANNELS:
            audio[source.name] = source
        else:
            sentences.append(f"Microphone {source.name[:40]!r} is not recorded: {_SOUND_AUDIO}.")
    kept = dataclasses.replace(header, streams=tuple(streams.values()), audio=tuple(audio.values()))
    return kept, sentences


def _admitted(name: str, known: set[str]) -> bool:
    """Whether an undeclared name may have a topic; it is then known."""
    if name not in known and (len(known) >= MAX_NAMES or not is_topic_name(name)):
        return False
    known.add(name)
    return True


def _stream_refusal(batch: StreamBatch, stream: StreamHeader) -> str:
    count, width = len(batch.capture_ns), len(stream.values)
    shapes = [batch.capture_ns.shape == (count,), batch.values.shape == (count, width)]
    if batch.device_ns is not None:
        shapes.append(batch.device_ns.shape == (count,))
    if not all(shapes):
        return WRONG_SHAPE
    if count > MAX_BATCH_SAMPLES:
        return TOO_MANY_SAMPLES
    if batch.receive_ns and int(batch.capture_ns[-1]) > batch.receive_ns + NS_PER_S:
        return FUTURE
    return ""
