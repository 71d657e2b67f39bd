"""Every installed driver with how far it is proven, those that do not load with the reason."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QFrame, QGridLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from devices.driver import Driver, DriverKind
from ui import theme
from ui.theme import FontSize, Role
from ui.viewmodels.device_words import kind_title
from ui.viewmodels.devices import DevicesModel
from ui.viewmodels.driver_catalog import DriverCatalog
from ui.widgets.device_badge import VerificationBadge


class DriverTable(QWidget):
    """Built anew when the catalog changes.

    Args:
        catalog: The drivers.
        model: Adds one by hand.
        parent: Owner.
    """

    def __init__(self, catalog: DriverCatalog, model: DevicesModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._catalog = catalog
        self._model = model
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(theme.grid(1))
        self.broken = 0
        catalog.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Shows the drivers as they are."""
        while self._box.count():
            item = self._box.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.setParent(None)
                widget.deleteLater()
        title = QLabel("Drivers, and how far each is proven")
        title.setFont(theme.font(bold=True))
        self._box.addWidget(title)
        if not self._catalog.loaded:
            waiting = QLabel("The drivers are being loaded.")
            waiting.setProperty("kind", "muted")
            self._box.addWidget(waiting)
            return
        card = QFrame()
        card.setProperty("surface", "panel")
        grid = QGridLayout(card)
        grid.setContentsMargins(theme.grid(2), theme.grid(1), theme.grid(1), theme.grid(1.5))
        grid.setHorizontalSpacing(theme.grid(2))
        grid.setVerticalSpacing(2)
        grid.setColumnStretch(1, 1)
        row = 0
        for kind in DriverKind:
            drivers = self._catalog.of_kind(kind)
            if not drivers:
                continue
            head = QLabel(kind_title(kind))
            head.setFont(theme.font(FontSize.LABEL, bold=True))
            head.setProperty("kind", "muted")
            head.setContentsMargins(0, theme.grid(1), 0, 0)
            grid.addWidget(head, row, 0, 1, 4)
            row += 1
            for driver in drivers:
                self._add_driver(grid, row, driver)
                row += 1
        self._box.addWidget(card)
        self._add_broken()

    def _add_driver(self, grid: QGridLayout, row: int, driver: Driver) -> None:
        name = QLabel(driver.name)
        title = QLabel(driver.title)
        title.setProperty("kind", "muted")
        title.setWordWrap(True)
        title.setToolTip(driver.proof)
        badge = VerificationBadge()
        badge.set_verification(driver.verification, driver.proof)
        add = QPushButton("Add")
        add.setProperty("kind", "plain")
        add.setStyleSheet("padding: 2px 8px;")
        add.setAccessibleName(f"Add {driver.name} to the station by hand")
        add.clicked.connect(lambda: self._model.add(driver))
        grid.addWidget(name, row, 0)
        grid.addWidget(title, row, 1)
        grid.addWidget(badge, row, 2, Qt.AlignmentFlag.AlignRight)
        grid.addWidget(add, row, 3)

    def _add_broken(self) -> None:
        self.broken = len(self._catalog.broken)
        if not self.broken:
            return
        head = QLabel("Plug-ins that cannot be used")
        head.setFont(theme.font(bold=True))
        self._box.addWidget(head)
        card = QFrame()
        card.setProperty("surface", "panel")
        box = QVBoxLayout(card)
        box.setContentsMargins(theme.grid(2), theme.grid(1), theme.grid(2), theme.grid(1))
        for each in self._catalog.broken:
            text = QLabel(each.sentence)
            text.setWordWrap(True)
            text.setTextFormat(Qt.TextFormat.PlainText)
            text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            text.setStyleSheet(f"color: {theme.accent_text(Role.FAULT)};")
            box.addWidget(text)
        self._box.addWidget(card)
