"""Robot models by name, and those of users' own files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from devices.models import franka, interbotix, so101, ufactory, universal
from devices.models.robot import RobotModel
from devices.models.user_file import file_model
from teleop_app.core.errors import ConfigError

MODELS: Final[dict[str, RobotModel]] = {
    model.name: model
    for family in (interbotix, so101, universal, ufactory, franka)
    for model in family.MODELS
}
"""Every built-in model by its name in the station file."""


def robot_model(name: str) -> RobotModel:
    """The model of an arm's `model` entry: a built-in name, or the path of an MJCF or URDF file.

    Raises:
        ConfigError: There is no such model, or the file cannot be used.
    """
    if name in MODELS:
        return MODELS[name]
    path = Path(name).expanduser()
    if path.suffix.lower() in (".xml", ".mjcf", ".urdf"):
        return file_model(path)
    raise ConfigError(
        f"There is no robot model {name!r}",
        next_step=f"Choose one of: {', '.join(MODELS)}; or give the path of an MJCF or URDF file",
    )
