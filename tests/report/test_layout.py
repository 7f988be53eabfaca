"""Documents flow over pages, and HTML loads nothing."""

from __future__ import annotations

import re

import pytest

from scarseg.report.bullseye import bullseye_figure
from scarseg.report.layout import FigureBlock, TableBlock, document_html, document_pdf


def table(n: int) -> TableBlock:
    return TableBlock("A table", ("", "value"), tuple((f"row {k}", str(k)) for k in range(n)))


def sheets(data: bytes) -> int:
    return len(re.findall(rb"/Type /Page\b", data))


@pytest.mark.parametrize(("rows", "expected"), [(3, 1), (50, 1), (70, 2), (165, 3)])
def test_a_long_table_continues_on_further_pages(rows: int, expected: int) -> None:
    assert sheets(document_pdf("Title", ["a line " * 60], [table(rows)], "foot")) == expected


def test_a_figure_that_does_not_fit_starts_a_page() -> None:
    def figure() -> FigureBlock:
        return FigureBlock("Seen", bullseye_figure({1: 20.0}))

    assert sheets(document_pdf("Title", [], [figure()], "foot")) == 1
    assert sheets(document_pdf("Title", [], [figure(), figure()], "foot")) == 2


def test_html_holds_its_pictures_and_no_markup_of_others() -> None:
    blocks = [
        FigureBlock('Seen "from" <apex>', bullseye_figure({1: 20.0})),
        TableBlock("<i>", ("<th>",), (("<script>alert(1)</script>",),)),
    ]
    page = document_html("<title>", ["<p>"], blocks, "<foot>").decode()
    assert "<script" not in page
    assert "<i>" not in page
    assert 'alt="Seen &quot;from&quot; &lt;apex&gt;"' in page
    assert page.count("data:image/png;base64,") == 1
    assert 'src="http' not in page
