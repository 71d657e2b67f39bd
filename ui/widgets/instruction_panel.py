"""What to show next: the instruction, the progress, and a picture of the scene as it was set up."""

from __future__ import annotations

# ruff: noqa: N802
from PyQt6.QtCore import QSize, Qt
from PyQt6.QtGui import QImage, QPainter, QPaintEvent
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QProgressBar, QSizePolicy, QVBoxLayout, QWidget

from ui import theme
from ui.theme import FontSize, Role
from ui.widgets.alignment_bars import AlignmentBars, JointOffset
from ui.widgets.camera_tile import letterbox


class ScenePicture(QWidget):
    """A letterboxed still."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._image: QImage | None = None
        self.setMinimumHeight(theme.grid(4))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setToolTip("The scene as it was set up")

    def set_image(self, image: QImage | None) -> None:
        """Shows a picture, or none."""
        self._image = image
        self.update()

    def sizeHint(self) -> QSize:
        """Returns a 4:3 size for the column."""
        return QSize(theme.grid(38), theme.grid(20))

    def paintEvent(self, a0: QPaintEvent | None) -> None:
        """Draws the picture, or says that there is none."""
        painter = QPainter(self)
        t = theme.tokens()
        painter.fillRect(self.rect(), t.color(Role.PANEL))
        if self._image is None:
            painter.setPen(t.color(Role.MUTED))
            painter.setFont(theme.font(FontSize.LABEL))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "Scene picture")
        else:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(letterbox(self._image.size(), self.rect()), self._image)
        painter.end()


class InstructionPanel(QFrame):
    """Instruction in 20 px, how many of the target are saved, and the picture, which gives way.

    Args:
        state: Shown between instruction and progress, where nothing moves it.
        parent: Owner.
    """

    def __init__(self, state: QWidget | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.instruction = QLabel()
        self.instruction.setFont(theme.font(FontSize.STATE))
        self.instruction.setWordWrap(True)
        self.instruction.setTextFormat(Qt.TextFormat.PlainText)
        self.instruction.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.instruction.setMinimumHeight(theme.grid(7))
        self.picture = ScenePicture()
        self.alignment = AlignmentBars()
        self.alignment.hide()
        self._compact = False
        self.count = QLabel()
        self.count.setFont(theme.font(tabular=True))
        self.task = QLabel()
        self.task.setProperty("kind", "muted")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        row = QHBoxLayout()
        row.addWidget(self.count)
        row.addStretch(1)
        row.addWidget(self.task)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.grid(1))
        box.addWidget(self.instruction)
        if state is not None:
            box.addWidget(state)
        box.addLayout(row)
        box.addWidget(self.bar)
        box.addWidget(self.alignment)
        box.addWidget(self.picture, 1)

    def set_compact(self, compact: bool) -> None:
        """Leaves the picture out on a low screen: the cameras show the scene anyway."""
        self._compact = compact
        self.picture.setVisible(not compact and self.alignment.isHidden())

    def set_alignment(self, offsets: tuple[JointOffset, ...]) -> None:
        """Shows how far the joints of a leader are off, in place of the picture."""
        self.alignment.set_offsets(offsets)
        self.alignment.setVisible(bool(offsets))
        self.picture.setVisible(not offsets and not self._compact)

    def set_instruction(self, text: str) -> None:
        """Shows what to do."""
        shown = text or "No instruction yet"
        if shown != self.instruction.text():
            self.instruction.setText(shown)
            self.instruction.setToolTip(shown)

    def set_progress(self, saved: int, target: int, task: str) -> None:
        """Shows how many episodes are saved, of how many wanted."""
        text = f"{saved} of {target} saved" if target > 0 else f"{saved} saved"
        if text != self.count.text():
            self.count.setText(text)
        if task != self.task.text():
            self.task.setText(task)
        self.bar.setRange(0, max(target, 1))
        self.bar.setValue(min(saved, target) if target > 0 else 0)
        self.bar.setVisible(target > 0)
