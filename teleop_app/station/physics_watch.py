"""Notices when MuJoCo's integration went wrong."""

from __future__ import annotations

from typing import Final

import mujoco
import numpy as np

_WARNINGS: Final = {
    int(mujoco.mjtWarning.mjWARN_BADQPOS): "positions",
    int(mujoco.mjtWarning.mjWARN_BADQVEL): "velocities",
    int(mujoco.mjtWarning.mjWARN_BADQACC): "accelerations",
}


class PhysicsWatch:
    """Watches a physics state for numbers that are not finite or grew out of bounds.

    MuJoCo counts such steps as warnings and resets its state by itself, which a look at the numbers
    alone would miss.

    Args:
        model: The compiled model.
        data: The state that is stepped.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self._model = model
        self._data = data
        self._at = np.array(list(_WARNINGS))
        self._seen = self._counts()
        self.reason = ""

    def went_unstable(self) -> bool:
        """Whether the last step went wrong; `reason` then says how."""
        counts = self._counts()
        grown = counts > self._seen
        if grown.any():
            self._seen = counts
            kinds = " and ".join(_WARNINGS[int(at)] for at in self._at[grown])
            self.reason = f"MuJoCo reports {kinds} that are not finite or too large."
            return True
        if not np.isfinite(self._data.qpos).all():
            self.reason = "Positions are not finite."
            return True
        return False

    def clear(self) -> None:
        """Forget what happened before a scene was set up."""
        self._seen = self._counts()

    def _counts(self) -> np.ndarray:
        return np.asarray(self._data.warning.number)[self._at].copy()
