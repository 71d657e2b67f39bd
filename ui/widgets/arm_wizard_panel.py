"""The calibration of an arm: one big sentence at a time, live bars, and the keys to go on."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from ui import theme
from ui.theme import FontSize, Role
from ui.viewmodels.arm_wizard import ArmWizard
from ui.widgets.form_fields import QuietComboBox
from ui.widgets.joint_bars import JointBars

_READY = (
    "Have the whole arm free to move. Its motors will be off: you move it by hand, the program only "
    "reads it. It takes about two minutes."
)


class ArmWizardPanel(QFrame):
    """Hidden until an arm is chosen.

    Args:
        wizard: Steps.
        parent: Owner.
    """

    def __init__(self, wizard: ArmWizard, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("surface", "panel")
        self._wizard = wizard
        self._title = QLabel()
        self._title.setFont(theme.font(bold=True))
        self.instruction = _wrapped()
        self.instruction.setFont(theme.font(FontSize.STATE))
        self.complaint = _wrapped()
        self.complaint.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._bar = QProgressBar()
        self._bar.setRange(0, 1000)
        self._bar.setTextVisible(False)
        self.bars = JointBars()
        self.start = QPushButton("Start")
        self.start.setProperty("kind", "primary")
        self.start.clicked.connect(lambda: wizard.start(self.target.currentText()))
        self.target = QuietComboBox()
        self.target.setAccessibleName("Which arm of the device")
        self.go_on = QPushButton("Go on")
        self.go_on.setProperty("kind", "primary")
        self.go_on.setShortcut("Ctrl+Return")
        self.go_on.setToolTip("Ctrl+Enter")
        self.go_on.clicked.connect(wizard.advance)
        self.cancel = QPushButton("Cancel")
        self.cancel.clicked.connect(wizard.cancel)
        buttons = QHBoxLayout()
        buttons.setSpacing(theme.grid(1))
        for button in (self.target, self.start, self.go_on, self.cancel):
            buttons.addWidget(button)
        buttons.addStretch(1)
        box = QVBoxLayout(self)
        box.setContentsMargins(theme.grid(2), theme.grid(1.5), theme.grid(2), theme.grid(1.5))
        box.setSpacing(theme.grid(1.5))
        for widget in (self._title, self.instruction, self.complaint, self._bar, self.bars):
            box.addWidget(widget)
        box.addLayout(buttons)
        wizard.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Shows the present step."""
        wizard, view = self._wizard, self._wizard.view
        self.setVisible(wizard.device is not None)
        if wizard.device is None:
            return
        running = wizard.running
        self._title.setText(f"Calibration of {wizard.device.name}")
        if not running and not view.done and not view.instruction:
            text = " ".join(filter(None, (wizard.before, _READY)))
        else:
            text = view.instruction
        self.instruction.setText(text)
        self.complaint.setText(view.complaint)
        self.complaint.setVisible(bool(view.complaint))
        self.complaint.setStyleSheet(f"color: {theme.accent_text(Role.FAULT)};")
        self._bar.setVisible(running or view.done)
        self._bar.setValue(round(1000 * view.progress))
        self.bars.setVisible(bool(view.live))
        self.bars.set_live(view.live, view.joint)
        targets = list(wizard.targets)
        if [self.target.itemText(i) for i in range(self.target.count())] != targets:
            self.target.clear()
            self.target.addItems(targets)
        self.target.setVisible(not running and len(targets) > 1)
        self.start.setVisible(not running)
        self.start.setText("Calibrate anew" if view.done else "Start")
        self.go_on.setVisible(running)
        self.cancel.setVisible(running)


def _wrapped() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label
