"""The control process: input samples in, joint targets out, at a fixed rate."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import ValidationError

from devices.protocols import Follower
from teleop_app.control.cycle_timer import Cycle, CycleTimer
from teleop_app.control.loop import ControlLoop
from teleop_app.control.yaw_motion import YawMotion
from teleop_app.core.bus import CommandServer, Publisher, Subscriber
from teleop_app.core.clock import NS_PER_MS, NS_PER_S
from teleop_app.core.config import MappingSection, field_problems
from teleop_app.core.errors import ConfigError, StationError
from teleop_app.core.types import ControlState, Event, InputSample, PolicyChunk, ProcessState, StreamSetup
from teleop_app.station.authority_commands import AuthorityDesk
from teleop_app.station.process import Heartbeat, ProcessContext
from teleop_app.station.realtime import SlackCollector, lock_memory, schedule_fifo

logger = logging.getLogger(__name__)

SAMPLES_A_TICK = 64
"""More input than this waits for the next tick, so that a flood makes itself stale and nothing late."""

CHUNKS_A_TICK = 4
"""Of these, so many chunks of a policy; further ones are dropped."""

SPIN_NS = 200_000
_WINDOW_S = 2
_REST_TICKS = 200
_SLACK_NS = 2 * NS_PER_MS


class ControlProcess:
    """Runs the control loop against the clock and serves it to the station.

    Followers are commanded first; everything else of a tick happens in the time that is left.

    Args:
        context: The process's context.
        loop: The control loop; its supervisor commands `followers`.
        followers: Connected here at the start, left holding at the end.
        commands: Further commands, by name.
    """

    def __init__(
        self,
        context: ProcessContext,
        loop: ControlLoop,
        followers: Sequence[Follower],
        commands: Mapping[str, Callable[..., dict[str, Any]]] | None = None,
    ) -> None:
        self._more_commands = commands or {}
        self._context = context
        self._loop = loop
        self._followers = list(followers)
        self._mapping = context.config.mapping
        self._period_ns = NS_PER_S // context.config.control.rate_hz
        window = _WINDOW_S * context.config.control.rate_hz
        self._late_ns: deque[int] = deque(maxlen=window)
        self._starts_ns: deque[int] = deque(maxlen=window)
        self._work_ns: deque[int] = deque(maxlen=window)
        self._missed = 0
        self._timing = ""
        self._collector = SlackCollector()
        self._publisher: Publisher | None = None
        self._yaw: YawMotion | None = None
        self._desk = AuthorityDesk(loop, context.clock)

    def run(self) -> None:
        """Run until the context is stopping. Blocks.

        Raises:
            DeviceError: A follower cannot be reached.
        """
        self.open()
        try:
            while not self._context.stopping:
                self.turn(self._timer.wait())
            self._come_to_rest()
        finally:
            self.close()

    def open(self) -> None:
        """Open followers, bodies and sockets, ask for real-time scheduling, start the grid of ticks."""
        for follower in self._followers:
            follower.connect()
        if self._loop.bodies is not None:
            self._loop.bodies.connect()
        endpoints = self._context.endpoints
        self._publisher = self._context.publisher()
        self._inputs = Subscriber([endpoints.inputs()], ("input", "chunk", "event"), bind=True)
        self._commands: CommandServer = self._context.commands(
            {
                "estop": self.estop,
                "reset_estop": self.reset_estop,
                "home": self.home,
                "release": self.release,
                "nudge": self.nudge,
                "watch_mapping": self.watch_mapping,
                "calibrate_yaw_start": self.calibrate_yaw_start,
                "calibrate_yaw_finish": self.calibrate_yaw_finish,
                "set_mapping": self.set_mapping,
                "status": self.status,
                **self._desk.commands,
                **self._more_commands,
            }
        )
        self._heartbeat = Heartbeat(self._context, self._publisher)
        self._collector.start(self._context.clock.now_ns())
        lock_memory()
        self._timing = schedule_fifo(self._context.config.control.realtime_priority)
        if self._timing:
            logger.warning("%s", self._timing)
        spin_ns = 0 if self._timing else SPIN_NS
        self._timer = CycleTimer(self._context.clock, self._period_ns, spin_ns)

    def close(self) -> None:
        """Leave followers and bodies holding and release everything. May be called twice."""
        if self._publisher is None:
            return
        self._collector.stop()
        self._heartbeat.beat(ProcessState.STOPPED)
        for socket in (self._commands, self._inputs, self._publisher):
            socket.close()
        self._publisher = None
        for follower in self._followers:
            follower.disconnect()
        if self._loop.bodies is not None:
            self._loop.bodies.disconnect()

    def turn(self, cycle: Cycle) -> None:
        """One tick, and what is done in the time it leaves."""
        publisher, clock = self._publisher, self._context.clock
        if publisher is None:
            return
        samples = self._take_samples()
        tick = self._loop.tick(cycle.now_ns, cycle.due_ns, cycle.missed)
        self._late_ns.append(cycle.now_ns - cycle.due_ns)
        self._starts_ns.append(cycle.now_ns)
        self._work_ns.append(clock.now_ns() - cycle.now_ns)
        self._missed += cycle.missed
        publisher.send("tick", tick)
        for sample in samples:
            publisher.send("input", sample)
        self._commands.serve()
        for event in self._loop.take_events():
            publisher.send("event", event)
        for message in self._loop.take_streams(clock.now_ns()):
            setup = isinstance(message, StreamSetup)
            publisher.send("stream" if setup else f"batch/{message.stream}", message)
        if self._yaw is not None:
            self._yaw.look(self._loop)
        self._heartbeat.beat(ProcessState.RUNNING, self._sentence(), self.metrics)
        if self._timer.next_due_ns - clock.now_ns() > _SLACK_NS:
            self._collector.slack(clock.now_ns())

    def _take_samples(self) -> list[InputSample]:
        samples: list[InputSample] = []
        chunks = 0
        for _, value in self._inputs.drain(SAMPLES_A_TICK):
            if isinstance(value, InputSample):
                self._loop.offer(value, self._context.clock.now_ns())
                samples.append(value)
            elif isinstance(value, PolicyChunk):
                chunks += 1
                if chunks <= CHUNKS_A_TICK:
                    self._loop.policy.offer(value, self._context.clock.now_ns())
            elif isinstance(value, Event):
                self._loop.policy.take_event(value, self._context.clock.now_ns())
        return samples

    def _come_to_rest(self) -> None:
        """Bring the arms to rest within their limits before this process ends."""
        self._loop.release(self._context.clock.now_ns())
        for _ in range(_REST_TICKS):
            self.turn(self._timer.wait())
            if self._loop.at_rest:
                return

    # Commands.

    def estop(self, reason: str = "pressed") -> dict[str, Any]:
        """Latch the e-stop."""
        self._loop.estop(str(reason)[:200], self._context.clock.now_ns())
        return self.status()

    def reset_estop(self) -> dict[str, Any]:
        """Unlatch the e-stop; moves nothing.

        Raises:
            StationError: It is still pressed on an input.
        """
        self._loop.reset_estop(self._context.clock.now_ns())
        return self.status()

    def home(self) -> dict[str, Any]:
        """Bring every arm home; `control.homed` follows.

        Raises:
            StationError: Somebody is engaged, the e-stop is latched, or a follower is lost.
        """
        self._loop.start_home(self._context.clock.now_ns())
        return {}

    def release(self) -> dict[str, Any]:
        """Let go of every arm."""
        self._loop.release(self._context.clock.now_ns())
        return {}

    def nudge(self, arm: str, axis: str, sign: int) -> dict[str, Any]:
        """Move an arm by one small step along, or turn about, an axis of the operator's.

        Raises:
            StationError: The arm or axis is unknown, or the arm cannot be moved now.
        """
        self._loop.nudge(str(arm), str(axis), int(sign), self._context.clock.now_ns())
        return {}

    def watch_mapping(self, seconds: float = 5.0) -> dict[str, Any]:
        """Publish `<source>/<arm>/mapping` for so long: positions of the hand, raw and filtered."""
        self._loop.watch_mapping(min(max(float(seconds), 0.0), 60.0), self._context.clock.now_ns())
        return {}

    def calibrate_yaw_start(self, source: str, arm: str, ahead_deg: float = 0.0) -> dict[str, Any]:
        """Watch a hand from now on; its person moves it straight ahead, then `calibrate_yaw_finish`.

        Args:
            source: Input source.
            arm: The arm whose hand it is.
            ahead_deg: What the person calls ahead, in the world frame: 0 is along x.
        """
        self._yaw = YawMotion(str(source), str(arm), float(ahead_deg))
        return {}

    def calibrate_yaw_finish(self) -> dict[str, Any]:
        """`{"yaw_deg": ...}` by the motion seen since the start; put it in force with `set_mapping`.

        Raises:
            StationError: It was not started, or the motion does not tell the yaw.
        """
        motion, self._yaw = self._yaw, None
        if motion is None:
            raise StationError("The yaw is not being calibrated", next_step="Start with calibrate_yaw_start")
        return {"yaw_deg": motion.yaw_deg()}

    def set_mapping(self, **fields: Any) -> dict[str, Any]:
        """Change fields of the mapping section; the others stay.

        Raises:
            ConfigError: A field is unknown or out of range.
        """
        try:
            mapping = MappingSection.model_validate({**self._mapping.model_dump(), **fields})
        except ValidationError as error:
            listed = "; ".join(f"{place}: {problem}" for place, problem in field_problems(error).items())
            raise ConfigError("The mapping was not changed", why=listed) from error
        self._mapping = mapping
        self._loop.set_mapping(mapping)
        return mapping.model_dump()

    def status(self) -> dict[str, Any]:
        """State, its reason, and the figures of the heartbeat."""
        return {
            "state": self._loop.state.value,
            "reason": self._loop.reason,
            "estopped": self._loop.estopped,
            "autonomy": self._desk.status(),
            "metrics": self.metrics(),
        }

    def metrics(self) -> dict[str, float]:
        """Rate, lateness [ms] and missed ticks of the last two seconds (missed: since the start)."""
        if len(self._starts_ns) < 2:
            return {"realtime": float(not self._timing)}
        span_ns = self._starts_ns[-1] - self._starts_ns[0]
        p50, p99, most = np.percentile(np.fromiter(self._late_ns, float), (50, 99, 100)) / NS_PER_MS
        work_p50, work_p99 = np.percentile(np.fromiter(self._work_ns, float), (50, 99)) / NS_PER_MS
        return {
            "rate_hz": (len(self._starts_ns) - 1) * NS_PER_S / max(span_ns, 1),
            "late_p50_ms": float(p50),
            "late_p99_ms": float(p99),
            "late_max_ms": float(most),
            "work_p50_ms": float(work_p50),
            "work_p99_ms": float(work_p99),
            "missed": float(self._missed),
            "input_age_ms": self._loop.input_age_ms,
            "realtime": float(not self._timing),
            "malformed": float(self._inputs.malformed),
        }

    def _sentence(self) -> str:
        return self._loop.reason if self._loop.state is ControlState.FAULT else self._timing
