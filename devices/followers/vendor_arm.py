"""What drivers of industrial arms share: their joints, their rate, and what they refuse."""

from __future__ import annotations

import socket
from typing import Final

import numpy as np

from devices.driver import DeviceContext
from devices.protocols import Array
from teleop_app.core.errors import ConfigError, DeviceError

_REACH_S: Final = 1.0


class VendorArm:
    """The part of a `devices.protocols.FollowerDriver` that does not depend on the maker.

    Args:
        context: Its arm and model.
        title: For people, e.g. `UR arm`.
        host: Address of the controller.
        rate_hz: Targets a second.
        joints: Of the arm, without the gripper.

    Raises:
        ConfigError: The model has another number of joints than the arm.
    """

    def __init__(self, context: DeviceContext, title: str, host: str, rate_hz: float, joints: int) -> None:
        self._clock = context.clock
        self._title = title
        self._host = host
        self._rate_hz = rate_hz
        self._joints = joints
        self._names = _joint_vector_names(context, joints)

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of its joint vector, gripper last."""
        return self._names

    @property
    def rate_hz(self) -> float:
        """Targets a second."""
        return self._rate_hz

    def _refused(self, what: str, why: str = "", next_step: str = "") -> DeviceError:
        return DeviceError(f"The {self._title} at {self._host} {what}", why=why, next_step=next_step)

    def _check(self, target: Array) -> None:
        """Raises a `DeviceError` for a target that is not of the joint vector's shape, or not finite."""
        wanted = self._joints + 1
        if target.shape != (wanted,) or not np.isfinite(target).all():
            raise self._refused(
                f"refused a target of shape {target.shape}", f"it takes {wanted} finite values"
            )

    def _reach(self, *ports: int) -> None:
        """A plain connection first: the vendors' clients wait long for a host that is not there."""
        for port in ports:
            try:
                socket.create_connection((self._host, port), _REACH_S).close()
            except OSError as error:
                raise self._refused(
                    f"cannot be reached on port {port}",
                    str(error),
                    "Check the address, the cable, and that the controller is on",
                ) from error


def _joint_vector_names(context: DeviceContext, joints: int) -> tuple[str, ...]:
    from devices.models.library import robot_model

    (arm,) = (section for section in context.config.arms if section.name == context.name)
    model = robot_model(arm.model)
    if len(model.joint_names) != joints:
        raise ConfigError(
            f"The model {arm.model!r} of arm {arm.name!r} has {len(model.joint_names)} joints, not {joints}",
            next_step="Correct `model` in [[arms]]",
        )
    return tuple(f"{arm.name}/{joint}" for joint in (*model.joint_names, "gripper"))
