"""Figures of recordings on both sides, under the same names, and which of them belong side by side."""

from __future__ import annotations

from statistics import median
from typing import Any

from benchmarks.comparison import Comparison
from benchmarks.figures import Figures
from benchmarks.rate_curve import at_size
from benchmarks.rig import CAMERAS
from benchmarks.sides import FPS, OURS, OWN, STATION, TITLES, Take

DURABLE_MS = 100.0
LESS_CPU = {"png-av1": 8.0, "stream-h264": 2.0}
"""Times less processor time a recorded second than each way of the peer."""
_LABELS = ("p50", "p99", "max")
_THREAD = "control thread, each picture period"
_VIDEO = "video, each frame"


def add_ours(figures: Figures, head: str, result: dict[str, Any], bank_mb: float) -> None:
    """One recording of ours.

    Args:
        figures: Takes them.
        head: Of their names.
        result: Of benchmarks.own_record.
        bank_mb: Mapped pictures, which no real camera needs.
    """
    recorded_s = result["seconds"]
    figures.add(f"{head}frames due", "", result["due"])
    figures.add(f"{head}frames lost", "", result["lost"])
    figures.add(
        f"{head}frames lost and not counted in the file", "", max(0, result["lost"] - result["counted"])
    )
    figures.add(f"{head}rows with a wrong picture", "", result["wrong"], at_most=0)
    figures.add(f"{head}pictures whose barcode is illegible", "", result["illegible"])
    figures.add(f"{head}joint sample against its stamp, largest", "ms", result["joints_off_ms"])
    figures.add(f"{head}control ticks lost", "", result["ticks_lost"])
    for label, cost in zip(_LABELS, result["control"]["period_ms"], strict=True):
        figures.add(f"{head}{_THREAD} {label}", "ms", cost)
    figures.add(f"{head}rate", "Hz", FPS * (1.0 - result["lost"] / result["due"]))
    figures.add(f"{head}stop to durable", "ms", result["stop_ms"], at_most=DURABLE_MS)
    figures.add(f"{head}stop to durable, recorder", "ms", result["durable_ms"])
    _add_processor(figures, head, result["loop_cpu_s"], result["save_cpu_s"], recorded_s)
    control_s = result["control_cpu_s"] / recorded_s
    figures.add(f"{head}processor, stand-in for control (not counted)", "s a recorded s", control_s)
    figures.add(f"{head}peak memory", "MB", result["peak_mb"] - bank_mb)
    filmed_s = result["frames"] / len(CAMERAS) / FPS  # with what was kept from before the key
    figures.add(f"{head}files", "kB a recorded s", result["bytes"] / filmed_s / 1e3)
    figures.add(f"{head}PSNR", "dB", result["psnr"])
    figures.add(f"{head}SSIM", "", result["ssim"])


def add_station(figures: Figures, head: str, result: dict[str, Any], bank_mb: float) -> None:
    """One recording by all processes of a station; arguments as in `add_ours`."""
    figures.add(f"{head}frames due", "", result["due"])
    figures.add(f"{head}frames lost", "", result["lost"])
    figures.add(f"{head}rows with a wrong picture", "", result["wrong"], at_most=0)
    figures.add(f"{head}control ticks lost", "", result["ticks_lost"])
    figures.add(f"{head}stop to durable", "ms", result["stop_ms"], at_most=DURABLE_MS)
    _add_processor(figures, head, result["loop_cpu_s"], result["save_cpu_s"], result["seconds"])
    figures.add(f"{head}peak memory", "MB", result["peak_mb"] - bank_mb)


def add_theirs(
    figures: Figures, take: Take, result: dict[str, Any], checked: dict[str, Any] | None, peak_mb: float
) -> None:
    """One recording of the peer.

    Args:
        figures: Takes them.
        take: Which.
        result: Of benchmarks.lerobot.record.
        checked: Of benchmarks.lerobot.check, None when that failed.
        peak_mb: Largest PSS of its processes, without the mapped pictures.
    """
    head, episode = take.head, result["episodes"][0]
    recorded_s = episode["due"] / FPS
    lost = len(CAMERAS) * episode["skipped"] + episode["dropped"]
    figures.add(f"{head}frames due", "", len(CAMERAS) * episode["due"])
    figures.add(f"{head}frames lost", "", lost)
    figures.add(f"{head}frames lost and not counted in the file", "", lost)
    if checked is not None:
        share = checked["rows"] / checked["looked_at"]
        unreadable = sum(checked["unreadable"].values())
        figures.note(f"{head}rows that cannot be read: {checked['unreadable']}" if unreadable else "")
        figures.add(f"{head}rows with a wrong picture", "", round(checked["wrong"] * share))
        figures.add(f"{head}pictures whose barcode is illegible", "", round(checked["illegible"] * share))
        figures.add(f"{head}rows that cannot be read", "", round(unreadable * share))
        figures.add(f"{head}rows, largest distance to their picture", "frames", checked["worst"])
        for name, unit in (("psnr", "dB"), ("ssim", "")):
            if checked[name] is not None:
                figures.add(f"{head}{name.upper()}", unit, checked[name])
    for label, cost in zip(_LABELS, episode["add_ms"], strict=True):
        figures.add(f"{head}{_THREAD} {label}", "ms", cost)
    figures.add(f"{head}rate", "Hz", episode["rows"] / episode["loop_s"])
    figures.add(f"{head}stop to durable", "ms", episode["save_s"] * 1e3)
    figures.add(f"{head}finalize, once a session", "ms", result["finalize_s"] * 1e3)
    _add_processor(figures, head, episode["loop_cpu_s"], episode["save_cpu_s"], recorded_s)
    figures.add(f"{head}peak memory", "MB", peak_mb)
    figures.add(f"{head}files", "kB a recorded s", result["bytes"] / episode["rows"] * FPS / 1e3)
    figures.add(f"{head}{_VIDEO}", "bytes", result["video_bytes"] / episode["rows"] / len(CAMERAS))


def _add_processor(figures: Figures, head: str, loop_s: float, save_s: float, recorded_s: float) -> None:
    for name, spent_s in (("recording", loop_s), ("saving", save_s), ("in all", loop_s + save_s)):
        figures.add(f"{head}processor, {name}", "s a recorded s", spent_s / recorded_s)


def compare(figures: Figures, done: list[Take], curve: list[list[float]]) -> None:
    """Put the figures of equal settings side by side.

    Args:
        figures: Those of all recordings.
        done: The recordings that were made.
        curve: Size and quality of our encoder, see benchmarks.rate_curve.
    """
    for take in dict.fromkeys(Take(each.side, each.seconds, each.load, 0) for each in done):
        if take.side in OWN:
            continue
        own = Take(OURS, take.seconds, take.load, 0).head
        _add_equal_size(figures, take.head, curve)
        for name, unit, goal in _pairs(take):
            if name.startswith("PSNR") or name.startswith("SSIM"):
                ours = f"{take.head}our {name}"
            else:
                ours = own + name
            what = f"{take.head.partition(', LeRobot')[0]}: {name}"
            figures.comparisons.append(
                Comparison(what, unit, ours, take.head + name.split(" at ")[0], TITLES[take.side], **goal)
            )
        _compare_station(figures, take)


def _compare_station(figures: Figures, take: Take) -> None:
    """All that a station does, beside the peer's recorder alone."""
    own = Take(STATION, take.seconds, take.load, 0).head
    if any(figure.name.startswith(own) for figure in figures.done()):
        name = "processor, in all"
        what = f"{take.head.partition(', LeRobot')[0]}: {name}; ours with physics, control and all"
        figures.comparisons.append(
            Comparison(what, "s a recorded s", own + name, take.head + name, TITLES[take.side])
        )


def _pairs(take: Take) -> list[tuple[str, str, dict[str, Any]]]:
    less = LESS_CPU.get(take.side)
    pairs: list[tuple[str, str, dict[str, Any]]] = [
        ("frames lost", "", {} if take.load else {"at_most": 0}),
        ("frames lost and not counted in the file", "", {"at_most": 0}),
        ("rows with a wrong picture", "", {"at_most": 0}),
        ("stop to durable", "ms", {} if take.load else {"at_most": DURABLE_MS}),
        (f"{_THREAD} p99", "ms", {}),
    ]
    if take.load:
        return pairs
    return [
        *pairs,
        ("processor, in all", "s a recorded s", {"times": less} if less else {}),
        ("peak memory", "MB", {}),
        ("files", "kB a recorded s", {}),
        ("PSNR at their size", "dB", {"more_is_better": True}),
        ("SSIM at their size", "", {"more_is_better": True}),
    ]


def _add_equal_size(figures: Figures, head: str, curve: list[list[float]]) -> None:
    sizes = [value for figure in figures.done() if figure.name == head + _VIDEO for value in figure.values]
    if not sizes:
        return
    found = at_size(curve, median(sizes))
    if found is None:
        figures.missing[f"{head}our PSNR at their size"] = (
            f"{median(sizes):.0f} bytes a frame are outside of what our encoder was tried at"
        )
        return
    for name, unit, value in zip(("PSNR", "SSIM"), ("dB", ""), found, strict=True):
        figures.add(f"{head}our {name} at their size", unit, value)
