"""Figures as bytes: the same figure gives the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

DPI = 150
A4_INCHES = (8.27, 11.69)


def png(figure: Figure, dpi: int = DPI) -> bytes:
    """Give a figure as PNG."""
    FigureCanvasAgg(figure)
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, metadata={"Software": None})
    return stream.getvalue()


def pdf(figures: Sequence[Figure], title: str) -> bytes:
    """Give figures as the pages of a PDF, without a clock time in it."""
    stream = BytesIO()
    metadata = {"Title": title, "Creator": "scarseg", "CreationDate": None}
    with PdfPages(stream, metadata=metadata) as pages:
        for figure in figures:
            pages.savefig(figure)
    return stream.getvalue()
