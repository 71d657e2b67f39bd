"""The policy in use, over the cameras: choose it, see what it expects, how it is run, compare two blindly."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from teleop_app.autonomy.policy_file import Execution
from teleop_app.core.types import PolicyState
from ui import theme
from ui.theme import FontSize, Role
from ui.viewmodels.autonomy_policy import BUILT_IN, EXECUTIONS, PolicyDesk
from ui.widgets.labels import ElidedLabel
from ui.widgets.policy_checks import PolicyChecks
from ui.widgets.policy_rows import BlindRow, EmptyRow, FaultRow

_NONE = "Choose a policy"
_SPEED_STEP = 5
_FULL = 100


class PolicyBar(QFrame):
    """Two lines while a policy is in use; checks, comparison and faults fold out below them.

    Args:
        desk: Follows the policy process.
        key_label: Returns the label of an action's key.
        parent: Owner.
    """

    speedChosen = pyqtSignal(float)
    """Share of full speed, 0..1."""
    done = pyqtSignal()
    """A choice was made; the keys belong to the page again."""

    def __init__(
        self, desk: PolicyDesk, key_label: Callable[[str], str], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setProperty("surface", "panel")
        self._desk = desk
        self._unfolded: bool | None = None
        self._moving = False
        self._icon = QLabel()
        self.choice = QComboBox()
        self.choice.setAccessibleName("Policy")
        self.choice.setToolTip(f"The policy that drives here.  {key_label('policy.panel')}")
        self.choice.setMinimumWidth(theme.grid(36))
        self.choice.activated.connect(self._choose)
        self.state = ElidedLabel()
        self.state.setProperty("kind", "muted")
        self.fold = _button("", "The list of what it expects, and what the station offers.")
        self.fold.setCheckable(True)
        self.fold.clicked.connect(self._toggle_fold)
        self.compare = _button("Compare A/B", "Lets two policies take turns without telling which one runs.")
        self.compare.clicked.connect(self._toggle_compare)
        self.drop = _button("Remove", "Lets go of the policy.")
        self.drop.clicked.connect(desk.dismiss)
        self.facts = ElidedLabel()
        self.facts.setProperty("kind", "label")
        self.facts.setFont(theme.font(FontSize.LABEL, tabular=True))
        self.execution = QComboBox()
        self.execution.setAccessibleName("How chunks of actions are joined")
        for execution, (words, meaning) in EXECUTIONS.items():
            self.execution.addItem(words, str(execution))
            self.execution.setItemData(self.execution.count() - 1, meaning, Qt.ItemDataRole.ToolTipRole)
        self.execution.activated.connect(self._execute)
        self.notice = QLabel("First run here: slow")
        self.notice.setToolTip("This version has never driven this station. Keep it slow until you trust it.")
        self.speed = QSlider(Qt.Orientation.Horizontal)
        self.speed.setRange(_SPEED_STEP, 100)
        self.speed.setSingleStep(_SPEED_STEP)
        self.speed.setPageStep(2 * _SPEED_STEP)
        self.speed.setFixedWidth(theme.grid(14))
        self.speed.setAccessibleName("Speed of the policy")
        self.speed.setToolTip("Share of its full speed. Its actions come slower, not smaller.")
        self.speed.valueChanged.connect(lambda value: self.speedChosen.emit(value / 100))
        self.speed.sliderReleased.connect(self.done)
        self._percent = QLabel()
        self._percent.setFont(theme.font(tabular=True))
        self._percent.setFixedWidth(theme.grid(5.5))
        self.progress = QProgressBar()
        self.progress.setRange(0, 0)
        self.progress.setTextVisible(False)
        self.checks = PolicyChecks()
        self.fault = FaultRow()
        self.fault.again.connect(desk.try_again)
        self.empty = EmptyRow()
        self.empty.wanted.connect(self._try_built_in)
        self.blind = BlindRow()
        self.blind.started.connect(self._start_blind)
        self.blind.cancelled.connect(self._toggle_compare)
        self.blind.revealed.connect(desk.reveal)
        self._arrange()
        desk.changed.connect(self.refresh)
        self.retheme()
        self.refresh()

    def _arrange(self) -> None:
        first = QHBoxLayout()
        first.setSpacing(theme.grid(1))
        first.addWidget(self._icon)
        first.addWidget(self.choice)
        first.addWidget(self.state, 1)
        self.extra = QHBoxLayout()
        self.extra.setSpacing(theme.grid(1))
        for button in (self.fold, self.compare, self.drop):
            first.addWidget(button)
        first.addLayout(self.extra)
        self._running = QWidget()
        second = QHBoxLayout(self._running)
        second.setContentsMargins(0, 0, 0, 0)
        second.setSpacing(theme.grid(1))
        joins = QLabel("Chunks")
        joins.setProperty("kind", "label")
        speed = QLabel("Speed")
        speed.setProperty("kind", "label")
        second.addWidget(joins)
        second.addWidget(self.execution)
        second.addSpacing(theme.grid(1))
        for widget in (speed, self.speed, self._percent, self.notice):
            second.addWidget(widget)
        second.addWidget(self.facts, 1)
        box = QVBoxLayout(self)
        box.setContentsMargins(theme.grid(1.5), theme.grid(1), theme.grid(1), theme.grid(1))
        box.setSpacing(theme.grid(0.75))
        box.addLayout(first)
        box.addWidget(self._running)
        for widget in (self.progress, self.empty, self.fault, self.blind, self.checks):
            box.addWidget(widget)
        self.blind.hide()

    # What is wished

    def _choose(self, index: int) -> None:
        name = self.choice.itemData(index)
        if name:
            self._unfolded = None
            self._desk.choose(str(name))
        self.done.emit()

    def _execute(self, index: int) -> None:
        self._desk.set_execution(Execution(self.execution.itemData(index)))
        self.done.emit()

    def _try_built_in(self) -> None:
        self._unfolded = None
        self._desk.choose(BUILT_IN)
        self.done.emit()

    def _toggle_fold(self) -> None:
        self._unfolded = self.fold.isChecked()
        self.refresh()

    def _toggle_compare(self) -> None:
        self.blind.offer(self._desk.choices)
        self.blind.setVisible(self.blind.isHidden())

    def _start_blind(self, first: str, second: str) -> None:
        self._desk.choose_blind(first, second)
        self.done.emit()

    def focus(self) -> None:
        """Gives the keys to the list of policies and opens it."""
        target = self.choice if self.choice.isEnabled() else self.execution
        target.setFocus(Qt.FocusReason.ShortcutFocusReason)
        target.showPopup()

    # What is shown

    def set_moving(self, moving: bool) -> None:
        """Tells that the policy drives: the checks that fit fold away."""
        if moving != self._moving:
            self._moving = moving
            self.refresh()

    def set_speed(self, speed: float) -> None:
        """Shows the share of full speed."""
        value = round(speed * 100)
        if value != self.speed.value() and not self.speed.isSliderDown():
            self.speed.blockSignals(True)
            self.speed.setValue(value)
            self.speed.blockSignals(False)
        self._percent.setText(f"{self.speed.value()} %")
        self.notice.setText("First run here: slow" if self.speed.value() < _FULL else "First run here")

    def refresh(self) -> None:
        """Brings the widgets to the desk's state."""
        desk = self._desk
        used = desk.state is not PolicyState.NONE
        self._fill_choices()
        self.state.setText(self._state_words())
        connecting = desk.state is PolicyState.CONNECTING
        self.progress.setVisible(connecting)
        self._running.setVisible(desk.state in (PolicyState.READY, PolicyState.RUNNING))
        self.empty.setVisible(not used and not desk.fault and self.blind.isHidden())
        self.empty.set_usable(any(choice.name == BUILT_IN for choice in desk.choices))
        self.fault.set_sentence(desk.fault or desk.remark, again=bool(desk.fault))
        self.drop.setVisible(used and not desk.blind)
        self.compare.setVisible(not desk.blind and len(desk.choices) > 1)
        if desk.blind:
            self.blind.show_hidden(desk.shown_name)
            self.blind.show()
        elif self.blind.hiding:
            self.blind.hide()
            self.blind.offer(desk.choices)
        self.facts.setText(desk.facts)
        self.notice.setVisible(desk.first_run and not desk.blind)
        index = self.execution.findData(desk.status.execution if desk.status is not None else "")
        if index >= 0 and not _opened(self.execution):
            self.execution.setCurrentIndex(index)
        self.checks.set_checks(desk.checks)
        off = desk.mismatches + desk.warnings
        unfolded = self._unfolded if self._unfolded is not None else bool(off) and not self._moving
        self.checks.setVisible(bool(desk.checks) and unfolded)
        self.fold.setChecked(unfolded)
        self.fold.setVisible(bool(desk.checks))
        self._paint_fold()

    def _fill_choices(self) -> None:
        desk = self._desk
        rows = [(_NONE, "", "")] if desk.state is PolicyState.NONE else []
        if desk.blind:
            rows = [(desk.shown_name, "", "")]
        else:
            rows += [
                (f"{choice.words}  ({choice.driver})", choice.name, choice.problem) for choice in desk.choices
            ]
            if not any(name == self._current for _, name, _ in rows):
                rows.insert(0, (desk.shown_name or _NONE, self._current, ""))
        shown = [
            (self.choice.itemText(i), str(self.choice.itemData(i) or ""), self._problem_of(i))
            for i in range(self.choice.count())
        ]
        if rows != shown and not _opened(self.choice):
            self.choice.clear()
            for words, name, problem in rows:
                self.choice.addItem(f"{words}", name)
                row = self.choice.count() - 1
                self.choice.setItemData(row, problem, Qt.ItemDataRole.ToolTipRole)
                if problem:
                    self.choice.setItemIcon(row, theme.icon("alert", Role.WARNING))
        self.choice.setEnabled(not desk.blind)
        if not _opened(self.choice):
            self.choice.setCurrentIndex(max(self.choice.findData(self._current), 0))

    @property
    def _current(self) -> str:
        status = self._desk.status
        used = status is not None and status.state is not PolicyState.NONE and not self._desk.blind
        return status.policy if status is not None and used else ""

    def _problem_of(self, index: int) -> str:
        return str(self.choice.itemData(index, Qt.ItemDataRole.ToolTipRole) or "")

    def _state_words(self) -> str:
        match self._desk.state:
            case PolicyState.CONNECTING:
                return "Connecting"
            case PolicyState.RUNNING:
                return "Proposes"
            case PolicyState.READY:
                return "May not move yet" if self._desk.mismatches else "Ready"
            case _:
                return ""

    def _paint_fold(self) -> None:
        desk = self._desk
        role, words = Role.MUTED, f"{len(desk.checks)} checks fit"
        if desk.warnings:
            role = Role.WARNING
            words = f"{desk.warnings} warning{'s' if desk.warnings > 1 else ''}"
        if desk.mismatches:
            role = Role.FAULT
            words = f"{desk.mismatches} mismatch{'es' if desk.mismatches > 1 else ''}"
        arrow = "▴" if self.fold.isChecked() else "▾"
        text = f"{words} {arrow}"
        if text != self.fold.text() or role is not self._fold_role:
            self._fold_role = role
            self.fold.setText(text)
            self.fold.setStyleSheet(f"color: {theme.accent_text(role, Role.RAISED)}; padding: 4px 10px;")

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        self._fold_role: Role | None = None
        self._icon.setPixmap(theme.icon("robot", Role.POLICY).pixmap(QSize(20, 20)))
        self.notice.setStyleSheet(f"color: {theme.accent_text(Role.WARNING)};")
        self.checks.retheme()
        self.fault.retheme()
        self.blind.retheme()
        self._paint_fold()


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    button.setToolTip(tip)
    button.setStyleSheet("padding: 4px 10px;")
    return button


def _opened(box: QComboBox) -> bool:
    view = box.view()
    return view is not None and view.isVisible()
