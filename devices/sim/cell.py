"""The simulated cell: two arms, a table, a task, stepped at 500 Hz. Knows no process and no clock."""

from dataclasses import dataclass
from typing import Final

import mujoco
import numpy as np
from numpy.typing import NDArray

from devices.sim.arms import (
    ARMS,
    FINGER_CLOSED_M,
    FINGER_NAMES,
    FINGER_OPEN_M,
    JOINT_NAMES,
    home_q,
    joint_limits,
    velocity_limits,
)
from devices.sim.model import Look, load_model
from devices.sim.scene import Scene
from devices.sim.tasks import Task, Truth, make_task
from teleop_app.core.errors import DeviceError
from teleop_app.core.geometry import Array

TIMESTEP_S: Final = 0.002
DWELL_S: Final = 0.5
"""How long the goal must hold before it counts as success."""

_TASK_EVERY: Final = 10
_SETTLE_STEPS: Final = 100
_MOVED_RAD: Final = 0.02


@dataclass(frozen=True, slots=True)
class TaskState:
    """Where the task stands.

    Attributes:
        success: The goal has held for `DWELL_S` and still holds.
        failed: The task can no longer be solved.
        dwell_s: For how long the goal has held.
        reason: Why it failed, as a sentence, else empty.
    """

    success: bool
    failed: bool
    dwell_s: float
    reason: str


class Cell:
    """Physics of the cell. Not thread-safe; nothing blocks.

    The 14-vector is: 6 joints [rad] and a gripper (0 closed .. 1 open) of the left arm, then of the
    right. The same seed and the same targets at the same steps give the same states, bit for bit.

    Args:
        look: What the model draws; the physics is the same.
        task: Task of the first scene.
        seed: Seed of the first scene.

    Raises:
        ConfigError: Unknown look or task, or missing meshes.
    """

    joint_names: Final[tuple[str, ...]] = JOINT_NAMES
    finger_names: Final[tuple[str, ...]] = FINGER_NAMES

    def __init__(self, look: Look = "primitive", task: str = "pick-place", seed: int = 0) -> None:
        self.model = load_model(look)
        self.data = mujoco.MjData(self.model)
        self.home_q: Array = home_q()
        self.lower_limits, self.upper_limits = joint_limits()
        self.velocity_limits: Array = velocity_limits()
        self.arm_base_poses: dict[str, Array] = {arm.side: np.array(arm.world_T_base) for arm in ARMS}
        self._joint_qpos, self._joint_dof = self._joint_addresses()
        self._ctrl_at = np.array(
            [self.model.actuator(name).id for arm in ARMS for name in arm.actuator_names], dtype=np.intp
        )
        self._geom_finger = self._finger_of_each_geom()
        self._finger_bodies = [self.model.body(body).id for arm in ARMS for body in arm.finger_body_names]
        self._scene = Scene(self.model, self.data)
        self._task: Task = make_task(task)
        self._seed = seed
        self._steps = 0
        self._dwell_steps = 0
        self._reason = ""
        self._reset_targets = self.home_q
        self._targets = self.home_q.copy()
        self._moved = False
        self.reset(task, seed)

    # Scene and task.

    def reset(self, task: str | None = None, seed: int | None = None, *, keep_arms: bool = False) -> None:
        """Sets up a scene, settled and at rest, and starts its time at zero.

        Args:
            task: Task name; None keeps the present one.
            seed: Seed of the scene; None keeps the present one.
            keep_arms: Leave the arms where they are, with their targets, and only change the parts
                around them; else the arms stand in the home posture with open grippers at once.

        Raises:
            ConfigError: Unknown task; the scene is unchanged.
        """
        if task is not None and task != self._task.name:
            self._task = make_task(task)
        if seed is not None:
            self._seed = seed
        arms = self.data.qpos[self._joint_qpos].copy() if keep_arms else None
        targets = self._targets.copy() if keep_arms else self.home_q.copy()
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[self._joint_qpos] = self._finger_qpos(self.home_q) if arms is None else arms
        self.set_targets(targets)
        self._scene.park_all()
        self._task.reset(self._scene, np.random.default_rng(self._seed))
        self._scene.fix()
        for _ in range(_SETTLE_STEPS):
            mujoco.mj_step(self.model, self.data)
            self._scene.hold()
        self._still()
        self.data.time = 0.0
        mujoco.mj_forward(self.model, self.data)
        self._steps = self._dwell_steps = 0
        self._reason = ""
        self._reset_targets = self._targets.copy()
        self._moved = False

    @property
    def task_name(self) -> str:
        """Registry name of the present task."""
        return self._task.name

    @property
    def seed(self) -> int:
        """Seed of the present scene."""
        return self._seed

    @property
    def instruction(self) -> str:
        """What the operator is asked to do."""
        return self._task.instruction

    @property
    def paraphrases(self) -> tuple[str, ...]:
        """Other ways to say the instruction."""
        return self._task.paraphrases

    @property
    def time_limit_s(self) -> float:
        """What an unhurried operator needs at most for the present task."""
        return self._task.time_limit_s

    def truth(self) -> Truth:
        """World poses of objects and goals by name; see `devices.sim.tasks` for the names."""
        return self._task.truth(self._scene)

    def task_state(self) -> TaskState:
        """Where the task stands; failure stays until the next reset."""
        dwell_s = self._dwell_steps * TIMESTEP_S
        failed = bool(self._reason)
        return TaskState(
            success=not failed and dwell_s >= DWELL_S, failed=failed, dwell_s=dwell_s, reason=self._reason
        )

    # Commands and steps.

    def set_targets(self, q: Array) -> None:
        """Sets the position targets; they hold until the next call. Beyond limits they are clipped.

        Args:
            q: Target 14-vector.

        Raises:
            DeviceError: Wrong shape or a value that is not finite; the old targets stay.
        """
        target = np.asarray(q, dtype=np.float64)
        if target.shape != (14,):
            raise DeviceError(
                f"The simulated arms refused a target of shape {target.shape}", why="they take 14 values"
            )
        if not np.isfinite(target).all():
            bad = int(np.flatnonzero(~np.isfinite(target))[0])
            raise DeviceError(
                f"The simulated arms refused the target {target[bad]} of {JOINT_NAMES[bad]}",
                why="it is not a finite number",
                next_step="The last good target stays; check the input or policy that sent it",
            )
        np.clip(target, self.lower_limits, self.upper_limits, out=self._targets)
        ctrl = self._targets.copy()
        ctrl[[6, 13]] = FINGER_CLOSED_M + ctrl[[6, 13]] * (FINGER_OPEN_M - FINGER_CLOSED_M)
        self.data.ctrl[self._ctrl_at] = ctrl

    def targets(self) -> Array:
        """The position targets in force, after clipping."""
        return self._targets.copy()

    def step(self, n: int = 1) -> None:
        """Advances the physics by n steps of 2 ms."""
        if not self._moved:
            self._moved = bool(np.abs(self._targets - self._reset_targets).max() > _MOVED_RAD)
        for _ in range(n):
            mujoco.mj_step(self.model, self.data)
            self._scene.hold()
            self._steps += 1
            if self._steps % _TASK_EVERY == 0:
                self._watch_task()

    @property
    def time_s(self) -> float:
        """Physics time since the reset [s]."""
        return float(self.data.time)

    # State.

    def read(self) -> tuple[Array, Array, Array]:
        """Reads the arms.

        Returns:
            Positions [rad, grippers 0..1], velocities [rad/s, 1/s] and efforts [N m, grippers N,
            positive opens], shape (14,) each.
        """
        return (
            self._fourteen(self.data.qpos, self._joint_qpos, FINGER_CLOSED_M),
            self._fourteen(self.data.qvel, self._joint_dof, 0.0),
            self.data.actuator_force[self._ctrl_at],
        )

    @property
    def qpos(self) -> Array:
        """The full state of the scene, shape (nq,): what a viewer draws and a replay restores (copy)."""
        return self.data.qpos.copy()

    def set_qpos(self, qpos: Array) -> None:
        """Shows a recorded state: everything is where `qpos` says, at rest.

        Raises:
            DeviceError: Wrong shape or not finite.
        """
        if np.shape(qpos) != (self.model.nq,) or not np.isfinite(qpos).all():
            raise DeviceError(
                f"The simulated cell refused a state of shape {np.shape(qpos)}",
                why=f"it takes {self.model.nq} finite values",
            )
        self.data.qpos[:] = qpos
        self.data.qvel[:] = 0.0
        mujoco.mj_forward(self.model, self.data)

    def tcp_pose(self, side: str) -> Array:
        """World pose of an arm's tool centre point, shape (7,)."""
        site = self.data.site(f"{side}/tcp")
        quat = np.empty(4)
        mujoco.mju_mat2Quat(quat, site.xmat)
        return np.concatenate([site.xpos, quat])

    def finger_forces(self) -> Array:
        """Sums the contact forces on each finger.

        Returns:
            Force on the finger [N] in the finger's frame (x out of the gripper, y the opening
            direction of the left finger), shape (4, 3), in the order of `finger_names`.
        """
        forces = np.zeros((4, 3))
        contact = self.data.contact
        fingers = self._geom_finger[contact.geom]
        wrench = np.empty(6)
        for index in np.flatnonzero((fingers >= 0).any(axis=1)):
            mujoco.mj_contactForce(self.model, self.data, int(index), wrench)
            world = wrench[:3] @ contact.frame[index].reshape(3, 3)
            # MuJoCo's contact force acts on the second geom.
            for finger, sign in ((fingers[index, 0], -1.0), (fingers[index, 1], 1.0)):
                if finger >= 0:
                    rotation = self.data.xmat[self._finger_bodies[finger]].reshape(3, 3)
                    forces[finger] += sign * (world @ rotation)
        return forces

    # Inside.

    def _watch_task(self) -> None:
        dt_s = _TASK_EVERY * TIMESTEP_S
        self._task.advance(self._scene, dt_s, self._moved)
        self._dwell_steps = self._dwell_steps + _TASK_EVERY if self._task.is_solved(self._scene) else 0
        if not self._reason:
            self._reason = self._task.why_failed(self._scene)

    def _still(self) -> None:
        """Takes the last of the settling motion out, so that a scene starts at rest."""
        self.data.qvel[:] = 0.0
        self.data.qacc_warmstart[:] = 0.0

    def _joint_addresses(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        names = [name for arm in ARMS for name in (*arm.joint_names, *arm.finger_joint_names)]
        joints = [self.model.joint(name) for name in names]
        return (
            np.array([joint.qposadr[0] for joint in joints], dtype=np.intp),
            np.array([joint.dofadr[0] for joint in joints], dtype=np.intp),
        )

    def _finger_of_each_geom(self) -> NDArray[np.int32]:
        finger = np.full(self.model.ngeom, -1, dtype=np.int32)
        bodies = [self.model.body(body).id for arm in ARMS for body in arm.finger_body_names]
        for index, body in enumerate(bodies):
            finger[self.model.geom_bodyid == body] = index
        return finger

    @staticmethod
    def _finger_qpos(q: Array) -> Array:
        """Turns the 14-vector into the 16 joint positions of the MJCF."""
        opening = FINGER_CLOSED_M + q[[6, 13]] * (FINGER_OPEN_M - FINGER_CLOSED_M)
        return np.concatenate(
            [q[:6], [opening[0], -opening[0]], q[7:13], [opening[1], -opening[1]]],
        )

    @staticmethod
    def _fourteen(values: Array, at: NDArray[np.intp], closed: float) -> Array:
        sixteen = values[at]
        out = np.empty(14)
        for arm in (0, 1):
            base = 8 * arm
            out[7 * arm : 7 * arm + 6] = sixteen[base : base + 6]
            half = 0.5 * (sixteen[base + 6] - sixteen[base + 7])
            out[7 * arm + 6] = (half - closed) / (FINGER_OPEN_M - FINGER_CLOSED_M)
        return out
