"""One line under the cameras: every input with its figures; one that is off lights up and says why."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QWidget

from ui import theme
from ui.theme import FontSize, Role
from ui.viewmodels.input_health import InputHealth
from ui.widgets.labels import ElidedLabel
from ui.widgets.status_cells import Level

_ICON_PX = 14
_ROLES = {Level.QUIET: Role.MUTED, Level.WARNING: Role.WARNING, Level.FAULT: Role.FAULT}
_ICONS = {Level.QUIET: "check-circle-outline", Level.WARNING: "alert-outline", Level.FAULT: "alert-octagon"}


class InputChip(QFrame):
    """One input; in the colour of a person while it drives."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._health: InputHealth | None = None
        self._icon = QLabel()
        self._icon.setFixedSize(_ICON_PX, _ICON_PX)
        self._text = QLabel()
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setFont(theme.font(FontSize.LABEL, tabular=True))
        row = QHBoxLayout(self)
        row.setContentsMargins(theme.grid(1), 2, theme.grid(1), 2)
        row.setSpacing(theme.grid(0.5))
        row.addWidget(self._icon)
        row.addWidget(self._text)

    @property
    def health(self) -> InputHealth | None:
        """What is shown."""
        return self._health

    @property
    def text(self) -> str:
        """The words shown."""
        return self._text.text()

    def set_health(self, health: InputHealth) -> None:
        """Shows how an input does."""
        if health == self._health:
            return
        before, self._health = self._health, health
        words = (health.name, health.figures, "drives" if health.drives else "")
        self._text.setText("  ".join(filter(None, words)))
        self.setToolTip(health.sentence)
        self.setAccessibleName(f"{health.name}: {health.sentence}")
        if before is None or (before.level, before.drives) != (health.level, health.drives):
            self.retheme()

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        health = self._health
        if health is None:
            return
        t, role = theme.tokens(), _ROLES[health.level]
        if health.level is not Level.QUIET:
            fill = t.hex(role)
            ink, edge = theme.text_on(fill), fill
        elif health.drives:
            who = t.human if health.person else t.policy
            fill = theme.blend(who, t.panel, 0.16)
            ink, edge = theme.readable(who, fill), who
        else:
            fill, ink, edge = t.panel, t.muted, t.border
        icon = _ICONS[health.level]
        if health.drives and health.level is Level.QUIET:
            icon = "hand-back-right" if health.person else "robot"
        self._icon.setPixmap(theme.icon_in(icon, ink).pixmap(QSize(_ICON_PX, _ICON_PX)))
        self.setStyleSheet(
            f"InputChip {{ background: {fill}; border: 1px solid {edge}; border-radius: 4px; }}"
            f"InputChip QLabel {{ background: transparent; color: {ink}; }}"
        )


class InputStrip(QWidget):
    """Chips of all inputs, and the sentence of the worst of them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedHeight(theme.grid(3))
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.chips: dict[str, InputChip] = {}
        caption = QLabel("Inputs")
        caption.setProperty("kind", "label")
        self.sentence = ElidedLabel()
        self.sentence.setFont(theme.font(FontSize.LABEL))
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(theme.grid(0.5), 0, 0, 0)
        self._row.setSpacing(theme.grid(1))
        self._row.addWidget(caption)
        self._row.addWidget(self.sentence, 1)
        self.bodies = ElidedLabel()
        self.bodies.setProperty("kind", "muted")
        self.bodies.setFont(theme.font(FontSize.LABEL, tabular=True))
        self.bodies.hide()
        self._row.addWidget(self.bodies)

    def set_inputs(self, inputs: tuple[InputHealth, ...]) -> None:
        """Shows the inputs; chips of those that stay are kept."""
        names = [health.name for health in inputs]
        for name in [name for name in self.chips if name not in names]:
            chip = self.chips.pop(name)
            self._row.removeWidget(chip)
            chip.deleteLater()
        for position, health in enumerate(inputs, start=1):
            if health.name not in self.chips:
                self.chips[health.name] = InputChip()
                self._row.insertWidget(position, self.chips[health.name])
            self.chips[health.name].set_health(health)
        worst = max(inputs, key=lambda health: health.level, default=None)
        loud = worst is not None and worst.level is not Level.QUIET
        text = worst.sentence if loud and worst is not None else ""
        if text != self.sentence.text():
            self.sentence.setText(text)
            role = _ROLES[worst.level] if loud and worst is not None else Role.MUTED
            color = theme.accent_text(role, Role.WINDOW) if loud else theme.tokens().muted
            self.sentence.setStyleSheet(f"color: {color};")

    def set_bodies(self, line: str) -> None:
        """Shows how base and lift move, empty for a station without."""
        if line != self.bodies.text():
            self.bodies.setText(line)
            self.bodies.setVisible(bool(line))

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        for chip in self.chips.values():
            chip.retheme()
        self.sentence.setText("")
