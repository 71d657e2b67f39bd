"""Sets up a scene beside the recorder's loop: arms home first, then a new scene around them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from teleop_app.core.bus import CommandClient, Endpoints
from teleop_app.core.errors import StationError
from teleop_app.core.types import Event

RELEASE_TIMEOUT_S = 1.5
HOME_TIMEOUT_S = 20.0
"""The arms need about 3 s from the far corner of the workspace."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What the simulation set up.

    Attributes:
        task: Task name, empty without a simulation.
        seed: Of the scene, -1 without a simulation.
        instruction: What to do in it.
        paraphrases: Other wordings.
    """

    task: str = ""
    seed: int = -1
    instruction: str = ""
    paraphrases: tuple[str, ...] = ()


class ScenePreparation:
    """Commands to other processes run in one worker thread, so that the recorder's heart beats on.

    Args:
        endpoints: Of the station.
        simulated: Whether there is a simulation to reset.
    """

    def __init__(self, endpoints: Endpoints, *, simulated: bool) -> None:
        self._control = CommandClient(endpoints.command("control"), "control")
        self._simulation = CommandClient(endpoints.command("simulation"), "simulation")
        self._cameras = CommandClient(endpoints.command("cameras"), "cameras")
        self._simulated = simulated
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="prepare")
        self._homed = threading.Event()
        self._home_failed = ""
        self._ending = threading.Event()
        self._future: Future[Scene] | None = None

    @property
    def busy(self) -> bool:
        """A scene is being set up."""
        return self._future is not None

    def start(self, task: str, seed: int | None) -> None:
        """Begin to set up a scene.

        Raises:
            StationError: One is being set up already.
        """
        if self._future is not None:
            raise StationError("The scene is being set up already")
        self._homed.clear()
        self._home_failed = ""
        self._future = self._worker.submit(self._prepare, task, seed)

    def see(self, event: Event) -> None:
        """Events of the control process; `control.homed` and `control.home_failed` end the homing."""
        if event.kind == "control.home_failed":
            self._home_failed = event.text
        if event.kind in ("control.homed", "control.home_failed"):
            self._homed.set()

    def result(self) -> Scene | None:
        """The scene once it is ready, None while it is being set up.

        Raises:
            TeleopError: It could not be set up.
        """
        if self._future is None or not self._future.done():
            return None
        future, self._future = self._future, None
        return future.result()

    def tasks(self) -> Future[dict[str, Any]]:
        """The simulation's tasks; a map without `tasks` when there is no simulation."""
        if not self._simulated:
            done: Future[dict[str, Any]] = Future()
            done.set_result({})
            return done
        return self._worker.submit(lambda: self._simulation.call("tasks", timeout_s=3.0))

    def ask_keyframe(self, failed: Callable[[BaseException], None]) -> None:
        """Make every camera start anew with a keyframe; does not wait for it."""
        future = self._worker.submit(lambda: self._cameras.call("keyframe", timeout_s=1.0))

        def done(finished: Future[dict[str, Any]]) -> None:
            error = finished.exception()
            if error is not None:
                failed(error)

        future.add_done_callback(done)

    def _prepare(self, task: str, seed: int | None) -> Scene:
        self._send_home()
        waited_s = 0.0
        while not self._homed.wait(0.1):
            waited_s += 0.1
            if self._ending.is_set() or waited_s > HOME_TIMEOUT_S:
                raise StationError(
                    f"The arms did not come home within {HOME_TIMEOUT_S:g} s",
                    next_step="See the state of the arms, then prepare the scene again",
                )
        if self._home_failed:
            raise StationError(self._home_failed, next_step="Prepare the scene again")
        if not self._simulated:
            return Scene()
        answer = self._simulation.call("reset", timeout_s=10.0, task=task or None, seed=seed)
        return Scene(
            task=str(answer["task"]),
            seed=int(answer["seed"]),
            instruction=str(answer["instruction"]),
            paraphrases=tuple(str(text) for text in answer["paraphrases"]),
        )

    def _send_home(self) -> None:
        """Ask for the way home; a driver that was told to let go gets a moment to do so."""
        waited_s = 0.0
        while True:
            try:
                self._control.call("home", timeout_s=3.0)
                return
            except StationError:
                if self._ending.wait(0.1) or waited_s >= RELEASE_TIMEOUT_S:
                    raise
                waited_s += 0.1

    def close(self) -> None:
        """Stop waiting and release the sockets."""
        self._ending.set()
        self._worker.shutdown(wait=True, cancel_futures=True)
        for client in (self._control, self._simulation, self._cameras):
            client.close()
