"""The parts of the tasks in the physics: place them, hold them still, ask where they are."""

from typing import Final

import mujoco
import numpy as np
from numpy.typing import NDArray

from devices.sim.arms import ARMS
from teleop_app.core.geometry import Array

OBJECTS: Final = ("cube_red", "cube_green", "cube_blue", "bar", "peg")
"""Free bodies; the MJCF's free joint has the same name."""

FIXTURES: Final = ("tray", "bin", "socket")
"""Bodies that are placed on the table and then stand still."""

CUBE_HALF_M: Final = 0.02
TABLE_X_M: Final = 0.64
TABLE_Y_M: Final = (0.13, 0.97)

BELT_Y_M: Final = 0.66
BELT_TOP_M: Final = 0.04
BELT_HALF_LENGTH_M: Final = 0.285
_STRIPE_PITCH_M: Final = 0.06
_PARKED_Z_M: Final = -4.0


class Scene:
    """The task parts of one physics state.

    What is parked or fixed is held: its position and velocity are written back after every physics
    step (`hold`), so that `qpos` alone tells where everything is and nothing drifts.

    Args:
        model: The compiled cell.
        data: Its state; shared with the caller, which steps it.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self._model = model
        self._data = data
        self._qpos_at = {name: int(model.joint(name).qposadr[0]) for name in OBJECTS}
        self._dof_at = {name: int(model.joint(name).dofadr[0]) for name in OBJECTS}
        self._body = {name: int(model.body(name).id) for name in (*OBJECTS, *FIXTURES)}
        self._slides = {
            name: int(model.joint(name).qposadr[0])
            for name in (*(f"{fixture}/{axis}" for fixture in FIXTURES for axis in "xyz"), "belt/z")
        }
        self._belt_at = int(model.joint("belt/surface").qposadr[0])
        self._drive_at = int(model.joint("belt/drive").qposadr[0])
        self._fingers = {
            arm.side: np.array([model.body(body).id for body in arm.finger_body_names]) for arm in ARMS
        }
        self._slide_dof = {
            address: int(model.jnt_dofadr[joint])
            for joint, address in enumerate(model.jnt_qposadr)
            if address in (*self._slides.values(), self._belt_at, self._drive_at)
        }
        self._belt_speed = 0.0
        self._in_use: set[str] = set()
        self._held_qpos_at: NDArray[np.intp] = np.zeros(0, dtype=np.intp)
        self._held_dof_at: NDArray[np.intp] = np.zeros(0, dtype=np.intp)
        self._held_qpos: Array = np.zeros(0)
        self._held_qvel: Array = np.zeros(0)
        self.park_all()

    # Setting up. Call `fix` when everything is placed.

    def park_all(self) -> None:
        """Moves every part below the floor and stops the belt."""
        self._belt_speed = 0.0
        self._in_use.clear()
        qpos, qvel = self._data.qpos, self._data.qvel
        for index, name in enumerate(OBJECTS):
            at, dof = self._qpos_at[name], self._dof_at[name]
            qpos[at : at + 7] = (0.3 * index, 0.0, _PARKED_Z_M, 1.0, 0.0, 0.0, 0.0)
            qvel[dof : dof + 6] = 0.0
        for address, dof in self._slide_dof.items():
            qpos[address] = qvel[dof] = 0.0
        for index, name in enumerate((*FIXTURES, "belt")):
            qpos[self._slides[f"{name}/z"]] = _PARKED_Z_M - 1.0 - 0.3 * index
        self.fix()

    def place_object(self, name: str, pose: Array) -> None:
        """Puts an object at a world pose, shape (7,), at rest."""
        at, dof = self._qpos_at[name], self._dof_at[name]
        self._data.qpos[at : at + 7] = pose
        self._data.qvel[dof : dof + 6] = 0.0
        self._in_use.add(name)

    def place_fixture(self, name: str, x_m: float, y_m: float) -> None:
        """Stands a fixture on the table with its origin at (x, y)."""
        for axis, value in (("x", x_m), ("y", y_m), ("z", 0.0)):
            self._data.qpos[self._slides[f"{name}/{axis}"]] = value

    def place_belt(self) -> None:
        """Stands the conveyor on the table, along x at `BELT_Y_M`."""
        self._data.qpos[self._slides["belt/z"]] = 0.0

    def fix(self) -> None:
        """Holds, from now on, the fixtures and the parts not in use where they are."""
        qpos_at = list(self._slide_dof)
        dof_at = list(self._slide_dof.values())
        for name in OBJECTS:
            if name not in self._in_use:
                qpos_at += range(self._qpos_at[name], self._qpos_at[name] + 7)
                dof_at += range(self._dof_at[name], self._dof_at[name] + 6)
        self._held_qpos_at = np.array(qpos_at, dtype=np.intp)
        self._held_dof_at = np.array(dof_at, dtype=np.intp)
        self._held_qpos = self._data.qpos[self._held_qpos_at]
        self._held_qvel = np.zeros(len(dof_at))
        self._belt_held = dof_at.index(self._slide_dof[self._belt_at])
        self._drive_held_qpos = qpos_at.index(self._drive_at)

    # Running.

    def hold(self) -> None:
        """Writes the held parts back; call after every physics step."""
        if self._belt_speed != 0.0:
            step = self._belt_speed * self._model.opt.timestep
            phase = self._held_qpos[self._drive_held_qpos] + step
            # Centred, so that the stripes never reach over the rollers.
            self._held_qpos[self._drive_held_qpos] = (phase + 0.03) % _STRIPE_PITCH_M - 0.03
        self._data.qpos[self._held_qpos_at] = self._held_qpos
        self._data.qvel[self._held_dof_at] = self._held_qvel

    @property
    def belt_speed(self) -> float:
        """Speed of the belt surface along x [m/s]."""
        return self._belt_speed

    @belt_speed.setter
    def belt_speed(self, speed_m_s: float) -> None:
        self._belt_speed = speed_m_s
        self._held_qvel[self._belt_held] = speed_m_s
        self._data.qvel[self._held_dof_at[self._belt_held]] = speed_m_s

    # Asking.

    def object_pose(self, name: str) -> Array:
        """World pose of an object, shape (7,)."""
        at = self._qpos_at[name]
        return self._data.qpos[at : at + 7].copy()

    def object_speed(self, name: str) -> float:
        """Speed of an object's centre [m/s]."""
        dof = self._dof_at[name]
        return float(np.linalg.norm(self._data.qvel[dof : dof + 3]))

    def fixture_pose(self, name: str) -> Array:
        """World pose of a fixture's origin, shape (7,): on the table top, not turned."""
        x, y, z = (float(self._data.qpos[self._slides[f"{name}/{axis}"]]) for axis in "xyz")
        return np.array([x, y, z, 1.0, 0.0, 0.0, 0.0])

    def touched_by(self, name: str) -> dict[str, int]:
        """Counts, per arm, how many of its fingers touch the object (0, 1 or 2)."""
        bodies = self._contact_bodies()
        body = self._body[name]
        mine = bodies[(bodies == body).any(axis=1)]
        return {side: int(np.isin(fingers, mine).sum()) for side, fingers in self._fingers.items()}

    def touches_anything_but(self, name: str, side: str) -> bool:
        """Whether the object touches something other than the fingers of one arm."""
        bodies = self._contact_bodies()
        body = self._body[name]
        mine = bodies[(bodies == body).any(axis=1)].ravel()
        return bool(((mine != body) & ~np.isin(mine, self._fingers[side])).any())

    def fell_off(self, name: str) -> bool:
        """Whether the object left the table top."""
        x, y, z = self.object_pose(name)[:3]
        return bool(z < -0.01 or abs(x) > TABLE_X_M or not TABLE_Y_M[0] < y < TABLE_Y_M[1])

    def _contact_bodies(self) -> NDArray[np.int32]:
        contact = self._data.contact
        touching = contact.dist <= 0.0
        return self._model.geom_bodyid[contact.geom[touching]]
