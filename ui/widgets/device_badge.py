"""How far a driver is proven, as a word in a frame; the tooltip has the proof."""

from __future__ import annotations

from PyQt6.QtWidgets import QLabel, QSizePolicy, QWidget

from devices.protocols import Verification
from ui import theme
from ui.theme import FontSize, Role

_ROLES = {
    Verification.HARDWARE: Role.GOOD,
    Verification.EMULATOR: Role.TEXT,
    Verification.IMPORT_ONLY: Role.WARNING,
    Verification.SIMULATED: Role.MUTED,
}
_MEANINGS = {
    Verification.HARDWARE: "Proven on the real device.",
    Verification.EMULATOR: "Proven against an emulator of the device, not on the device itself.",
    Verification.IMPORT_ONLY: "Loads, but has not been proven.",
    Verification.SIMULATED: "Part of the simulated cell.",
}


class VerificationBadge(QLabel):
    """Says nothing for a driver that is not known."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._verification: Verification | None = None
        self.setFont(theme.font(FontSize.LABEL))
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def set_verification(self, verification: Verification | None, proof: str) -> None:
        """Shows how far, and why."""
        self._verification = verification
        self.setVisible(verification is not None)
        if verification is not None:
            self.setText(verification.value)
            meaning = _MEANINGS[verification]
            self.setToolTip(meaning if proof in ("", meaning) else f"{meaning} {proof}")
            self.setAccessibleName(f"{verification.value}. {self.toolTip()}")
            self.retheme()

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        if self._verification is None:
            return
        t, role = theme.tokens(), _ROLES[self._verification]
        ink = t.muted if role is Role.MUTED else theme.accent_text(role) if role is not Role.TEXT else t.text
        self.setStyleSheet(
            f"color: {ink}; border: 1px solid {theme.blend(ink, t.panel, 0.5)}; border-radius: 8px; "
            "padding: 1px 7px;"
        )
