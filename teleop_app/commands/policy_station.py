"""The station that the policy commands are about: its file, and what templates have to know of it."""

from __future__ import annotations

from pathlib import Path

from teleop_app.autonomy.policy_templates import TemplateCell
from teleop_app.commands.options import chosen_data_dir
from teleop_app.core.config import StationConfig
from teleop_app.core.paths import DataDir


def chosen_station(data_dir: Path | None, station_file: Path | None) -> tuple[DataDir, StationConfig]:
    """The store, and the station file that is named, else the store's own."""
    from teleop_app import app as application

    data = chosen_data_dir(data_dir).create()
    return data, application.station_config(data, station_file)[0]


def template_cell(config: StationConfig) -> TemplateCell:
    """Arms and cameras that templates and built-in policies are made for."""
    from teleop_app import app as application

    counts = {arm.name: len(arm.joint_names) for arm in application.cell_description(config)[0]}
    arms = tuple((arm.name, counts.get(arm.name, 0)) for arm in config.arms)
    return TemplateCell(arms, tuple(camera.name for camera in config.cameras))
