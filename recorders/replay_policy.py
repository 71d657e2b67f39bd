"""The policy that does an episode again: what was sent to the robot then, chunk by chunk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import Field

from recorders.reader import EpisodeReader
from recorders.resample import resample
from recorders.schema import Array
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.errors import EpisodeError, PolicyError
from teleop_app.core.policy import (
    PolicyAnswer,
    PolicyContext,
    PolicyDriver,
    PolicyFacts,
    PolicyKind,
    PolicyOptions,
    PolicyRequest,
)
from teleop_app.core.types import Resampling

NAME: Final = "replay"
STATE_KEY: Final = "state"
_SUFFIX: Final = ".mcap"
_MOST_ACTIONS: Final = 2_000_000


class ReplayOptions(PolicyOptions):
    """Settings of the replay.

    Attributes:
        episode: Path of the episode's file.
        advance: Actions by which each request goes on; 0: by the time since the first request.
        from_nearest: Start at the place of the episode nearest to the observed joints, not at its start.
    """

    episode: str = Field(min_length=1, max_length=4000)
    advance: int = Field(default=0, ge=0, le=256)
    from_nearest: bool = False


class ReplayPolicy:
    """See `teleop_app.core.policy.Policy`. Its observation's `state` is the joint vector.

    Args:
        context: Of the station; without joint names, the episode's own are taken.
        options: Its settings.
    """

    def __init__(self, context: PolicyContext, options: ReplayOptions) -> None:
        self._context = context
        self._options = options
        self._actions: Array | None = None
        self._first: int | None = None
        self._started_ns = 0
        self._requests = 0

    def open(self) -> PolicyFacts:
        """Read the episode.

        Raises:
            PolicyError: It cannot be read, or is of another robot.
        """
        path = Path(self._options.episode).expanduser()
        if path.suffix != _SUFFIX:
            raise PolicyError(
                f"'{path.name}' cannot be replayed",
                why=f"an episode is a file that ends in {_SUFFIX}",
                next_step="Name an episode of this program in the option episode",
            )
        try:
            with EpisodeReader(path, open_truncated=True) as reader:
                track, uuid, task = reader.joints("sent"), reader.header.uuid, reader.header.task
        except EpisodeError as error:
            raise PolicyError(f"The episode '{path.name}' cannot be replayed", why=error.sentence) from error
        columns = self._columns(path, track.names)
        known = np.isfinite(track.position).all(axis=1)
        times, positions = track.capture_ns[known], track.position[known][:, columns]
        if not len(times):
            raise PolicyError(
                f"The episode '{path.name}' cannot be replayed", why="nothing was sent to the robot in it"
            )
        steps = int((times[-1] - times[0]) * self._context.rate_hz / NS_PER_S) + 1
        if steps > _MOST_ACTIONS:
            raise PolicyError(
                f"The episode '{path.name}' is too long to be replayed",
                why=f"it makes {steps} actions, more than {_MOST_ACTIONS}",
            )
        query = times[0] + np.round(np.arange(steps) * (NS_PER_S / self._context.rate_hz)).astype(np.int64)
        self._actions = resample(Resampling.LINEAR, times, positions, query).value
        self.reset()
        return PolicyFacts(
            name=NAME,
            version=uuid[:13],
            metadata={"episode": uuid, "task": task, "actions": steps},
            horizon=self._context.horizon,
            action_dim=positions.shape[1],
            rate_hz=self._context.rate_hz,
            observation_keys=(STATE_KEY,) if self._options.from_nearest else (),
        )

    def infer(self, request: PolicyRequest) -> PolicyAnswer:
        """The next actions of the episode; at its end, the last one again and again.

        Raises:
            PolicyError: It is not open, or the observation lacks the state that it wants to start from.
        """
        actions = self._actions
        if actions is None:
            raise PolicyError("The policy 'replay' is not open")
        now_ns = self._context.clock.now_ns()
        if self._first is None:
            self._first = self._nearest(actions, request.observation) if self._options.from_nearest else 0
            self._started_ns = now_ns
        if self._options.advance:
            passed = self._requests * self._options.advance
        else:
            passed = round((now_ns - self._started_ns) * self._context.rate_hz / NS_PER_S)
        self._requests += 1
        places = self._first + passed + np.arange(self._context.horizon)
        return PolicyAnswer(actions[np.minimum(places, len(actions) - 1)], uncertainty=0.0)

    def reset(self) -> None:
        """Start again."""
        self._first = None
        self._requests = 0

    def close(self) -> None:
        """Forget the episode."""
        self._actions = None

    def _columns(self, path: Path, names: tuple[str, ...]) -> list[int]:
        wanted = self._context.joint_names or names
        missing = [name for name in wanted if name not in names]
        if missing:
            raise PolicyError(
                f"The episode '{path.name}' is of another robot",
                why=f"it has no {', '.join(missing[:4])}",
                next_step="Choose an episode that was recorded on a station like this one",
            )
        return [names.index(name) for name in wanted]

    def _nearest(self, actions: Array, observation: Mapping[str, Any]) -> int:
        """Place of the action nearest to the observed joints, the earliest one of equals."""
        try:
            state = np.asarray(observation.get(STATE_KEY), np.float64).ravel()
        except (TypeError, ValueError):
            state = np.zeros(0)
        if state.shape != actions.shape[1:] or not np.isfinite(state).all():
            raise PolicyError(
                "The policy 'replay' cannot find its place in the episode",
                why=f"the observation's '{STATE_KEY}' is not {actions.shape[1]} finite numbers",
                next_step="Send the whole joint vector, or turn off from_nearest",
            )
        return int(np.argmin(((actions - state) ** 2).sum(axis=1)))


DRIVER: Final = PolicyDriver(
    name=NAME,
    title="Replay an episode",
    kind=PolicyKind.BUILT_IN,
    make=ReplayPolicy,
    options=ReplayOptions,
    proof="Its actions are those of the episode.",
)
