"""The calibration of a camera: live picture with the board's corners, what is still missing, the verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PyQt6.QtCore import Qt, QUrl
from PyQt6.QtGui import QDesktopServices
from PyQt6.QtWidgets import (
    QDoubleSpinBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from devices.cameras.board_print import save_board
from devices.cameras.charuco import Board
from teleop_app.core.errors import TeleopError
from ui import theme
from ui.theme import FontSize, Role
from ui.viewmodels.camera_wizard import CameraTask, CameraWizard
from ui.widgets.board_picture import BoardPicture
from ui.widgets.form_fields import QuietComboBox, SwitchBox

_READY = (
    "Lay out the printed board, or hold it. Show it to the camera near and far, tilted, and in every part of "
    "the picture; views are taken by themselves while it rests."
)
_READY_PLACE = (
    "Lens and place: the board must not move in what carries it. Bring the arm to ten places or more, turned "
    "about different axes, and let it rest at each."
)
_NO_STATION = "It needs the running station: start it on Home."
_MOUNTS = ("Lens only", "Lens and place: camera on a link", "Lens and place: link holds the board")


class CameraWizardPanel(QFrame):
    """Hidden until a camera is chosen.

    Args:
        wizard: Looks at pictures.
        links: Returns the names of the robot's links.
        board_file: Where a board to be printed is written.
        parent: Owner.
    """

    def __init__(
        self,
        wizard: CameraWizard,
        links: Callable[[], Sequence[str]],
        board_file: Path,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setProperty("surface", "panel")
        self._wizard = wizard
        self._links = links
        self._board_file = board_file
        self._said = ""
        self._title = QLabel()
        self._title.setFont(theme.font(bold=True))
        self.picture = BoardPicture()
        self.sentence = _wrapped()
        self.sentence.setFont(theme.font(FontSize.BASE + 3))
        self.problem = _wrapped()
        self.verdict = _wrapped()
        self.verdict.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.count = QLabel()
        self.count.setFont(theme.font(tabular=True))
        self._bar = QProgressBar()
        self._bar.setRange(0, 1000)
        self._bar.setTextVisible(False)
        self.mount = QuietComboBox()
        self.mount.addItems(_MOUNTS)
        self.mount.setAccessibleName("What is calibrated")
        self.mount.currentIndexChanged.connect(self.refresh)
        self.link = QuietComboBox()
        self.link.setAccessibleName("Link")
        self.keep = SwitchBox("Keep the lens as it is")
        self.square = QDoubleSpinBox()
        self.square.setRange(4.0, 500.0)
        self.square.setValue(30.0)
        self.square.setSuffix(" mm")
        self.square.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        self.square.setAccessibleName("Width of a square, measured on the print")
        self.columns, self.rows = _count(9, "Squares across"), _count(6, "Squares down")
        self.start = QPushButton("Start")
        self.start.setProperty("kind", "primary")
        self.start.clicked.connect(self._start)
        self.finish = QPushButton("Finish")
        self.finish.setProperty("kind", "primary")
        self.finish.clicked.connect(wizard.finish)
        self.cancel = QPushButton("Cancel")
        self.cancel.clicked.connect(wizard.cancel)
        self.paper = QPushButton("Board to print")
        self.paper.clicked.connect(self._print)
        self._lay_out()
        wizard.changed.connect(self.refresh)
        self.refresh()

    def _lay_out(self) -> None:
        board = QHBoxLayout()
        board.setSpacing(theme.grid(1))
        for widget in (QLabel("Board"), self.columns, QLabel("x"), self.rows, self.square):
            board.addWidget(widget)
        board.addStretch(1)
        self._settings = QWidget()
        settings = QVBoxLayout(self._settings)
        settings.setContentsMargins(0, 0, 0, 0)
        settings.setSpacing(theme.grid(1))
        settings.addLayout(board)
        for widget in (self.mount, self.link, self.keep):
            settings.addWidget(widget)
        buttons = QHBoxLayout()
        buttons.setSpacing(theme.grid(1))
        for button in (self.start, self.finish, self.cancel, self.paper):
            buttons.addWidget(button)
        buttons.addStretch(1)
        right = QVBoxLayout()
        right.setSpacing(theme.grid(1))
        for widget in (
            self._title, self.sentence, self.problem, self.verdict, self.count, self._bar, self._settings,
        ):  # fmt: skip
            right.addWidget(widget)
        right.addStretch(1)
        right.addLayout(buttons)
        row = QHBoxLayout(self)
        row.setContentsMargins(theme.grid(1.5), theme.grid(1.5), theme.grid(2), theme.grid(1.5))
        row.setSpacing(theme.grid(2))
        row.addWidget(self.picture, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(right, 1)

    @property
    def board(self) -> Board:
        """The board described.

        Raises:
            ConfigError: It is none.
        """
        usual = Board()
        square_m = self.square.value() / 1000.0
        marker_m = square_m * usual.marker_m / usual.square_m
        return Board(self.columns.value(), self.rows.value(), square_m, marker_m)

    def _start(self) -> None:
        self._said = ""
        link, mount = self.link.currentText(), self.mount.currentIndex()
        try:
            task = CameraTask(
                self._wizard.camera,
                self.board,
                on_link=link if mount == 1 else "",
                board_on=link if mount == 2 else "",
                keep_lens=mount > 0 and self.keep.isChecked(),
            )
        except TeleopError as error:
            self._said = error.sentence
            self.refresh()
            return
        self._wizard.start(task)

    def _print(self) -> None:
        try:
            self._board_file.parent.mkdir(parents=True, exist_ok=True)
            text = save_board(self.board, self._board_file)
        except TeleopError as error:
            self._said = error.sentence
        else:
            self._said = f"Wrote {self._board_file}. {text} Print it at 100 % and measure a square."
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._board_file)))
        self.refresh()

    def refresh(self) -> None:
        """Shows how far the calibration is."""
        wizard, view = self._wizard, self._wizard.view
        self.setVisible(bool(wizard.camera))
        if not wizard.camera:
            return
        running, place = wizard.running, self.mount.currentIndex() > 0
        self._title.setText(f"Calibration of {wizard.camera}")
        self.picture.set_view(view)
        ready = (_READY_PLACE if place else _READY) if wizard.possible else _NO_STATION
        self.sentence.setText(view.sentence or ready)
        self.problem.setText(view.problem)
        self.problem.setStyleSheet(f"color: {theme.accent_text(Role.FAULT)};")
        self.problem.setVisible(bool(view.problem))
        self.verdict.setText("\n".join(view.verdicts) or self._said)
        self.verdict.setVisible(bool(self.verdict.text()))
        share = float(view.coverage.mean())
        views = "1 view" if view.views == 1 else f"{view.views} views"
        self.count.setText(f"{views}, {share:.0%} of the picture seen")
        for widget in (self.count, self._bar):
            widget.setVisible(running)
        self._bar.setValue(round(1000 * view.progress))
        self._settings.setVisible(not running)
        links = list(self._links()) if place else []
        if links and [self.link.itemText(i) for i in range(self.link.count())] != links:
            self.link.clear()
            self.link.addItems(links)
        self.link.setVisible(place)
        self.keep.setVisible(place)
        self.start.setVisible(not running)
        self.start.setText("Calibrate anew" if view.verdicts else "Start")
        self.start.setEnabled(wizard.possible and (not place or bool(links)))
        self.finish.setVisible(running)
        self.finish.setEnabled(view.views > 2)
        self.cancel.setVisible(running)
        self.paper.setVisible(not running)


def _count(value: int, name: str) -> QSpinBox:
    box = QSpinBox()
    box.setRange(3, 14)
    box.setValue(value)
    box.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
    box.setAccessibleName(name)
    return box


def _wrapped() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label
