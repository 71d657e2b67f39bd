"""Work off the GUI thread whose results come back on it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from PyQt6.QtCore import QCoreApplication, QObject, Qt, pyqtSignal

from teleop_app.core.errors import TeleopError

log = logging.getLogger(__name__)


def deliver(
    future: Future[Any], done: Callable[[Any], object] | None, failed: Callable[[TeleopError], object]
) -> None:
    """Hands the outcome of finished work to whoever waits for it; a bug is logged and raised.

    Args:
        future: Finished and not cancelled.
        done: Called with the result.
        failed: Called with an environment fault.
    """
    error = future.exception()
    if error is None:
        if done is not None:
            done(future.result())
    elif isinstance(error, TeleopError):
        failed(error)
    else:
        log.error("work in the background failed unexpectedly", exc_info=error)
        raise error


class Background(QObject):
    """One worker thread with a queue. Made, used and closed on the GUI thread.

    Args:
        name: Of the thread, for logs.
        parent: Owner.
    """

    failed = pyqtSignal(object)
    """`TeleopError` of work that had no `failed` of its own."""
    _finished = pyqtSignal(object)

    def __init__(self, name: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._open = True
        self._waiting = 0
        self._finished.connect(self._deliver, Qt.ConnectionType.QueuedConnection)  # pyright: ignore[reportCallIssue]
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.close)

    @property
    def busy(self) -> bool:
        """Whether something runs or waits."""
        return self._waiting > 0

    def run(
        self,
        work: Callable[[], Any],
        done: Callable[[Any], object] | None = None,
        failed: Callable[[TeleopError], object] | None = None,
    ) -> None:
        """Runs `work` on the worker thread, then `done` with its result on the GUI thread.

        Args:
            work: Must not touch Qt objects.
            done: Not called when `work` raised.
            failed: Called with the environment fault that `work` raised; without it `failed` is emitted.
        """
        if not self._open:
            return
        self._waiting += 1
        future = self._pool.submit(work)
        future.add_done_callback(lambda finished: self._hand_over(finished, done, failed))

    def _hand_over(self, future: Future[Any], done: object, failed: object) -> None:
        try:
            self._finished.emit((future, done, failed))
        except RuntimeError:  # the window closed while the work ran
            log.debug("a result came after its window had closed")

    def _deliver(self, outcome: tuple[Future[Any], Any, Any]) -> None:
        future, done, failed = outcome
        self._waiting -= 1
        if not self._open or future.cancelled():
            return
        deliver(future, done, failed or self.failed.emit)

    def close(self) -> None:
        """Drops what waits and lets what runs finish unheard. Idempotent."""
        if self._open:
            self._open = False
            self._pool.shutdown(wait=True, cancel_futures=True)
