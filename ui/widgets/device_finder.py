"""Looking for devices: a button, how far it is, what is there with a way into the station."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from devices.driver import DriverKind
from ui import theme
from ui.theme import FontSize, Role
from ui.viewmodels.devices import DevicesModel, Offer
from ui.widgets.device_badge import VerificationBadge

_EMPTY = (
    "Asks every driver what is plugged in or answers on the network. Nothing moves and nothing is changed. "
    "Switch the devices on first."
)
_NOTHING = (
    "Nothing was found. See that the devices are switched on and plugged in, and that this user may open "
    "serial ports (group dialout); a device that is not found can be added from the list of drivers below."
)


class DeviceFinder(QFrame):
    """Follows the search of a `DevicesModel`.

    Args:
        model: Looks.
        arms: Returns the names of the station's arms.
        parent: Owner.
    """

    def __init__(self, model: DevicesModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("surface", "panel")
        self._model = model
        self._arms: tuple[str, ...] = ()
        self._shown: object = None
        self.look = QPushButton("Find devices")
        self.look.setIcon(theme.icon("magnify"))
        self.look.clicked.connect(lambda: model.discover())
        self.cancel = QPushButton("Cancel")
        self.cancel.clicked.connect(model.cancel)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setFixedWidth(theme.grid(18))
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.status.setProperty("kind", "muted")
        self._problems = QLabel()
        self._problems.setWordWrap(True)
        self._problems.setProperty("kind", "error")
        self._problems.setTextFormat(Qt.TextFormat.PlainText)
        self._problems.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        head = QHBoxLayout()
        head.setSpacing(theme.grid(1.5))
        head.addWidget(self.look, 0, Qt.AlignmentFlag.AlignTop)
        head.addWidget(self.cancel, 0, Qt.AlignmentFlag.AlignTop)
        head.addWidget(self._bar)
        head.addWidget(self.status, 1)
        self._offers = QVBoxLayout()
        self._offers.setSpacing(theme.grid(1))
        box = QVBoxLayout(self)
        box.setContentsMargins(theme.grid(1.5), theme.grid(1.5), theme.grid(1.5), theme.grid(1.5))
        box.setSpacing(theme.grid(1.5))
        box.addLayout(head)
        box.addLayout(self._offers)
        box.addWidget(self._problems)
        model.changed.connect(self.refresh)
        self.refresh()

    def set_arms(self, arms: tuple[str, ...]) -> None:
        """Tells which arms a follower may be."""
        if arms != self._arms:
            self._arms = arms
            self._shown = None
            self.refresh()

    def refresh(self) -> None:
        """Shows how far the search is and what it found."""
        model, search = self._model, self._model.search
        offers = model.offers()
        self.look.setVisible(not search.running)
        self.look.setText("Look again" if model.searched else "Find devices")
        self.cancel.setVisible(search.running)
        self._bar.setVisible(search.running)
        self._bar.setRange(0, max(search.of, 1))
        self._bar.setValue(search.done)
        if search.running:
            text = f"Asking {search.driver} ({search.done + 1} of {search.of})"
        elif not model.searched:
            text = _EMPTY
        else:
            text = _found_text(len(offers)) if offers else _NOTHING
        self.status.setText(text)
        problems = "\n".join(f"{name}: {sentence}" for name, sentence in search.problems.items())
        self._problems.setText(problems)
        self._problems.setVisible(bool(problems))
        shown = tuple((offer.driver.name, offer.found.title, offer.station_place) for offer in offers)
        if shown != self._shown:
            self._shown = shown
            self._show_offers(offers)

    def _show_offers(self, offers: tuple[Offer, ...]) -> None:
        while self._offers.count():
            item = self._offers.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.setParent(None)
                widget.deleteLater()
        for offer in offers:
            self._offers.addWidget(self._offer_row(offer))

    def _offer_row(self, offer: Offer) -> QWidget:
        row = QFrame()
        row.setProperty("surface", "raised")
        title = QLabel(offer.found.title)
        title.setWordWrap(True)
        title.setTextFormat(Qt.TextFormat.PlainText)
        serial = f", serial {offer.found.serial}" if offer.found.serial else ""
        what = QLabel(f"{offer.driver.kind.value} \N{MIDDLE DOT} {offer.driver.title}{serial}")
        what.setProperty("kind", "label")
        what.setWordWrap(True)
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(title)
        words.addWidget(what)
        if offer.found.remark:
            remark = QLabel(offer.found.remark)
            remark.setWordWrap(True)
            remark.setTextFormat(Qt.TextFormat.PlainText)
            remark.setStyleSheet(f"color: {theme.accent_text(Role.WARNING, Role.RAISED)};")
            words.addWidget(remark)
        badge = VerificationBadge()
        badge.set_verification(offer.driver.verification, offer.driver.proof)
        line = QHBoxLayout(row)
        line.setContentsMargins(theme.grid(1.5), theme.grid(1), theme.grid(1), theme.grid(1))
        line.setSpacing(theme.grid(1.5))
        line.addLayout(words, 1)
        line.addWidget(badge)
        if offer.station_place:
            there = QLabel("In the station")
            there.setFont(theme.font(FontSize.LABEL))
            there.setProperty("kind", "muted")
            line.addWidget(there)
            return row
        arms = QComboBox()
        arms.setAccessibleName("Which arm it is")
        arms.addItems(self._arms)
        needs_arm = offer.driver.kind in (DriverKind.FOLLOWER, DriverKind.HAND)
        arms.setVisible(needs_arm and len(self._arms) > 1)
        add = QPushButton("Add to station")
        add.setStyleSheet("padding: 4px 12px;")
        add.setAccessibleName(f"Add {offer.found.title} to the station")
        add.clicked.connect(
            lambda: self._model.add(offer.driver, offer.found, arms.currentText() if needs_arm else "")
        )
        line.addWidget(arms)
        line.addWidget(add)
        return row

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        self._shown = None
        self.refresh()


def _found_text(count: int) -> str:
    return "One device was found." if count == 1 else f"{count} devices were found."
