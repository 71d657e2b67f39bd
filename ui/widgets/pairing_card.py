"""Pairing a headset: the QR code, address and PIN of its page, and who is connected."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import segno
from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QImage, QPixmap
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ui import theme
from ui.theme import FontSize

_QR_PX = theme.grid(20)
_QUIET_MODULES = 4
_STEPS = (
    "Open this address in the headset's browser, or scan the code with its camera. The browser warns of a "
    "certificate that it does not know: this computer made it by itself. Go on, type the PIN, then press "
    "Enter VR."
)


class PairingCard(QFrame):
    """Follows what the process of a headset says of itself."""

    revoked = pyqtSignal()
    """Nobody who is paired now may come back without the PIN."""

    handedOver = pyqtSignal()
    """The client that asks for it shall drive."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("surface", "raised")
        self._url = ""
        self.code = QLabel()
        self.code.setFixedSize(_QR_PX, _QR_PX)
        self.code.setAccessibleName("QR code of the headset's page")
        self.url = _selectable()
        self.pin = _selectable()
        self.pin.setFont(theme.font(FontSize.FIGURE, bold=True, tabular=True))
        self.note = QLabel()
        self.note.setWordWrap(True)
        self.note.setTextFormat(Qt.TextFormat.PlainText)
        self.clients = QLabel()
        self.clients.setWordWrap(True)
        self.clients.setTextFormat(Qt.TextFormat.PlainText)
        steps = QLabel(_STEPS)
        steps.setWordWrap(True)
        steps.setProperty("kind", "label")
        self.revoke = QPushButton("Unpair all")
        self.revoke.setToolTip("Ends every connection. Each headset needs the PIN again.")
        self.revoke.clicked.connect(self.revoked)
        self.hand_over = QPushButton("Hand over")
        self.hand_over.setToolTip("Lets the headset drive that asks for it; the other one watches.")
        self.hand_over.clicked.connect(self.handedOver)
        buttons = QHBoxLayout()
        buttons.addWidget(self.revoke)
        buttons.addWidget(self.hand_over)
        buttons.addStretch(1)
        words = QVBoxLayout()
        words.setSpacing(theme.grid(0.75))
        for caption, widget in (("Address", self.url), ("PIN", self.pin), ("Paired", self.clients)):
            label = QLabel(caption)
            label.setProperty("kind", "label")
            words.addWidget(label)
            words.addWidget(widget)
        words.addWidget(self.note)
        words.addWidget(steps)
        words.addStretch(1)
        words.addLayout(buttons)
        row = QHBoxLayout(self)
        row.setContentsMargins(theme.grid(1.5), theme.grid(1.5), theme.grid(1.5), theme.grid(1.5))
        row.setSpacing(theme.grid(2))
        row.addWidget(self.code, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(words, 1)
        self.hide()

    def show_answer(self, answer: Mapping[str, Any]) -> None:
        """Shows what the process answered; hidden while it has no page."""
        url = str(answer.get("url", ""))
        self.setVisible(bool(url))
        if not url:
            return
        target = str(answer.get("qr_url") or url)
        if target != self._url:
            self._url = target
            self.code.setPixmap(qr_pixmap(target, _QR_PX))
        self.url.setText(url)
        others = [str(each) for each in answer.get("urls", ()) if str(each) != url]
        self.url.setToolTip("Or: " + ", ".join(others) if others else "")
        self.pin.setText(str(answer.get("pin", "")) or "\N{EN DASH}")
        self.note.setText(str(answer.get("note", "")))
        self.note.setVisible(bool(self.note.text()))
        clients = answer.get("clients", ())
        self.clients.setText(clients_text(clients, str(answer.get("driver", ""))))
        connected = [each for each in clients if each.get("connected")]
        self.hand_over.setVisible(len(connected) > 1)
        self.revoke.setEnabled(bool(clients))
        fingerprint = str(answer.get("fingerprint", ""))
        self.setToolTip(f"Fingerprint of the certificate: {fingerprint}" if fingerprint else "")


def clients_text(clients: Sequence[Mapping[str, Any]], driver: str) -> str:
    """Returns who is paired and connected, and who drives.

    Args:
        clients: Each with `title` and `connected`.
        driver: Title of the one that drives, empty for nobody.
    """
    if not clients:
        return "Nobody is paired yet"
    words = []
    for client in clients:
        title = str(client.get("title", "")) or "somebody"
        state = "away" if not client.get("connected") else "drives" if title == driver else "watches"
        words.append(f"{title} ({state})")
    return ", ".join(sorted(words, key=lambda word: word.endswith("(away)")))


def qr_pixmap(text: str, size_px: int) -> QPixmap:
    """Returns a QR code, dark on white with its quiet zone, scaled in whole modules where it fits."""
    code = segno.make(text, error="m", micro=False)
    modules = code.symbol_size(1, _QUIET_MODULES)[0]
    out = io.BytesIO()
    code.save(out, kind="png", scale=max(size_px // modules, 1), border=_QUIET_MODULES)
    image = QImage.fromData(out.getvalue(), "PNG")
    return QPixmap.fromImage(image).scaled(
        size_px, size_px, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.FastTransformation
    )


def _selectable() -> QLabel:
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
