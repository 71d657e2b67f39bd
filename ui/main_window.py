"""The frame around the pages: rail, top bar, bottom strip, banner, toasts, key overlay."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PyQt6.QtCore import QByteArray, QSettings, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QCloseEvent
from PyQt6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QMainWindow,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from teleop_app.core.errors import TeleopError
from ui import theme
from ui.actions import ActionRegistry, Scope
from ui.theme import Role
from ui.widgets.banner import Banner
from ui.widgets.key_overlay import KeyOverlay
from ui.widgets.rail import Rail
from ui.widgets.status_strip import StatusStrip
from ui.widgets.toasts import Toasts
from ui.widgets.top_bar import TopBar

log = logging.getLogger(__name__)

MIN_SIZE = QSize(960, 540)
"""A Full HD screen at 200 %. Pages that need more scroll."""

FIRST_SIZE = QSize(1440, 900)
_FRAME_PX = 3


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the rail.

    Attributes:
        title: Under the icon.
        icon: Material Design icon name.
        scope: Whose actions answer while the page is shown.
        factory: Makes the widget when the page is first shown.
    """

    title: str
    icon: str
    scope: Scope
    factory: Callable[[], QWidget]


def open_settings(data_dir: Path) -> QSettings:
    """Returns the window settings kept in a data directory."""
    return QSettings(str(data_dir / "window.ini"), QSettings.Format.IniFormat)


class MainWindow(QMainWindow):
    """Shows pages and what must be seen on each of them.

    Pages are made when first shown and stay; they learn of being shown by their own show and
    hide events, and of a new theme by their palette change.

    Args:
        pages: In the order of the rail.
        actions: The declared actions; the window binds the global ones.
        settings: Where geometry, page and theme are kept; None forgets them.
        parent: Owner.
    """

    estopRequested = pyqtSignal()
    estopResetRequested = pyqtSignal()
    soundsToggled = pyqtSignal(bool)
    pageShown = pyqtSignal(str)
    themeChanged = pyqtSignal(str)

    def __init__(
        self,
        pages: Sequence[Page],
        actions: ActionRegistry,
        settings: QSettings | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        if not pages:
            raise ValueError("The main window needs at least one page.")
        self.setWindowTitle("teleop-app")
        self.setMinimumSize(MIN_SIZE)
        self._pages = list(pages)
        self._widgets: dict[int, QWidget] = {}
        self._frames: dict[int, QScrollArea] = {}
        self._actions = actions
        self._settings = settings
        self._recording = False
        self._sounds = self._setting("sounds", True)

        self._root = QWidget()
        self._root.setObjectName("root")
        self.rail = Rail([(page.title, page.icon) for page in pages])
        self.top_bar = TopBar(actions.key_label("estop"))
        self.strip = StatusStrip()
        self._stack = QStackedWidget()
        content = QVBoxLayout()
        content.setSpacing(0)
        content.addWidget(self.top_bar)
        content.addWidget(self._stack, 1)
        middle = QHBoxLayout()
        middle.setSpacing(0)
        middle.addWidget(self.rail)
        middle.addLayout(content, 1)
        box = QVBoxLayout(self._root)
        box.setContentsMargins(_FRAME_PX, _FRAME_PX, _FRAME_PX, _FRAME_PX)
        box.setSpacing(0)
        box.addLayout(middle, 1)
        box.addWidget(self.strip)
        self.setCentralWidget(self._root)

        self.banner = Banner(self._stack)
        self.toasts = Toasts(self._stack)
        self.keys = KeyOverlay(actions, self._stack)
        self.rail.chosen.connect(self.show_page)
        self.top_bar.estop.pressedDown.connect(self.estopRequested)
        self.top_bar.estop.resetRequested.connect(self.estopResetRequested)
        actions.changed.connect(self._on_key_changed)
        self._bind_global()
        self.retheme()
        self._restore()

    def _setting(self, name: str, default: bool) -> bool:
        if self._settings is None:
            return default
        return str(self._settings.value(name, default)).lower() in ("true", "1")

    def _bind_global(self) -> None:
        bind = self._actions.bind
        estop = bind("estop", self._on_estop_key, self)
        estop.setShortcutContext(Qt.ShortcutContext.ApplicationShortcut)  # in every window of this program
        bind("keys", self.keys.toggle, self)
        bind("theme", self.toggle_theme, self)
        bind("sounds", self.toggle_sounds, self)
        numbered = sum(spec.id.startswith("page.") for spec in self._actions.specs)
        for index in range(min(len(self._pages), numbered)):
            bind(f"page.{index + 1}", lambda i=index: self.show_page(i), self)

    def _on_estop_key(self) -> None:
        self.keys.hide()
        self.estopRequested.emit()

    def _restore(self) -> None:
        index = 0
        geometry = None
        if self._settings is not None:
            geometry = self._settings.value("geometry")
            stored = str(self._settings.value("page", ""))
            index = next((i for i, page in enumerate(self._pages) if page.title == stored), 0)
        if not (isinstance(geometry, QByteArray) and self.restoreGeometry(geometry)):
            screen = self.screen()
            room = screen.availableSize() if screen is not None else FIRST_SIZE
            self.resize(FIRST_SIZE.boundedTo(room))
        self.show_page(index)

    @property
    def current_title(self) -> str:
        """Title of the page shown."""
        return self._pages[self._index].title

    @property
    def sounds(self) -> bool:
        """Whether sounds are on."""
        return self._sounds

    def page_widget(self, title: str) -> QWidget | None:
        """Returns the widget of a page, None while it has not been shown yet."""
        for index, page in enumerate(self._pages):
            if page.title == title:
                return self._widgets.get(index)
        return None

    def show_page(self, index: int) -> None:
        """Shows a page by its place in the rail, making it if need be."""
        self.keys.hide()
        page = self._pages[index]
        widget = self._widgets.get(index)
        if widget is None:
            widget = page.factory()
            self._widgets[index] = widget
            frame = QScrollArea()
            frame.setWidgetResizable(True)
            frame.setFrameShape(QScrollArea.Shape.NoFrame)
            frame.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            frame.setWidget(widget)
            self._frames[index] = frame
            self._stack.addWidget(frame)
        self._index = index
        self._stack.setCurrentWidget(self._frames[index])
        self.rail.set_current(index)
        self._actions.activate(page.scope)
        widget.setFocus(Qt.FocusReason.OtherFocusReason)
        self.banner.raise_()
        self.toasts.raise_()
        self.pageShown.emit(page.title)

    def show_titled(self, title: str) -> None:
        """Shows a page by its title; an unknown title changes nothing."""
        for index, page in enumerate(self._pages):
            if page.title == title:
                self.show_page(index)

    def set_recording(self, recording: bool) -> None:
        """Draws the red frame around the window while an episode is recorded."""
        if recording != self._recording:
            self._recording = recording
            self._paint_frame()

    def set_estop(self, latched: bool) -> None:
        """Shows the e-stop as latched or not."""
        self.top_bar.estop.set_latched(latched)

    def show_error(self, error: TeleopError, details: str = "") -> None:
        """Shows an environment fault as its sentence."""
        self.banner.show_sentence(error.sentence, details=details)

    def toast(self, text: str, undo: Callable[[], object] | None = None) -> None:
        """Shows a short note, with Undo where it can be taken back."""
        self.toasts.show_text(text, undo, self._actions.key_label("undo") if undo is not None else "")

    def toggle_theme(self) -> None:
        """Switches between dark and light."""
        self.set_theme("light" if theme.tokens().name == "dark" else "dark")

    def set_theme(self, name: str) -> None:
        """Puts a theme in force and remembers it."""
        app = QApplication.instance()
        if isinstance(app, QApplication):
            theme.apply(app, name)
        self.retheme()
        if self._settings is not None:
            self._settings.setValue("theme", name)
        self.themeChanged.emit(name)

    def toggle_sounds(self) -> None:
        """Turns sounds on or off, says so and remembers it."""
        self.set_sounds(not self._sounds)

    def set_sounds(self, on: bool) -> None:
        """Turns sounds on or off, says so and remembers it."""
        self._sounds = on
        if self._settings is not None:
            self._settings.setValue("sounds", self._sounds)
        self.toasts.show_text("Sounds on" if self._sounds else "Sounds off", shown_ms=2000)
        self.soundsToggled.emit(self._sounds)

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        self.rail.retheme()
        self.top_bar.retheme()
        self.strip.retheme()
        self.banner.retheme()
        self._paint_frame()

    def _paint_frame(self) -> None:
        color = theme.tokens().hex(Role.RECORDING if self._recording else Role.WINDOW)
        self._root.setStyleSheet(f"#root {{ background: {color}; }}")
        self._stack.setStyleSheet(f"QStackedWidget {{ background: {theme.tokens().window}; }}")

    def _on_key_changed(self, action_id: str) -> None:
        if action_id == "estop":
            self.top_bar.estop.set_key(self._actions.key_label("estop"))

    def closeEvent(self, a0: QCloseEvent | None) -> None:  # noqa: N802
        """Remembers geometry and page."""
        if self._settings is not None:
            self._settings.setValue("geometry", self.saveGeometry())
            self._settings.setValue("page", self.current_title)
            self._settings.sync()
        super().closeEvent(a0)
