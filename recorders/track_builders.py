"""Tracks that grow block by block, so that one pass through the file can fill several of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import numpy as np

from recorders import tracks
from recorders.container import Container
from recorders.message_blocks import Batch, Block
from recorders.schema import Array, ForceTrack, IntArray, JointTrack, TickTrack, WorldTrack
from recorders.tracks import Decoder, TickColumns, concatenated
from teleop_app.core.errors import EpisodeError

Taker = Callable[[Batch, Block], None]
"""Takes messages of a channel, and where they lie."""
ToMonotonic = Callable[[IntArray], IntArray]


class Builder(Protocol):
    """Takes a topic's messages in order."""

    def add(self, block: Block) -> None:
        """Append messages.

        Raises:
            EpisodeError: They do not fit the topic.
        """
        ...


class JointBuilder:
    """A joint-vector stream."""

    def __init__(self, names: tuple[str, ...], decoder: Callable[[], Decoder]) -> None:
        self._names = names
        self._decoder = decoder
        self._times: list[IntArray] = []
        self._values: list[Array] = [np.zeros((0, len(names), 3))]

    def add(self, block: Block) -> None:
        """Append messages."""
        self._times.append(block.log_utc_ns)
        self._values.append(tracks.joint_values(block, self._names, self._decoder()))

    def track(self, monotonic: ToMonotonic) -> JointTrack:
        """What was added."""
        whole = np.concatenate(self._values)
        position, velocity, effort = (np.ascontiguousarray(whole[:, :, column]) for column in range(3))
        return JointTrack(self._names, monotonic(concatenated(self._times)), position, velocity, effort)


class TickBuilder:
    """Control ticks, and the grippers that the operator asked for."""

    def __init__(self, arms: int) -> None:
        self._arms = arms
        self._times: list[IntArray] = []
        self._columns = TickColumns()

    def add(self, block: Block) -> None:
        """Append messages."""
        self._times.append(block.log_utc_ns)
        self._columns.add(block, self._arms)

    def track(self, monotonic: ToMonotonic) -> tuple[TickTrack, Array]:
        """What was added; grippers (k, arms), NaN where nobody asked."""
        columns = self._columns
        track = TickTrack(
            capture_ns=monotonic(concatenated(self._times)),
            lateness_ns=concatenated(columns.lateness_ns),
            input_age_ns=concatenated(columns.input_age_ns),
            flags=concatenated(columns.flags),
            state=tuple(columns.state),
            actor=tuple(columns.actor),
        )
        return track, np.concatenate([np.zeros((0, self._arms)), *columns.gripper])


class ForceBuilder:
    """A force sensor."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._times: list[IntArray] = []
        self._forces: list[Array] = [np.zeros((0, 3))]

    def add(self, block: Block) -> None:
        """Append messages."""
        stamps, forces = tracks.force_values(block)
        self._times.append(stamps)
        self._forces.append(forces)

    def track(self, monotonic: ToMonotonic) -> ForceTrack:
        """What was added."""
        return ForceTrack(self._name, monotonic(concatenated(self._times)), np.concatenate(self._forces))


class WorldBuilder:
    """The simulated world."""

    def __init__(self) -> None:
        self._times: list[IntArray] = []
        self._clock: list[Array] = []
        self._states: list[Array] = []

    def add(self, block: Block) -> None:
        """Append messages."""
        sim_time_s, qpos = tracks.world_values(block)
        if self._states and qpos.shape[1] != self._states[0].shape[1]:
            raise EpisodeError("The world states have different lengths")
        self._times.append(block.log_utc_ns)
        self._clock.append(sim_time_s)
        self._states.append(qpos)

    def track(self, monotonic: ToMonotonic) -> WorldTrack | None:
        """What was added, None when nothing was."""
        if not self._states:
            return None
        return WorldTrack(
            capture_ns=monotonic(concatenated(self._times)),
            sim_time_s=np.concatenate(self._clock),
            qpos=np.concatenate(self._states),
        )


def fill(builder: Builder, blocks: Iterable[Block]) -> None:
    """Give a topic's messages to its builder.

    Raises:
        EpisodeError: As `Builder.add`.
    """
    for block in tracks.joined(blocks):
        builder.add(block)


def fill_together(container: Container, builders: Mapping[str, Builder], others: Mapping[int, Taker]) -> None:
    """Fill the builders of several topics in one pass through the file.

    Args:
        container: The open file.
        builders: By topic.
        others: By channel, who takes its messages beside them.

    Raises:
        EpisodeError: The file is damaged, or as `Builder.add`.
    """
    channels = {topic: container.channel(topic) for topic in builders}
    wanted = {channel.id: builders[topic] for topic, channel in channels.items() if channel is not None}
    for batch in container.batches({*wanted, *others}):
        for channel, block in batch.blocks.items():
            if channel in wanted:
                wanted[channel].add(block)
            else:
                others[channel](batch, block)
