"""Training straight from episodes: a map-style dataset of NumPy arrays that torch's DataLoader takes.

The names of the entries and the meaning of `delta_s` are LeRobot's, so that its policies fit:
`observation.images.<camera>`, `observation.state`, `action`, `<name>_is_pad`, `task`.
"""

from __future__ import annotations

import os
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recorders.aligned import ACTION, STATE
from recorders.dataset_plan import chosen_cameras, chosen_episodes, episode_files
from recorders.dataset_sample import (
    IMAGES_KEY,
    PendingSamples,
    Sample,
    SampleLayout,
    SampleMaker,
    complete_rows,
    stream_key,
)
from recorders.reader import EpisodeReader
from recorders.schema import IntArray
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.errors import EpisodeError

_OPEN_EPISODES = 8
_GROUP = 6
"""Samples whose pictures are decoded together while going through in order."""
_AHEAD = 3
"""Such groups decoded ahead of the one given out."""


class EpisodeDataset:
    """Samples of many episodes by number; picklable: each process opens the files itself. One thread.

    A sample is a row: a frame of the first camera, or an instant at `rate_hz`. Rows in which a chosen camera
    has no frame of its own are left out and counted. A sample holds

    - `observation.images.<camera>`: RGB, uint8, (height, width, 3);
    - `observation.state`: measured joints, float32, (n,); `action`: what was sent, float32, (n,);
    - `observation.<stream>`: of each stream asked for, with `.` for `/`, float32;
    - `<name>_error_ns`: int64, how far in time each of these is from the row (a later picture is positive);
    - `task` (the instruction), `episode_index`, `frame_index`, `timestamp` [s] from the first row, `time_ns`.

    An entry named in `delta_s` has a leading axis, its instants; `<name>_is_pad` says which of them lie
    outside the episode (the value is then that of its end) or lack a picture (it is black then).

    Args:
        source: A store, a folder of episodes, or paths.
        cameras: Cameras, the first one giving the rows; None: all of the first episode.
        streams: Further streams, names as in `EpisodeReader.series`.
        delta_s: By entry, instants relative to the row [s], e.g. `{"action": [0, 1 / 30, 2 / 30]}`.
        rate_hz: Rows at this rate instead of one for each frame.
        size: Width and height [px] to scale the pictures to.
        outcomes: Only episodes with one of these outcomes (`success`, `failure`, `unknown`).
        include_preroll: Also rows before the record key.

    Raises:
        EpisodeError: No episode, different robots, a camera or stream that one lacks, or a damaged file.

    Attributes:
        episodes: Files, in order of `episode_index`.
        cameras: Names of the cameras.
        lengths: Samples of each episode.
        left_out: Rows left out because a camera has no frame there.
    """

    def __init__(
        self,
        source: Path | str | Iterable[Path | str],
        *,
        cameras: Sequence[str] | None = None,
        streams: Sequence[str] = (),
        delta_s: Mapping[str, Sequence[float]] | None = None,
        rate_hz: float | None = None,
        size: tuple[int, int] | None = None,
        outcomes: Iterable[str] | None = None,
        include_preroll: bool = False,
    ) -> None:
        found = chosen_episodes(episode_files(source), outcomes)
        self.episodes = tuple(episode.path for episode in found)
        self.cameras = chosen_cameras(found, cameras, size is not None)
        self._layout = SampleLayout(
            cameras=self.cameras,
            streams=(STATE, ACTION, *streams),
            delta_ns=_delta_ns(delta_s or {}, self.cameras, (STATE, ACTION, *streams)),
            rate_hz=rate_hz,
            size=size,
            include_preroll=include_preroll,
        )
        self._readers = dict(enumerate(episode.reader for episode in found))
        self._makers: dict[int, SampleMaker] = {}
        self._awake: OrderedDict[int, SampleMaker] = OrderedDict()
        self._process = os.getpid()
        self._rows: list[IntArray] = []
        self.left_out = 0
        self._index()
        self.lengths = tuple(len(rows) for rows in self._rows)
        self._ends = np.cumsum(self.lengths)
        if not len(self):
            raise EpisodeError("The dataset would have no sample", why="no row has a frame of each camera")

    def _index(self) -> None:
        for reader in self._readers.values():
            try:
                complete, incomplete = complete_rows(reader, self._layout)
            finally:
                reader.rest()
            self._rows.append(complete)
            self.left_out += incomplete

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> Sample:
        """Sample number `index`; negative ones count from the end.

        Raises:
            IndexError: There is none.
            EpisodeError: The file is damaged.
        """
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        """Several samples, in the order asked for; their pictures are decoded in one pass, side by side.

        Raises:
            IndexError: As for one.
            EpisodeError: As for one.
        """
        by_episode: dict[int, list[int]] = {}
        for position, index in enumerate(indices):
            by_episode.setdefault(self._place(index)[0], []).append(position)
        work = [
            (positions, self._request(number, [indices[position] for position in positions]))
            for number, positions in by_episode.items()
        ]
        found: dict[int, Sample] = {}
        for positions, pending in work:
            found |= zip(positions, pending.samples(), strict=True)
        return [found[position] for position in range(len(indices))]

    def sequential(self, *, shuffle: int = 0, seed: int = 0) -> Iterator[Sample]:
        """All samples in order, decoded ahead by other threads: the fastest way through.

        Args:
            shuffle: Samples held back to be given out at random, from episodes at random; 0: in order.
            seed: Of that order.

        Raises:
            EpisodeError: The file is damaged.
        """
        random = np.random.default_rng(seed)
        order = random.permutation(len(self.episodes)) if shuffle else np.arange(len(self.episodes))
        held: list[Sample] = []
        for sample in self._in_order(order.tolist()):
            if len(held) < shuffle:
                held.append(sample)
            elif not shuffle:
                yield sample
            else:
                place = int(random.integers(shuffle))
                yield held[place]
                held[place] = sample
        for place in random.permutation(len(held)).tolist():
            yield held[place]

    def _in_order(self, episodes: Sequence[int]) -> Iterator[Sample]:
        waiting: deque[_Pending] = deque()
        for number in episodes:
            end = int(self._ends[number])
            for first in range(end - self.lengths[number], end, _GROUP):
                waiting.append(self._request(number, range(first, min(first + _GROUP, end))))
                if len(waiting) > _AHEAD:
                    yield from waiting.popleft().samples()
        while waiting:
            yield from waiting.popleft().samples()

    def _request(self, number: int, indices: Sequence[int]) -> _Pending:
        maker = self._maker(number)
        return _Pending(number, maker, maker.request([self._place(index)[1] for index in indices]))

    def _place(self, index: int) -> tuple[int, int]:
        """Episode and row of a sample."""
        wanted = range(len(self))[index]
        number = int(np.searchsorted(self._ends, wanted, side="right"))
        return number, int(self._rows[number][wanted - (int(self._ends[number]) - self.lengths[number])])

    def _maker(self, number: int) -> SampleMaker:
        if self._process != os.getpid():  # a forked worker: an open file's position is shared with its parent
            self.close()
            self._process = os.getpid()
        maker = self._makers.get(number)
        if maker is None:
            maker = self._makers[number] = self._new_maker(number)
        self._awake[number] = maker
        self._awake.move_to_end(number)
        while len(self._awake) > _OPEN_EPISODES:
            self._awake.popitem(last=False)[1].rest()
        return maker

    def _new_maker(self, number: int) -> SampleMaker:
        if number not in self._readers:
            self._readers[number] = EpisodeReader(self.episodes[number])
        reader = self._readers[number]
        try:
            maker = SampleMaker(reader, self._layout)
            if not np.array_equal(maker.complete, self._rows[number]):
                raise reader.container.damaged("its index tells other times than its messages")
        except EpisodeError:
            reader.rest()
            raise
        return maker

    def __getstate__(self) -> dict[str, Any]:
        nothing = {"_readers": {}, "_makers": {}, "_awake": OrderedDict[int, SampleMaker]()}
        return self.__dict__ | nothing

    def close(self) -> None:
        """Close the files that are open; they are opened again when needed."""
        while self._awake:
            self._awake.popitem()[1].rest()


def _delta_ns(
    delta_s: Mapping[str, Sequence[float]], cameras: Sequence[str], streams: Sequence[str]
) -> dict[str, IntArray]:
    known = {stream_key(stream) for stream in streams} | {IMAGES_KEY + camera for camera in cameras}
    found: dict[str, IntArray] = {}
    for key, values in delta_s.items():
        seconds = np.asarray(values, np.float64)
        if key not in known:
            raise EpisodeError(
                f"The samples have no entry {key!r}", next_step=f"Known are {', '.join(sorted(known))}"
            )
        if seconds.ndim != 1 or not len(seconds) or not np.isfinite(seconds).all():
            raise EpisodeError(f"The instants of {key!r} are not a list of finite numbers")
        found[key] = np.rint(seconds * NS_PER_S).astype(np.int64)
    return found


@dataclass(frozen=True, slots=True)
class _Pending:
    """Samples of one episode on their way; its file may be closed meanwhile."""

    episode: int
    maker: SampleMaker
    wanted: PendingSamples

    def samples(self) -> list[Sample]:
        """Wait for the pictures."""
        return [
            sample | {"episode_index": np.int64(self.episode)} for sample in self.maker.samples(self.wanted)
        ]
