"""The page of a follow-up: two studies of a patient side by side, as PDF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

import scarseg
from scarseg.agreement import follow_text
from scarseg.agreement.follow import MassChange
from scarseg.agreement.follow_study import MeasuredStudy, StudyComparison
from scarseg.case.patient import date_text
from scarseg.io.files import safe_name
from scarseg.io.tables.provenance import RESEARCH_USE
from scarseg.quant.bullseye_layout import signed_grams
from scarseg.quant.segments import SEGMENTS, Territory
from scarseg.report import text as report_text
from scarseg.report.bullseye import draw_bullseye, draw_changes
from scarseg.report.layout import (
    LEFT_MM,
    QUIET,
    RIGHT_MM,
    WARNING_COLOUR,
    Page,
    render_pdf,
    width_mm,
)
from scarseg.report.slices import (
    SliceCrop,
    draw_legend,
    draw_slice,
    slice_crop,
    slice_grams,
    status_text,
)

TITLE = "Follow-up of myocardial scar on LGE"
MOST_IN_BAND, MOST_BANDS = 8, 2
"""Slices side by side, and such rows on a sheet."""
PICTURES_MM, BAND_MM, SEGMENTS_MM, SMALL_PRINT_MM = 61.0, 67.0, 199.0, 268.0
CAPTION_MM, GAP_MM, MOST_GAP_MM = 3.4, 1.6, 12.0
BLANK = report_text.BLANK


def page_name(stack_id: str) -> str:
    """Return the file name of the page of a pair, by the later stack."""
    return f"follow-{safe_name(stack_id)}.pdf"


def render_page(comparison: StudyComparison, identify: bool = False) -> bytes:
    """Render the page of a comparison as PDF; the same comparison gives the same bytes.

    Args:
        identify: print the patient's ID and name instead of a pseudonym.
    """
    return render_pdf(page_figures(comparison, identify), TITLE)


def page_figures(comparison: StudyComparison, identify: bool = False) -> list[Figure]:
    """Draw the sheets: one, and more with over 16 slices."""
    n = comparison.later.case.stack.n_slices
    per_sheet = MOST_IN_BAND * MOST_BANDS
    chunks = [range(k, min(n, k + per_sheet)) for k in range(0, n, per_sheet)]
    pages = []
    for number, chunk in enumerate(chunks, start=1):
        page = Page()
        _head(page, comparison, identify)
        _headline(page, comparison)
        _slices(page, comparison, chunk)
        if number == 1:
            _segments(page, comparison)
            _small_print(page, comparison)
        _foot(page, number, len(chunks))
        pages.append(page.figure)
    return pages


def _head(page: Page, comparison: StudyComparison, identify: bool) -> None:
    page.text(LEFT_MM, 15.5, TITLE, 14.0, bold=True)
    stacks = [one.case.stack for one in (comparison.earlier, comparison.later)]
    names = list(dict.fromkeys(report_text.patient_text(one, identify) for one in stacks))
    page.text(LEFT_MM, 20.8, " / ".join(names), 8.0)
    dates = " to ".join(date_text(one.study_date) or "no date" for one in stacks)
    days = follow_text.days_text(comparison)
    page.text(RIGHT_MM, 20.8, f"{dates}{f', {days}' if days else ''}", 8.0, align="right")
    page.line(23.2, strong=True)


def _headline(page: Page, comparison: StudyComparison) -> None:
    """Draw both masses, the change and what it says."""
    change = comparison.change
    percent = comparison.change_percent
    smallest = change.smallest_change_g
    blocks = (
        (LEFT_MM, "Scar, earlier", *_mass(comparison.earlier)),
        (62.0, "Scar, later", *_mass(comparison.later)),
        (
            111.0,
            "Change",
            f"{signed_grams(change.change_g)} g",
            f"{_interval(change)}{'' if percent is None else f'; {percent:+.0f} %'}",
        ),
        (
            158.0,
            "Smallest beyond repeatability",
            BLANK if smallest is None else f"{smallest:.1f} g",
            "no interval" if smallest is None else "either way",
        ),
    )
    for x, name, value, small in blocks:
        page.text(x, 28.2, name, 7.0, colour=QUIET)
        page.text(x, 35.0, value, 16.0, bold=name == "Change")
        page.text(x, 38.8, small, 6.2, colour=QUIET)
    for x, study in ((LEFT_MM, comparison.earlier), (62.0, comparison.later)):
        colour = QUIET if follow_text.is_read(study) else WARNING_COLOUR
        page.text(x, 41.6, follow_text.status_text(study), 6.2, colour=colour)
    page.text(LEFT_MM, 46.6, follow_text.result_sentence(change), 8.5, bold=True)
    notes = " ".join(follow_text.comparison_notes(comparison))
    page.paragraph(
        LEFT_MM, 50.6, RIGHT_MM - LEFT_MM, notes, 6.8, colour=WARNING_COLOUR, max_lines=2
    )


def _mass(study: MeasuredStudy) -> tuple[str, str]:
    """Return the mass as printed, and its interval."""
    if not report_text.has_result(study.measured):
        return BLANK, ""
    mass = study.mass
    grams = f"{report_text.rounded_grams(mass.mass_g)} g"
    if mass.low_g is None or mass.high_g is None:
        return grams, "no interval"
    return grams, f"{mass.low_g:.1f} to {mass.high_g:.1f} g"


def _interval(change: MassChange) -> str:
    if change.low_g is None or change.high_g is None:
        return "no interval"
    return f"{signed_grams(change.low_g)} to {signed_grams(change.high_g)} g"


def _slices(page: Page, comparison: StudyComparison, chosen: range) -> None:
    """Draw every later slice below the earlier one that it is linked with, at one scale."""
    page.text(LEFT_MM, PICTURES_MM - 3.0, "Earlier above, later below", 6.8, bold=True)
    start = LEFT_MM + width_mm("Earlier above, later below", 6.8) + 6.0
    page.text(start, PICTURES_MM - 3.0, str(comparison.linked.rule), 6.2, colour=QUIET)
    crops = _same_side(
        [slice_crop(one.case.stack, one.case.labels) for one in _studies(comparison)]
    )
    bands = -(-len(chosen) // MOST_IN_BAND)
    columns = -(-len(chosen) // bands)
    side = min(
        (RIGHT_MM - LEFT_MM - (columns - 1) * GAP_MM) / columns, BAND_MM / 2 - CAPTION_MM - 1.6
    )
    spread = (RIGHT_MM - LEFT_MM - side) / max(columns - 1, 1)
    step = min(spread, side + MOST_GAP_MM)
    for place, k in enumerate(chosen):
        x = LEFT_MM + place % columns * step
        top = PICTURES_MM + place // columns * BAND_MM
        for row, (study, crop) in enumerate(zip(_studies(comparison), crops, strict=True)):
            index = k if row else comparison.linked.earlier_of(k)
            y = top + row * (side + CAPTION_MM + 0.4)
            draw_slice(page.axes(x, y, side, side), study.case, index, crop)
            _caption(page, study, index, (x, y + side + 2.5, side))
    labels = np.concatenate([one.case.labels.ravel() for one in _studies(comparison)])
    end = PICTURES_MM + bands * BAND_MM
    draw_legend(page, end - 0.6, LEFT_MM, labels)


def _caption(page: Page, study: MeasuredStudy, k: int, place: tuple[float, float, float]) -> None:
    x, y, side = place
    size = 5.6
    page.text(x, y, f"{k + 1}", size, bold=True)
    status = status_text(study.case.readings[k].status)
    grams = f"{report_text.rounded_grams(slice_grams(study.measured, k))} g"
    page.text(x + side, y, f"{status}, {grams}", size - 0.6, align="right", colour=QUIET)


def _same_side(crops: Sequence[SliceCrop]) -> list[SliceCrop]:
    """Return the crops with the larger side round each middle, so that both have one scale."""
    side = max(one.side for one in crops)
    return [
        replace(
            one,
            left=one.left - (side - one.side) / 2,
            top=one.top - (side - one.side) / 2,
            side=side,
        )
        for one in crops
    ]


def _studies(comparison: StudyComparison) -> tuple[MeasuredStudy, MeasuredStudy]:
    return comparison.earlier, comparison.later


def _segments(page: Page, comparison: StudyComparison) -> None:
    y = page.heading(LEFT_MM, SEGMENTS_MM, "Where: segments and territories", RIGHT_MM)
    if not comparison.regions:
        text = "A study has no slice with a closed wall: no segments."
        page.text(LEFT_MM, y, text, 6.8, colour=QUIET)
        return
    side = 41.0
    for number, study in enumerate(_studies(comparison)):
        wall = study.wall
        assert wall is not None  # both have segments
        territories = {
            artery: amount.scar_percent(study.convention)
            for artery, amount in wall.measured.territories
        }
        panel = page.axes(LEFT_MM + number * (side + 1.5), y + 1.0, side, side)
        title = ("Earlier: scar, %", "Later: scar, %")[number]
        draw_bullseye(
            panel,
            wall.area_percents,
            title,
            territories=territories,
            scale=0.55,
            legend_columns=3,
        )
    changes = {name: (one.change_g, one.beyond) for name, one in comparison.regions.items()}
    draw_changes(
        page.axes(LEFT_MM + 2 * (side + 1.5), y + 1.0, side, side),
        {int(name): one for name, one in changes.items() if name.isdecimal()},
        "Change, g",
        {artery: changes[artery] for artery in Territory if artery in changes},
        scale=0.55,
        legend_columns=2,
    )
    _region_table(page, comparison, (LEFT_MM + 3 * (side + 1.5) + 3.0, y))


def _region_table(page: Page, comparison: StudyComparison, at: tuple[float, float]) -> None:
    x, y = at
    places = (x, RIGHT_MM - 23.5, RIGHT_MM - 16.0, RIGHT_MM - 7.5, RIGHT_MM)
    header = ("grams", "earlier", "later", "change", "smallest")
    page.row(y, header, places, 4.6, colour=QUIET)
    earlier, later = comparison.earlier.regions, comparison.later.regions
    for name, change in comparison.regions.items():
        y += 2.85
        smallest = change.smallest_change_g
        cells = (
            _region_name(name),
            f"{earlier[name].scar_g:.1f}",
            f"{later[name].scar_g:.1f}",
            signed_grams(change.change_g),
            BLANK if smallest is None else f"{smallest:.1f}",
        )
        page.row(y, cells, places, 4.8, bold=bool(change.beyond))


def _region_name(name: str) -> str:
    return f"{name}  {SEGMENTS[int(name) - 1].name}" if name.isdecimal() else name


def _small_print(page: Page, comparison: StudyComparison) -> None:
    y = SMALL_PRINT_MM
    page.line(y - 3.0)
    for text in follow_text.method_texts(comparison):
        y = page.paragraph(
            LEFT_MM, y, RIGHT_MM - LEFT_MM - 5.0, text, 5.0, colour=QUIET, max_lines=3
        )


def _foot(page: Page, number: int, n: int) -> None:
    page.line(286.5)
    page.text(LEFT_MM, 290.0, RESEARCH_USE, 6.4, bold=True)
    about = f"scarseg {scarseg.__version__}     sheet {number} of {n}"
    page.text(RIGHT_MM, 290.0, about, 6.0, align="right", colour=QUIET)
