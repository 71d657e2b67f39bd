"""The window as a whole opens on the page that it was left on."""

import pytest

from teleop_app.core.config import StationConfig, station_text
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
