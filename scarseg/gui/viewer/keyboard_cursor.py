"""The mouse by keyboard: arrows move a cursor over the slice, the space bar is its button.

It sends the slice the events that a mouse would, so that every tool works by keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from PyQt6.QtCore import QEvent, QObject, QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QAction, QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QWidget,
)

from scarseg.case.labels import Label
from scarseg.case.prompts import Box, SlicePrompts
from scarseg.gui import theme
from scarseg.gui.session.session import Session
from scarseg.gui.tools import prompts as tools_prompts
from scarseg.gui.viewer.canvas import Canvas
from scarseg.gui.viewer.painting import REACH

SIDE = 41
"""Its width and height, in screen pixels."""


class Cross(QWidget):
    """The cursor; its middle stays free to see what lies there."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAccessibleName("Keyboard cursor")
        self.setFixedSize(SIDE, SIDE)
        self.pressed = False
        self.hide()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        middle, gap = SIDE / 2, 5.0
        colour = theme.ACCENT if self.pressed else "#ffffff"
        for name, width in (("#000000", 4.0), (colour, 2.0)):
            painter.setPen(QPen(QColor(name), width))
            for x, y in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                one = QPointF(middle + x * gap, middle + y * gap)
                painter.drawLine(one, QPointF(middle + x * (middle - 2), middle + y * (middle - 2)))
        painter.end()


@dataclass(frozen=True)
class CursorTarget:
    """A place the cursor jumps to: (column, row) of box or point ``index``, and the tool for it."""

    kind: str
    index: int
    at: tools_prompts.Position
    tool: str = ""


def cursor_targets(
    prompts: SlicePrompts, reach: float, structure: Label = Label.SCAR
) -> list[CursorTarget]:
    """Return every place worth a jump: of a box two corners and its border, then the points.

    ``reach`` is how far the cursor may be off a handle, in source pixels; ``structure`` is what the
    boxes are of: scar, wall (the ventricle's) or blood pool.
    """
    boxes, kind, tool = prompts.boxes, "box", "box"
    if structure is Label.MYOCARDIUM:
        boxes, kind, tool = _one(prompts.lv_box), "", "ventricle"
    elif structure is Label.BLOOD_POOL:
        boxes, kind = _one(prompts.pool_box), "pool"
    found = []
    for index, box in enumerate(boxes):
        corners = tools_prompts.handles(box, reach)
        places = (corners["se"], corners["nw"], _on_border(box, reach))
        found += [CursorTarget(kind, index, at, tool) for at in places]
    found += [
        CursorTarget("point", index, (point.column, point.row))
        for index, point in enumerate(prompts.points)
    ]
    return found


def _one(box: Box | None) -> tuple[Box, ...]:
    return () if box is None else (box,)


def _on_border(box: Box, reach: float) -> tools_prompts.Position:
    """Return a place on the upper side that holds no handle: there the box moves."""
    share = 0.25 if "n" in tools_prompts.handles(box, reach) else 0.5
    return box.column0 + share * box.width, box.row0


STEP, STRIDE = 1.0, 8.0
"""Source pixels that an arrow moves the cursor by, alone and with Shift."""
ARROWS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}
TURNS = {Qt.Key.Key_PageUp: "previous_slice", Qt.Key.Key_PageDown: "next_slice"}
STATIONS = {Qt.Key.Key_Period: 1, Qt.Key.Key_Comma: -1}
ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
CLICKED = ("point", "flood", "polygon", "remote")
"""Tools that click; the others hold the button down from one press of the bar to the next."""
ELSEWHERE = (QAbstractItemView, QAbstractSlider, QAbstractSpinBox, QComboBox, QLineEdit)
"""What uses the same keys itself while it has the focus."""
RAISED = "Arrows move the hand (Shift: far), Space presses, . and , jump; Esc or R puts it away."
NO_BUTTON, LEFT = Qt.MouseButton.NoButton, Qt.MouseButton.LeftButton
PLAIN, SHIFT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier
CONTROL = Qt.KeyboardModifier.ControlModifier


class KeyboardCursor(QObject):
    """Move a cursor by arrows and press with the space bar, while it is up.

    Args:
        canvas: gives the slice that takes the events.

    Signals:
        said: what the keys do now.
    """

    said = pyqtSignal(str)

    def __init__(
        self,
        session: Session,
        canvas: Callable[[], Canvas],
        actions: Mapping[str, QAction],
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._session, self._canvas, self._actions = session, canvas, actions
        self._on: Canvas | None = None
        self._at: tools_prompts.Position = (0.0, 0.0)
        self._pressed, self._sending = False, False
        self._corners = 0
        self._station = -1
        self.cross = Cross(window)
        window.installEventFilter(self)
        session.opened.connect(self._follow)
        session.front.current_changed.connect(self._moved)
        actions["keyboard"].toggled.connect(self._toggle)
        group = actions["box"].actionGroup()
        assert group is not None
        group.triggered.connect(self._release_all)

    @property
    def raised(self) -> bool:
        """Return whether the cursor is on the slice."""
        return self._on is not None

    @property
    def at(self) -> tools_prompts.Position:
        """Return where the cursor is, (column, row) in source pixels."""
        return self._at

    # Up and down

    def _toggle(self, up: bool) -> None:
        self.lower()
        if up and self._session.current is not None:
            self._raise()

    def _raise(self) -> None:
        canvas = self._canvas()
        self._on = canvas
        canvas.installEventFilter(self)
        canvas.destroyed.connect(self._lost)
        canvas.seen_changed.connect(self._place)
        shown = canvas.rect()
        column, row = canvas.to_source(QPointF(shown.center()))
        if not shown.contains(canvas.from_source(*self._at).toPoint()) or self._at == (0.0, 0.0):
            self._at = (int(column) + 0.5, int(row) + 0.5)
        canvas.setFocus()
        self._go(self._at)
        self.cross.show()
        self.said.emit(RAISED)

    def lower(self) -> None:
        """Release what is held and hide the cursor."""
        canvas, self._on = self._on, None
        if canvas is None:
            return
        if self._pressed or self._corners:
            canvas.cancel_gesture()
        self._release_all()
        canvas.removeEventFilter(self)
        canvas.destroyed.disconnect(self._lost)
        canvas.seen_changed.disconnect(self._place)
        self.cross.hide()
        self._actions["keyboard"].setChecked(False)

    def _lost(self) -> None:
        self._on = None
        self._release_all()
        self.cross.hide()

    def _release_all(self, *_why: object) -> None:
        self._pressed, self._corners, self._station = False, 0, -1
        self.cross.pressed = False
        self.cross.update()

    def _follow(self) -> None:
        self.lower()
        self._at = (0.0, 0.0)

    def _moved(self, _slice_index: int) -> None:
        """Move to the slice that is current now."""
        self._release_all()
        if self._on is not None and self._on is not self._canvas():
            self._toggle(True)
            self._actions["keyboard"].setChecked(True)

    # Keys

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if self._on is None or event is None:
            return False
        kind = event.type()
        if isinstance(event, QKeyEvent) and watched in (self._on, self.parent()):
            if kind == QEvent.Type.ShortcutOverride and self._knows(event):
                event.accept()
                return True
            return kind == QEvent.Type.KeyPress and self._knows(event) and self._key(event)
        if kind == QEvent.Type.Hide or (
            kind == QEvent.Type.MouseButtonPress and not self._sending  # the mouse takes over
        ):
            self.lower()
        return False

    def _knows(self, event: QKeyEvent) -> bool:
        if self._session.current is None or isinstance(QApplication.focusWidget(), ELSEWHERE):
            return False
        key, held = event.key(), event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        if key in ARROWS or key == Qt.Key.Key_Space:
            return held in (PLAIN, SHIFT)
        if key in ENTER:
            return held == PLAIN and self._corners > 0
        if key == Qt.Key.Key_Escape:
            return held == PLAIN
        return held == PLAIN and (key in TURNS or key in STATIONS)

    def _key(self, event: QKeyEvent) -> bool:
        key, shift = event.key(), bool(event.modifiers() & SHIFT)
        if key in ARROWS:
            across, down = ARROWS[Qt.Key(key)]
            by = STRIDE if shift else STEP
            self._go((self._at[0] + by * across, self._at[1] + by * down))
        elif key in TURNS:
            self._actions[TURNS[Qt.Key(key)]].trigger()
        elif key in STATIONS:
            self._jump(STATIONS[Qt.Key(key)])
        elif key in ENTER:
            self._close_polygon()
        elif key == Qt.Key.Key_Escape:
            self._escape()
        elif not event.isAutoRepeat():
            self._press(shift)
        return True

    def _escape(self) -> None:
        """Cancel the gesture under way; without one, hide the cursor."""
        if self._on is not None and (self._pressed or self._corners):
            self._on.cancel_gesture()
            self._release_all()
        else:
            self.lower()

    # Mouse events

    def _go(self, at: tools_prompts.Position) -> None:
        canvas = self._on
        assert canvas is not None and self._session.current is not None
        stack = self._session.current.document.case.stack
        self._at = (
            min(max(at[0], 0.0), float(stack.columns)),
            min(max(at[1], 0.0), float(stack.rows)),
        )
        self._keep_in_sight(canvas)
        self._place()
        self._send(QEvent.Type.MouseMove)

    def _keep_in_sight(self, canvas: Canvas) -> None:
        """Move the image where the cursor would leave the view."""
        place, shown = canvas.from_source(*self._at), canvas.rect()
        over_x = min(place.x() - 4, 0.0) + max(place.x() + 4 - shown.width(), 0.0)
        over_y = min(place.y() - 4, 0.0) + max(place.y() + 4 - shown.height(), 0.0)
        if over_x or over_y:
            canvas.pan(QPointF(-over_x, -over_y))

    def _press(self, negative: bool) -> None:
        canvas = self._on
        assert canvas is not None
        modifiers = Qt.KeyboardModifier.AltModifier if negative else PLAIN
        if self._pressed:
            self._pressed = False
            self._send(QEvent.Type.MouseButtonRelease)
        elif canvas.tool in CLICKED:
            self._send(QEvent.Type.MouseButtonPress, modifiers)
            self._send(QEvent.Type.MouseButtonRelease, modifiers)
            self._corners += canvas.tool == "polygon"
        else:
            self._pressed = True
            # A box may begin on a contour of the wall, which the mouse would take there: keys have
            # their own way to move it.
            over = canvas.tool == "box" and canvas.takes_contour(self._at)
            self._send(QEvent.Type.MouseButtonPress, CONTROL if over else PLAIN)
        self.cross.pressed = self._pressed
        self.cross.update()

    def _close_polygon(self) -> None:
        self._corners = 0
        self._send(QEvent.Type.MouseButtonDblClick)
        self._send(QEvent.Type.MouseButtonRelease)

    def _jump(self, by: int) -> None:
        """Move to the next box or point and choose it; Del then deletes it."""
        canvas, current = self._on, self._session.current
        assert canvas is not None and current is not None
        if self._pressed or self._corners:
            return
        document = current.document
        structure = Label.MYOCARDIUM if canvas.tool == "ventricle" else canvas.label
        reach = REACH / canvas.screen_per_pixel
        found = cursor_targets(document.reading.prompts, reach, structure)
        if not found:
            return
        first = -1 if by > 0 else 0
        index = ((first if self._station < 0 else self._station) + by) % len(found)
        station = found[index]
        if station.tool and canvas.tool != station.tool:
            self._actions[station.tool].trigger()
        self._station = index
        canvas.chosen = (station.kind, station.index) if station.kind else None
        canvas.show_prompts(document.reading.prompts, document.current in current.inference.pending)
        self._go(station.at)

    def _place(self, *_what: object) -> None:
        if self._on is not None:
            place = self._on.mapTo(
                self.cross.parentWidget(), self._on.from_source(*self._at).toPoint()
            )
            self.cross.move(place.x() - SIDE // 2, place.y() - SIDE // 2)
            self.cross.raise_()

    def _send(self, kind: QEvent.Type, modifiers: Qt.KeyboardModifier = PLAIN) -> None:
        canvas = self._on
        assert canvas is not None
        at = canvas.from_source(*self._at)
        moves, ends = kind == QEvent.Type.MouseMove, kind == QEvent.Type.MouseButtonRelease
        held = LEFT if (self._pressed or not moves) and not ends else NO_BUTTON
        event = QMouseEvent(
            kind,
            at,
            QPointF(canvas.mapToGlobal(at)),
            NO_BUTTON if moves else LEFT,
            held,
            modifiers,
        )
        self._sending = True
        QApplication.sendEvent(canvas, event)
        self._sending = False
