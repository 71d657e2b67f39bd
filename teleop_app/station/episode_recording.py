"""One episode while it is recorded: which samples belong to it, where video starts, what fell silent."""

from __future__ import annotations

from dataclasses import dataclass, field

from recorders.schema import TOPIC_TICK, TOPIC_WORLD, topic_video
from recorders.writer import EpisodeWriter, FinishedEpisode
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.types import ControlTick, Event, ForceBatch, InputSample, VideoPacket, WorldState
from teleop_app.station.thumbnail import LiveThumbnail, thumbnail_camera

SILENT_NS = NS_PER_S // 2
"""A stream that brings nothing for this long is said to be silent."""
WORLD_NS = NS_PER_S // 100
"""The simulation tells its state this often."""
ALIGN_NS = NS_PER_S * 7 // 10
"""How long the cameras wait for each other's first keyframe."""

_TOPICS = {"control": TOPIC_TICK, "simulation": TOPIC_WORLD}
"""Of the streams that are no cameras; they are called after their processes."""

Sample = ControlTick | VideoPacket | InputSample | WorldState | ForceBatch | Event


class VideoStart:
    """Holds packets back until all cameras can start with a keyframe of the same grid index.

    Args:
        cameras: Names; of one frame rate, else they cannot be aligned and each starts by itself.
        deadline_ns: From then on each camera starts with its own first keyframe.
        aligned: Whether the cameras share a grid.
    """

    def __init__(self, cameras: list[str], deadline_ns: int, *, aligned: bool = True) -> None:
        self._held: dict[str, list[VideoPacket]] = {name: [] for name in cameras}
        self._deadline_ns = deadline_ns
        self._aligned = aligned
        self.open = not cameras

    def take(self, packet: VideoPacket, now_ns: int) -> list[VideoPacket]:
        """Packets to write now, in order, after `packet` arrived."""
        if self.open:
            return [packet]
        held = self._held.setdefault(packet.camera, [])
        if held or packet.keyframe:
            held.append(packet)
        return self.release(now_ns)

    def release(self, now_ns: int) -> list[VideoPacket]:
        """Packets to write now, because every camera can start or the time is up."""
        if self.open:
            return []
        common: set[int] | None = None
        for packets in self._held.values():
            seqs = {packet.seq for packet in packets if packet.keyframe}
            common = seqs if common is None else common & seqs
        if self._aligned and common:
            start_seq = min(common)
            chosen = [p for packets in self._held.values() for p in packets if p.seq >= start_seq]
        elif now_ns >= self._deadline_ns or (not self._aligned and all(self._held.values())):
            chosen = [p for packets in self._held.values() for p in packets]
        else:
            return []
        self.open = True
        self._held.clear()
        return sorted(chosen, key=lambda packet: packet.capture_ns)


@dataclass(slots=True)
class _Silence:
    """When a stream last brought something, and the period it should have."""

    last_ns: int
    period_ns: int
    reported: bool = field(default=False)


class Recording:
    """Feeds one writer with the samples that belong to its episode.

    Args:
        writer: Of the episode.
        started_ns: Samples captured before are not part of it.
    """

    def __init__(self, writer: EpisodeWriter, started_ns: int) -> None:
        self.writer = writer
        self.started_ns = started_ns
        cameras = writer.header.cameras
        names = [camera.name for camera in cameras]
        same_rate = len({camera.fps for camera in cameras}) <= 1
        self._start = VideoStart(names, started_ns + ALIGN_NS, aligned=same_rate)
        self._silences = {"control": _Silence(started_ns, NS_PER_S // writer.header.control_rate_hz)}
        self._silences |= {camera.name: _Silence(started_ns, NS_PER_S // camera.fps) for camera in cameras}
        self._shown = thumbnail_camera(names)
        self.thumbnail = LiveThumbnail()

    @property
    def uuid(self) -> str:
        """Of the episode."""
        return self.writer.header.uuid

    def take(self, sample: Sample, now_ns: int) -> None:
        """Write a sample, unless it was captured before the start.

        Raises:
            StorageError: The disk is full or broken.
        """
        if isinstance(sample, ControlTick):
            if sample.tick_ns >= self.started_ns:
                self._heard("control", now_ns)
                self.writer.add_tick(sample)
        elif isinstance(sample, VideoPacket):
            self._take_packet(sample, now_ns)
        elif isinstance(sample, ForceBatch):
            if len(sample.capture_ns) and sample.capture_ns[0] >= self.started_ns:
                self.writer.add_force(sample)
        elif sample.capture_ns < self.started_ns:
            return
        elif isinstance(sample, InputSample):
            self.writer.add_input(sample, now_ns)
        elif isinstance(sample, WorldState):
            self._silences.setdefault("simulation", _Silence(now_ns, WORLD_NS))
            self._heard("simulation", now_ns)
            self.writer.add_world(sample)
        else:
            self.writer.add_event(sample)

    def _take_packet(self, packet: VideoPacket, now_ns: int) -> None:
        if packet.capture_ns < self.started_ns:
            return
        self._heard(packet.camera, now_ns)
        for ready in self._start.take(packet, now_ns):
            self._write(ready)

    def _write(self, packet: VideoPacket) -> None:
        self.writer.add_packet(packet)
        if packet.camera == self._shown:
            self.thumbnail.see(packet)

    def _heard(self, stream: str, now_ns: int) -> None:
        silence = self._silences.get(stream)
        if silence is not None:
            silence.last_ns = now_ns
            silence.reported = False

    def poll(self, now_ns: int) -> list[str]:
        """Keep the file moving while nothing arrives; sentences on streams that have just fallen silent.

        Raises:
            StorageError: The disk is full or broken.
        """
        for packet in self._start.release(now_ns):
            self._write(packet)
        self.writer.poll()
        said = []
        for stream, silence in self._silences.items():
            if now_ns - silence.last_ns > SILENT_NS and not silence.reported:
                silence.reported = True
                said.append(f"Nothing arrives from {_stream_name(stream)}. The recording goes on without it.")
        return said

    def silent(self, now_ns: int) -> list[str]:
        """Names of streams that are silent now."""
        return [name for name, item in self._silences.items() if now_ns - item.last_ns > SILENT_NS]

    def finish(self, outcome: str, now_ns: int, truncated: str = "") -> FinishedEpisode:
        """Book what is missing at the end, and make the episode durable.

        Raises:
            StorageError: It could not be made durable; the sentence says where it lies.
        """
        if not self._start.open:
            for packet in self._start.release(now_ns + ALIGN_NS):
                self._write(packet)
        for stream, silence in self._silences.items():
            silent_ns = now_ns - silence.last_ns
            if silent_ns > SILENT_NS:
                topic = _TOPICS.get(stream) or topic_video(stream)
                sentence = (
                    f"Nothing came from {_stream_name(stream)} in the last {silent_ns / NS_PER_S:.1f} s."
                )
                self.writer.ledger.lose(topic, silent_ns // silence.period_ns, sentence)
        return self.writer.finish(outcome, truncated=truncated)


def _stream_name(stream: str) -> str:
    return f"the {stream} process" if stream in _TOPICS else f"camera {stream}"
