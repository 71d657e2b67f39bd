"""How long a policy takes to answer, on the policy's clock: what is expected of the next answer."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

WINDOW: Final = 16


class DelayEstimator:
    """Expects the longest of the recent delays.

    An answer that comes sooner than expected costs a little reactivity; one that comes later is entered in
    the middle of what was to be continued. So the maximum is taken, not the mean (as in arXiv 2506.07339,
    which keeps a queue of recent delays for it). The first delay after `restart` is left out: servers compile
    their model at the first request.
    """

    def __init__(self, window: int = WINDOW) -> None:
        self._recent: deque[int] = deque(maxlen=window)
        self._warm = False

    def restart(self) -> None:
        """The policy was opened anew: what was known of it does not count."""
        self._recent.clear()
        self._warm = False

    def add(self, delay_ns: int) -> None:
        """An answer is here.

        Args:
            delay_ns: From the observation to when control can have the answer, on the policy's clock.
        """
        if self._warm:
            self._recent.append(max(0, delay_ns))
        self._warm = True

    @property
    def expected_ns(self) -> int:
        """Of the next answer; 0 while nothing is known."""
        return max(self._recent, default=0)

    def steps(self, step_ns: int) -> int:
        """Actions that will have been due before the next answer is here."""
        return math.ceil(self.expected_ns / step_ns)
