"""What a person can do, as declared data: id, words, key and where it applies.

Menus, buttons, the key overlay and the pedal, gamepad and headset mappings all read the same
table, so that a remapped key shows everywhere at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from PyQt6.QtCore import QObject, QSettings, pyqtSignal
from PyQt6.QtGui import QAction, QKeySequence
from PyQt6.QtWidgets import QWidget


class Scope(StrEnum):
    """Where an action applies; also the order of the key overlay.

    RECORD, DRIVE and NUDGE belong to both Collect and Autonomy. On Autonomy the keys of DRIVE answer while
    they hold an arm, and those of LABEL while they do not, so that both may use the same ones.
    """

    GLOBAL = "Everywhere"
    RECORD = "Engaging and recording"
    COLLECT = "Collect"
    AUTONOMY = "Autonomy"
    LABEL = "Autonomy, arms let go"
    DRIVE = "Driving by keys"
    NUDGE = "Nudging by keys"
    EPISODES = "Episodes"
    HOME = "Home"
    SETUP = "Setup"


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One declared action.

    Attributes:
        id: Stable name; the same as the `InputSample` button where a device may trigger it.
        text: Words on buttons and in the overlay.
        key: Default key in Qt's portable text, empty for none.
        scope: Where it applies.
        held: Acts while the key is down; such keys are read by the driving filter, not as shortcuts.
        icon: Material Design icon name, empty for none.
    """

    id: str
    text: str
    key: str
    scope: Scope
    held: bool = False
    icon: str = ""


ACTIONS: tuple[ActionSpec, ...] = (
    ActionSpec("estop", "Emergency stop", "Esc", Scope.GLOBAL, icon="octagon"),
    ActionSpec("keys", "Show all keys", "?", Scope.GLOBAL, icon="keyboard-outline"),
    ActionSpec("page.1", "First page", "Ctrl+1", Scope.GLOBAL),
    ActionSpec("page.2", "Second page", "Ctrl+2", Scope.GLOBAL),
    ActionSpec("page.3", "Third page", "Ctrl+3", Scope.GLOBAL),
    ActionSpec("page.4", "Fourth page", "Ctrl+4", Scope.GLOBAL),
    ActionSpec("page.5", "Fifth page", "Ctrl+5", Scope.GLOBAL),
    ActionSpec("page.5", "Fifth page", "Ctrl+5", Scope.GLOBAL),
    ActionSpec("theme", "Dark or light", "Ctrl+T", Scope.GLOBAL, icon="theme-light-dark"),
    ActionSpec("sounds", "Sounds on or off", "Ctrl+M", Scope.GLOBAL, icon="volume-high"),
    ActionSpec("clutch", "Engage or release", "Space", Scope.RECORD, icon="hand-back-right-outline"),
    ActionSpec("leader.engage", "Engage or release the leader", "H", Scope.RECORD, icon="link-variant"),
    ActionSpec("record", "Record or stop", "R", Scope.RECORD, icon="record-circle-outline"),
    ActionSpec("save", "Save", "Return", Scope.RECORD, icon="check"),
    ActionSpec("redo", "Redo", "Backspace", Scope.RECORD, icon="restart"),
    ActionSpec("discard", "Discard", "X", Scope.RECORD, icon="trash-can-outline"),
    ActionSpec("undo", "Undo", "Z", Scope.RECORD, icon="undo"),
    ActionSpec("next", "Next instruction", "N", Scope.RECORD, icon="skip-next-outline"),
    ActionSpec("demonstrate", "Let the script show it", "G", Scope.COLLECT, icon="robot-outline"),
    *(ActionSpec(f"camera.{n}", f"View {n} large", str(n), Scope.COLLECT) for n in range(1, 10)),
    ActionSpec("policy.toggle", "Give to the policy, or pause it", "P", Scope.AUTONOMY, icon="robot"),
    ActionSpec("rollout", "Start or end a rollout", "G", Scope.AUTONOMY, icon="play-circle-outline"),
    ActionSpec("rewind", "Rewind along the path", "F5", Scope.AUTONOMY, icon="rewind"),
    ActionSpec("phase.correct", "Recovered, teach from here", "T", Scope.AUTONOMY, icon="school-outline"),
    ActionSpec("mode.manual", "Manual", "F1", Scope.AUTONOMY, icon="hand-back-right"),
    ActionSpec("mode.supervised", "Supervised", "F2", Scope.AUTONOMY, icon="eye-outline"),
    ActionSpec("mode.blended", "Blended", "F3", Scope.AUTONOMY, icon="set-center"),
    ActionSpec("mode.corrective", "Corrective", "F4", Scope.AUTONOMY, icon="plus-minus-variant"),
    ActionSpec("blend.less", "Less of the policy", "-", Scope.AUTONOMY),
    ActionSpec("blend.more", "More of the policy", "+", Scope.AUTONOMY),
    ActionSpec("reason.grasp", "Reason: grasp", "1", Scope.AUTONOMY),
    ActionSpec("reason.wrong-object", "Reason: wrong object", "2", Scope.AUTONOMY),
    ActionSpec("reason.collision", "Reason: collision", "3", Scope.AUTONOMY),
    ActionSpec("reason.stuck", "Reason: stuck", "4", Scope.AUTONOMY),
    ActionSpec("reason.imprecise", "Reason: imprecise", "5", Scope.AUTONOMY),
    ActionSpec("reason.lost", "Reason: lost", "6", Scope.AUTONOMY),
    ActionSpec("reason.other", "Reason: other", "7", Scope.AUTONOMY),
    ActionSpec("view.next", "Next view large", "0", Scope.AUTONOMY),
    ActionSpec("policy.panel", "Choose and set the policy", "Ctrl+P", Scope.AUTONOMY),
    ActionSpec("outcome.success", "Success", "S", Scope.LABEL, icon="check-circle-outline"),
    ActionSpec("outcome.failure", "Failure", "F", Scope.LABEL, icon="close-circle-outline"),
    ActionSpec("arm", "Other arm", "Tab", Scope.RECORD),
    ActionSpec("move.forward", "Away", "W", Scope.DRIVE, held=True),
    ActionSpec("move.back", "Towards you", "S", Scope.DRIVE, held=True),
    ActionSpec("move.left", "Left", "A", Scope.DRIVE, held=True),
    ActionSpec("move.right", "Right", "D", Scope.DRIVE, held=True),
    ActionSpec("move.up", "Up", "E", Scope.DRIVE, held=True),
    ActionSpec("move.down", "Down", "Q", Scope.DRIVE, held=True),
    ActionSpec("turn.left", "Turn left", "Left", Scope.DRIVE, held=True),
    ActionSpec("turn.right", "Turn right", "Right", Scope.DRIVE, held=True),
    ActionSpec("tilt.up", "Tilt up", "Up", Scope.DRIVE, held=True),
    ActionSpec("tilt.down", "Tilt down", "Down", Scope.DRIVE, held=True),
    ActionSpec("roll.left", "Roll left", "PgUp", Scope.DRIVE, held=True),
    ActionSpec("roll.right", "Roll right", "PgDown", Scope.DRIVE, held=True),
    ActionSpec("gripper.toggle", "Open or close gripper", "F", Scope.DRIVE),
    ActionSpec("gripper.close", "Close gripper slowly", "C", Scope.DRIVE, held=True),
    ActionSpec("gripper.open", "Open gripper slowly", "V", Scope.DRIVE, held=True),
    ActionSpec("base.forward", "Base forward", "I", Scope.DRIVE, held=True),
    ActionSpec("base.back", "Base back", "K", Scope.DRIVE, held=True),
    ActionSpec("base.left", "Base left", "J", Scope.DRIVE, held=True),
    ActionSpec("base.right", "Base right", "L", Scope.DRIVE, held=True),
    ActionSpec("base.turn_left", "Turn the base left", "U", Scope.DRIVE, held=True),
    ActionSpec("base.turn_right", "Turn the base right", "O", Scope.DRIVE, held=True),
    ActionSpec("lift.up", "Lift up", "Y", Scope.DRIVE, held=True),
    ActionSpec("lift.down", "Lift down", "B", Scope.DRIVE, held=True),
    ActionSpec("precise", "Precision mode on or off", "P", Scope.COLLECT, icon="magnify-plus-outline"),
    ActionSpec("symmetry", "Mirror both arms on or off", "M", Scope.COLLECT, icon="reflect-horizontal"),
    ActionSpec("nudge.forward", "A step away", "Shift+W", Scope.NUDGE),
    ActionSpec("nudge.back", "A step towards you", "Shift+S", Scope.NUDGE),
    ActionSpec("nudge.left", "A step left", "Shift+A", Scope.NUDGE),
    ActionSpec("nudge.right", "A step right", "Shift+D", Scope.NUDGE),
    ActionSpec("nudge.up", "A step up", "Shift+E", Scope.NUDGE),
    ActionSpec("nudge.down", "A step down", "Shift+Q", Scope.NUDGE),
    ActionSpec("nudge.turn_left", "Turn a little left", "Shift+Left", Scope.NUDGE),
    ActionSpec("nudge.turn_right", "Turn a little right", "Shift+Right", Scope.NUDGE),
    ActionSpec("nudge.tilt_up", "Tilt a little up", "Shift+Up", Scope.NUDGE),
    ActionSpec("nudge.tilt_down", "Tilt a little down", "Shift+Down", Scope.NUDGE),
    ActionSpec("nudge.roll_left", "Roll a little left", "Shift+PgUp", Scope.NUDGE),
    ActionSpec("nudge.roll_right", "Roll a little right", "Shift+PgDown", Scope.NUDGE),
)

_SETTINGS_GROUP = "keys"
_BOTH = frozenset({Scope.COLLECT, Scope.AUTONOMY})
_PAGES = {
    Scope.RECORD: _BOTH,
    Scope.DRIVE: _BOTH,
    Scope.NUDGE: _BOTH,
    Scope.LABEL: frozenset({Scope.AUTONOMY}),
}
"""Pages of the scopes that are no page."""

_TURNS = frozenset({Scope.DRIVE, Scope.LABEL})
"""These two never answer at the same time."""


class KeyTakenError(ValueError):
    """A key was asked for that another action of the same scope has."""


class ActionRegistry(QObject):
    """The table with the user's keys, and the QActions made from it.

    Args:
        settings: Where remapped keys are kept; None keeps them for this run only.
        specs: The declared actions.
        parent: Owner.
    """

    changed = pyqtSignal(str)
    """Id of an action whose key was remapped."""

    def __init__(
        self,
        settings: QSettings | None = None,
        specs: Iterable[ActionSpec] = ACTIONS,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._specs = {spec.id: spec for spec in specs}
        self._settings = settings
        self._actions: dict[str, list[QAction]] = {}
        self._active = Scope.GLOBAL
        self._driving = False
        self._keys = {spec.id: self._stored(spec) for spec in self._specs.values()}

    def _stored(self, spec: ActionSpec) -> str:
        if self._settings is None:
            return spec.key
        return str(self._settings.value(f"{_SETTINGS_GROUP}/{spec.id}", spec.key))

    @property
    def specs(self) -> tuple[ActionSpec, ...]:
        """All declared actions in order."""
        return tuple(self._specs.values())

    def spec(self, action_id: str) -> ActionSpec:
        """Returns a declared action.

        Raises:
            KeyError: None has this id.
        """
        return self._specs[action_id]

    def key(self, action_id: str) -> str:
        """Returns the key in force in portable text, empty for none."""
        return self._keys[action_id]

    def key_label(self, action_id: str) -> str:
        """Returns the key as written on buttons, short."""
        return _SHORT.get(self._keys[action_id], self._keys[action_id])

    def held_keys(self) -> dict[int, str]:
        """Returns Qt key codes of the held actions, by which the driving filter looks them up."""
        held: dict[int, str] = {}
        for spec in self._specs.values():
            if spec.held and self._keys[spec.id]:
                held[QKeySequence(self._keys[spec.id])[0].key().value] = spec.id
        return held

    def bind(self, action_id: str, callback: Callable[[], object], widget: QWidget) -> QAction:
        """Makes a QAction of a declared action on a widget's window and connects it.

        Held actions get no shortcut; a key kept down triggers once.
        """
        spec = self._specs[action_id]
        action = QAction(spec.text, widget)
        action.setAutoRepeat(False)
        if not spec.held:
            action.setShortcuts(_sequences(self._keys[action_id]))
        action.triggered.connect(lambda _checked=False: callback())
        action.setEnabled(self._is_active(spec))
        widget.addAction(action)
        bound = self._actions.setdefault(action_id, [])
        bound.append(action)
        action.destroyed.connect(lambda: bound.remove(action) if action in bound else None)
        return action

    def activate(self, scope: Scope) -> None:
        """Lets the actions of a page answer, and those of the other pages not."""
        self._active = scope
        self._enable()

    def set_driving(self, driving: bool) -> None:
        """Tells whether keys or mouse hold an arm: on Autonomy DRIVE and LABEL take turns by it."""
        if driving != self._driving:
            self._driving = driving
            self._enable()

    def _enable(self) -> None:
        for action_id, actions in self._actions.items():
            for action in actions:
                action.setEnabled(self._is_active(self._specs[action_id]))

    def _is_active(self, spec: ActionSpec) -> bool:
        if spec.scope is Scope.GLOBAL:
            return True
        if self._active is Scope.AUTONOMY and spec.scope in _TURNS:
            return (spec.scope is Scope.DRIVE) == self._driving
        return self._active in _pages(spec.scope)

    def rebind(self, action_id: str, key: str) -> None:
        """Gives an action another key and remembers it.

        Raises:
            KeyTakenError: Another action that is active at the same time has the key.
        """
        spec = self._specs[action_id]
        wanted = QKeySequence(key).toString(QKeySequence.SequenceFormat.PortableText)
        for other in self._specs.values():
            if other.id != action_id and wanted and self._keys[other.id] == wanted and _meet(spec, other):
                raise KeyTakenError(
                    f"{wanted} already means '{other.text}' ({other.scope}). Choose another key, "
                    "or give that action another one first."
                )
        self._keys[action_id] = wanted
        if self._settings is not None:
            self._settings.setValue(f"{_SETTINGS_GROUP}/{action_id}", wanted)
        for action in self._actions.get(action_id, []):
            if not spec.held:
                action.setShortcuts(_sequences(wanted))
        self.changed.emit(action_id)


def _sequences(key: str) -> list[QKeySequence]:
    """Returns the shortcuts of a key; Return also means the keypad's Enter."""
    if not key:
        return []
    sequences = [QKeySequence(key)]
    if key == "Return":
        sequences.append(QKeySequence("Enter"))
    return sequences


def _pages(scope: Scope) -> frozenset[Scope]:
    return _PAGES.get(scope, frozenset({scope}))


def _meet(first: ActionSpec, second: ActionSpec) -> bool:
    scopes = frozenset({first.scope, second.scope})
    if Scope.GLOBAL in scopes:
        return True
    return scopes != _TURNS and bool(_pages(first.scope) & _pages(second.scope))


_SHORT = {
    "Return": "Enter",
    "Backspace": "Bksp",
    "Left": "←",
    "Right": "→",
    "Up": "↑",
    "Down": "↓",
}
