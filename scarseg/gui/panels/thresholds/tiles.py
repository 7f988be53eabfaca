"""The strip that compares methods, as it looks: what its numbers are, buttons, tiles, the curve."""

from __future__ import annotations

from collections.abc import Mapping

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import (
    QAction,
    QColor,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
)
from PyQt6.QtWidgets import QHBoxLayout, QScrollArea, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from scarseg.case.case import Case
from scarseg.case.labels import Label
from scarseg.case.measurements import MassConvention
from scarseg.gui import theme
from scarseg.gui.panels import toolbar
from scarseg.gui.panels.thresholds import masks
from scarseg.gui.panels.thresholds.curve import CurvePlot
from scarseg.gui.panels.thresholds.masks import (
    SEGMENTED,
    SHORT_REASONS,
    TITLES,
    MethodMask,
    MethodOutlines,
)
from scarseg.gui.theme import label
from scarseg.gui.tool_buttons import configure_button
from scarseg.gui.viewer import painting
from scarseg.gui.viewer.filmstrip import LEFT, Content, draw_slice, sized
from scarseg.gui.viewer.view_state import SMALLEST_MM, find_heart_region
from scarseg.gui.viewer.window_level import Levels

SMALLEST, LARGEST = 64, 140
"""Width of a tile; eleven stand side by side in a window of 1280 pixels."""
GAP, EDGE, LINE_HEIGHT, LINES = 3, 4, 15, 4
SHORT = {"fwhm_remote": "FWHM rem.", SEGMENTED: "Segment."}
"""What a title is where it does not fit."""


class TilePicture:
    """A slice as all tiles show it, drawn once for each size."""

    def __init__(self, content: Content) -> None:
        self.crop = content.crop
        self._content = content
        self._drawn: dict[tuple[int, float], QPixmap] = {}

    def drawn(self, side: int, ratio: float) -> QPixmap:
        """Return a copy of the picture, to be drawn upon."""
        if (side, ratio) not in self._drawn:
            self._drawn = {(side, ratio): draw_slice(self._content, side, ratio, 1.0 * ratio)}
        return self._drawn[side, ratio].copy()


class MethodTile(QWidget):
    """One method: picture, name, grams and percent of the stack, grams of the slice.

    Signals:
        clicked: the method's name.
    """

    clicked = pyqtSignal(str)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.method: MethodMask | None = None
        self.chosen, self.stale = False, True
        self.grams = self.percent = self.here = ""
        self._picture = TilePicture(Content())
        self._drawn: QPixmap | None = None
        self._outlines: list[tuple[Label, QPainterPath]] = []
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAccessibleName(TITLES[name])
        self.set_width(SMALLEST)

    @property
    def able(self) -> bool:
        """Return whether the method has a mask."""
        return self.method is not None and not self.method.reason

    def set_width(self, width: int) -> None:
        """Make the tile this wide; its picture is square."""
        self._side, self._drawn = width - 2 * EDGE, None
        self.setFixedSize(width, self._side + EDGE + LINES * theme.px(LINE_HEIGHT) + 6)

    def show_method(self, outlined: MethodOutlines, k: int, picture: TilePicture) -> None:
        """Show what the method makes of slice ``k``."""
        method, wall = outlined.answer.method(self.name), outlined.wall[k]
        self.method, self.stale, self._drawn = method, False, None
        infarct, mvo = outlined.infarct[self.name][k], outlined.mvo[self.name][k]
        self._picture, self._outlines = picture, [(Label.SCAR, infarct), (Label.MVO, mvo)]
        self.setEnabled(self.able)
        self.grams = "–" if method.reason else f"{method.total_g:.1f} g"
        percent = None if method.reason else method.percent
        self.percent = "" if percent is None else f"{percent:.0f} % LV"
        if method.reason:
            self.here = SHORT_REASONS[method.reason]
        elif self.name != SEGMENTED and wall.isEmpty():
            self.here = "no wall here"
        else:
            self.here = f"slice {method.slices_g[k]:.1f} g"
        self.setToolTip(_tip(method, k))
        words = (method.title, self.grams, self.percent, self.here)
        self.setAccessibleName(", ".join(word for word in words if word))
        self.setAccessibleDescription(self.toolTip())
        self.update()

    def tell(self, chosen: bool | None = None, stale: bool | None = None) -> None:
        """Set whether this method is previewed, and whether its numbers are outdated."""
        self.chosen = self.chosen if chosen is None else chosen
        self.stale = self.stale if stale is None else stale
        self.update()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and event.button() is Qt.MouseButton.LeftButton:
            self.clicked.emit(self.name)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        frame = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        painter.setPen(QPen(QColor(theme.ACCENT if self.chosen else theme.LINE), 1.6))
        painter.setBrush(QColor(theme.RAISED if self.chosen else theme.PANEL))
        painter.drawRoundedRect(frame, 4, 4)
        if self.method is not None:
            if self._drawn is None or self._drawn.devicePixelRatio() != self.devicePixelRatioF():
                self._drawn = self._draw()
            painter.setOpacity(1.0 if self.able else 0.35)
            painter.drawPixmap(QPointF(EDGE, EDGE), self._drawn)
            painter.setOpacity(1.0)
        self._write(painter)
        painter.end()

    def _draw(self) -> QPixmap:
        ratio = self.devicePixelRatioF()
        pixmap = self._picture.drawn(self._side, ratio)
        painter = QPainter(pixmap)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        crop = self._picture.crop
        painter.scale(self._side / crop.width(), self._side / crop.height())
        painter.translate(-crop.topLeft())
        for kind, path in self._outlines:
            painter.setBrush(theme.colour(theme.LABEL_COLOURS[kind], 0.35))
            painter.setPen(painting.pen(theme.LABEL_COLOURS[kind], 1.2 * ratio))
            painter.drawPath(path)
        painter.end()
        return pixmap

    def _write(self, painter: QPainter) -> None:
        high, top = theme.px(LINE_HEIGHT), float(self._side + EDGE + 2)
        text = QColor(theme.TEXT if self.able and not self.stale else theme.MUTED)
        quiet = QColor(theme.QUIET if self.able and not self.stale else theme.MUTED)
        rows = [QRectF(EDGE, top + n * high, self.width() - EDGE - 1, high) for n in range(LINES)]
        sized(painter, 11)
        painter.setPen(QColor(theme.TEXT if self.able else theme.MUTED))
        title = TITLES[self.name]
        if painter.fontMetrics().horizontalAdvance(title) > rows[0].width():
            title = SHORT.get(self.name, title)
        painter.drawText(rows[0], LEFT, title)
        sized(painter, 12, bold=True)
        painter.setPen(text)
        painter.drawText(rows[1], LEFT, self.grams)
        sized(painter, 11)
        painter.setPen(quiet)
        painter.drawText(rows[2], LEFT, self.percent)
        painter.drawText(rows[3], LEFT, self.here)


def _tip(method: MethodMask, k: int) -> str:
    """Return in words where the threshold is, or why there is none."""
    lines = [f"{method.title}: {method.rule}"]
    if method.reason:
        return f"{lines[0]}\n{method.why_not}"
    level = method.levels[k]
    if level is not None:
        lines.append(f"Above {level:.4g} on this slice")
    if method.percent is not None:
        lines.append(
            f"{method.total_g:.2f} g, {method.percent:.1f} % of LV mass, dark cores included"
        )
    return "\n".join(lines)


class MethodRow(QScrollArea):
    """A tile per method, side by side where there is room, and at their end what else is given.

    Signals:
        chosen: the method that was clicked.
    """

    chosen = pyqtSignal(str)

    def __init__(self, end: QWidget) -> None:
        super().__init__()
        self.setAccessibleName("Methods")
        self.setWidgetResizable(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.tiles = [MethodTile(name) for name in TITLES]
        self._end = end
        row = QWidget()
        layout = QHBoxLayout(row)
        layout.setContentsMargins(8, 0, 8, 2)
        layout.setSpacing(GAP)
        for tile in self.tiles:
            tile.clicked.connect(self.chosen)
            layout.addWidget(tile, 0, Qt.AlignmentFlag.AlignTop)
        layout.addWidget(end, 1, Qt.AlignmentFlag.AlignTop)
        layout.addStretch(0)
        self.setWidget(row)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def minimumSizeHint(self) -> QSize:
        return QSize(0, 0)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self.fit()

    def fit(self) -> None:
        """Make the tiles as large as there is room for; the end stands where some is left."""
        n, least = len(self.tiles), self._end.minimumWidth()
        room = self.width() - 17 - GAP * (n + 1)
        roomy = room - least >= n * (SMALLEST + 16)
        self._end.setVisible(roomy)
        each = min(max((room - least * roomy) // n, SMALLEST), LARGEST)
        for tile in self.tiles:
            tile.set_width(each)
        self._end.setFixedHeight(self.tiles[0].height())
        scrolls = room < n * SMALLEST
        self.setFixedHeight(self.tiles[0].height() + (12 if scrolls else 4))


CROP_MARGIN = 1.12
"""Side of a tile's picture to the width of the heart in it."""
CHECKED = f"QToolButton:checked {{ background: {theme.RAISED}; color: {theme.ACCENT}; }}"
SCOPES = {False: "Threshold per slice", True: "Threshold per stack"}


class MethodsPanel(QWidget):
    """A tile per method under a line of words and buttons."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Comparison of methods")
        self.setObjectName("side")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.plot = CurvePlot()
        self.row = MethodRow(self.plot)
        self.words = toolbar.ElidedLabel("quiet", Qt.AlignmentFlag.AlignLeft)
        self._buttons = [QToolButton() for _ in range(5)]
        self.scope, self.remote, self.adopt_here, self.adopt_everywhere, self.shut = self._buttons
        self._remote_tip = ""
        self._arrange()

    def _arrange(self) -> None:
        head = QHBoxLayout()
        head.setContentsMargins(10, 0, 6, 0)
        head.setSpacing(2)
        self.words.setAccessibleName("What the numbers of the methods are")
        head.addWidget(label("METHODS", "heading"))
        head.addSpacing(6)
        head.addWidget(self.words, 1)
        head.addSpacing(6)
        for button in self._buttons:
            button.setObjectName("foot")
            head.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 3, 0, 2)
        layout.setSpacing(3)
        layout.addLayout(head)
        layout.addWidget(self.row)

    def bind(self, actions: Mapping[str, QAction]) -> None:
        """Connect the buttons to the actions."""
        for name, text, button in (
            ("adopt", "Adopt  Ctrl+J", self.adopt_here),
            ("adopt_all", "On all", self.adopt_everywhere),
        ):
            configure_button(actions[name], text, button)
        for name, text, button in (
            ("whole_stack", SCOPES[False], self.scope),
            ("remote", "Remote", self.remote),
            ("compare", "✕", self.shut),
        ):
            button.setText(text)
            button.setToolTip(actions[name].toolTip())
            button.setAccessibleName(actions[name].text())
            button.clicked.connect(actions[name].trigger)
        self.shut.setAccessibleName("Close the comparison")
        self._remote_tip = self.remote.toolTip()
        self.remote.setCheckable(True)
        self.remote.setStyleSheet(CHECKED)
        actions["remote"].toggled.connect(self.remote.setChecked)
        for button in self._buttons:
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)

    def tile(self, name: str) -> MethodTile:
        """Return the tile of a method."""
        return next(tile for tile in self.row.tiles if tile.name == name)

    def show_scope(self, whole_stack: bool) -> None:
        """Show whether a threshold is one for the stack or each slice's own."""
        self.scope.setText(SCOPES[whole_stack])

    def show_stale(self) -> None:
        """Dim the numbers: they are outdated."""
        for tile in self.row.tiles:
            tile.tell(stale=True)

    def show_answer(
        self, outlined: MethodOutlines, case: Case, k: int, levels: Levels, chosen: str
    ) -> None:
        """Show what is known of slice ``k``."""
        answer, path = outlined.answer, outlined.wall[k]
        wall = [(theme.colour(theme.LABEL_COLOURS[Label.MYOCARDIUM]), path)]
        picture = TilePicture(Content(case.stack.pixels[k], levels, _crop(case, path), wall))
        for tile in self.row.tiles:
            tile.show_method(outlined, k, picture)
            tile.tell(chosen=tile.name == chosen)
        self.words.set_line(_words(answer, k))
        self.plot.show_answer(answer, k, chosen)

    def show_remote(self, answer: masks.MethodMasks, k: int, drawn: bool) -> None:
        """Show whose the remote region of slice ``k`` is, and what it measures."""
        signal = answer.signals[k]
        word = "drawn" if drawn else "proposed" if answer.remote[k].any() else "none"
        measured = "no remote wall"
        if signal is not None:
            word = "of the stack" if word == "none" else word
            measured = f"{signal.mean:.4g} ± {signal.sd:.3g} in {signal.n_voxels} voxels"
        self.remote.setText(f"Remote: {word}")
        self.remote.setToolTip(f"{self._remote_tip}\nOn this slice: {measured}")


def _words(answer: masks.MethodMasks, k: int) -> str:
    if not answer.wall.any():
        return masks.REASONS["W_NO_WALL"]
    thick = answer.measured.convention is MassConvention.THICKNESS
    return f"stack and slice {k + 1}, g by slice {'thickness' if thick else 'spacing'}"


def _crop(case: Case, wall: QPainterPath) -> QRectF:
    """Return the square round the wall of a slice, in source pixels; the usual one without wall."""
    if wall.isEmpty():
        return find_heart_region(case).crop
    row_mm, column_mm = case.stack.pixel_spacing_mm
    box = wall.boundingRect()
    side = max(box.width() * column_mm, box.height() * row_mm) * CROP_MARGIN
    side = max(side, SMALLEST_MM / 2)
    across, down = side / column_mm, side / row_mm
    middle = box.center()
    return QRectF(middle.x() - across / 2, middle.y() - down / 2, across, down)
