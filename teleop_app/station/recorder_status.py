"""The recorder's status as it is shown on screen."""

from __future__ import annotations

from teleop_app.core.clock import NS_PER_S
from teleop_app.core.types import RecorderState, RecorderStatus
from teleop_app.station.episode_flow import EpisodeFlow
from teleop_app.station.episode_rows import frames_of, lost_frames_of, verdict_reasons
from teleop_app.station.episode_work import EpisodeWork


def recorder_status(flow: EpisodeFlow, work: EpisodeWork, now_ns: int) -> RecorderStatus:
    """Everything about the flow, the open episode and the session at `now_ns`."""
    session, recording, finished = work.session, work.recording, work.finished.get(work.episode)
    frames: dict[str, int] = {}
    lost: dict[str, int] = {}
    size = 0
    by_reason: dict[str, dict[str, int]] = {}
    reasons: tuple[str, ...] = ()
    elapsed_s = flow.elapsed_s
    silence = ""
    if recording is not None:
        names = [camera.name for camera in recording.writer.header.cameras]
        frames = {name: recording.writer.frames(name) for name in names}
        lost = {name: recording.writer.lost_frames(name) for name in names}
        by_reason = recording.writer.ledger.lost_by_reason()
        size = recording.writer.size_bytes
        silent = recording.silent(work.heard_ns(now_ns))
        silence = f"Nothing arrives from {', '.join(silent)}." if silent else ""
    elif finished is not None:
        frames = frames_of(finished.header, finished.footer)
        lost = lost_frames_of(finished.header, finished.footer)
        by_reason = finished.footer.lost_by_reason
        size = finished.size_bytes
        if flow.state is RecorderState.REVIEW:
            elapsed_s = finished.footer.duration_ns / NS_PER_S
        reasons = verdict_reasons(finished.header, finished.footer)
    return RecorderStatus(
        state=flow.state,
        capture_ns=now_ns,
        session=session.id if session else "",
        task=session.task if session else "",
        instruction=work.current_scene().instruction,
        episode=work.episode if flow.state is not RecorderState.IDLE else "",
        elapsed_s=elapsed_s,
        countdown_s=flow.countdown_s,
        saved=work.saved,
        target=session.target if session else 0,
        frames=frames,
        lost=lost,
        size_bytes=size,
        episodes_left=work.episodes_left,
        last_saved=work.last_saved,
        verdict_reasons=reasons,
        can_undo=work.verdicts > 0 and flow.state in (RecorderState.IDLE, RecorderState.FAULT),
        text=flow.text or silence or work.text,
        backlog=work.backlog,
        dropped={
            f"{topic}: {reason}": count
            for topic, counts in by_reason.items()
            for reason, count in counts.items()
        },
        preroll_s=work.preroll_s(now_ns),
    )
