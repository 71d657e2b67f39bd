"""One episode while it is recorded: which samples belong to it, and what fell silent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from recorders.schema import (
    TOPIC_TICK,
    TOPIC_WORLD,
    AudioHeader,
    EpisodeHeader,
    topic_audio,
    topic_depth,
    topic_stream,
    topic_video,
)
from recorders.writer import EpisodeWriter, FinishedEpisode
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.types import (
    AudioBlock,
    ClockFit,
    ControlTick,
    DepthPacket,
    Event,
    ForceBatch,
    InputSample,
    PolicyChunk,
    Sample,
    StreamBatch,
    StreamSetup,
    VideoPacket,
    WorldState,
)
from teleop_app.station.episode_head import stream_header
from teleop_app.station.joining_streams import JoiningStreams
from teleop_app.station.preview_strip import PreviewStrip
from teleop_app.station.roster import is_device_process
from teleop_app.station.thumbnail import LiveThumbnail, thumbnail_camera
from teleop_app.station.video_start import PrerollStart, VideoGate, VideoStart, preroll_starts

SILENT_NS = NS_PER_S // 2
"""A stream that brings nothing for this long is said to be silent."""
_DEVICE_LOST = ("follower.lost", "sensor.lost")
WORLD_NS = NS_PER_S // 100
"""The simulation tells its state this often."""
ALIGN_NS = NS_PER_S * 7 // 10
"""How long the cameras wait for each other's first keyframe."""

_TOPICS = {"control": TOPIC_TICK, "simulation": TOPIC_WORLD}
"""Of the streams that are no cameras; they are called after their processes."""


@dataclass(frozen=True, slots=True)
class Preroll:
    """What was kept before the record key.

    Attributes:
        wanted_ns: The pre-roll should begin here.
        floor_ns: And must not reach further back than here: the scene was another one.
        packets: Video that was kept.
    """

    wanted_ns: int
    floor_ns: int
    packets: Sequence[VideoPacket]


@dataclass(slots=True)
class _Silence:
    """When a stream last brought something, and the period it should have."""

    last_ns: int
    period_ns: int
    reported: bool = field(default=False)

    def is_silent(self, now_ns: int) -> bool:
        """Whether it should have brought something by now."""
        return now_ns - self.last_ns > max(SILENT_NS, 3 * self.period_ns)


class Recording:
    """Feeds one writer with the samples that belong to its episode.

    Args:
        writer: Of the episode.
        started_ns: The record key. Without pre-roll, samples captured before are not part of it.
        preroll: What lies before the key and is to be kept.
        opened_ns: Streams are silent from here on until they are heard; the key by default.
        chunk_in_force: A policy's chunk from before all that; written when the first tick still acts by it.

    Attributes:
        said_outcome: What somebody said of the episode, empty while nobody did.
    """

    def __init__(
        self,
        writer: EpisodeWriter,
        started_ns: int,
        preroll: Preroll | None = None,
        opened_ns: int | None = None,
        chunk_in_force: PolicyChunk | None = None,
    ) -> None:
        self.writer = writer
        self.said_outcome = ""
        self._chunk = chunk_in_force
        self.started_ns = self.first_ns = started_ns
        cameras = writer.header.cameras
        names = [camera.name for camera in cameras]
        same_rate = len({camera.fps for camera in cameras}) <= 1
        self._start: VideoGate = VideoStart(names, started_ns + ALIGN_NS, aligned=same_rate)
        if preroll is not None:
            self.first_ns = preroll.wanted_ns
            starts = preroll_starts(
                preroll.packets, names, preroll.wanted_ns, preroll.floor_ns, aligned=same_rate
            )
            if starts:
                self._start = PrerollStart(names, starts)
                self.first_ns = min(self.first_ns, *starts.values())
        opened_ns = started_ns if opened_ns is None else opened_ns
        self._silences = {"control": _Silence(opened_ns, NS_PER_S // writer.header.control_rate_hz)}
        self._silences |= {camera.name: _Silence(opened_ns, NS_PER_S // camera.fps) for camera in cameras}
        self._silences |= _sensor_silences(writer.header, opened_ns)
        self._joining = JoiningStreams(stream.name for stream in writer.header.streams)
        self._shown = thumbnail_camera(names)
        self.thumbnail = LiveThumbnail()
        self.preview = PreviewStrip()

    @property
    def uuid(self) -> str:
        """Of the episode."""
        return self.writer.header.uuid

    def take(self, sample: Sample, now_ns: int) -> None:
        """Write a sample that arrived at `now_ns`, unless it was captured before the start.

        Raises:
            StorageError: The disk is full or broken.
        """
        if _captured_ns(sample) < self.first_ns:
            if isinstance(sample, PolicyChunk):
                self._chunk = sample
            return
        if isinstance(sample, ControlTick):
            self._heard("control", now_ns)
            self._write_chunk_in_force(sample)
            self.writer.add_tick(sample)
        elif isinstance(sample, PolicyChunk):
            self._chunk = None
            self.writer.add_chunk(sample)
        elif isinstance(sample, VideoPacket):
            self._take_packet(sample, now_ns)
        elif isinstance(sample, InputSample):
            self.writer.add_input(sample, now_ns)
        elif isinstance(sample, WorldState):
            self._silences.setdefault("simulation", _Silence(now_ns, WORLD_NS))
            self._heard("simulation", now_ns)
            self.writer.add_world(sample)
        elif isinstance(sample, Event):
            self._take_event(sample)
        else:
            self._take_sensor(sample, now_ns)

    def _take_sensor(
        self, sample: DepthPacket | ForceBatch | StreamBatch | AudioBlock | ClockFit, now_ns: int
    ) -> None:
        if isinstance(sample, ForceBatch):
            self.writer.add_force(sample)
        elif isinstance(sample, StreamBatch):
            self._heard(topic_stream(sample.stream), now_ns)
            for batch in self._joining.take(sample, now_ns):
                self.writer.add_stream(batch)
        elif isinstance(sample, DepthPacket):
            self._heard(topic_depth(sample.camera), now_ns)
            self.writer.add_depth(sample)
        elif isinstance(sample, AudioBlock):
            self._heard(topic_audio(sample.source), now_ns)
            if sample.source not in {source.name for source in self.writer.header.audio}:
                self.writer.join(audio=[AudioHeader(sample.source, sample.rate_hz, sample.channels)])
            self.writer.add_audio(sample)
        else:
            self.writer.add_clock(sample)

    def _write_chunk_in_force(self, tick: ControlTick) -> None:
        """The chunk that a tick acts by is in the file, also when it was made before the episode began."""
        if self._chunk is None or tick.autonomy is None:
            return
        if tick.autonomy.chunk == self._chunk.chunk:
            self.writer.add_chunk(self._chunk)
        self._chunk = None

    def introduce(self, setup: StreamSetup, now_ns: int) -> None:
        """A stream says what it measures; one that the episode did not begin with joins it.

        Raises:
            StorageError: The disk is full or broken.
        """
        batches = self._joining.introduce(setup)
        if batches is None:
            return
        self.writer.join(streams=[stream_header(setup)])
        for topic, silence in _sensor_silences(self.writer.header, now_ns).items():
            self._silences.setdefault(topic, silence)
        for batch in batches:
            self.writer.add_stream(batch)

    def _take_event(self, event: Event) -> None:
        """An event; one that tells of a loss also marks the episode, or gives a gap its reason."""
        if event.kind == "stream.lost":
            topic, reason, count = (event.fields.get(key) for key in ("topic", "reason", "count"))
            if isinstance(topic, str) and isinstance(reason, str) and isinstance(count, int):
                self.writer.ledger.explain(topic, reason, count)
        elif event.kind in _DEVICE_LOST and event.text:
            self.writer.ledger.note(event.text)
        elif event.kind == "process.died" and is_device_process(name := str(event.fields.get("process"))):
            self.writer.ledger.note(f"The {name} process died during the recording.")
        self.writer.add_event(event)

    def _take_packet(self, packet: VideoPacket, now_ns: int) -> None:
        self._heard(packet.camera, now_ns)
        for ready in self._start.take(packet, now_ns):
            self._write(ready)

    def _write(self, packet: VideoPacket) -> None:
        self.writer.add_packet(packet)
        if packet.camera == self._shown and packet.capture_ns >= self.started_ns:
            self.thumbnail.see(packet)
            self.preview.see(packet)

    def _heard(self, stream: str, now_ns: int) -> None:
        silence = self._silences.get(stream)
        if silence is not None:
            silence.last_ns = max(silence.last_ns, now_ns)
            silence.reported = False

    def poll(self, now_ns: int) -> list[str]:
        """Keep the file moving while nothing arrives; sentences on streams that have just fallen silent.

        Raises:
            StorageError: The disk is full or broken.
        """
        if not self.writer.would_wait:
            for packet in self._start.release(now_ns):
                self._write(packet)
            for batch in self._joining.overdue(now_ns):
                self.writer.add_stream(batch)
            self.writer.poll()
        said = []
        for stream, silence in self._silences.items():
            if silence.is_silent(now_ns) and not silence.reported:
                silence.reported = True
                said.append(f"Nothing arrives from {_stream_name(stream)}. The recording goes on without it.")
        return said

    def silent(self, now_ns: int) -> list[str]:
        """Names of streams that are silent now."""
        return [name for name, item in self._silences.items() if item.is_silent(now_ns)]

    def finish(self, outcome: str, now_ns: int, truncated: str = "") -> FinishedEpisode:
        """Book what is missing at the end, and make the episode durable.

        Raises:
            StorageError: It could not be made durable; the sentence says where it lies.
        """
        if not self._start.open:
            for packet in self._start.release(now_ns + ALIGN_NS):
                self._write(packet)
        for batch in self._joining.rest():
            self.writer.add_stream(batch)
        for stream, silence in self._silences.items():
            silent_ns = now_ns - silence.last_ns
            if silence.is_silent(now_ns):
                topic = stream if stream.startswith("/") else _TOPICS.get(stream) or topic_video(stream)
                sentence = (
                    f"Nothing came from {_stream_name(stream)} in the last {silent_ns / NS_PER_S:.1f} s."
                )
                self.writer.ledger.lose(topic, silent_ns // silence.period_ns, sentence)
        strip = self.preview.jpeg()
        if strip:
            self.writer.set_preview(strip)
        return self.writer.finish(outcome, truncated=truncated)


def _captured_ns(sample: Sample) -> int:
    if isinstance(sample, ControlTick):
        return sample.tick_ns
    if isinstance(sample, PolicyChunk):
        return sample.made_ns
    if isinstance(sample, ForceBatch | StreamBatch):
        return int(sample.capture_ns[0]) if len(sample.capture_ns) else 0
    return sample.capture_ns


def _sensor_silences(header: EpisodeHeader, opened_ns: int) -> dict[str, _Silence]:
    """Of the streams of sensors; they are called by their topics."""
    periods = {topic_stream(stream.name): stream.rate_hz for stream in header.streams}
    periods |= {topic_depth(camera.name): camera.fps for camera in header.cameras if camera.depth_unit_m > 0}
    periods |= {topic_audio(source.name): source.rate_hz for source in header.audio}
    rated = {topic: rate_hz for topic, rate_hz in periods.items() if rate_hz > 0}
    return {topic: _Silence(opened_ns, round(NS_PER_S / rate_hz)) for topic, rate_hz in rated.items()}


def _stream_name(stream: str) -> str:
    if stream.startswith("/"):
        return f"stream {stream}"
    return f"the {stream} process" if stream in _TOPICS else f"camera {stream}"
