"""From an episode file's header and footer to its row in the catalog."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from recorders.rollout import RolloutFacts
from recorders.schema import TOPIC_AUTONOMY, EpisodeFooter, EpisodeHeader, topic_force, topic_video
from sessions.rows import EpisodeRow, RolloutRow, StreamRow, TakeoverRow
from sessions.states import EpisodeState, Outcome

_NO_SPAN = (0, 0)
_SENSORS = ("/stream/", "/audio/", "/force/")
_SAMPLED = frozenset({"control", "autonomy", "joints", "camera", "force", "audio", "stream", "sim"})
"""First parts of the topics that hold samples at a rate; the catalog lists no others."""
_BESIDE = ("/stamps", "/calibration")
_CONTROL = ("/joints/", "/control/", "/operator/", TOPIC_AUTONOMY)


def session_id_of(header: EpisodeHeader) -> str:
    """The catalog's id of the session; one derived from the name when the file has another kind."""
    try:
        return str(uuid.UUID(header.session))
    except ValueError:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"teleop-session:{header.station}:{header.session}"))


def frames_of(header: EpisodeHeader, footer: EpisodeFooter) -> dict[str, int]:
    """Frames by camera in the episode's files: with those kept from before the record key."""
    return {camera.name: footer.counts.get(topic_video(camera.name), 0) for camera in header.cameras}


def lost_frames_of(header: EpisodeHeader, footer: EpisodeFooter) -> dict[str, int]:
    """Lost frames by camera."""
    return {camera.name: footer.lost.get(topic_video(camera.name), 0) for camera in header.cameras}


def episode_row(
    header: EpisodeHeader,
    footer: EpisodeFooter,
    *,
    path: str,
    size_bytes: int,
    blake3: str,
    index_in_session: int,
) -> EpisodeRow:
    """The row of an episode that waits for its verdict.

    Args:
        header: Of the file.
        footer: Of the file.
        path: Relative to the data directory.
        size_bytes: Of the file.
        blake3: Of the file.
        index_in_session: Counted from 0.
    """
    try:
        outcome = Outcome(footer.outcome)
    except ValueError:
        outcome = Outcome.UNKNOWN
    return EpisodeRow(
        uuid=header.uuid,
        session_id=session_id_of(header),
        station=header.station,
        operator=header.operator,
        task=header.task,
        instruction=header.instruction,
        index_in_session=index_in_session,
        path=path,
        started_utc_ns=header.started_utc_ns,
        duration_ns=footer.duration_ns,
        frame_count=max(frames_of(header, footer).values(), default=0),
        size_bytes=size_bytes,
        blake3=blake3,
        format_version=str(header.format_version),
        software_version=header.software,
        state=EpisodeState.PENDING,
        outcome=outcome,
        dropped_frames=sum(lost_frames_of(header, footer).values()),
        human_share=footer.actor_share.get("human", 0.0),
        script_share=footer.actor_share.get("script", 0.0),
        policy_share=footer.actor_share.get("policy", 0.0),
        sync_p95_s=footer.sync_p95_ms / 1e3,
        control_rate_hz=float(header.control_rate_hz),
        control_lateness_p99_s=footer.late_p99_ms / 1e3,
        seed=header.seed if header.seed >= 0 else None,
        recovered=footer.recovered,
        recovery_loss=" ".join(footer.lost_reasons) if footer.truncated else "",
    )


def rollout_row(facts: RolloutFacts) -> RolloutRow:
    """What the catalog keeps of a policy that was in use."""
    answered = facts.chunks > 0
    return RolloutRow(
        policy=facts.policy,
        version=facts.version,
        label=facts.label,
        execution=facts.execution,
        modes=facts.modes,
        actor_s=facts.actor_s,
        phase_s=facts.phase_s,
        takeovers=tuple(
            TakeoverRow(
                number=takeover.number,
                start_ns=takeover.start_ns,
                end_ns=takeover.end_ns,
                source=takeover.source,
                phase=takeover.phase,
                reason=takeover.reason,
                outcome=takeover.outcome,
            )
            for takeover in facts.takeovers
        ),
        help_calls=facts.help_calls,
        chunks=facts.chunks,
        refused=facts.refused,
        latency_p50_ms=facts.latency_p50_ms if answered else None,
        latency_p99_ms=facts.latency_p99_ms if answered else None,
    )


def rollout_of(footer: EpisodeFooter) -> RolloutRow | None:
    """The catalog's row of a file's rollout; None when no policy was in use."""
    return None if footer.rollout is None else rollout_row(footer.rollout)


def stream_rows(
    header: EpisodeHeader, footer: EpisodeFooter, spans: Mapping[str, tuple[int, int]]
) -> list[StreamRow]:
    """One row a topic that was recorded at a rate.

    Args:
        header: Of the file.
        footer: Of the file.
        spans: First and last time of each topic, CLOCK_MONOTONIC [ns]; topics without one are left out.
    """
    nominal = {topic_video(camera.name): float(camera.fps) for camera in header.cameras}
    kinds = {topic: "video" for topic in nominal}
    kinds |= {topic_force(name): "force" for name in header.force_sensors}
    rows = []
    for topic, count in footer.counts.items():
        start_ns, end_ns = spans.get(topic, _NO_SPAN)
        if (start_ns, end_ns) == _NO_SPAN or not _is_sampled(topic):
            continue
        measured_hz = (count - 1) * 1e9 / (end_ns - start_ns) if end_ns > start_ns else 0.0
        is_control = topic.startswith(_CONTROL)
        rate_hz = nominal.get(topic, float(header.control_rate_hz) if is_control else round(measured_hz, 1))
        kind = kinds.get(topic, topic.split("/")[1])
        rows.append(StreamRow(topic, kind, rate_hz, count, footer.lost.get(topic, 0), start_ns, end_ns))
    return rows


def _is_sampled(topic: str) -> bool:
    return topic.split("/")[1] in _SAMPLED and not topic.endswith(_BESIDE)


def verdict_reasons(header: EpisodeHeader, footer: EpisodeFooter) -> tuple[str, ...]:
    """Sentences on an episode's quality, for the person who judges it."""
    lost = {name: count for name, count in lost_frames_of(header, footer).items() if count}
    frames = frames_of(header, footer)
    sentences = [_outcome_sentence(footer.outcome), f"Length {footer.duration_ns / 1e9:.1f} s."]
    silent = [name for name, count in frames.items() if count == 0]
    if silent:
        sentences.append(f"No frames at all from {', '.join(silent)}.")
    if lost:
        listed = ", ".join(f"{count} of {name}" for name, count in lost.items())
        sentences.append(f"Frames lost: {listed}.")
    elif frames and not silent:
        sentences.append("No frames lost.")
    missed = footer.lost.get("/control/tick", 0)
    if missed:
        sentences.append(f"{missed} control ticks missing.")
    period_ms = 1e3 / header.control_rate_hz
    if footer.late_p99_ms > period_ms / 2:
        sentences.append(f"Control ran late: p99 {footer.late_p99_ms:.1f} ms of a {period_ms:g} ms period.")
    if footer.lost.get("/input", 0):
        sentences.append(f"{footer.lost['/input']} operator samples missing.")
    rollout = footer.rollout
    if rollout is not None and rollout.takeovers:
        untold = sum(not takeover.reason for takeover in rollout.takeovers)
        told = f", {untold} without a reason" if untold else ""
        count = len(rollout.takeovers)
        sentences.append(f"{count} takeover{'s' if count > 1 else ''}{told}.")
    sentences += [
        f"{count} samples of {topic.strip('/')} missing."
        for topic, count in footer.lost.items()
        if topic.startswith(_SENSORS) or topic.endswith("/depth")
    ]
    if footer.truncated:
        sentences.append("The recording was cut short.")
    return (*sentences, *(reason for reason in footer.lost_reasons if not reason[0].isdigit()))


def _outcome_sentence(outcome: str) -> str:
    return {"success": "Task done.", "failure": "Task not done."}.get(
        outcome, "Nobody said whether it worked."
    )
