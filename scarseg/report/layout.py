"""Pages: one sheet of A4 placed in millimetres, and documents that flow over sheets or into HTML.

:class:`Page` is the only page engine: the patient report places every part itself, and
:func:`document_pdf` lets the blocks of a document flow over as many pages as they need.
:func:`document_html` writes the same blocks as one file.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.image import imread
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path

WIDTH_MM, HEIGHT_MM = 210.0, 297.0
LEFT_MM, RIGHT_MM = 13.0, 197.0
TOP_MM, BOTTOM_MM, FOOT_MM = 17.0, 280.0, 290.0
"""Where the text of a flowing document starts and ends, and the base of its last line."""
INK, QUIET, RULE_COLOUR, WARNING_COLOUR = "#1a1a1a", "#626262", "#c4c4c4", "#a3201a"
SCREEN_DPI, PRINT_DPI = 150, 240
_MM_PER_INCH, _POINTS_PER_INCH = 25.4, 72.0


class Page:
    """One page; places and lengths in mm from the upper left corner, letters in points."""

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
        """Write one line whose base line is at ``y``."""
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
            fontfeatures=("-liga",),  # or a search in the PDF would miss words with "fi" or "fl"
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
        max_lines: int = 99,
    ) -> float:
        """Write text in lines of at most ``width``; return the base of the next line."""
        lines = wrap_text(text, 0.985 * width, size)  # letters on a screen are a little wider
        if len(lines) > max_lines:
            lines = [*lines[: max_lines - 1], f"{lines[max_lines - 1]} …"]
        for line in lines:
            self.text(x, y, line, size, colour=colour)
            y += line_height_mm(size)
        return y

    def line(
        self, y: float, start: float = LEFT_MM, end: float = RIGHT_MM, *, strong: bool = False
    ) -> None:
        """Draw a horizontal rule."""
        place = [start / WIDTH_MM, end / WIDTH_MM], [1 - y / HEIGHT_MM] * 2
        colour, width = (INK, 0.8) if strong else (RULE_COLOUR, 0.5)
        self.figure.add_artist(Line2D(*place, color=colour, linewidth=width))

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """Add axes with their upper left corner at (x, y)."""
        return self.figure.add_axes(
            (
                x / WIDTH_MM,
                1 - (y + height) / HEIGHT_MM,
                width / WIDTH_MM,
                height / HEIGHT_MM,
            )
        )

    def picture(self, x: float, y: float, width: float, height: float, figure: Figure) -> None:
        """Place a figure as an image."""
        axes = self.axes(x, y, width, height)
        image = imread(BytesIO(render_png(figure, PRINT_DPI)), format="png")
        axes.imshow(image, aspect="auto")
        axes.set_axis_off()

    def heading(self, x: float, y: float, text: str, end: float) -> float:
        """Write a heading with a rule under it; return the base of the first line below."""
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
        """Write a table row: the first cell starts at its place, the others end at theirs."""
        for number, (cell, place) in enumerate(zip(cells, places, strict=True)):
            align = "right" if number else "left"
            self.text(place, y, cell, size, align=align, colour=colour, bold=bold)


def line_height_mm(size: float) -> float:
    """Return the distance between lines of a font size in points."""
    return size * 1.32 * _MM_PER_INCH / _POINTS_PER_INCH


def width_mm(text: str, size: float) -> float:
    """Return the width of a line as it is set."""
    points = _points_wide(text) * (size / text_to_path.FONT_SCALE)
    return points * _MM_PER_INCH / _POINTS_PER_INCH


@lru_cache(maxsize=4096)
def _points_wide(text: str) -> float:
    """Return the width of a line in the size in which matplotlib measures text of any size."""
    font = FontProperties(size=text_to_path.FONT_SCALE)
    return float(text_to_path.get_text_width_height_descent(text, font, False)[0])


def wrap_text(text: str, width: float, size: float) -> list[str]:
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


def render_png(figure: Figure, dpi: int = SCREEN_DPI) -> bytes:
    """Render a figure as PNG; the same figure gives the same bytes."""
    FigureCanvasAgg(figure)
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, metadata={"Software": None})
    return stream.getvalue()


def render_pixels(figures: Sequence[Figure], dpi: int = SCREEN_DPI) -> npt.NDArray[np.uint8]:
    """Render figures of one size as pixels (page, row, column, red green blue)."""
    pages = []
    for figure in figures:
        figure.set_dpi(dpi)
        canvas: Any = FigureCanvasAgg(figure)
        canvas.draw()
        pages.append(np.asarray(canvas.buffer_rgba())[..., :3])
    return np.stack(pages).astype(np.uint8)


def render_pdf(figures: Sequence[Figure], title: str) -> bytes:
    """Render figures as the pages of a PDF; no clock time is in it, so its bytes are stable."""
    stream = BytesIO()
    metadata = {"Title": title, "Creator": "scarseg", "CreationDate": None}
    with PdfPages(stream, metadata=metadata) as pages:
        for figure in figures:
            pages.savefig(figure)
    return stream.getvalue()


@dataclass(frozen=True)
class TableBlock:
    """A table of text cells; the first column is aligned left, the others right."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, eq=False)
class FigureBlock:
    """A figure with its caption, which is also its alternative text."""

    caption: str
    figure: Figure


Block = TableBlock | FigureBlock

_STYLE = """
body{font:14px/1.45 system-ui,sans-serif;color:#1a1a1a;max-width:960px;margin:2em auto;
padding:0 1em}h1{font-size:1.5em;margin-bottom:.2em}h2{font-size:1.1em;margin:1.6em 0 .4em}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.15em .9em .15em 0;text-align:right;border-bottom:1px solid #ddd;
vertical-align:top}th:first-child,td:first-child{text-align:left}th{font-weight:600}
img{max-width:100%;height:auto}figure{margin:1.2em 0}figcaption,footer{color:#555;
font-size:.9em}p.lead{margin:.1em 0}
@media print{body{margin:0;font-size:11px}figure,table{break-inside:avoid}}
"""


def document_html(title: str, lead: Sequence[str], blocks: Sequence[Block], foot: str) -> bytes:
    """Render a document as one HTML file that holds its images and loads nothing.

    Args:
        title: the heading.
        lead: lines under the heading.
        blocks: tables and figures in order.
        foot: the last line.
    """
    parts = [
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data:; style-src 'unsafe-inline'\">",
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        *(f'<p class="lead">{escape(line)}</p>' for line in lead),
        *(_html_block(block) for block in blocks),
        f"<footer><p>{escape(foot)}</p></footer></body></html>\n",
    ]
    return "\n".join(parts).encode("utf-8", "replace")


def _html_block(block: Block) -> str:
    if isinstance(block, FigureBlock):
        data = base64.b64encode(render_png(block.figure)).decode("ascii")
        caption = escape(block.caption)
        image = f'<img alt="{caption}" src="data:image/png;base64,{data}">'
        return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"
    head = "".join(f"<th>{escape(cell)}</th>" for cell in block.header)
    rows = "\n".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in block.rows
    )
    thead = f"<thead><tr>{head}</tr></thead>" if any(block.header) else ""
    return f"<h2>{escape(block.title)}</h2>\n<table>{thead}<tbody>\n{rows}\n</tbody></table>"


def document_pdf(title: str, lead: Sequence[str], blocks: Sequence[Block], foot: str) -> bytes:
    """Render the same document on A4, over as many pages as it needs."""
    flow = _Flow(foot)
    flow.text(title, 14.0, 2 * _LINE_MM)
    for line in lead:
        for part in wrap_text(line, RIGHT_MM - LEFT_MM, 8.0):
            flow.text(part, 8.0, _LINE_MM)
    for block in blocks:
        if isinstance(block, FigureBlock):
            flow.figure(block)
        else:
            flow.table(block)
    return render_pdf([page.figure for page in flow.pages], title)


_LINE_MM = 4.2
_TABLE_LINES = 3.5
"""What a table takes beside its rows: space, title and header."""
_MIN_ROWS = 5
"""Fewer rows than this are not left alone at the end of a page."""
_MAX_KEY_LETTERS = 24


class _Flow:
    """Pages that are filled from above; ``y`` is the base of the next line."""

    def __init__(self, foot: str) -> None:
        self.pages: list[Page] = []
        self.y = TOP_MM
        self._foot = foot
        self._start_page()

    def _start_page(self) -> None:
        self.pages.append(Page())
        self.pages[-1].text(LEFT_MM, FOOT_MM, self._foot, 6.0, colour=QUIET)
        self.y = TOP_MM

    def text(self, text: str, size: float, advance: float, *, bold: bool = False) -> None:
        self.pages[-1].text(LEFT_MM, self.y, text, size, bold=bold)
        self.y += advance

    def figure(self, block: FigureBlock) -> None:
        """Add a figure over the whole width, on a new page where it does not fit."""
        wide, tall = (float(inches) for inches in block.figure.get_size_inches())
        width = RIGHT_MM - LEFT_MM
        height = width * tall / wide
        if self.y > TOP_MM and self.y + height + 2 * _LINE_MM > BOTTOM_MM:
            self._start_page()
        self.pages[-1].picture(LEFT_MM, self.y, width, height, block.figure)
        self.y += height + _LINE_MM
        self.text(block.caption, 7.0, _LINE_MM)

    def table(self, block: TableBlock) -> None:
        """Add a table; one that does not fit on a page is continued on the next."""
        if self.y > TOP_MM and self._max_rows(self.y) < len(block.rows) <= self._max_rows(TOP_MM):
            self._start_page()
        title, rows = block.title, block.rows
        while True:
            n = self._max_rows(self.y)
            if n < min(len(rows), _MIN_ROWS):
                self._start_page()
                continue
            self._rows(TableBlock(title, block.header, rows[:n]))
            rows, title = rows[n:], f"{block.title} (continued)"
            if not rows:
                return

    @staticmethod
    def _max_rows(y: float) -> int:
        return int((BOTTOM_MM - y) / _LINE_MM - _TABLE_LINES)

    def _rows(self, block: TableBlock) -> None:
        n = max([len(block.header), *(len(row) for row in block.rows)])
        wide = RIGHT_MM - LEFT_MM
        first = min(0.42, 1.4 / n) * wide
        places = [LEFT_MM, *(LEFT_MM + first + (wide - first) * k / (n - 1) for k in range(1, n))]
        self.y += _LINE_MM
        self.text(block.title, 10.0, 1.3 * _LINE_MM, bold=True)
        for row in (block.header, *block.rows):
            if not any(row):
                continue
            key = row[0]
            if n > 4 and len(key) > _MAX_KEY_LETTERS:  # UIDs differ at their end
                key = f"{key[:5]}…{key[-18:]}"
            cells = (key, *row[1:])
            bold = row is block.header
            self.pages[-1].row(self.y, cells, places[: len(cells)], 7.5, bold=bold)
            self.y += _LINE_MM
