"""Dark and quiet, the image brightest; colours that colour-blind readers tell apart.

The colours of labels, boxes, points and statuses were searched for: every two of them stay apart
for each of the three kinds of colour blindness, and texts reach a contrast of 4.5:1.
"""

from __future__ import annotations

import re
from textwrap import fill

from PyQt6.QtCore import QSize
from PyQt6.QtGui import QColor, QIcon, QPalette, QPixmap
from PyQt6.QtWidgets import QApplication, QLabel, QWidget

from scarseg.case.history import SliceStatus
from scarseg.case.labels import Label

BACKGROUND = "#0f1317"
PANEL = "#171c22"
RAISED = "#1f2830"
LINE = "#2b3640"
OUTLINE = "#64717e"
"""Outline of controls: 3:1 against panels and raised surfaces."""
TEXT = "#d7dee5"
QUIET = "#8796a5"
MUTED = "#5f7080"
ACCENT = "#4cc2ff"
ORANGE = "#f29100"
YELLOW = "#fff480"
GREEN = "#93eab2"
RED = "#ff4b69"
TEAL = "#24b8a4"
VIOLET = "#eeb2fe"
SLATE = "#7b86c8"

LABEL_COLOURS: dict[Label, str] = {
    Label.BLOOD_POOL: SLATE,
    Label.MYOCARDIUM: TEAL,
    Label.SCAR: ORANGE,
    Label.MVO: VIOLET,
}

STATUS_COLOURS: dict[SliceStatus, str] = {
    SliceStatus.UNSEEN: QUIET,
    SliceStatus.PROPOSED: YELLOW,
    SliceStatus.ACCEPTED: GREEN,
    SliceStatus.NO_SCAR: GREEN,
    SliceStatus.NOT_ASSESSABLE: RED,
}

STATUS_WORDS: dict[SliceStatus, str] = {
    SliceStatus.UNSEEN: "unseen",
    SliceStatus.PROPOSED: "proposed",
    SliceStatus.ACCEPTED: "accepted",
    SliceStatus.NO_SCAR: "no scar",
    SliceStatus.NOT_ASSESSABLE: "not assessable",
}

CORRECTED = "corrected"
"""Word for an accepted slice whose labels are not those proposed, and for its study."""
CHECKED_TEXT, DISABLED = "#06222f", "#64727f"
"""Text on the accent colour, and of what cannot be chosen."""

STYLE = f"""
* {{ font-size: 12px; color: {TEXT}; outline: none; }}
QMainWindow {{ background: {BACKGROUND}; }}
QDialogButtonBox {{ dialogbuttonbox-buttons-have-icons: 0; }}
QDialog, QMessageBox {{ background: {PANEL}; border: 1px solid {LINE}; }}
QWidget#side {{ background: {PANEL}; }}
QWidget#bar, QStatusBar {{ background: {PANEL}; }}
QStatusBar::item {{ border: none; }}
QMainWindow::separator {{ background: {BACKGROUND}; width: 5px; height: 5px; }}
QMainWindow::separator:hover {{ background: {ACCENT}; }}
QDockWidget {{ color: {QUIET}; font-weight: 600; }}
QDockWidget > QWidget {{ background: {PANEL}; }}
QDockWidget::title {{ background: {PANEL}; padding: 5px 14px; text-align: left; }}
QTabBar {{ background: {PANEL}; qproperty-drawBase: 0; }}
QTabBar::tab {{
    background: {PANEL}; color: {QUIET}; padding: 5px 10px; border-bottom: 2px solid transparent;
}}
QTabBar::tab:selected {{ color: {TEXT}; border-bottom: 2px solid {ACCENT}; }}
QTabBar::tab:hover {{ color: {TEXT}; }}
QLabel#heading {{ color: {QUIET}; font-weight: 600; font-size: 11px; }}
QLabel#message {{ color: {ACCENT}; padding-left: 14px; }}
QLabel#subject {{ font-size: 13px; font-weight: 600; }}
QLabel#quiet {{ color: {QUIET}; }}
QLabel#headline {{ color: {ORANGE}; font-size: 36px; font-weight: 700; }}
QLabel#headline[provisional="true"] {{ color: {YELLOW}; }}
QLabel#state {{ color: {GREEN}; font-weight: 600; }}
QLabel#state[provisional="true"] {{ color: {YELLOW}; }}
QLabel#figure {{ font-size: 15px; font-weight: 600; }}
QLabel#over {{
    color: #e6edf3; background: rgba(10, 13, 16, 200); border-radius: 4px; padding: 2px 6px;
}}
QLabel#warning {{ color: {YELLOW}; font-weight: 600; }}
QLabel:disabled {{ color: {DISABLED}; }}
QLabel#key:disabled {{ background: {PANEL}; }}
QLabel#key {{
    background: {RAISED}; border: 1px solid {LINE}; border-radius: 4px; padding: 0 5px;
    font-weight: 600; font-size: 11px;
}}
QLabel#remark {{ color: {TEXT}; }}
QLabel#welcome {{ font-size: 20px; font-weight: 600; }}
QFrame#rule {{ background: {LINE}; border: none; margin: 0 6px; }}
QToolTip {{ background: {RAISED}; color: {TEXT}; border: 1px solid {LINE}; padding: 4px; }}
QToolButton {{ background: transparent; border: none; border-radius: 5px; padding: 5px 9px; }}
QToolButton#foot {{ color: {QUIET}; padding: 3px 6px; text-align: left; }}
QToolButton[tight="true"] {{ padding: 5px 6px; }}
QToolButton:hover {{ background: {RAISED}; }}
QToolButton:checked {{ background: {ACCENT}; color: {CHECKED_TEXT}; font-weight: 600; }}
QToolButton:disabled {{ color: {DISABLED}; }}
QToolButton:checked:disabled {{ background: {RAISED}; color: {DISABLED}; }}
QToolButton:focus {{ border: 1px solid {ACCENT}; padding: 4px 8px; }}
QToolButton::menu-indicator {{ image: none; }}
QPushButton {{
    background: {RAISED}; border: 1px solid {OUTLINE}; border-radius: 5px; padding: 6px 14px;
}}
QPushButton:hover {{ border-color: {ACCENT}; }}
QPushButton:default {{ background: {ACCENT}; color: {CHECKED_TEXT}; }}
QPushButton:disabled, QPushButton:default:disabled {{
    background: {RAISED}; color: {DISABLED}; border-color: {LINE};
}}
QPushButton:focus {{ border: 2px solid {TEXT}; padding: 5px 13px; }}
QMenu {{ background: {RAISED}; border: 1px solid {LINE}; padding: 4px; }}
QMenu::item {{ padding: 5px 26px 5px 22px; border-radius: 4px; }}
QMenu::item:selected {{ background: {LINE}; }}
QMenu::item:disabled {{ color: #6d7c8a; }}
QMenu::separator {{ height: 1px; background: {LINE}; margin: 4px 8px; }}
QListView {{ background: transparent; border: none; }}
QScrollArea {{ background: transparent; border: none; }}
QScrollBar:horizontal {{ height: 8px; background: transparent; }}
QScrollBar:vertical {{ width: 8px; background: transparent; }}
QScrollBar::handle {{
    background: {OUTLINE}; border-radius: 4px; min-width: 30px; min-height: 30px;
}}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
QSlider::groove:horizontal {{ height: 3px; background: {OUTLINE}; border-radius: 1px; }}
QSlider::handle:horizontal {{
    width: 11px; margin: -4px 0; border-radius: 5px; background: {QUIET};
}}
QSlider::handle:horizontal:hover, QSlider::handle:horizontal:focus {{ background: {ACCENT}; }}
QComboBox {{
    background: {RAISED}; border: 1px solid {OUTLINE}; border-radius: 4px; padding: 2px 8px;
}}
QComboBox:focus, QLineEdit:focus, QAbstractSpinBox:focus {{ border: 1px solid {ACCENT}; }}
QComboBox QAbstractItemView {{ background: {RAISED}; selection-background-color: {LINE}; }}
QLineEdit, QDoubleSpinBox {{
    background: {PANEL}; border: 1px solid {OUTLINE}; border-radius: 4px; padding: 4px;
}}
QCheckBox, QRadioButton {{ spacing: 6px; }}
QCheckBox::indicator, QRadioButton::indicator {{
    width: 11px; height: 11px; border: 1px solid {OUTLINE}; background: {PANEL};
}}
QCheckBox::indicator {{ border-radius: 1px; }}
QRadioButton::indicator {{ border-radius: 6px; }}
QCheckBox::indicator:hover, QRadioButton::indicator:hover {{ border-color: {ACCENT}; }}
QCheckBox::indicator:checked {{ width: 7px; height: 7px; padding: 2px; border-color: {ACCENT};
    background: {ACCENT}; background-clip: content; }}
QRadioButton::indicator:checked {{ border-color: {ACCENT}; background: qradialgradient(
    cx: 0.5, cy: 0.5, radius: 0.5, fx: 0.5, fy: 0.5, stop: 0 {ACCENT}, stop: 0.55 {ACCENT},
    stop: 0.65 {PANEL}); }}
QCheckBox::indicator:focus, QRadioButton::indicator:focus {{ border-color: {TEXT}; }}
QCheckBox::indicator:disabled, QRadioButton::indicator:disabled {{ border-color: {LINE}; }}
QProgressBar {{ background: {RAISED}; border: none; border-radius: 3px; max-height: 6px; }}
QProgressBar::chunk {{ background: {ACCENT}; border-radius: 3px; }}
QFrame#banner {{ background: #3a2a12; border-bottom: 1px solid {YELLOW}; }}
QFrame#banner[severe="true"] {{ background: #401a1d; border-bottom: 1px solid {RED}; }}
"""


LARGE_WINDOW = 1900
"""A window at least this wide, in pixels, has a larger font."""
LARGE_FONT_SCALE = 1.15
TEXT_SIZES = {"text_automatic": None, "text_small": 1.0, "text_medium": 1.15, "text_large": 1.35}
"""Settings of the text size and their scale; None follows the width of the window."""
_scale = 1.0


def px(size: int) -> int:
    """Return the font size in pixels for one of ``size`` pixels in a small window."""
    return round(size * _scale)


def fit_fonts(application: QApplication, window: QSize, wanted: float | None = None) -> bool:
    """Choose the font size for a window, or as wanted; return whether it changed."""
    global _scale
    roomy = window.width() >= LARGE_WINDOW
    scale = wanted or (LARGE_FONT_SCALE if roomy else 1.0)
    if scale == _scale:
        return False
    _scale = scale
    application.setStyleSheet(_style())
    return True


def _style() -> str:
    return re.sub(r"font-size: (\d+)px", lambda m: f"font-size: {px(int(m[1]))}px", STYLE)


def colour(name: str, alpha: float = 1.0) -> QColor:
    """Return a theme colour with opacity 0 to 1."""
    value = QColor(name)
    value.setAlphaF(alpha)
    return value


def set_style_property(widget: QWidget, name: str, value: str) -> None:
    """Set a property that the style sheet knows, and apply the sheet again where it changed."""
    style = widget.style()
    if widget.property(name) != value and style is not None:
        widget.setProperty(name, value)
        style.unpolish(widget)
        style.polish(widget)


def apply(application: QApplication) -> None:
    """Set the dark style of the application."""
    application.setStyle("Fusion")
    palette = QPalette()
    for role, name in (
        (QPalette.ColorRole.Window, BACKGROUND),
        (QPalette.ColorRole.Base, PANEL),
        (QPalette.ColorRole.AlternateBase, RAISED),
        (QPalette.ColorRole.Text, TEXT),
        (QPalette.ColorRole.WindowText, TEXT),
        (QPalette.ColorRole.Button, RAISED),
        (QPalette.ColorRole.ButtonText, TEXT),
        (QPalette.ColorRole.Highlight, ACCENT),
        (QPalette.ColorRole.HighlightedText, "{CHECKED_TEXT}"),
        (QPalette.ColorRole.PlaceholderText, QUIET),
        (QPalette.ColorRole.ToolTipBase, RAISED),
        (QPalette.ColorRole.ToolTipText, TEXT),
    ):
        palette.setColor(role, QColor(name))
    application.setPalette(palette)
    application.setStyleSheet(_style())


TOOL_TIP_COLUMNS = 64
"""Width of a tool tip, in characters."""


def wrapped(text: str) -> str:
    """Return a tool tip in lines that are not too long."""
    return "\n".join(fill(line, TOOL_TIP_COLUMNS) for line in text.splitlines())


def icon(svg: str) -> QIcon:
    """Return an icon drawn from SVG; an empty one where Qt cannot read SVG here."""
    pixmap = QPixmap()
    pixmap.loadFromData(svg.encode(), "SVG")
    return QIcon(pixmap)


def label(text: str, name: str = "", accessible: str = "") -> QLabel:
    """Return a QLabel styled by an object name of the style sheet."""
    made = QLabel(text)
    made.setObjectName(name)
    if accessible:
        made.setAccessibleName(accessible)
    return made
