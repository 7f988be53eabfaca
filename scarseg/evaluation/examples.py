"""Best, median and worst slices, with what was true and what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from scarseg.evaluation.charts import png
from scarseg.evaluation.figures import SliceFigures
from scarseg.evaluation.patient import PatientResult, reference_of
from scarseg.evaluation.strategies import Asking
from scarseg.io.outputs import safe_name
from scarseg.labels import Label, MaskArray, infarct_mask
from scarseg.training.cases import TrainingCase

ACROSS = 4
"""Slices of each sort."""
AROUND_MM = 18.0
"""What is shown round the heart."""
TRUE, FOUND, WALL, BOX = "#00e5ff", "#ff9e00", "#ffffff", "#ff5cb8"

Sort = tuple[str, list[SliceFigures]]


def examples(
    results: Sequence[PatientResult], cases: Mapping[str, TrainingCase]
) -> dict[str, bytes]:
    """Draw one sheet per segmenter and way of asking; file name to PNG.

    Args:
        results: of all patients.
        cases: by name, as they were evaluated: the heart where it was moved to.
    """
    rows: dict[tuple[str, str], list[SliceFigures]] = {}
    answers: dict[tuple[str, str, str], PatientResult] = {}
    for result in results:
        for one in result.slices:
            if one.true_scar_area_mm2 is not None:
                rows.setdefault((one.segmenter, one.prompts), []).append(one)
                answers[one.segmenter, one.prompts, one.patient] = result
    several = len({segmenter for segmenter, _ in rows}) > 1
    drawn = {}
    for (segmenter, prompts), slices in rows.items():
        if not prompts.startswith("clicks:") or _last_clicks(rows, segmenter, prompts):
            parts = ("slices", *([segmenter] if several else []), prompts.replace(":", ""))
            chosen = [(one, answers[segmenter, prompts, one.patient]) for one in slices]
            sheet = _sheet(f"{segmenter}, {prompts}", sorts(slices), dict(_keyed(chosen)), cases)
            drawn[f"{safe_name('_'.join(parts))}.png"] = sheet
    return drawn


def _last_clicks(rows: Mapping[tuple[str, str], object], segmenter: str, prompts: str) -> bool:
    counts = [int(p.partition(":")[2]) for s, p in rows if s == segmenter and "clicks:" in p]
    return int(prompts.partition(":")[2]) == max(counts)


def _keyed(
    chosen: Sequence[tuple[SliceFigures, PatientResult]],
) -> list[tuple[tuple[str, int], PatientResult]]:
    return [((one.patient, one.slice_index), result) for one, result in chosen]


def sorts(slices: Sequence[SliceFigures]) -> list[Sort]:
    """Choose the slices to draw: by Dice where there is scar, by false area where there is none."""
    with_scar = [one for one in slices if one.true_scar_area_mm2]
    ranked = sorted(with_scar, key=lambda one: (-(one.dice or 0.0), one.patient, one.slice_index))
    middle = max(0, (len(ranked) - ACROSS) // 2)
    false = [one for one in slices if not one.true_scar_area_mm2 and one.scar_area_mm2]
    false.sort(key=lambda one: (-(one.scar_area_mm2 or 0.0), one.patient, one.slice_index))
    chosen = [
        ("best", ranked[:ACROSS]),
        ("median", ranked[middle : middle + ACROSS]),
        ("worst", ranked[::-1][:ACROSS]),
        ("false scar", false[:ACROSS]),
    ]
    return [(name, some) for name, some in chosen if some]


def _sheet(
    title: str,
    chosen: Sequence[Sort],
    answers: Mapping[tuple[str, int], PatientResult],
    cases: Mapping[str, TrainingCase],
) -> bytes:
    """Draw each sort in two rows: the picture alone, and with contours below it."""
    figure = Figure(figsize=(2.1 * ACROSS + 0.6, 4.4 * max(1, len(chosen)) + 0.5))
    figure.set_layout_engine("constrained")
    panels = figure.subplots(2 * max(1, len(chosen)), ACROSS, squeeze=False)
    for panel in panels.ravel():
        panel.set_axis_off()
    for number, (name, slices) in enumerate(chosen):
        for place, one in enumerate(slices):
            result = answers[one.patient, one.slice_index]
            plain, marked = panels[2 * number, place], panels[2 * number + 1, place]
            _draw(plain, marked, one, result, cases[one.patient])
            plain.set_title(f"{name}: {one.patient}, slice {one.slice_index + 1}", fontsize=7)
            marked.set_title(_caption(one), fontsize=7)
    figure.suptitle(f"{title}. Cyan: true scar; orange: found; dotted: found wall", fontsize=8)
    return png(figure)


def _caption(one: SliceFigures) -> str:
    if not one.true_scar_area_mm2:
        return f"{one.scar_area_mm2:.0f} mm² of false scar"
    distance = "" if one.hd95_mm is None else f", HD95 {one.hd95_mm:.1f} mm"
    return f"Dice {one.dice or 0.0:.2f}{distance}"


def _draw(
    plain: Axes, marked: Axes, one: SliceFigures, result: PatientResult, case: TrainingCase
) -> None:
    k = one.slice_index
    found = result.labels[one.prompts][k]
    true = reference_of(case).labels[k]
    rows, columns = _window((true > 0) | (found > 0), case.pixel_spacing_mm)
    pixels = case.pixels[k][rows, columns]
    low, high = np.percentile(pixels, (1, 99.5))
    extent = (float(columns.start), float(columns.stop), float(rows.stop), float(rows.start))
    aspect = case.pixel_spacing_mm[0] / case.pixel_spacing_mm[1]
    for panel in (plain, marked):
        panel.imshow(
            pixels,
            cmap="gray",
            vmin=float(low),
            vmax=float(max(high, low + 1e-6)),
            extent=extent,
            aspect=aspect,
            interpolation="nearest",
        )
    if one.prompts != Asking.FWHM:
        _outline(marked, found >= Label.BLOOD_POOL, WALL, 0.5, "dotted")
        _outline(marked, found == Label.BLOOD_POOL, WALL, 0.5, "dotted")
    _outline(marked, infarct_mask(true), TRUE, 1.1, "solid")
    _outline(marked, infarct_mask(found), FOUND, 1.1, "solid")
    for box in result.prompts[one.prompts][k].boxes:
        corner = (box.column0, box.row0)
        marked.add_patch(
            Rectangle(corner, box.width, box.height, fill=False, edgecolor=BOX, linewidth=0.7)
        )
    for point in result.prompts[one.prompts][k].points:
        mark = "+" if point.positive else "x"
        marked.plot(point.column, point.row, mark, color=BOX, markersize=5, markeredgewidth=0.9)
    marked.set_xlim(extent[:2])
    marked.set_ylim(extent[2:])


def _window(mask: MaskArray, spacing: tuple[float, float]) -> tuple[slice, slice]:
    """Give the rows and columns to show: the heart with tissue round it."""
    sides = []
    for axis, mm in enumerate(spacing):
        places = np.flatnonzero(mask.any(axis=1 - axis))
        around = round(AROUND_MM / mm)
        size = mask.shape[axis]
        first, last = (int(places[0]), int(places[-1])) if places.size else (0, size - 1)
        sides.append(slice(max(0, first - around), min(size, last + around + 1)))
    return sides[0], sides[1]


def _outline(panel: Axes, mask: MaskArray, colour: str, width: float, style: str) -> None:
    if mask.any():
        rows, columns = (np.arange(n) + 0.5 for n in mask.shape)
        panel.contour(
            columns,
            rows,
            mask.astype(float),
            [0.5],
            colors=colour,
            linewidths=width,
            linestyles=style,
        )
