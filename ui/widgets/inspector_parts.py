"""The pieces the inspector is made of: captions, captioned figures, the table of streams, tool buttons."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QFormLayout, QGridLayout, QLabel, QSizePolicy, QToolButton

from sessions import StreamRow
from ui import theme
from ui.theme import FontSize, Role
from ui.viewmodels.trust import stream_name
from ui.widgets.labels import ElidedLabel

RATE_TOLERANCE = 0.02


def key_suffix(label: str) -> str:
    """Returns a key label as it stands on a button."""
    return f"   {label}" if label else ""


def tool_button(icon: str, tip: str) -> QToolButton:
    """Returns a small button whose tooltip says what it does."""
    button = QToolButton()
    button.setIcon(theme.icon(icon, Role.MUTED))
    button.setToolTip(tip)
    button.setAccessibleName(tip)
    button.setFixedSize(theme.grid(3), theme.grid(3))
    return button


def to_clipboard(text: str) -> None:
    """Copies a text."""
    clipboard = QGuiApplication.clipboard()
    if clipboard is not None:
        clipboard.setText(text)


def caption(text: str) -> QLabel:
    """Returns the title of a part."""
    label = QLabel(text)
    label.setFont(theme.font(bold=True))
    label.setContentsMargins(0, theme.grid(1), 0, 0)
    return label


def fact_rows(pairs: list[tuple[str, str]]) -> QFormLayout:
    """Returns captions with their values, which can be selected."""
    form = QFormLayout()
    form.setContentsMargins(0, 0, 0, 0)
    form.setHorizontalSpacing(theme.grid(1))
    form.setVerticalSpacing(4)
    form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
    for word, value in pairs:
        name = QLabel(word)
        name.setProperty("kind", "muted")
        text = QLabel(value)
        text.setTextFormat(Qt.TextFormat.PlainText)
        text.setWordWrap(True)
        text.setFont(theme.font(tabular=True))
        text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        form.addRow(name, text)
    return form


def lines_of(lines: tuple[str, ...], kind: str = "") -> QLabel:
    """Returns lines of text that can be selected; `kind` as in the style sheet."""
    label = QLabel("\n".join(lines))
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setFont(theme.font(FontSize.LABEL if kind != "error" else FontSize.BASE, tabular=True))
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    if kind:
        label.setProperty("kind", kind)
    return label


def stream_rows(streams: tuple[StreamRow, ...]) -> QGridLayout:
    """Returns a table of streams at their own rates: name, rate, count, lost."""
    grid = QGridLayout()
    grid.setHorizontalSpacing(theme.grid(1))
    grid.setVerticalSpacing(2)
    grid.setColumnStretch(0, 1)
    right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
    for column, text in enumerate(("Stream", "Rate", "Count", "Lost")):
        head = QLabel(text)
        head.setProperty("kind", "label")
        grid.addWidget(head, 0, column, right if column else Qt.AlignmentFlag.AlignLeft)
    samples = [stream for stream in streams if not stream.name.endswith("/stamps")]  # times of the frames
    for line, stream in enumerate(samples, start=1):
        name = ElidedLabel(stream_name(stream.name))
        name.setFont(theme.font(FontSize.LABEL))
        name.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        name.setAccessibleDescription(stream.name)
        grid.addWidget(name, line, 0)
        figures = (rate_text(stream), f"{stream.count}", f"{stream.dropped}")
        for column, text in enumerate(figures, start=1):
            figure = QLabel(text)
            figure.setFont(theme.font(FontSize.LABEL, tabular=True))
            figure.setToolTip(stream.name)
            if column == 3 and stream.dropped:
                figure.setStyleSheet(f"color: {theme.accent_text(Role.WARNING, Role.WINDOW)};")
            grid.addWidget(figure, line, column, right)
    return grid


def rate_text(stream: StreamRow) -> str:
    """Returns the rate a stream should have had, before it the one it had when that is 2 % less or more."""
    seconds = (stream.end_ns - stream.start_ns) / 1e9
    measured_hz = (stream.count - 1) / seconds if seconds > 0 and stream.count > 1 else stream.rate_hz
    if stream.rate_hz and abs(measured_hz / stream.rate_hz - 1.0) > RATE_TOLERANCE:
        return f"{measured_hz:.1f} of {stream.rate_hz:g} Hz"
    return f"{stream.rate_hz:g} Hz"
