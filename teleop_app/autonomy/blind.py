"""A comparison of two policies in which nobody knows which of them drives."""

from __future__ import annotations

import random
from collections.abc import Sequence

from teleop_app.core.errors import PolicyError

LABELS: tuple[str, ...] = ("A", "B")


class BlindComparison:
    """Draws one of two policies for each rollout: at random, but in every pair of rollouts each once.

    Args:
        names: Of the two.
        seed: Of the draws; None takes a new one.

    Attributes:
        label: Of the policy that drives now, `A` or `B`.

    Raises:
        PolicyError: They are not two different ones.
    """

    def __init__(self, names: Sequence[str], seed: int | None = None) -> None:
        if len(set(names)) != 2 or len(names) != 2:
            raise PolicyError(
                "A blind comparison is of two policies",
                why=f"{len(set(names))} were given",
                next_step="Choose two different ones",
            )
        self._random = random.Random(seed)  # noqa: S311 - a draw, not a secret
        shuffled = self._random.sample(list(names), 2)
        self._names = dict(zip(LABELS, shuffled, strict=True))
        self._drawn: list[str] = []
        self._used = False
        self.label = self._draw()

    @property
    def name(self) -> str:
        """The policy that drives now."""
        return self._names[self.label]

    def next_rollout(self) -> str:
        """A rollout begins: the label of the policy that is to drive it."""
        if self._used:
            self.label = self._draw()
        self._used = True
        return self.label

    def reveal(self) -> dict[str, str]:
        """Which policy is `A` and which `B`."""
        return dict(self._names)

    def _draw(self) -> str:
        if not self._drawn:
            self._drawn = self._random.sample(LABELS, 2)
        return self._drawn.pop()
