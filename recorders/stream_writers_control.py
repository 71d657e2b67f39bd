"""Writes what the control loop says: ticks, joint vectors, operator poses, inputs and events."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from recorders import message_bodies, messages, wire
from recorders.message_sink import FUTURE, NOT_FINITE, MessageSink
from recorders.schema import (
    TOPIC_EVENT,
    TOPIC_INPUT,
    TOPIC_TICK,
    EpisodeHeader,
    topic_joints,
    topic_operator,
)
from recorders.stream_writers_autonomy import AutonomyWriter
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.types import ControlTick, Event, InputSample, PolicyChunk

if TYPE_CHECKING:
    from recorders.robot_scene import RobotScene  # MuJoCo: only where there is a robot to place

Array = NDArray[np.float64]


class ControlWriter:
    """Control ticks, operator samples and events of one episode."""

    def __init__(self, sink: MessageSink, header: EpisodeHeader, scene: RobotScene | None) -> None:
        self._sink = sink
        self._scene = scene
        self._ledger = sink.ledger
        self._period_ns = NS_PER_S // header.control_rate_hz
        self._motion = wire.joint_template(header.joint_names, with_motion=True)
        self._position = wire.joint_template(header.joint_names, with_motion=False)
        self._pose = wire.pose_template("world")
        self._topics = {kind: topic_joints(kind) for kind in ("policy", "commanded", "sent", "measured")}
        self._operator_topics = [topic_operator(arm) for arm in header.arms]
        self._autonomy = AutonomyWriter(sink, header)
        self._measured_times = sink.times[self._topics["measured"]]
        self._sent_times = sink.times[self._topics["sent"]]

    def add_tick(self, tick: ControlTick) -> bool:
        """A control tick: its joint streams, operator poses and state; False when it is refused whole."""
        sink, now = self._sink, tick.tick_ns
        seq = self._ledger.continued(TOPIC_TICK, tick.seq, now, self._period_ns)
        if not sink.in_order(TOPIC_TICK, now):
            return False
        stamp = sink.stamp(now)
        sink.put(TOPIC_TICK, messages.TICK, now, stamp + message_bodies.tick_body(tick), now, seq)
        if tick.autonomy is not None:
            self._autonomy.add_tick(tick.autonomy, now, seq)
        if tick.policy is not None:
            self._add_joints("policy", tick.policy, now, stamp, seq)
        self._add_joints("commanded", tick.commanded, now, stamp, seq)
        if self._add_joints("sent", tick.sent, tick.sent_ns, sink.stamp(tick.sent_ns), seq):
            self._sent_times.append(tick.sent_ns)
        self._add_measured(tick, seq)
        for topic, pose in zip(self._operator_topics, tick.operator_pose, strict=False):
            if math.isfinite(pose[0]):
                self._add_pose(topic, pose, now, stamp, seq)
        return True

    def _add_joints(self, kind: str, vector: Array, at_ns: int, stamp: bytes, seq: int) -> bool:
        topic = self._topics[kind]
        if vector.shape != (self._position.count,) or vector.dtype != np.float64:
            self._ledger.refuse(topic, f"it had shape {vector.shape}, not ({self._position.count},)")
        elif not np.isfinite(vector).all():
            self._ledger.refuse(topic, NOT_FINITE)
        elif self._sink.in_order(topic, at_ns):
            payload = stamp + self._position.fill(vector)
            return self._sink.put(topic, messages.JOINT_STATES, at_ns, payload, at_ns, seq)
        return False

    def _add_measured(self, tick: ControlTick, seq: int) -> None:
        topic, count, sink = self._topics["measured"], self._position.count, self._sink
        if not tick.measured.shape == tick.measured_velocity.shape == tick.measured_effort.shape == (count,):
            self._ledger.refuse(topic, f"it had not shape ({count},)")
            return
        values = np.empty((count, 3))
        values[:, 0] = tick.measured
        values[:, 1] = tick.measured_velocity
        values[:, 2] = tick.measured_effort
        if not np.isfinite(values).all() and (np.isinf(values).any() or np.isnan(tick.measured).any()):
            self._ledger.refuse(topic, NOT_FINITE)
            return
        at_ns = tick.measured_ns
        if not self._ledger.is_later(topic, at_ns):
            self._ledger.repeated[topic] += 1
            return
        payload = sink.stamp(at_ns) + self._motion.fill(values.reshape(-1))
        ready_ns = tick.measured_receive_ns or tick.tick_ns
        if sink.put(topic, messages.JOINT_STATES, at_ns, payload, ready_ns, seq):
            self._measured_times.append(at_ns)
            if self._scene is not None:
                self._scene.add_measured(tick.measured, at_ns, ready_ns)

    def _add_pose(self, topic: str, pose: Array, at_ns: int, stamp: bytes, seq: int) -> None:
        if pose.shape != (7,) or not np.isfinite(pose).all():
            self._ledger.refuse(topic, "it was not seven finite numbers")
            return
        xyz_quat_xyzw = pose.astype(np.float64)[[0, 1, 2, 4, 5, 6, 3]]
        payload = stamp + self._pose.fill(xyz_quat_xyzw)
        self._sink.put(topic, messages.POSE_IN_FRAME, at_ns, payload, at_ns, seq)

    def add_input(self, sample: InputSample, receive_ns: int | None) -> None:
        """An operator sample as it came."""
        at_ns = sample.capture_ns
        if receive_ns is not None and at_ns > receive_ns + NS_PER_S:
            self._ledger.refuse(TOPIC_INPUT, FUTURE)
            return
        self._ledger.sequence(TOPIC_INPUT, sample.seq, source=sample.source)
        payload = self._sink.stamp(at_ns) + message_bodies.input_body(sample)
        self._sink.put(TOPIC_INPUT, messages.INPUT, at_ns, payload, receive_ns or at_ns, sample.seq)

    def add_chunk(self, chunk: PolicyChunk) -> bool:
        """A chunk of actions that a policy proposed; False when it is refused."""
        return self._autonomy.add_chunk(chunk)

    def add_event(self, event: Event) -> None:
        """Something that happened."""
        at_ns, seq = event.capture_ns, self._ledger.counts[TOPIC_EVENT]
        payload = self._sink.stamp(at_ns) + message_bodies.event_body(event)
        self._sink.put(TOPIC_EVENT, messages.EVENT, at_ns, payload, at_ns, seq)
