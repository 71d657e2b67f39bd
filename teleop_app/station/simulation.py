"""The simulation process: physics of the cell in real time, its tasks, forces and world state."""

from __future__ import annotations

import logging
from typing import Any, Final

import numpy as np

from devices.followers.rings import VectorReader, VectorWriter, pack_state
from devices.sim.arms import ARMS
from devices.sim.cell import TIMESTEP_S, Cell, TaskState
from devices.sim.link import COMMAND_RING, STATE_RING, WORLD_RING, pack_world
from devices.sim.tasks import TASKS, make_task
from devices.sim.wrench import AXES, WristWrench
from teleop_app.core.bus import CommandServer, Publisher
from teleop_app.core.clock import NS_PER_MS, NS_PER_S
from teleop_app.core.errors import ConfigError
from teleop_app.core.types import (
    Array,
    ForceBatch,
    ProcessState,
    StreamBatch,
    StreamSetup,
    TaskStatus,
    WorldState,
)
from teleop_app.station.physics_pacer import PhysicsPacer
from teleop_app.station.physics_watch import PhysicsWatch
from teleop_app.station.process import Heartbeat, ProcessContext

logger = logging.getLogger(__name__)

COMMAND_EXPIRES_NS: Final = NS_PER_S // 2
"""A command older than this is not taken; the arms hold the last one that was."""

SLOW_FACTOR: Final = 0.95

WORLD_SLOTS: Final = 256
"""Half a second of states: cameras that are late still find the one they were due to show."""

_STEP_NS: Final = round(TIMESTEP_S * NS_PER_S)
_WORLD_EVERY: Final = 5
_FORCE_EVERY: Final = 2
_WRENCH_BATCH: Final = 10
_WRENCHES: Final = tuple(
    StreamSetup(f"{arm.side}/wrench", "wrench", AXES, "N, N m", arm.tcp_site_name, 1.0 / TIMESTEP_S)
    for arm in ARMS
)
_TASK_PERIOD_NS: Final = NS_PER_S // 10
_STEPS_A_TURN: Final = 5
_REPEAT_NS: Final = 2 * NS_PER_S


class SimulationProcess:
    """Steps the cell at 500 Hz against the host clock and serves it to the station.

    Every state carries the host time that its physics time stands for (`PhysicsPacer`), and physics
    time counts on over scene resets, so that the mapping of one onto the other is a straight line
    except where the machine was too slow, which the status says.

    Args:
        context: The process's context.
        cell: The cell; from here on owned by this process.
    """

    def __init__(self, context: ProcessContext, cell: Cell) -> None:
        self._context = context
        self._cell = cell
        self._pacer = PhysicsPacer(_STEP_NS)
        self._watch = PhysicsWatch(cell.model, cell.data)
        self._publisher: Publisher | None = None
        self._scene = 1
        self._forces: list[tuple[int, Array]] = []
        self._force_seq = 0
        self._wrench = WristWrench(cell.model, cell.data)
        self._wrench_ns: list[int] = []
        self._wrench_seq = 0
        self._setup_due_ns = 0
        self._world_seq = 0
        self._task_due_ns = 0
        self._task_state = cell.task_state()
        self._refused = 0
        self._applied_ns = 0
        self._unstable = 0
        self._unstable_ns = -_REPEAT_NS
        self._good_qpos = cell.qpos
        self._late_ns = 0

    def run(self) -> None:
        """Run until the context is stopping. Blocks."""
        self.open()
        try:
            while not self._context.stopping:
                self.turn()
        finally:
            self.close()

    def open(self) -> None:
        """Open rings and sockets and start physics time now."""
        joints = len(self._cell.joint_names)
        rings = self._context.rings
        self._state_ring = VectorWriter(rings, STATE_RING, 1 + 3 * joints)
        self._world_ring = VectorWriter(rings, WORLD_RING, 1 + self._cell.model.nq, WORLD_SLOTS)
        self._command_ring = VectorReader(rings, COMMAND_RING)
        self._publisher = self._context.publisher()
        self._commands: CommandServer = self._context.commands({"reset": self.reset, "tasks": self.tasks})
        self._heartbeat = Heartbeat(self._context, self._publisher)
        self._pacer.start(self._context.clock.now_ns())

    def close(self) -> None:
        """Say that the process ends, and release everything. May be called twice."""
        if self._publisher is None:
            return
        self._heartbeat.beat(ProcessState.STOPPED)
        self._commands.close()
        self._publisher.close()
        self._publisher = None
        for ring in (self._state_ring, self._world_ring, self._command_ring):
            ring.close()

    def turn(self) -> None:
        """Wait for the next step, take the steps that are due, answer commands, publish."""
        clock = self._context.clock
        clock.sleep_until(self._pacer.next_due_ns)
        now_ns = clock.now_ns()
        self._late_ns = max(self._late_ns, now_ns - self._pacer.next_due_ns)
        for _ in range(min(self._pacer.due(now_ns), _STEPS_A_TURN)):
            self._step()
        self._publish_task(clock.now_ns())
        self._publish_setups(clock.now_ns())
        self._commands.serve()
        self._heartbeat.beat(ProcessState.RUNNING, self._sentence(), self._metrics)

    # Commands.

    def reset(self, task: str | None = None, seed: int | None = None) -> dict[str, Any]:
        """Set up a scene around the arms, which stay where they are.

        Raises:
            ConfigError: Unknown task, or a seed that is not a whole number, 0 or more.
        """
        if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool) or seed < 0):
            raise ConfigError(f"The scene seed {seed!r} is refused", why="it must be a whole number")
        self._cell.reset(task, seed, keep_arms=True)
        self._after_reset()
        text = f"New scene: {self._cell.instruction}"
        self._event("scene.reset", text, task=self._cell.task_name, seed=self._cell.seed, scene=self._scene)
        return {
            "scene": self._scene,
            "task": self._cell.task_name,
            "seed": self._cell.seed,
            "instruction": self._cell.instruction,
            "paraphrases": list(self._cell.paraphrases),
        }

    def tasks(self) -> dict[str, Any]:
        """The tasks of the cell; a task's instruction in a scene may name a colour of its own."""
        made = [make_task(name) for name in TASKS]
        return {
            "tasks": [
                {
                    "name": task.name,
                    "title": task.title,
                    "instruction": task.instruction,
                    "paraphrases": list(task.paraphrases),
                }
                for task in made
            ]
        }

    # One step.

    def _step(self) -> None:
        self._take_command()
        self._cell.step()
        capture_ns = self._pacer.advance()
        if self._watch.went_unstable():
            self._recover()
        position, velocity, effort = self._cell.read()
        step = self._pacer.step
        sim_time_s = step * TIMESTEP_S
        qpos = self._cell.qpos
        self._state_ring.write(pack_state(sim_time_s, position, velocity, effort), capture_ns, step)
        self._world_ring.write(pack_world(sim_time_s, qpos), capture_ns, step)
        self._good_qpos = qpos
        if step % _FORCE_EVERY == 0:
            self._forces.append((capture_ns, self._cell.finger_forces()))
        self._wrench.sample()
        self._wrench_ns.append(capture_ns)
        if len(self._wrench_ns) >= _WRENCH_BATCH:
            self._publish_wrench()
        if step % _WORLD_EVERY == 0:
            self._publish_world(capture_ns, sim_time_s, qpos)

    def _take_command(self) -> None:
        found = self._command_ring.next_new()
        if found is None:
            return
        target, record = found
        if self._context.clock.now_ns() - record.stamp_ns > COMMAND_EXPIRES_NS:
            return
        if target.shape != self._cell.home_q.shape or not np.isfinite(target).all():
            self._refused += 1
            return
        self._cell.set_targets(target)
        self._applied_ns = record.stamp_ns

    def _recover(self) -> None:
        """Put the arms back where they last were sound; at home if that did not help just now."""
        self._unstable += 1
        now_ns = self._context.clock.now_ns()
        again = now_ns - self._unstable_ns < _REPEAT_NS
        self._unstable_ns = now_ns
        targets = self._cell.targets()
        if not again:
            self._cell.set_qpos(self._good_qpos)
            self._cell.set_targets(targets)
        self._cell.reset(keep_arms=not again)
        self._after_reset()
        text = "The physics became unstable and the scene was set up anew."
        logger.warning("%s %s", text, self._watch.reason)
        self._event("scene.reset", text, reason=self._watch.reason, seed=self._cell.seed, scene=self._scene)

    def _after_reset(self) -> None:
        self._scene += 1
        self._watch.clear()
        self._good_qpos = self._cell.qpos
        self._task_state = self._cell.task_state()
        self._task_due_ns = 0
        self._pacer.start(self._context.clock.now_ns())

    # Publishing.

    def _publish_world(self, capture_ns: int, sim_time_s: float, qpos: Array) -> None:
        if self._publisher is None:
            return
        self._world_seq += 1
        world = WorldState(seq=self._world_seq, capture_ns=capture_ns, sim_time_s=sim_time_s, qpos=qpos)
        self._publisher.send("world", world)
        if self._forces:
            batch = ForceBatch(
                names=self._cell.finger_names,
                capture_ns=np.array([stamp for stamp, _ in self._forces], dtype=np.int64),
                force=np.stack([force for _, force in self._forces]),
                seq=self._force_seq,
            )
            self._force_seq += len(self._forces)
            self._forces.clear()
            self._publisher.send("force", batch)

    def _publish_wrench(self) -> None:
        """The wrists' wrenches at the rate of the physics."""
        times = np.array(self._wrench_ns, dtype=np.int64)
        self._wrench_ns.clear()
        wrenches = self._wrench.take()
        if self._publisher is None:
            return
        for number, stream in enumerate(_WRENCHES):
            batch = StreamBatch(
                stream=stream.name,
                seq=self._wrench_seq,
                capture_ns=times,
                values=np.ascontiguousarray(wrenches[:, number]),
                receive_ns=self._context.clock.now_ns(),
            )
            self._publisher.send(f"batch/{stream.name}", batch)
        self._wrench_seq += len(times)

    def _publish_setups(self, now_ns: int) -> None:
        if self._publisher is not None and now_ns >= self._setup_due_ns:
            self._setup_due_ns = now_ns + NS_PER_S // 5
            for stream in _WRENCHES:
                self._publisher.send("stream", stream)

    def _publish_task(self, now_ns: int) -> None:
        state = self._cell.task_state()
        before, self._task_state = self._task_state, state
        changed = (state.success, state.failed) != (before.success, before.failed)
        if self._publisher is None or (now_ns < self._task_due_ns and not changed):
            return
        self._task_due_ns = now_ns + _TASK_PERIOD_NS
        status = TaskStatus(
            task=self._cell.task_name,
            seed=self._cell.seed,
            scene=self._scene,
            instruction=self._cell.instruction,
            success=state.success,
            failed=state.failed,
            capture_ns=now_ns,
            truth=self._cell.truth(),
        )
        self._publisher.send("task", status)
        self._publish_task_change(before, state)

    def _publish_task_change(self, before: TaskState, state: TaskState) -> None:
        fields = {"task": self._cell.task_name, "seed": self._cell.seed, "scene": self._scene}
        if state.success and not before.success:
            self._event("task.success", f"Done: {self._cell.instruction}", **fields)
        if state.failed and not before.failed:
            self._event("task.failed", state.reason, **fields)

    def _event(self, kind: str, text: str, **fields: object) -> None:
        if self._publisher is not None:
            self._publisher.send("event", self._context.event(kind, text, **fields))

    # Status.

    def _sentence(self) -> str:
        now_ns = self._context.clock.now_ns()
        factor = self._pacer.realtime_factor(now_ns)
        if factor < SLOW_FACTOR:
            return (
                f"The simulation runs at {factor:.0%} of real time: this machine is too busy for it. "
                "Close other programs, or give the cameras a smaller size or rate in the station file."
            )
        if now_ns - self._unstable_ns < 5 * NS_PER_S:
            return "The physics became unstable and the scene was set up anew."
        return ""

    def _metrics(self) -> dict[str, float]:
        now_ns = self._context.clock.now_ns()
        metrics = {
            "realtime_factor": self._pacer.realtime_factor(now_ns),
            "lost_s": self._pacer.lost_ns / NS_PER_S,
            "late_max_ms": self._late_ns / NS_PER_MS,
            "steps": float(self._pacer.step),
            "commands_refused": float(self._refused),
            "instabilities": float(self._unstable),
        }
        if self._applied_ns:
            metrics["command_age_ms"] = (now_ns - self._applied_ns) / NS_PER_MS
        self._late_ns = 0
        return metrics
