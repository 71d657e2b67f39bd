"""A follower process: drives one real arm, between the rings to control and its driver."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from devices.followers.link import follower_link
from devices.followers.rings import VectorReader, VectorWriter, command_ring, pack_state, state_ring
from devices.protocols import Array, FollowerDriver, FollowerState
from teleop_app.core.bus import CommandServer, Publisher
from teleop_app.core.clock import NS_PER_MS, NS_PER_S
from teleop_app.core.errors import ConfigError, DeviceError
from teleop_app.core.types import ProcessState
from teleop_app.station.device_watch import DeviceWatch
from teleop_app.station.follower_guard import TargetGuard, TargetLimits
from teleop_app.station.process import Heartbeat, ProcessContext

logger = logging.getLogger(__name__)

GIVE_UP_NS: Final = NS_PER_S // 4
"""A driver whose calls fail for this long has lost its arm; single failures are counted only."""
_SETTLE_NS: Final = NS_PER_S // 20
"""After a hold, commands that control may have computed before it saw where the arm is do not count."""


@dataclass(frozen=True, slots=True)
class FollowerArm:
    """The arm of a follower process.

    Attributes:
        name: As in the station file.
        driver: Name of its driver.
        joint_names: Joint vector, as control knows it.
        limits: What its targets must keep.
    """

    name: str
    driver: str
    joint_names: tuple[str, ...]
    limits: TargetLimits


class FollowerProcess:
    """Takes the newest command of control, gives it to the driver, and reports where the arm is.

    **Watchdog**: when the newest command is older than `safety.command_stale_ms`, the driver is told to
    hold; commands that come again are followed from where the arm is, at its speed limit. An arm that
    is lost is looked for every second; until then control sees no new state and reports the fault.

    Args:
        context: The process's context.
        driver: Owned by this process from here on.
        arm: What it drives.
    """

    def __init__(self, context: ProcessContext, driver: FollowerDriver, arm: FollowerArm) -> None:
        self._context = context
        self._driver = driver
        self._arm = arm
        self._guard = TargetGuard(arm.limits)
        self._watch = DeviceWatch()
        self._period_ns = round(NS_PER_S / driver.rate_hz)
        self._stale_ns = round(context.config.safety.command_stale_ms * NS_PER_MS)
        self._latency_ns = context.config.latency_ns(arm.name)
        self._publisher: Publisher | None = None
        self._due_ns = 0
        self._good_ns = 0
        self._command_ns = 0
        self._holding = True
        self._held_ns = 0
        self._remark = ""
        self._refused = 0
        self._holds = 0
        self._cycle_ns = 0
        self._steps = 0
        self._position: Array = np.full(len(arm.joint_names), np.nan)

    def run(self) -> None:
        """Run until the context is stopping. Blocks.

        Raises:
            ConfigError: The driver's joints are not those of the robot model.
        """
        self.open()
        try:
            while not self._context.stopping:
                self.turn()
        finally:
            self.close()

    def open(self) -> None:
        """Open sockets and rings.

        Raises:
            ConfigError: The driver's joints are not those of the robot model.
        """
        arm, context = self._arm, self._context
        if tuple(self._driver.joint_names) != arm.joint_names:
            raise ConfigError(
                f"The driver {arm.driver!r} does not fit the robot model of arm {arm.name!r}",
                why=f"it moves {', '.join(self._driver.joint_names)}; "
                f"the model has {', '.join(arm.joint_names)}",
                next_step="Correct `model` or the driver's options in [[arms]]",
            )
        context.rings.mkdir(parents=True, exist_ok=True)
        link = follower_link(arm.name)
        self._states = VectorWriter(context.rings, state_ring(link), 1 + 3 * len(arm.joint_names))
        self._targets = VectorReader(context.rings, command_ring(link))
        self._publisher = context.publisher()
        self._commands: CommandServer = context.commands({"status": self.status})
        self._heartbeat = Heartbeat(context, self._publisher)
        self._heartbeat.beat(ProcessState.STARTING)
        self._due_ns = context.clock.now_ns()

    def close(self) -> None:
        """Leave the arm holding and release everything. May be called twice."""
        if self._publisher is None:
            return
        if self._watch.there:
            with contextlib.suppress(DeviceError):
                self._driver.hold()
        self._driver.disconnect()
        self._heartbeat.beat(ProcessState.STOPPED)
        self._commands.close()
        self._publisher.close()
        self._publisher = None
        self._states.close()
        self._targets.close()

    def turn(self) -> None:
        """Wait for the next cycle, command the arm, report where it is."""
        clock = self._context.clock
        clock.sleep_until(self._due_ns)
        now_ns = clock.now_ns()
        self._due_ns = max(self._due_ns + self._period_ns, now_ns)
        if self._watch.due(now_ns):
            self._connect()
        if self._watch.there:
            self._cycle(now_ns)
        self._commands.serve()
        state = ProcessState.FAULT if self._watch.fault else ProcessState.RUNNING
        self._heartbeat.beat(state, self._watch.fault or self._remark, self._metrics)

    def status(self) -> dict[str, Any]:
        """The arm and what it does now."""
        state = "lost" if not self._watch.there else "holding" if self._holding else "following"
        values = {
            name: float(value)
            for name, value in zip(self._arm.joint_names, self._position, strict=True)
            if np.isfinite(value)
        }
        return {
            "device": self._arm.name,
            "driver": self._arm.driver,
            "state": state,
            "text": self._watch.fault or self._remark,
            "values": values,
        } | self._metrics()

    # Inside.

    def _connect(self) -> None:
        clock = self._context.clock
        state = ProcessState.FAULT if self._watch.fault else ProcessState.STARTING
        try:
            with self._heartbeat.kept_up(state, self._watch.fault):
                self._driver.connect()
            self._report(self._driver.read())
        except DeviceError as error:
            self._lost(error)
            return
        self._holding, self._good_ns, self._held_ns = True, clock.now_ns(), clock.now_ns()
        if self._watch.opened():
            self._event("follower.back", f"Arm '{self._arm.name}' answers again and is held where it is.")

    def _cycle(self, now_ns: int) -> None:
        try:
            self._command(now_ns)
            self._report(self._driver.read())
        except DeviceError as error:
            self._watch.errors += 1
            if self._context.clock.now_ns() - self._good_ns > GIVE_UP_NS:
                self._lost(error)
            return
        done_ns = self._context.clock.now_ns()
        self._good_ns = done_ns
        self._cycle_ns = max(self._cycle_ns, done_ns - now_ns)

    def _command(self, now_ns: int) -> None:
        newest = self._targets.latest()
        stamp_ns = newest[1].stamp_ns if newest is not None else 0
        self._command_ns = stamp_ns
        if newest is None or now_ns - stamp_ns > self._stale_ns:
            self._hold(f"Arm '{self._arm.name}' holds: no command of control came.")
            return
        if self._holding:
            if stamp_ns < self._held_ns + _SETTLE_NS:
                return
            self._guard.start(self._position, now_ns)
        target, sentence = self._guard.admit(newest[0], now_ns)
        if target is None:
            self._refused += 1
            self._hold(f"Arm '{self._arm.name}': {sentence}")
            return
        self._remark, self._holding = sentence, False
        self._driver.send(target)

    def _hold(self, sentence: str) -> None:
        """Once at the onset: repeating it would move a hold point along with a sagging arm."""
        self._remark = sentence
        if not self._holding:
            self._driver.hold()
            self._holding, self._held_ns = True, self._context.clock.now_ns()
            self._holds += 1
            logger.warning("%s", sentence)

    def _report(self, state: FollowerState) -> None:
        if not np.isfinite(state.position).all() or state.position.shape != self._position.shape:
            raise DeviceError(f"Arm '{self._arm.name}' reports a position that is not finite")
        capture_ns = state.capture_ns - self._latency_ns
        self._position = state.position.copy()
        self._steps += 1
        packed = pack_state(0.0, state.position, state.velocity, state.effort)
        self._states.write(packed, capture_ns, self._steps)
        self._watch.saw(self._context.clock.now_ns(), capture_ns)

    def _lost(self, error: DeviceError) -> None:
        self._driver.disconnect()
        self._remark, self._holding = "", True
        if self._watch.failed(error, self._context.clock.now_ns()):
            text = f"Arm '{self._arm.name}' is lost and holds its place. {error.sentence}"
            self._event("follower.lost", text)

    def _event(self, kind: str, text: str) -> None:
        if self._publisher is not None:
            self._publisher.send("event", self._context.event(kind, text, arm=self._arm.name))

    def _metrics(self) -> dict[str, float]:
        now_ns = self._context.clock.now_ns()
        metrics = self._watch.metrics(now_ns) | {
            "cycle_max_ms": self._cycle_ns / NS_PER_MS,
            "refused": float(self._refused),
            "holds": float(self._holds),
        }
        if self._command_ns:
            metrics["command_age_ms"] = (now_ns - self._command_ns) / NS_PER_MS
        self._cycle_ns = 0
        return metrics
