"""Fixtures and guards that every test gets."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("dev", deadline=None)
# CI draws the same examples every time, so that a red run can be repeated; other runs look for new ones.
settings.register_profile(
    "ci", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def _has_display() -> bool:
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def pytest_configure(config: pytest.Config) -> None:
    """Chooses Qt's platform before anything imports Qt: real windows where there is a display, else none."""
    if sys.platform == "linux":
        os.environ.setdefault("QT_QPA_PLATFORM", "xcb" if os.environ.get("DISPLAY") else "offscreen")
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    os.environ.setdefault("SDL_AUDIODRIVER", "dummy")


def pytest_report_header(config: pytest.Config) -> str:
    """Says above the results what the run can and cannot show."""
    display = os.environ.get("DISPLAY") if _has_display() else "none, display tests are skipped"
    return f"display: {display}; Qt platform: {os.environ.get('QT_QPA_PLATFORM', 'native')}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skips display tests, with the reason in the closing report, where nothing can be drawn."""
    if _has_display():
        return
    skip = pytest.mark.skip(reason="no display: start the suite with ./test, which brings its own (Xvfb)")
    for item in items:
        if item.get_closest_marker("display"):
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data directory of this test's own; no test can reach the user's episodes or settings."""
    path = tmp_path / "teleop-data"
    monkeypatch.setenv("TELEOP_DATA_DIR", str(path))
    for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable.lower()))
    return path


@pytest.fixture(autouse=True, scope="session")
def unlocked_memory() -> Iterator[None]:
    """The process of the tests is not locked into memory, which a control process within it would do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("teleop_app.station.control.lock_memory", lambda: False)
        yield


@pytest.fixture(autouse=True)
def no_leaked_widgets(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test that leaves a top-level Qt widget behind (give it to `qtbot.addWidget`, or close it)."""
    if "qtbot" not in request.fixturenames and "qapp" not in request.fixturenames:
        yield
        return
    from PyQt6.QtCore import QCoreApplication, QEvent
    from PyQt6.QtWidgets import QApplication

    qapp = request.getfixturevalue("qapp")
    before = set(map(id, QApplication.topLevelWidgets()))
    yield
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    qapp.processEvents()
    leaked = [widget for widget in QApplication.topLevelWidgets() if id(widget) not in before]
    names = [f"{type(widget).__name__} {widget.objectName()!r}" for widget in leaked]
    for widget in leaked:
        widget.close()
        widget.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    if names:
        pytest.fail(f"The test left these top-level widgets behind: {', '.join(names)}")
