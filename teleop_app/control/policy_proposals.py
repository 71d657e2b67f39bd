"""What a policy proposes now, checked: chunks that are wrong or ask for a jump are refused and counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from teleop_app.autonomy.action_queue import ActionQueue, Proposal
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.config import AutonomySection
from teleop_app.core.errors import PolicyError
from teleop_app.core.types import PolicyChunk
from teleop_app.safety.supervisor import SafetySupervisor

Note = Callable[[str, int, str, dict[str, object]], None]

_NOTE_NS: Final = NS_PER_S // 4


class PolicyProposals:
    """See the module. One thread.

    Args:
        supervisor: Tells where the arms are commanded to.
        config: Section of the station file.
        note: Writes an event: kind, time, text, fields.

    Attributes:
        refused: Chunks refused in a row; whoever acts on it sets it back.
        why: Of the last one, as a sentence.
    """

    def __init__(self, supervisor: SafetySupervisor, config: AutonomySection, note: Note) -> None:
        self._supervisor = supervisor
        self._cell = supervisor.limits
        self._max_jump_rad = config.max_jump_rad
        self._queue = ActionQueue(self._cell.names, self._cell.size, config.stale_chunk_ms)
        self._note = note
        self._noted_ns = -_NOTE_NS
        self._followed = 0
        self.refused = 0
        self.why = ""

    @property
    def empty(self) -> bool:
        """Whether no chunk is queued."""
        return self._queue.empty

    def offer(self, chunk: PolicyChunk, policy_ns: int, now_ns: int) -> None:
        """Take a chunk, or refuse it with an event."""
        try:
            self._queue.offer(chunk, policy_ns, now_ns)
        except PolicyError as error:
            self._refuse(error.sentence, now_ns)

    def flush(self, policy_ns: int) -> None:
        """Forget every chunk, and take none that was observed before this moment of the policy's clock."""
        self._queue.flush(policy_ns)

    def at(self, policy_ns: int, now_ns: int, is_bound: Callable[[int], bool]) -> Proposal | None:
        """What is proposed for now; None when there is nothing, or nothing that may be executed.

        Args:
            policy_ns: The policy's clock.
            now_ns: Host clock.
            is_bound: Whether an arm of this index goes where the policy says, so that it must not jump.
        """
        while (found := self._queue.proposal(policy_ns, now_ns)) is not None:
            far = self._too_far(found, is_bound)
            if not far:
                if found.chunk != self._followed:
                    self._followed, self.refused = found.chunk, 0
                return found
            self._queue.drop(found.chunk)
            self._refuse(f"Chunk {found.chunk} was refused: {far}.", now_ns)
        return None

    def _too_far(self, proposal: Proposal, is_bound: Callable[[int], bool]) -> str:
        """Why a proposal is a jump, empty when it is none."""
        asked = proposal.vector[self._cell.joint_at]
        for arm, name in enumerate(self._cell.names):
            if name not in proposal.arms or not is_bound(arm):
                continue
            away = np.abs(asked[self._cell.joints_of(arm)] - self._supervisor.commanded(arm))
            if (most := float(away.max())) > self._max_jump_rad:
                joint = int(np.argmax(away)) + 1
                return (
                    f"it asks joint {joint} of arm '{name}' to be {most:.2f} rad from where it is "
                    f"commanded (limit {self._max_jump_rad:.2f} rad)"
                )
        return ""

    def _refuse(self, sentence: str, now_ns: int) -> None:
        self.refused += 1
        self.why = sentence
        if now_ns - self._noted_ns >= _NOTE_NS:  # a flood of bad chunks is not one of events
            self._noted_ns = now_ns
            self._note("policy.refused", now_ns, sentence, {"why": sentence})
