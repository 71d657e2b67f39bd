"""Design tokens, palette and the one style sheet of the application.

Every colour a widget uses comes from here by role, so that "who drives" is the same colour on
the state chip, the timeline, the 3-D ghost and the camera frames. Colours given as tokens are
fills and marks; text drawn in an accent goes through `accent_text`, which moves the token
just far enough to reach the contrast limit on the ground it stands on.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Literal

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QColor, QFont, QFontDatabase, QIcon, QPalette
from PyQt6.QtWidgets import QApplication, QStyleFactory

_ASSETS = Path(__file__).parent / "assets"

ThemeName = Literal["dark", "light"]

MIN_CONTRAST = 4.5
"""WCAG 2 AA contrast ratio of text against its ground."""

UNIT_PX = 8
"""The grid every margin, gap and fixed size is a multiple of."""

RAIL_WIDTH_PX = 64
TOP_BAR_HEIGHT_PX = 44
STATUS_STRIP_HEIGHT_PX = 28
RIGHT_COLUMN_WIDTH_PX = 340


class FontSize:
    """Pixel sizes of the four text styles."""

    LABEL = 11
    BASE = 13
    STATE = 20
    FIGURE = 28


class Role(StrEnum):
    """What a colour means; each role has one token a theme."""

    WINDOW = "window"
    PANEL = "panel"
    RAISED = "raised"
    BORDER = "border"
    TEXT = "text"
    MUTED = "muted"
    HUMAN = "human"
    POLICY = "policy"
    RECORDING = "recording"
    GOOD = "good"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Tokens:
    """The colours of one theme as `#RRGGBB`, an attribute a role."""

    name: ThemeName
    window: str
    panel: str
    raised: str
    border: str
    text: str
    muted: str
    human: str
    policy: str
    recording: str
    good: str
    warning: str
    fault: str

    def hex(self, role: Role) -> str:
        """Returns the `#RRGGBB` of a role."""
        return getattr(self, role.value)

    def color(self, role: Role, alpha: float = 1.0) -> QColor:
        """Returns a role as QColor; `alpha` in 0..1."""
        color = QColor(self.hex(role))
        color.setAlphaF(alpha)
        return color


DARK = Tokens(
    name="dark",
    window="#14171A",
    panel="#1C2126",
    raised="#262D34",
    border="#343C45",
    text="#E6E9EC",
    muted="#97A1AB",
    human="#F5A524",
    policy="#8B7CF6",
    recording="#E5484D",
    good="#30A46C",
    warning="#FFB224",
    fault="#FF6369",
)

LIGHT = Tokens(
    name="light",
    window="#F6F7F8",
    panel="#FFFFFF",
    raised="#EDEFF1",
    border="#D3D8DD",
    text="#1B1F23",
    muted="#5C6670",
    human="#B86E00",
    policy="#5B48D6",
    recording="#CE2C31",
    good="#18794E",
    warning="#AD5700",
    fault="#CD2B31",
)

THEMES: dict[str, Tokens] = {"dark": DARK, "light": LIGHT}

_active: Tokens = DARK


def tokens() -> Tokens:
    """Returns the theme in force; read it when painting, so that a switch needs no wiring."""
    return _active


def contrast_ratio(first: str, second: str) -> float:
    """Returns the WCAG 2 contrast ratio (1..21) of two `#RRGGBB` colours."""
    high, low = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(color: str) -> float:
    def linear(channel: float) -> float:
        return channel / 12.92 if channel <= 0.03928 else ((channel + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(int(color[i : i + 2], 16) / 255.0) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@cache
def readable(color: str, ground: str) -> str:
    """Returns `color`, moved towards white or black until it can be read as text on `ground`."""
    if contrast_ratio(color, ground) >= MIN_CONTRAST:
        return color
    goal = 255 if _luminance(ground) < 0.18 else 0
    channels = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    for step in range(1, 51):
        mixed = [round(c + (goal - c) * step / 50.0) for c in channels]
        candidate = "#{:02X}{:02X}{:02X}".format(*mixed)
        if contrast_ratio(candidate, ground) >= MIN_CONTRAST:
            return candidate
    return "#FFFFFF" if goal else "#000000"


def accent_text(role: Role, ground: Role = Role.PANEL) -> str:
    """Returns the `#RRGGBB` to write text of an accent role in, on the given ground role."""
    return readable(_active.hex(role), _active.hex(ground))


def text_on(fill: str) -> str:
    """Returns near-black or white, whichever reads better on the fill `#RRGGBB`."""
    return max(("#FFFFFF", "#0B0D0F"), key=lambda ink: contrast_ratio(ink, fill))


def blend(color: str, ground: str, amount: float) -> str:
    """Returns the opaque mix of `amount` (0..1) of `color` over `ground`, as `#RRGGBB`."""
    pairs = ((int(color[i : i + 2], 16), int(ground[i : i + 2], 16)) for i in (1, 3, 5))
    return "#{:02X}{:02X}{:02X}".format(*(round(c * amount + g * (1 - amount)) for c, g in pairs))


def grid(units: float) -> int:
    """Returns a length in logical pixels from grid units of 8 px."""
    return round(units * UNIT_PX)


def font(size: int = FontSize.BASE, *, bold: bool = False, tabular: bool = False) -> QFont:
    """Returns the system UI font at a pixel size; `tabular` makes all digits equally wide."""
    result = QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont)
    result.setPixelSize(size)
    result.setWeight(QFont.Weight.DemiBold if bold else QFont.Weight.Normal)
    if tabular:
        result.setFeature(QFont.Tag("tnum"), 1)
    return result


def icon(name: str, role: Role = Role.TEXT) -> QIcon:
    """Returns a Material Design icon (`mdi6` name without its prefix) in a role's colour."""
    import qtawesome  # loads its fonts at import, which needs the QApplication

    return qtawesome.icon(
        f"mdi6.{name}",
        color=_active.color(role),
        color_disabled=_active.color(Role.MUTED, 0.5),
    )


def apply(app: QApplication, name: str = "dark") -> Tokens:
    """Puts a theme in force for the whole application: style, palette, font and style sheet.

    Args:
        app: The running application.
        name: "dark" or "light".

    Returns:
        The tokens now in force.

    Raises:
        KeyError: No theme has this name.
    """
    global _active
    _active = THEMES[name]
    fusion = QStyleFactory.create("Fusion")
    if fusion is not None:
        app.setStyle(fusion)
    app.setPalette(_palette(_active))
    app.setFont(font())
    app.setStyleSheet(_style_sheet(_active))
    hints = app.styleHints()
    if hints is not None:
        hints.setColorScheme(Qt.ColorScheme.Dark if name == "dark" else Qt.ColorScheme.Light)
        app.setPalette(_palette(_active))
    return _active


def _palette(t: Tokens) -> QPalette:
    palette = QPalette()
    roles = QPalette.ColorRole
    accent = t.policy if t.name == "light" else "#5B9BD5"
    for role, color in (
        (roles.Window, t.window),
        (roles.WindowText, t.text),
        (roles.Base, t.panel),
        (roles.AlternateBase, t.raised),
        (roles.Text, t.text),
        (roles.Button, t.raised),
        (roles.ButtonText, t.text),
        (roles.BrightText, t.fault),
        (roles.ToolTipBase, t.raised),
        (roles.ToolTipText, t.text),
        (roles.PlaceholderText, t.muted),
        (roles.Highlight, blend(accent, t.raised, 0.45)),
        (roles.HighlightedText, t.text),
        (roles.Link, readable(accent, t.panel)),
        (roles.LinkVisited, readable(accent, t.panel)),
        (roles.Light, t.border),
        (roles.Midlight, t.border),
        (roles.Mid, t.border),
        (roles.Dark, t.border),
        (roles.Shadow, "#000000"),
        (roles.Accent, accent),
    ):
        palette.setColor(role, QColor(color))
    for role in (roles.WindowText, roles.Text, roles.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor(blend(t.muted, t.panel, 0.65)))
    return palette


FOCUS_BLUE = {"dark": "#6CB2FF", "light": "#0B62C4"}
"""The ring of the widget that has the keyboard; means focus and nothing else."""


def _style_sheet(t: Tokens) -> str:
    focus = FOCUS_BLUE[t.name]
    chevron = (_ASSETS / f"chevron_{t.name}.svg").as_posix()
    hover = blend(t.text, t.raised, 0.08)
    pressed = blend(t.text, t.raised, 0.16)
    return f"""
QToolTip {{ color: {t.text}; background: {t.raised}; border: 1px solid {t.border}; padding: 4px 8px; }}
QFrame[surface="panel"] {{ background: {t.panel}; border: 1px solid {t.border}; border-radius: 6px; }}
QFrame[surface="raised"] {{ background: {t.raised}; border: 1px solid {t.border}; border-radius: 6px; }}
QFrame[surface="bar"] {{ background: {t.panel}; border: none; }}
QLabel[kind="label"] {{ color: {t.muted}; font-size: {FontSize.LABEL}px; }}
QLabel[kind="muted"] {{ color: {t.muted}; }}
QLabel[kind="title"] {{ font-size: {FontSize.STATE}px; font-weight: 600; }}
QLabel[kind="state"] {{ font-size: {FontSize.STATE}px; }}
QLabel[kind="figure"] {{ font-size: {FontSize.FIGURE}px; }}
QLabel[kind="error"] {{ color: {readable(t.fault, t.panel)}; }}
QPushButton {{ background: {t.raised}; color: {t.text}; border: 1px solid {t.border}; border-radius: 4px;
  padding: 7px 16px; }}
QPushButton:hover {{ background: {hover}; }}
QPushButton:pressed {{ background: {pressed}; }}
QPushButton:disabled {{ color: {blend(t.muted, t.panel, 0.65)}; }}
QPushButton:focus, QComboBox:focus, QLineEdit:focus, QAbstractSpinBox:focus, QPlainTextEdit:focus {{
  border: 2px solid {focus}; }}
QPushButton[kind="primary"] {{ background: {t.text}; color: {t.window}; border: 1px solid {t.text};
  font-weight: 600; }}
QPushButton[kind="primary"]:hover {{ background: {blend(t.text, t.window, 0.88)}; }}
QPushButton[kind="primary"]:focus {{ border: 2px solid {focus}; }}
QPushButton[kind="primary"]:disabled {{ background: {t.raised}; color: {blend(t.muted, t.panel, 0.65)};
  border: 1px solid {t.border}; }}
QPushButton[kind="plain"], QToolButton {{ background: transparent; border: 1px solid transparent;
  border-radius: 4px; }}
QPushButton[kind="plain"]:hover, QToolButton:hover {{ background: {hover}; }}
QPushButton[kind="plain"]:focus, QToolButton:focus {{ border: 1px solid {focus}; }}
QLineEdit, QComboBox, QAbstractSpinBox, QPlainTextEdit {{ background: {t.window};
  border: 1px solid {t.border}; border-radius: 4px; padding: 5px 8px;
  selection-background-color: {blend(focus, t.panel, 0.4)}; }}
QComboBox::drop-down {{ border: none; width: 24px; }}
QComboBox::down-arrow {{ image: url("{chevron}"); width: 12px; height: 12px; }}
QComboBox QAbstractItemView {{ background: {t.raised}; border: 1px solid {t.border};
  selection-background-color: {hover}; selection-color: {t.text}; outline: none; }}
QComboBox QLineEdit {{ border: none; padding: 0; background: transparent; }}
QProgressBar {{ background: {t.raised}; border: none; border-radius: 3px; max-height: 6px; min-height: 6px; }}
QProgressBar::chunk {{ background: {t.good}; border-radius: 3px; }}
QScrollArea {{ border: none; background: transparent; }}
QScrollBar:vertical {{ background: transparent; width: 10px; margin: 0; }}
QScrollBar:horizontal {{ background: transparent; height: 10px; margin: 0; }}
QScrollBar::handle {{ background: {blend(t.muted, t.panel, 0.45)}; border-radius: 4px; margin: 1px;
  min-height: 24px; min-width: 24px; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
QHeaderView::section {{ background: {t.panel}; color: {t.muted}; border: none;
  border-bottom: 1px solid {t.border}; padding: 4px 8px; font-size: {FontSize.LABEL}px; }}
QTableView, QListView, QTreeView {{ background: {t.panel}; border: 1px solid {t.border};
  border-radius: 6px; gridline-color: {t.border}; }}
QSplitter::handle {{ background: {t.window}; }}
"""


def white_icon(name: str) -> QIcon:
    """Returns a Material Design icon in white, for filled buttons."""
    import qtawesome

    return qtawesome.icon(f"mdi6.{name}", color="#FFFFFF", color_disabled="#FFFFFF80")


def text_color_on(fill: str) -> QColor:
    """Returns `text_on` as a QColor for painters."""
    return QColor(text_on(fill))


def icon_in(name: str, color: str) -> QIcon:
    """Returns a Material Design icon in a given `#RRGGBB`."""
    import qtawesome

    return qtawesome.icon(f"mdi6.{name}", color=color)
