"""Buttons of actions, with a text of their own, and the icons of those in the tool bar."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtGui import QAction, QIcon, QPixmap
from PyQt6.QtWidgets import QToolButton

from scarseg.gui import theme

ICON_SIZE, MOST_PIXEL_RATIO = 16, 3
"""Icons are drawn for the highest device pixel ratio that is supported."""
_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{size}" height="{size}" viewBox="0 0 16 16"'
    ' fill="none" stroke="{colour}" stroke-width="1.5" stroke-linecap="round"'
    ' stroke-linejoin="round">{shape}</svg>'
)
_FILLED = ' fill="{colour}" stroke="none"'
SHAPES = {
    "menu": '<path d="M2.5 4h11M2.5 8h11M2.5 12h11"/>',
    "box": '<rect x="3" y="4" width="10" height="8"/>'
    f'<path d="M1.5 2.5h3v3h-3zM11.5 10.5h3v3h-3z"{_FILLED}/>',
    "point": '<circle cx="8" cy="8" r="5.5"/><path d="M8 5.5v5M5.5 8h5"/>',
    "brush": '<path d="M13.5 2.5L7.5 9"/>'
    f'<path d="M6 8.5c2 0 2.6 1.6 1.6 3.2C6.7 13.3 4 13.7 2 13.2c1.5-.8 1-2.3 '
    f'1.7-3.5C4.3 8.9 5 8.5 6 8.5z"{_FILLED}/>',
    "threshold": '<path d="M2 13h12M2 7.5h12" stroke-dasharray="1.5 2.2"/>'
    '<path d="M2 11.5c2.5 0 2.5-8.5 5-8.5s2 6 3.5 6S12.5 5 14 5"/>',
    "eraser": '<path d="M6 13.5L2.5 10 9.5 3l4 4-6.5 6.5zM6 6.5l4 4M6 13.5h7.5"/>',
    "flood": '<path d="M6.5 2.5l6 6-5 5-5.5-5.5 5-5z"/>'
    f'<path d="M3 8h9l-4.5 4.8z"{_FILLED}/><circle cx="14" cy="12.5" r="1.3"{_FILLED}/>',
    "lasso": '<path d="M5 11C2.5 10 1.5 8 2.5 6 3.7 3.5 7 2.5 10 3s4.5 2.5 3.7 4.5'
    'c-.9 2.4-4.2 3.7-7.7 3.3-1.5 1.2-1 2.2-2.5 2.7"/>',
    "polygon": '<path d="M3 6l5-3.5L13.5 6l-2 7H4.5z"/>',
    "segment": f'<path d="M8 1.5l1.5 5 5 1.5-5 1.5-1.5 5-1.5-5-5-1.5 5-1.5z"{_FILLED}/>',
    "no_scar": '<circle cx="8" cy="8" r="5.5"/><path d="M4.2 11.8l7.6-7.6"/>',
    "not_assessable": '<path d="M5.5 6a2.5 2.5 0 1 1 3.7 2.2C8.3 8.7 8 9.1 8 10"/>'
    f'<circle cx="8" cy="12.8" r="1"{_FILLED}/>',
    "accept": '<path d="M2.5 8.5l4 4 7-9"/>',
    "undo": '<path d="M5.5 3L2.5 6l3 3M2.5 6h7a4 4 0 0 1 0 8H6"/>',
    "redo": '<path d="M10.5 3l3 3-3 3M13.5 6h-7a4 4 0 0 0 0 8H10"/>',
    "montage": '<path d="M2.5 2.5h4.5v4.5H2.5zM9 2.5h4.5v4.5H9zM2.5 9h4.5v4.5H2.5z'
    'M9 9h4.5v4.5H9z"/>',
}
"""Icons by action; strokes take the colour of the text."""


def tool_icon(name: str) -> QIcon:
    """Return the icon of an action, in the colours of text that is on, off and disabled."""
    made = QIcon()
    for colour, mode, state in (
        (theme.TEXT, QIcon.Mode.Normal, QIcon.State.Off),
        (theme.CHECKED_TEXT, QIcon.Mode.Normal, QIcon.State.On),
        (theme.DISABLED, QIcon.Mode.Disabled, QIcon.State.Off),
        (theme.DISABLED, QIcon.Mode.Disabled, QIcon.State.On),
    ):
        pixmap, size = QPixmap(), ICON_SIZE * MOST_PIXEL_RATIO
        shape = SHAPES[name].format(colour=colour)
        pixmap.loadFromData(_SVG.format(size=size, colour=colour, shape=shape).encode(), "SVG")
        pixmap.setDevicePixelRatio(MOST_PIXEL_RATIO)
        made.addPixmap(pixmap, mode, state)
    return made


def configure_button(action: QAction, text: str, button: QToolButton | None = None) -> QToolButton:
    """Bind a tool button, new by default, to an action, with a text of its own; return it."""
    button = button or QToolButton()
    button.setDefaultAction(action)
    button.setText(text)
    button.setAccessibleName(action.text())
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    action.changed.connect(lambda: button.setText(text))
    return button


class ToolBarButton(QToolButton):
    """Button of the tool bar that shows icon, word and key of an action, or only some of them.

    Args:
        word: text beside the icon, empty for none.
        key: the shortcut in short, empty for none.
    """

    def __init__(self, action: QAction, name: str, word: str, key: str) -> None:
        super().__init__()
        self._icon, self._word, self._key = tool_icon(name), word, key
        self._parts = (True, True, True)
        self.setDefaultAction(action)
        self.setAccessibleName(action.text())
        self.setIconSize(QSize(ICON_SIZE, ICON_SIZE))
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setProperty("tight", True)
        # A button takes text and icon of its action anew whenever that changes.
        action.changed.connect(self._show_parts)
        self._show_parts()

    def show_parts(self, icon: bool, word: bool, key: bool) -> None:
        """Show icon, word and key, or some of them; one without a word always shows its icon."""
        self._parts = icon, word, key
        self._show_parts()

    def _show_parts(self) -> None:
        icon, word, key = self._parts
        parts = (self._word if word else "", self._key if key else "")
        text = "  ".join(part for part in parts if part)
        drawn = icon or not self._word
        self.setIcon(self._icon if drawn else QIcon())
        self.setText(text)
        style = Qt.ToolButtonStyle.ToolButtonTextBesideIcon
        style = style if drawn else Qt.ToolButtonStyle.ToolButtonTextOnly
        self.setToolButtonStyle(style if text else Qt.ToolButtonStyle.ToolButtonIconOnly)
