"""Whether what is being recorded can be trusted: the queues to the disk, and what was lost on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from teleop_app.core.types import RecorderState, RecorderStatus

BACKLOG_HIGH = 0.5
"""Fill of the fullest queue from which on it is shown."""
BACKLOG_LOW = 0.3
"""Below this it is silent again, so that it does not flicker."""

_OPEN = (RecorderState.RECORDING, RecorderState.FINALISING)
_MOST_LINES = 8
_MOST_NAMED = 2
_REMEDY = "Close other programs; if it goes on, lower a camera's size or rate on Setup."


class Trust(Enum):
    """How much of the open episode is there."""

    SOUND = "sound"
    STRAINED = "strained"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Loss:
    """What a stream lost: its name, how many samples, and the reasons that are known."""

    stream: str
    count: int
    reasons: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """One line for people."""
        why = f": {', '.join(self.reasons)}" if self.reasons else ""
        return f"{self.stream}  {self.count} lost{why}"


@dataclass(frozen=True, slots=True)
class TrustView:
    """What the meter shows.

    Attributes:
        trust: Silent, amber or red.
        fill: Of the fullest queue, 0..1 in hundredths.
        sentence: What is off, empty when nothing is.
        remedy: What to do about it.
        lines: Loss by stream, the greatest first.
    """

    trust: Trust = Trust.SOUND
    fill: float = 0.0
    sentence: str = ""
    remedy: str = ""
    lines: tuple[str, ...] = ()


class TrustWatch:
    """Follows the recorder's status; the only memory is that of the backlog's threshold."""

    def __init__(self) -> None:
        self._strained = False

    def observe(self, status: RecorderStatus, redo_key: str) -> TrustView:
        """Returns what to show.

        Args:
            status: The newest word of the recorder.
            redo_key: Label of the key that starts the episode over.
        """
        fill = round(min(max(status.backlog, 0.0), 1.0), 2)
        self._strained = fill >= (BACKLOG_LOW if self._strained else BACKLOG_HIGH)
        found = losses(status.lost, status.dropped) if status.state in _OPEN else ()
        if found:
            count = sum(loss.count for loss in found)
            return TrustView(
                Trust.LOST,
                fill,
                f"{_samples(count)} lost: {_worst(found)}.",
                f"{redo_key} starts over. {_REMEDY}",
                tuple(loss.line for loss in found[:_MOST_LINES]),
            )
        if self._strained:
            sentence = f"The recorder falls behind: a queue is {fill:.0%} full. Nothing is lost yet."
            return TrustView(Trust.STRAINED, fill, sentence, _REMEDY)
        return TrustView()


def losses(lost: Mapping[str, int], dropped: Mapping[str, int]) -> tuple[Loss, ...]:
    """Returns what was lost by stream, the greatest first.

    A frame dropped on the way to the disk is also missing in its camera's grid: it counts once.

    Args:
        lost: Frames by camera.
        dropped: Samples by `stream: reason`.
    """
    reasons: dict[str, dict[str, int]] = {}
    for key, count in dropped.items():
        stream, _, reason = key.partition(": ")
        if count > 0:
            reasons.setdefault(stream_name(stream), {})[reason] = count
    streams = dict.fromkeys([*(name for name, count in lost.items() if count > 0), *reasons])
    found = [
        Loss(
            stream,
            max(lost.get(stream, 0), sum(reasons.get(stream, {}).values())),
            tuple(reason for reason in reasons.get(stream, {}) if reason),
        )
        for stream in streams
    ]
    return tuple(sorted(found, key=lambda loss: -loss.count))


def stream_name(topic: str) -> str:
    """Returns what people call a stream: `/camera/overhead/video` is `overhead`."""
    parts = topic.removeprefix("stream ").strip("/").split("/")
    match parts:
        case ["camera", *name, "video"] if name:
            return "/".join(name)
        case ["video", *name] if name:
            return "/".join(name)
        case ["camera", *name, "depth" | "stamps" as what] if name:
            return f"{'/'.join(name)} {what}"
        case ["stream" | "audio" | "force" | "batch", *name] if name:
            return "/".join(name)
        case ["joints" | "operator" | "control", *_]:
            return " ".join(parts)
        case _:
            return "/".join(parts)


def _worst(found: tuple[Loss, ...]) -> str:
    named = ", ".join(f"{loss.stream} {loss.count}" for loss in found[:_MOST_NAMED])
    return named if len(found) <= _MOST_NAMED else f"{named} and others"


def _samples(count: int) -> str:
    return "1 sample" if count == 1 else f"{count:,} samples".replace(",", " ")
