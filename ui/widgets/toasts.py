"""Short notes over the page that go by themselves; each may carry Undo."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QEvent, QObject, Qt, QTimer, pyqtSignal
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ui import theme

SHOWN_MS = 6000
MOST_AT_ONCE = 3


class Toast(QFrame):
    """One note."""

    taken_back = pyqtSignal(object)

    def __init__(self, text: str, undo: Callable[[], object] | None, undo_key: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setProperty("surface", "raised")
        self._undo = undo
        self.label = QLabel(text)
        self.label.setWordWrap(len(text) > 70)
        if len(text) > 70:
            self.label.setMinimumWidth(theme.grid(50))
        box = QHBoxLayout(self)
        box.setContentsMargins(theme.grid(2), theme.grid(1), theme.grid(1), theme.grid(1))
        box.setSpacing(theme.grid(2))
        box.addWidget(self.label)
        self.button: QPushButton | None = None
        if undo is not None:
            self.button = QPushButton(f"Undo   {undo_key}" if undo_key else "Undo")
            self.button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            self.button.clicked.connect(self._take_back)
            box.addWidget(self.button)
        else:
            box.addSpacing(theme.grid(1))

    def _take_back(self) -> None:
        undo, self._undo = self._undo, None
        if undo is not None:
            undo()
        self.taken_back.emit(self)


class Toasts(QWidget):
    """The stack of notes at the bottom of a host widget, over its content."""

    def __init__(self, host: QWidget) -> None:
        super().__init__(host)
        self._host = host
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(theme.grid(1))
        self._toasts: list[Toast] = []
        host.installEventFilter(self)
        self.hide()

    @property
    def texts(self) -> list[str]:
        """What is on screen, oldest first."""
        return [toast.label.text() for toast in self._toasts]

    def show_text(
        self,
        text: str,
        undo: Callable[[], object] | None = None,
        undo_key: str = "",
        shown_ms: int = SHOWN_MS,
    ) -> Toast:
        """Adds a note; the oldest makes room when there are too many."""
        if undo is not None:  # only the newest step can be taken back
            for older in [toast for toast in self._toasts if toast.button is not None]:
                self._remove(older)
        while len(self._toasts) >= MOST_AT_ONCE:
            self._remove(self._toasts[0])
        toast = Toast(text, undo, undo_key, self)
        toast.taken_back.connect(self._remove)
        self._toasts.append(toast)
        self._box.addWidget(toast, 0, Qt.AlignmentFlag.AlignHCenter)
        timer = QTimer(toast)
        timer.setSingleShot(True)
        timer.timeout.connect(lambda: self._remove(toast))
        timer.start(shown_ms)
        self.show()
        toast.show()
        self.raise_()
        self._place()
        return toast

    def drop(self, text: str) -> None:
        """Removes the notes that say this."""
        for toast in [toast for toast in self._toasts if toast.label.text() == text]:
            self._remove(toast)

    def clear(self) -> None:
        """Removes all notes."""
        for toast in list(self._toasts):
            self._remove(toast)

    def _remove(self, toast: Toast) -> None:
        if toast in self._toasts:
            self._box.removeWidget(toast)
            toast.hide()
            toast.deleteLater()
            self._forget(toast)  # what is left is placed without it

    def _forget(self, toast: Toast) -> None:
        if toast in self._toasts:
            self._toasts.remove(toast)
        if not self._toasts:
            self.hide()
        else:
            self._place()

    def eventFilter(self, a0: QObject | None, a1: QEvent | None) -> bool:  # noqa: N802
        """Keeps the stack at the bottom centre of its host."""
        if a0 is self._host and a1 is not None and a1.type() == QEvent.Type.Resize:
            self._place()
        return False

    def _place(self) -> None:
        for toast in self._toasts:
            toast.ensurePolished()
            for label in (toast.label, toast.button):
                if label is not None:
                    label.ensurePolished()
            inner = toast.layout()
            if inner is not None:
                inner.invalidate()
        self._box.invalidate()
        size = self._box.totalSizeHint()
        self.setGeometry(
            (self._host.width() - size.width()) // 2,
            self._host.height() - size.height() - theme.grid(2),
            size.width(),
            size.height(),
        )
