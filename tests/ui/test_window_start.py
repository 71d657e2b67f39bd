"""The window as a whole opens on the page that it was left on."""

import numpy as np
import pytest

from teleop_app.app import _scene
from teleop_app.core.config import StationConfig, parse_station, station_text
from teleop_app.core.paths import DataDir
from ui.application import Application, WindowParts
from ui.main_window import open_settings


@pytest.mark.parametrize("title", ["Home", "Collect", "Autonomy", "Episodes", "Setup"])
def test_the_window_opens_on_the_page_it_was_left_on(qapp, tmp_path, title):
    data = DataDir(tmp_path / "store").create()
    data.station_file.write_text(station_text(StationConfig()))
    settings = open_settings(data.root)
    settings.setValue("page", title)
    settings.sync()
    style = qapp.styleSheet()
    parts = WindowParts(data, StationConfig(), data.station_file, None, (), tuple, ())
    application = Application(qapp, parts)
    try:
        assert application.window.current_title == title
    finally:
        application.window.deleteLater()
        application.stop()
        qapp.setStyleSheet(style)


def test_the_scene_of_real_arms_is_drawn_from_what_they_measure():
    box = "workspace_min = [-1.0, -1.0, 0.0]\nworkspace_max = [1.0, 1.0, 1.5]"
    arms = [("left", "dynamixel", "viperx300", -0.5), ("right", "ur", "ur5e", 0.5)]
    text = "\n".join(
        f'[[arms]]\nname = "{name}"\nfollower = "{driver}"\nmodel = "{model}"\n'
        f"base_position = [{x}, 0, 0]\n{box}"
        for name, driver, model, x in arms
    )
    source = _scene(parse_station(f"cameras = []\n{text}"))
    assert source is not None and source.measured_qpos is not None
    vector = np.full(len(source.joint_names), 0.1)
    moved = source.measured_qpos(vector) - source.measured_qpos(np.zeros_like(vector))
    assert source.model.nq == len(moved) and np.count_nonzero(moved) >= len(vector)
