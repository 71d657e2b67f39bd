"""What drivers of industrial arms share."""

from __future__ import annotations

from devices.driver import DeviceContext
from teleop_app.core.errors import ConfigError


def joint_vector_names(context: DeviceContext, joints: int) -> tuple[str, ...]:
    """Names of the joint vector of the arm's model, gripper last.

    Raises:
        ConfigError: The model has another number of joints than the arm.
    """
    from devices.models.library import robot_model

    (arm,) = (section for section in context.config.arms if section.name == context.name)
    model = robot_model(arm.model)
    if len(model.joint_names) != joints:
        raise ConfigError(
            f"The model {arm.model!r} of arm {arm.name!r} has {len(model.joint_names)} joints, not {joints}",
            next_step="Correct `model` in [[arms]]",
        )
    return tuple(f"{arm.name}/{joint}" for joint in (*model.joint_names, "gripper"))
