"""Commands of the control process about how far a person's hand moves: measured, kept, put in force."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from teleop_app.control.bodies import StationBodies
from teleop_app.control.moving_hand import MovingHand
from teleop_app.core.calibration import CalibrationStore, HandCalibration
from teleop_app.core.errors import ConfigError, StationError
from teleop_app.mapping.hand import HandRange
from teleop_app.mapping.hand_calibration import MOTION
from teleop_app.mapping.hand_features import FEATURES


class HandRanges:
    """Keeps ranges by hand and, where one is named, by person; a range without a person is everybody's.

    Args:
        bodies: Of the station.
        store: Where they are kept.
    """

    def __init__(self, bodies: StationBodies, store: CalibrationStore) -> None:
        self._hands = bodies.hands
        self._store = store

    @property
    def commands(self) -> dict[str, Callable[..., dict[str, Any]]]:
        """By name; none without a hand."""
        if not self._hands:
            return {}
        return {
            "calibrate_hand_start": self.start,
            "calibrate_hand_finish": self.finish,
            "use_hand_range": self.use,
        }

    def load(self) -> None:
        """Put the ranges that are everybody's in force.

        Raises:
            ConfigError: One cannot be read.
        """
        for name, hand in self._hands.items():
            self._put(hand, self._store.load(HandCalibration, name))

    def start(self, hand: str) -> dict[str, Any]:
        """Watch a person's hand, clutch or not; the robot's hand holds. Then `calibrate_hand_finish`.

        Raises:
            StationError: There is no such hand.
        """
        self._hand(hand).start_calibration()
        return {"motion": f"{MOTION}."}

    def finish(self, hand: str, person: str = "") -> dict[str, Any]:
        """Keep the range seen since the start and put it in force; answers with a remark, or an empty one.

        Raises:
            StationError: It was not started, or the motion does not tell the range.
            ConfigError: The person's name cannot name a file.
            StorageError: It cannot be kept.
        """
        found, remark = self._hand(hand).finish_calibration()
        utc = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        kept = HandCalibration(
            serial=_serial(hand, person),
            angles=list(FEATURES),
            low_rad=found.low.tolist(),
            high_rad=found.high.tolist(),
            remark=remark,
            measured_utc=utc,
        )
        return {"path": str(self._store.save(kept)), "remark": remark}

    def use(self, hand: str, person: str = "") -> dict[str, Any]:
        """Put a person's kept range in force.

        Raises:
            StationError: There is no such hand, or no range of that person.
            ConfigError: It cannot be read.
        """
        device, kept = self._hand(hand), self._store.load(HandCalibration, _serial(hand, person))
        if kept is None:
            raise StationError(
                f"No range of {person or 'anybody'} is kept for the hand '{hand}'",
                next_step="Calibrate it: calibrate_hand_start",
            )
        self._put(device, kept)
        return {"remark": kept.remark, "measured_utc": kept.measured_utc}

    def _hand(self, name: str) -> MovingHand:
        if name not in self._hands:
            raise StationError(f"There is no hand '{name}'", next_step=f"Hands: {', '.join(self._hands)}")
        return self._hands[name]

    @staticmethod
    def _put(hand: MovingHand, kept: HandCalibration | None) -> None:
        if kept is None:
            return
        if tuple(kept.angles) != FEATURES:
            raise ConfigError(
                f"The range {kept.serial!r} is of other angles than this version measures",
                next_step="Calibrate the hand anew",
            )
        hand.set_range(HandRange(np.array(kept.low_rad), np.array(kept.high_rad)))


def _serial(hand: str, person: str) -> str:
    return f"{hand}.{person}" if person else hand
