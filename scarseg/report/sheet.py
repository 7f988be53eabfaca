"""A sheet of A4, laid out in millimetres from its upper left corner."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path

WIDTH_MM, HEIGHT_MM = 210.0, 297.0
LEFT_MM, RIGHT_MM = 13.0, 197.0
INK, QUIET, HAIRLINE, ALARM = "#1a1a1a", "#626262", "#c4c4c4", "#a3201a"
_MM_PER_INCH, _POINTS_PER_INCH = 25.4, 72.0


class Sheet:
    """One page; every place and length in mm, every letter in points."""

    def __init__(self) -> None:
        self.figure = Figure(figsize=(WIDTH_MM / _MM_PER_INCH, HEIGHT_MM / _MM_PER_INCH))

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float = 7.0,
        *,
        align: str = "left",
        colour: str = INK,
        bold: bool = False,
    ) -> None:
        """Write a line whose base is at ``y``."""
        self.figure.text(
            x / WIDTH_MM,
            1 - y / HEIGHT_MM,
            text,
            fontsize=size,
            ha=align,
            va="baseline",
            color=colour,
            weight="bold" if bold else "normal",
            parse_math=False,
            fontfeatures=("-liga",),  # a PDF's reader searches for letters
        )

    def paragraph(
        self,
        x: float,
        y: float,
        width: float,
        text: str,
        size: float = 6.0,
        *,
        colour: str = INK,
        most: int = 99,
    ) -> float:
        """Write text in lines of at most ``width``; give the base of the line that would follow."""
        lines = wrapped(text, 0.985 * width, size)  # a screen's letters are a little wider
        if len(lines) > most:
            lines = [*lines[: most - 1], f"{lines[most - 1]} …"]
        for line in lines:
            self.text(x, y, line, size, colour=colour)
            y += leading(size)
        return y

    def line(
        self, y: float, start: float = LEFT_MM, end: float = RIGHT_MM, *, strong: bool = False
    ) -> None:
        """Draw a rule."""
        place = [start / WIDTH_MM, end / WIDTH_MM], [1 - y / HEIGHT_MM] * 2
        colour, width = (INK, 0.8) if strong else (HAIRLINE, 0.5)
        self.figure.add_artist(Line2D(*place, color=colour, linewidth=width))

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """Open a panel with its upper left corner at (x, y)."""
        return self.figure.add_axes(
            (
                x / WIDTH_MM,
                1 - (y + height) / HEIGHT_MM,
                width / WIDTH_MM,
                height / HEIGHT_MM,
            )
        )

    def heading(self, x: float, y: float, text: str, end: float) -> float:
        """Write a heading with a rule under it; give the base of the first line below."""
        self.text(x, y, text, 8.0, bold=True)
        self.line(y + 1.3, x, end)
        return y + 5.0

    def row(
        self,
        y: float,
        cells: Sequence[str],
        places: Sequence[float],
        size: float = 6.8,
        *,
        colour: str = INK,
        bold: bool = False,
    ) -> None:
        """Write a row of a table: the first cell begins at its place, the others end there."""
        for number, (cell, place) in enumerate(zip(cells, places, strict=True)):
            align = "right" if number else "left"
            self.text(place, y, cell, size, align=align, colour=colour, bold=bold)


def leading(size: float) -> float:
    """Give the distance between lines of a size, in mm."""
    return size * 1.32 * _MM_PER_INCH / _POINTS_PER_INCH


def width_mm(text: str, size: float) -> float:
    """Measure a line as it will be set."""
    font = FontProperties(size=size)
    points = text_to_path.get_text_width_height_descent(text, font, False)[0]
    return float(points) * _MM_PER_INCH / _POINTS_PER_INCH


def wrapped(text: str, width: float, size: float) -> list[str]:
    """Break text at spaces into lines of at most ``width`` mm; a longer word is cut."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if width_mm(longer, size) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        while width_mm(word, size) > width:
            fits = max(
                n for n in range(1, len(word)) if n == 1 or width_mm(word[:n], size) <= width
            )
            lines.append(word[:fits])
            word = word[fits:]
        line = word
    return [*lines, line] if line else lines
