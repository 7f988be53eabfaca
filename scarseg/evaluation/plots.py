"""Charts of an evaluation. Matplotlib is loaded here only, without a display."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from scarseg.case.labels import Label, MaskArray, infarct_mask
from scarseg.evaluation.metrics import PatientFigures, SliceFigures
from scarseg.evaluation.patient import PatientResult, reference_of
from scarseg.evaluation.prompts import PromptKind
from scarseg.evaluation.summary import Column, roc, values_of
from scarseg.io.files import safe_name
from scarseg.quant.agreement import bland_altman, concordance
from scarseg.training.cases import TrainingCase

PANEL_INCHES = 3.4
MOST_ACROSS = 4
DPI = 150
WITH_SCAR, WITHOUT, LINE = "#0072b2", "#999999", "#d55e00"
"""From the palette of Okabe and Ito, distinguishable with colour blindness."""
SERIES = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#f0e442", "#000000")


def draw_charts(columns: Sequence[Column]) -> dict[str, bytes]:
    """Draw every chart that the columns have data for; return file name to PNG."""
    with_scar = [one for one in columns if any(p.n_scar_slices for p in one.patients)]
    drawn: dict[str, bytes] = {}
    if with_scar:
        main = [one for one in with_scar if not has_fewer_clicks(one.prompts, columns)]
        drawn["bland_altman.png"] = _panels(main, _bland_altman)
        drawn["scatter.png"] = _panels(main, _scatter)
        drawn["dice_by_patient.png"] = _dice_by_patient(main)
    ranked = [one for one in columns if one.prompts == "auto" and _can_rank(one)]
    if ranked:
        drawn["slice_roc.png"] = _roc(ranked)
    if any(one.prompts.startswith("clicks:") for one in with_scar):
        drawn["clicks.png"] = _clicks(with_scar)
    return drawn


def has_fewer_clicks(prompts: str, columns: Sequence[Column]) -> bool:
    """Return whether another column allows more clicks than this one."""
    counts = [int(one.prompts[7:]) for one in columns if one.prompts.startswith("clicks:")]
    return prompts.startswith("clicks:") and int(prompts[7:]) < max(counts)


def render_png(figure: Figure) -> bytes:
    """Return a figure as PNG bytes: the same for the same figure."""
    FigureCanvasAgg(figure)
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=DPI, metadata={"Software": None})
    return stream.getvalue()


def _panels(columns: Sequence[Column], draw: Callable[[Axes, Column], None]) -> bytes:
    """Draw one panel per column, on the same axes."""
    across = min(MOST_ACROSS, len(columns))
    down = -(-len(columns) // across)
    size = (PANEL_INCHES * across, PANEL_INCHES * down)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).ravel()
    several = len({one.segmenter for one in columns}) > 1
    for panel, column in zip(panels, columns, strict=False):
        draw(panel, column)
        panel.set_title(column_title(column, several), fontsize=9)
    for panel in panels[len(columns) :]:
        panel.set_axis_off()
    return render_png(figure)


def column_title(column: Column, several: bool) -> str:
    """Return the title of a column in a figure."""
    return f"{column.segmenter}: {column.prompts}" if several else column.prompts


def _split(column: Column) -> tuple[list[PatientFigures], list[PatientFigures]]:
    known = [one for one in column.patients if one.n_scar_slices is not None]
    return [p for p in known if p.n_scar_slices], [p for p in known if not p.n_scar_slices]


def _bland_altman(panel: Axes, column: Column) -> None:
    for rows, colour in zip(_split(column), (WITH_SCAR, WITHOUT), strict=True):
        true, found = values_of(rows, "true_scar_mass_g"), values_of(rows, "scar_mass_g")
        panel.scatter((true + found) / 2, found - true, s=16, color=colour, zorder=3)
    sick = _split(column)[0]
    result = bland_altman(values_of(sick, "scar_mass_g"), values_of(sick, "true_scar_mass_g"))
    panel.axhline(0, color="black", linewidth=0.5)
    lines = [(result.bias, "-"), (result.lower_limit, "--"), (result.upper_limit, "--")]
    for value, style in lines:
        if value is not None:
            panel.axhline(value, color=LINE, linewidth=1, linestyle=style)
            place = (0.98, value)
            panel.annotate(
                f"{value:+.1f}",
                place,
                xycoords=("axes fraction", "data"),
                ha="right",
                va="bottom",
                fontsize=7,
                color=LINE,
            )
    panel.set_xlabel("mean of true and found, g", fontsize=8)
    panel.set_ylabel("found - true, g", fontsize=8)
    panel.tick_params(labelsize=7)


def _scatter(panel: Axes, column: Column) -> None:
    most = 1.0
    for rows, colour in zip(_split(column), (WITH_SCAR, WITHOUT), strict=True):
        true, found = values_of(rows, "true_scar_mass_g"), values_of(rows, "scar_mass_g")
        panel.scatter(true, found, s=16, color=colour, zorder=3)
        most = max([most, *true, *found])
    panel.axline((0, 0), slope=1, color="black", linewidth=0.5)
    sick = _split(column)[0]
    agreed = concordance(values_of(sick, "scar_mass_g"), values_of(sick, "true_scar_mass_g"))
    if agreed is not None:
        panel.annotate(f"CCC {agreed.ccc:.3f}", (0.04, 0.92), xycoords="axes fraction", fontsize=8)
    panel.set_xlim(left=0)
    panel.set_ylim(bottom=0)
    panel.set_xlabel("true scar, g", fontsize=8)
    panel.set_ylabel("found scar, g", fontsize=8)
    panel.tick_params(labelsize=7)


def _dice_by_patient(columns: Sequence[Column]) -> bytes:
    """Draw the Dice of every patient with scar, smallest scar first."""
    masses = {
        one.patient: one.true_scar_mass_g or 0.0
        for column in columns
        for one in column.patients
        if one.n_scar_slices
    }
    names = sorted(masses, key=lambda name: (masses[name], name))
    figure = Figure(figsize=(max(4.0, 0.35 * len(names) + 2.5), 3.6), layout="constrained")
    panel = figure.subplots()
    several = len({one.segmenter for one in columns}) > 1
    for number, column in enumerate(columns):
        dice = {one.patient: one.dice for one in column.patients}
        places = [n for n, name in enumerate(names) if dice.get(name) is not None]
        values = [dice[names[n]] or 0.0 for n in places]
        panel.plot(
            places,
            values,
            marker="osD^vP*X"[number % 8],
            markersize=4,
            linewidth=0.6,
            color=SERIES[number % len(SERIES)],
            label=column_title(column, several),
        )
    panel.set_xticks(range(len(names)))
    labels = [f"{name}\n{masses[name]:.0f} g" for name in names]
    panel.set_xticklabels(labels, fontsize=6, rotation=90 if len(names) > 12 else 0)
    panel.set_ylim(0, 1)
    panel.set_ylabel("scar Dice of the patient", fontsize=8)
    panel.tick_params(axis="y", labelsize=7)
    panel.grid(axis="y", linewidth=0.3)
    figure.legend(fontsize=7, loc="outside right upper")
    return render_png(figure)


def _can_rank(column: Column) -> bool:
    known = [one for one in column.slices if one.true_scar_area_mm2 is not None]
    kinds = {bool(one.true_scar_area_mm2) for one in known}
    return len(kinds) == 2 and all(one.scar_score_mm2 is not None for one in known)


def _roc(columns: Sequence[Column]) -> bytes:
    """Draw the ROC curve of slices with scar against those without."""
    figure = Figure(figsize=(PANEL_INCHES, PANEL_INCHES), layout="constrained")
    panel = figure.subplots()
    for number, column in enumerate(columns):
        known = [one for one in column.slices if one.true_scar_area_mm2 is not None]
        true = values_of(known, "true_scar_area_mm2") > 0
        specificity, sensitivity = roc(values_of(known, "scar_score_mm2"), true)
        colour = SERIES[number % len(SERIES)]
        panel.step(1 - specificity, sensitivity, where="post", color=colour, label=column.segmenter)
        said = values_of(known, "scar_area_mm2") > 0
        panel.plot(said[~true].mean(), said[true].mean(), "o", color=colour, markersize=5)
    panel.axvline(0.1, color="black", linewidth=0.5, linestyle=":")
    panel.set_xlabel("1 - specificity of slices", fontsize=8)
    panel.set_ylabel("sensitivity", fontsize=8)
    panel.set_xlim(-0.02, 1)
    panel.set_ylim(0, 1.02)
    panel.tick_params(labelsize=7)
    panel.legend(fontsize=7, loc="lower right", title="dot: the mask itself", title_fontsize=7)
    return render_png(figure)


def _clicks(columns: Sequence[Column]) -> bytes:
    """Draw the mean patient Dice against the corrective clicks allowed on a slice."""
    figure = Figure(figsize=(PANEL_INCHES, PANEL_INCHES), layout="constrained")
    panel = figure.subplots()
    for number, name in enumerate(dict.fromkeys(one.segmenter for one in columns)):
        steps: dict[int, float] = {}
        for one in columns:
            if one.segmenter == name and (one.prompts == "box" or "clicks:" in one.prompts):
                dice = values_of([p for p in one.patients if p.n_scar_slices], "dice")
                steps[int(one.prompts.partition(":")[2] or 0)] = float(dice.mean())
        places = sorted(steps)
        colour = SERIES[number % len(SERIES)]
        panel.plot(places, [steps[n] for n in places], "o-", color=colour, label=name)
        panel.set_xticks(range(max(places) + 1))
    panel.set_xlabel("clicks after the box, at most, per slice", fontsize=8)
    panel.set_ylabel("scar Dice, mean of patients", fontsize=8)
    low = float(np.floor(10 * panel.get_ylim()[0]) / 10)
    panel.set_ylim(max(0.0, min(low, 0.6)), 1)
    panel.grid(axis="y", linewidth=0.3)
    panel.tick_params(labelsize=7)
    panel.legend(fontsize=7, loc="lower right")
    return render_png(figure)


ACROSS = 4
"""Slices of each sort."""
AROUND_MM = 18.0
"""Width of the tissue shown round the heart."""
TRUE, FOUND, WALL, BOX = "#00e5ff", "#ff9e00", "#ffffff", "#ff5cb8"

ExampleRow = tuple[str, list[SliceFigures]]


def draw_example_slices(
    results: Sequence[PatientResult], cases: Mapping[str, TrainingCase]
) -> dict[str, bytes]:
    """Draw one sheet per segmenter and strategy; return file name to PNG.

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
            sheet = _sheet(
                f"{segmenter}, {prompts}", choose_examples(slices), dict(_keyed(chosen)), cases
            )
            drawn[f"{safe_name('_'.join(parts))}.png"] = sheet
    return drawn


def _last_clicks(rows: Mapping[tuple[str, str], object], segmenter: str, prompts: str) -> bool:
    counts = [int(p.partition(":")[2]) for s, p in rows if s == segmenter and "clicks:" in p]
    return int(prompts.partition(":")[2]) == max(counts)


def _keyed(
    chosen: Sequence[tuple[SliceFigures, PatientResult]],
) -> list[tuple[tuple[str, int], PatientResult]]:
    return [((one.patient, one.slice_index), result) for one, result in chosen]


def choose_examples(slices: Sequence[SliceFigures]) -> list[ExampleRow]:
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
    chosen: Sequence[ExampleRow],
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
    return render_png(figure)


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
    if one.prompts != PromptKind.FWHM:
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
    """Return the rows and columns to show: the heart with tissue round it."""
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
