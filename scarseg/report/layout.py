"""A sheet of A4, laid out in millimetres from its upper left corner."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from textwrap import wrap

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
INK, QUIET, RULE_COLOUR, WARNING_COLOUR = "#1a1a1a", "#626262", "#c4c4c4", "#a3201a"
_MM_PER_INCH, _POINTS_PER_INCH = 25.4, 72.0


class Page:
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
        lines = wrap_text(text, 0.985 * width, size)  # a screen's letters are a little wider
        if len(lines) > most:
            lines = [*lines[: most - 1], f"{lines[most - 1]} …"]
        for line in lines:
            self.text(x, y, line, size, colour=colour)
            y += line_height_mm(size)
        return y

    def line(
        self, y: float, start: float = LEFT_MM, end: float = RIGHT_MM, *, strong: bool = False
    ) -> None:
        """Draw a rule."""
        place = [start / WIDTH_MM, end / WIDTH_MM], [1 - y / HEIGHT_MM] * 2
        colour, width = (INK, 0.8) if strong else (RULE_COLOUR, 0.5)
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


def line_height_mm(size: float) -> float:
    """Give the distance between lines of a size, in mm."""
    return size * 1.32 * _MM_PER_INCH / _POINTS_PER_INCH


def width_mm(text: str, size: float) -> float:
    """Measure a line as it will be set."""
    font = FontProperties(size=size)
    points = text_to_path.get_text_width_height_descent(text, font, False)[0]
    return float(points) * _MM_PER_INCH / _POINTS_PER_INCH


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


DPI = 150
A4_INCHES = (8.27, 11.69)


def render_png(figure: Figure, dpi: int = DPI) -> bytes:
    """Give a figure as PNG."""
    FigureCanvasAgg(figure)
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, metadata={"Software": None})
    return stream.getvalue()


def render_pdf(figures: Sequence[Figure], title: str) -> bytes:
    """Give figures as the pages of a PDF, without a clock time in it."""
    stream = BytesIO()
    metadata = {"Title": title, "Creator": "scarseg", "CreationDate": None}
    with PdfPages(stream, metadata=metadata) as pages:
        for figure in figures:
            pages.savefig(figure)
    return stream.getvalue()


MARGIN_INCHES = 0.7
LINE_INCHES = 0.165
PRINT_DPI = 240
AROUND_LINES, FEWEST_ROWS = 3.5, 5
"""What a table's heading takes, and how few rows of it may stand at the end of a sheet."""
CHARACTERS = 118
"""Of the small print that fit on a line of a sheet."""


@dataclass(frozen=True)
class TableBlock:
    """A table: every cell is text; the first column is left, others right."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, eq=False)
class FigureBlock:
    """A figure with a line under it that says what it shows, for who cannot see it too."""

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


def html_page(title: str, lead: Sequence[str], blocks: Sequence[Block], foot: str) -> bytes:
    """Write a page that holds its images itself and loads nothing.

    Args:
        title: its heading.
        lead: lines under it.
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


def pdf_page(title: str, lead: Sequence[str], blocks: Sequence[Block], foot: str) -> bytes:
    """Write the same on A4, going on over as many sheets as it takes."""
    sheets = [_Sheet(foot)]
    sheets[0].text(title, 14, 2.0)
    for line in lead:
        for part in wrap(line, CHARACTERS):
            sheets[0].text(part, 8, 1.0)
    for block in blocks:
        if not sheets[-1].fits(block) and (
            isinstance(block, FigureBlock) or _height(block) <= _Sheet(foot).room
        ):
            sheets.append(_Sheet(foot))
        if isinstance(block, TableBlock):
            _lay_table(sheets, block, foot)
        else:
            sheets[-1].lay(block)
    return render_pdf([sheet.figure for sheet in sheets], title)


def _lay_table(sheets: list[_Sheet], block: TableBlock, foot: str) -> None:
    """Lay a table, cut where a sheet ends."""
    title, rows = block.title, block.rows
    while True:
        fitting = int(sheets[-1].room / LINE_INCHES - AROUND_LINES)
        if fitting < min(len(rows), FEWEST_ROWS):
            sheets.append(_Sheet(foot))
            continue
        sheets[-1].lay(TableBlock(title, block.header, rows[:fitting]))
        rows, title = rows[fitting:], f"{block.title} (continued)"
        if not rows:
            return


class _Sheet:
    """One sheet of A4, filled from above."""

    def __init__(self, foot: str) -> None:
        self.figure = Figure(figsize=A4_INCHES)
        self.down = MARGIN_INCHES
        width, height = A4_INCHES
        self.figure.text(
            MARGIN_INCHES / width, 0.35 / height, foot, fontsize=6, color="#555555", va="bottom"
        )

    @property
    def room(self) -> float:
        """Give the inches left."""
        return A4_INCHES[1] - MARGIN_INCHES - self.down

    def fits(self, block: Block) -> bool:
        return self.down <= MARGIN_INCHES or _height(block) <= self.room

    def text(self, text: str, size: float, lines: float) -> None:
        self._put(text, MARGIN_INCHES, size)
        self.down += lines * LINE_INCHES

    def lay(self, block: Block) -> None:
        self.down += LINE_INCHES
        if isinstance(block, FigureBlock):
            self._picture(block)
            return
        self._put(block.title, MARGIN_INCHES, 10, weight="bold")
        self.down += 1.3 * LINE_INCHES
        columns = max([len(block.header), *(len(row) for row in block.rows)])
        for row in (block.header, *block.rows):
            if not any(row):
                continue
            for place, cell in enumerate(row):
                self._cell(cell, place, columns, "bold" if row is block.header else "normal")
            self.down += LINE_INCHES

    def _cell(self, text: str, place: int, columns: int, weight: str) -> None:
        if place == 0:
            # A series UID is told by its end; HTML and JSON have all of it.
            short = f"{text[:5]}…{text[-18:]}" if columns > 4 and len(text) > 24 else text
            self._put(short, MARGIN_INCHES, 7.5, weight=weight)
            return
        wide = A4_INCHES[0] - 2 * MARGIN_INCHES
        first = min(0.42, 1.4 / columns) * wide
        right = MARGIN_INCHES + first + (wide - first) * place / (columns - 1)
        self._put(text, right, 7.5, weight=weight, align="right")

    def _put(
        self, text: str, across: float, size: float, weight: str = "normal", align: str = "left"
    ) -> None:
        width, height = A4_INCHES
        self.figure.text(
            across / width,
            1 - self.down / height,
            text.replace("$", r"\$"),
            fontsize=size,
            weight=weight,
            ha=align,
            va="top",
        )

    def _picture(self, block: FigureBlock) -> None:
        width, height = A4_INCHES
        tall = _picture_inches(block)
        place = (
            MARGIN_INCHES / width,
            1 - (self.down + tall) / height,
            1 - 2 * MARGIN_INCHES / width,
            tall / height,
        )
        axes = self.figure.add_axes(place)
        axes.imshow(
            imread(BytesIO(render_png(block.figure, PRINT_DPI)), format="png"), aspect="auto"
        )
        axes.set_axis_off()
        self.down += tall + 0.06
        self._put(block.caption, MARGIN_INCHES, 7)
        self.down += LINE_INCHES


def _picture_inches(block: FigureBlock) -> float:
    wide, tall = (float(v) for v in block.figure.get_size_inches())
    return (A4_INCHES[0] - 2 * MARGIN_INCHES) * tall / wide


def _height(block: Block) -> float:
    if isinstance(block, FigureBlock):
        return _picture_inches(block) + 2 * LINE_INCHES
    return (len(block.rows) + AROUND_LINES) * LINE_INCHES
