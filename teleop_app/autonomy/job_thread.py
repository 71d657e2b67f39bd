"""One job at a time in a thread that may hang: for calls into policies, which need not return."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from teleop_app.core.clock import NS_PER_S, Clock
from teleop_app.core.errors import PolicyError, TeleopError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended.

    Attributes:
        value: What it returned, None when it failed.
        error: Why it failed, None when it did not.
        began_ns: Host time.
        ended_ns: Host time.
    """

    value: Any
    error: TeleopError | None
    began_ns: int
    ended_ns: int


class JobThread:
    """A daemon thread that runs one job after the other. The owner's side never blocks.

    Args:
        name: For the log.
        clock: The station's clock.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self._name = name
        self._clock = clock
        self._wake = threading.Condition()
        self._job: Callable[[], Any] | None = None
        self._outcome: Outcome | None = None
        self._began_ns = 0
        self._busy = False
        self._ending = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """A job runs, or its outcome was not taken yet."""
        return self._busy

    @property
    def age_s(self) -> float:
        """For how long the present job has run, 0 without."""
        return (self._clock.now_ns() - self._began_ns) / NS_PER_S if self._busy else 0.0

    def start(self, job: Callable[[], Any]) -> None:
        """Run a job.

        Raises:
            RuntimeError: The one before has not been taken.
        """
        if self._busy:
            msg = f"{self._name} has a job"
            raise RuntimeError(msg)
        with self._wake:
            self._busy = True
            self._began_ns = self._clock.now_ns()
            self._job = job
            self._wake.notify()

    def take(self) -> Outcome | None:
        """How the job ended, once; None while it runs or when there is none."""
        outcome, self._outcome = self._outcome, None
        if outcome is not None:
            self._busy = False
        return outcome

    def end(self) -> None:
        """No further job; a thread that hangs is left behind, and ends with the process at the latest."""
        with self._wake:
            self._ending = True
            self._wake.notify()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread to end; whether it did."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._job is not None or self._ending)
                if self._ending:
                    return
                job, self._job = self._job, None
            if job is not None:
                self._outcome = self._run(job)

    def _run(self, job: Callable[[], Any]) -> Outcome:
        began_ns = self._clock.now_ns()
        value, error = None, None
        try:
            value = job()
        except TeleopError as failed:
            error = failed
        except Exception as failed:
            logger.exception("%s failed", self._name)
            error = PolicyError("The policy failed", why=f"{type(failed).__name__}: {failed}"[:300])
        return Outcome(value, error, began_ns, self._clock.now_ns())
