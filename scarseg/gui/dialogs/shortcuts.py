"""Dialog of all keyboard shortcuts, made from the table of actions."""

from __future__ import annotations

from itertools import combinations, pairwise

from PyQt6.QtCore import QEvent, QSize, Qt
from PyQt6.QtGui import QKeySequence
from PyQt6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from scarseg.gui.actions import ACTIONS, MENUS

N_COLUMNS = 4
Lines = list[tuple[tuple[str, ...], str]]
"""Keys, and what they do."""
Section = tuple[str, Lines]
MOUSE: Lines = [
    (("Wheel",), "Slice before or after"),
    (("Ctrl+wheel",), "Zoom"),
    (("Shift+wheel",), "Size of brush and eraser"),
    (("Alt+wheel",), "Threshold of its brush"),
    (("Shift+drag", "middle"), "Move the image"),
    (("Right drag",), "Window width and level"),
    (("Drag a border",), "Move the box"),
    (("Drag a handle",), "Resize the box"),
    (("Ctrl+drag",), "New box, wherever it begins"),
    (("Alt+click", "right"), "Point where the label is not"),
    (("Click a point",), "Delete the point"),
]
KEYBOARD_CURSOR: Lines = [
    (("Arrows",), "Move; with Shift, far"),
    (("Space",), "Click, or press and release"),
    (("Shift+Space",), "Point where the label is not"),
    ((".", ","), "Next, previous box or point"),
    (("PgUp", "PgDown"), "Slice before, after"),
    (("Enter",), "Close the polygon"),
    (("Esc",), "Discard; hide the cursor"),
]
SIGNS = {"Return": "Enter", "Up": "↑", "Down": "↓"}


def sections() -> list[Section]:
    """Return every section in order: menus, keys that are held, mouse, keyboard cursor."""
    made = []
    for menu in (*MENUS, ""):
        lines: Lines = [
            (tuple(dict.fromkeys(_shown(key) for key in row.keys)), sheet_text(row.text))
            for row in ACTIONS
            if row.menu == menu and row.keys
        ]
        if lines:
            made.append((menu or "While held", lines))
    by_keys = next(_shown(row.keys[0]) for row in ACTIONS if row.name == "keyboard")
    return [*made, ("Mouse", MOUSE), (f"Keyboard cursor, {by_keys}", KEYBOARD_CURSOR)]


def sheet_text(text: str) -> str:
    """Return the text of an action as the sheet has room for it."""
    for long, short in ((" …", ""), ("wards on all slices", "wards, all slices"),
                        (" to the slice ", " to slice ")):  # fmt: skip
        text = text.replace(long, short)
    return text


def columns(found: list[Section], n: int = N_COLUMNS) -> list[list[Section]]:
    """Split sections into columns, in order, so that the tallest is as low as possible."""
    heights = [len(lines) + 2 for _, lines in found]
    best: tuple[int, ...] = ()
    lowest = sum(heights) + 1
    for cuts in combinations(range(1, len(found)), min(n, len(found)) - 1):
        edges = (0, *cuts, len(found))
        tallest = max(sum(heights[a:b]) for a, b in pairwise(edges))
        if tallest < lowest:
            best, lowest = edges, tallest
    return [found[a:b] for a, b in pairwise(best)]


def _shown(key: str) -> str:
    parts = QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText).split("+")
    if parts[-1] == "":  # the plus key itself
        return key
    return "+".join((*parts[:-1], SIGNS.get(parts[-1], parts[-1])))


class ShortcutsDialog(QDialog):
    """All keys in columns, without scrolling where the screen allows it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys")
        self.content = QWidget()
        self._rows: list[ShortcutRow] = []
        side_by_side = QHBoxLayout(self.content)
        side_by_side.setContentsMargins(2, 2, 2, 2)
        side_by_side.setSpacing(8)
        for column in columns(sections()):
            made, rows = _column(column)
            side_by_side.addLayout(made)
            self._rows += rows
        area = QScrollArea()
        area.setAccessibleName("Keys")
        area.setWidget(self.content)
        area.setWidgetResizable(True)
        self.content.setAutoFillBackground(False)
        viewport = area.viewport()
        if viewport is not None:
            viewport.setAutoFillBackground(False)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 12, 12, 10)
        self.search = QLineEdit()
        self.search.setPlaceholderText("Find a key or what it does")
        self.search.setAccessibleName("Find a key")
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._find)
        layout.addWidget(self.search)
        layout.addWidget(area)
        layout.addWidget(buttons)
        around = layout.contentsMargins()
        need = self.content.sizeHint() + QSize(
            around.left() + around.right() + 4,
            around.top()
            + around.bottom()
            + buttons.sizeHint().height()
            + self.search.sizeHint().height()
            + 2 * layout.spacing()
            + 4,
        )
        self.resize(need.boundedTo(self._room(parent)))

    def _find(self, text: str) -> None:
        """Dim every line that has not all words of a text."""
        words = text.casefold().split()
        for row in self._rows:
            row.setEnabled(all(word in row.words for word in words))

    def _room(self, parent: QWidget) -> QSize:
        screen = parent.screen()
        return QSize(1280, 800) if screen is None else screen.availableSize() * 0.98


class ShortcutRow(QWidget):
    """Keys as they look on a keyboard, and what they do; ``words`` is what a search looks in."""

    def __init__(self, keys: tuple[str, ...], text: str, section: str) -> None:
        super().__init__()
        self.words = f"{' '.join(keys)} {text} {section}".casefold()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(3)
        for key in keys:
            cap = QLabel(key)
            cap.setObjectName("key")
            cap.setAlignment(Qt.AlignmentFlag.AlignCenter)
            row.addWidget(cap)
        row.addStretch(1)
        self.text = QLabel(text)

    def changeEvent(self, event: QEvent | None) -> None:
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.EnabledChange:
            self.text.setEnabled(self.isEnabled())


def _column(found: list[Section]) -> tuple[QVBoxLayout, list[ShortcutRow]]:
    column, rows = QVBoxLayout(), []
    column.setSpacing(2)
    for title, lines in found:
        heading = QLabel(title.upper())
        heading.setObjectName("heading")
        heading.setContentsMargins(0, 8, 0, 1)
        column.addWidget(heading)
        grid = QGridLayout()
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        for number, (keys, text) in enumerate(lines):
            row = ShortcutRow(keys, text, title)
            grid.addWidget(row, number, 0)
            grid.addWidget(row.text, number, 1)
            rows.append(row)
        column.addLayout(grid)
    column.addStretch(1)
    return column, rows
