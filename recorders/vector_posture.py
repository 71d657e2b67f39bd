"""What a station's joint vector moves in a MuJoCo model."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_ONE_VALUE = (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE))
_TENDON, _WRAP_JOINT = int(mujoco.mjtTrn.mjTRN_TENDON), int(mujoco.mjtWrap.mjWRAP_JOINT)


class VectorPosture:
    """Turns joint vectors into postures of a model.

    A name of the joint vector is a joint of the model, or an actuator of it that moves joints over a
    tendon, as a gripper does: then 0..1 spans the actuator's range. Other names move nothing.

    Args:
        model: Compiled model, not changed.
        joint_names: Of the joint vector, n of them.

    Attributes:
        moved: Numbers of the model's joints that the vector moves.
    """

    def __init__(self, model: mujoco.MjModel, joint_names: Sequence[str]) -> None:
        self._rest: Array = model.qpos0.copy()
        self._gain: Array = np.zeros((model.nq, len(joint_names)))
        self.moved: set[int] = set()
        for column, name in enumerate(joint_names):
            self.moved |= self._couple(model, column, name)

    def _couple(self, model: mujoco.MjModel, column: int, name: str) -> set[int]:
        """Let value `column` of the vector move what `name` is in the model; the joints that it moves."""
        joint = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_JOINT, name)
        if joint >= 0 and int(model.jnt_type[joint]) in _ONE_VALUE:
            self._gain[model.jnt_qposadr[joint], column] = 1.0
            self._rest[model.jnt_qposadr[joint]] = 0.0
            return {joint}
        actuator = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_ACTUATOR, name)
        if actuator < 0 or int(model.actuator_trntype[actuator]) != _TENDON:
            return set()
        tendon = int(model.actuator_trnid[actuator, 0])
        wraps = slice(model.tendon_adr[tendon], model.tendon_adr[tendon] + model.tendon_num[tendon])
        if (model.wrap_type[wraps] != _WRAP_JOINT).any():
            return set()
        joints, coefficients = model.wrap_objid[wraps], model.wrap_prm[wraps]
        low, high = model.actuator_ctrlrange[actuator]
        share = coefficients / (coefficients @ coefficients)  # the least motion that gives this length
        self._rest[model.jnt_qposadr[joints]] = low * share
        self._gain[model.jnt_qposadr[joints], column] = (high - low) * share
        return {int(each) for each in joints}

    @property
    def length(self) -> int:
        """Values in a joint vector, n."""
        return self._gain.shape[1]

    def qpos(self, vector: Array) -> Array:
        """Positions of the model for a joint vector, shape (nq,); all else stays as the model has it.

        Args:
            vector: Joint vector, finite, shape (n,).
        """
        return self._rest + self._gain @ vector
