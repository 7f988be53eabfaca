"""Summarise the patients: the figures of a model card."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from math import fsum
from typing import Any

import numpy as np
import numpy.typing as npt

from scarseg.evaluation.metrics import PatientFigures, SliceFigures, found_percent, mean
from scarseg.quant.agreement import agreement, concordance, wilcoxon
from scarseg.quant.paired_series import bootstrap_interval

Figures = dict[str, Any]
Values = npt.NDArray[np.float64]

SPECIFICITY = 0.9
"""Specificity at which the sensitivity of slices is read off."""
MIN_FOR_AGREEMENT = 2


@dataclass(frozen=True)
class Column:
    """All rows of one segmenter and one strategy; only patients that were evaluated."""

    segmenter: str
    prompts: str
    patients: tuple[PatientFigures, ...]
    slices: tuple[SliceFigures, ...]


def group_columns(
    patients: Iterable[PatientFigures], slices: Iterable[SliceFigures]
) -> tuple[Column, ...]:
    """Sort rows into columns, in the order in which they first appear."""
    rows: dict[tuple[str, str], tuple[list[PatientFigures], list[SliceFigures]]] = {}
    for patient in patients:
        if not patient.error_code:
            rows.setdefault(patient.column, ([], []))[0].append(patient)
    for one in slices:
        rows[one.segmenter, one.prompts][1].append(one)
    return tuple(Column(*name, tuple(some), tuple(parts)) for name, (some, parts) in rows.items())


def summarise(column: Column) -> Figures:
    """Pool one column.

    Scar figures are over patients with scar, false grams over those without and over slices
    without; ``challenge_dice`` alone is over both. A patient whose scar was missed has Dice 0,
    distances are over those that have them.
    """
    known = [one for one in column.patients if one.n_scar_slices is not None]
    sick = [one for one in known if one.n_scar_slices]
    figures: Figures = {
        "patients": len(column.patients),
        "patients_with_scar": len(sick),
        "patients_without_scar": len(known) - len(sick),
        "scar": _scar(sick),
        "challenge_dice": challenge_dice(known),
        "false_scar": _false_scar(known, column.slices),
        "heart": _heart(column.patients, column.slices),
        "slices": _slices(column.slices),
        "boxes": _boxes(column.slices),
        "clicks": _clicks(column.patients, column.slices),
        "repeatability": _repeatability(sick),
        "time": {
            "seconds_per_stack": _of(column.patients, "proposal_seconds"),
            "seconds_per_answer": _of(column.patients, "answer_seconds"),
        },
    }
    return {name: part for name, part in figures.items() if part not in ({}, None)}


def values_of(rows: Iterable[Any], name: str) -> Values:
    """Return the defined values of one figure, row by row."""
    found = [getattr(row, name) for row in rows]
    return np.array([value for value in found if value is not None], dtype=np.float64)


def _of(rows: Iterable[Any], name: str) -> float | None:
    return mean([getattr(row, name) for row in rows])


def distribution(values: Values, with_interval: bool = False) -> Figures:
    """Return mean, SD, median and quartiles, and the mean's bootstrap interval on request.

    Empty without values.
    """
    if not len(values):
        return {}
    low, middle, high = (float(v) for v in np.percentile(values, (25, 50, 75)))
    interval = bootstrap_interval(_average, values) if with_interval else None
    return {
        "n": len(values),
        "mean": fsum(values) / len(values),
        **({"mean_ci": [interval.low, interval.high]} if interval else {}),
        "sd": float(values.std(ddof=1)) if len(values) > 1 else None,
        "median": middle,
        "lower_quartile": low,
        "upper_quartile": high,
        "minimum": float(values.min()),
    }


def _average(values: Values) -> float:
    return float(np.mean(values))


def _scar(sick: Sequence[PatientFigures]) -> Figures:
    if not sick:
        return {}
    true, found = values_of(sick, "true_scar_mass_g"), values_of(sick, "scar_mass_g")
    return {
        "dice": distribution(values_of(sick, "dice"), with_interval=True),
        "pooled_dice": pooled_dice(sick),
        "slice_dice": distribution(values_of(sick, "slice_dice")),
        "precision": _of(sick, "precision"),
        "recall": _of(sick, "recall"),
        "hd_mm": distribution(values_of(sick, "hd_mm")),
        "hd95_mm": distribution(values_of(sick, "hd95_mm")),
        "hd_3d_mm": distribution(values_of(sick, "hd_3d_mm")),
        "hd95_3d_mm": distribution(values_of(sick, "hd95_3d_mm")),
        "true_scar_mass_g": distribution(true),
        "scar_mass_g": distribution(found),
        "mass_error_g": distribution(found - true),
        "mass_absolute_error_g": distribution(np.abs(found - true), with_interval=True),
        "mass_error_percent_lv": distribution(values_of(sick, "scar_error_percent_lv")),
        "mass_agreement": to_plain(agreement(found, true)),
        "percent_lv_agreement": _percent(sick),
        "true_lv_mass_g": _of(sick, "true_lv_mass_g"),
    }


def pooled_dice(rows: Sequence[PatientFigures]) -> float | None:
    """Return the Dice of all scar of these patients taken together, by mass.

    The overlap of a patient follows from Dice and both masses: Dice (a + b) / 2.
    """
    masses = [((r.true_scar_mass_g or 0.0) + (r.scar_mass_g or 0.0), r.dice) for r in rows]
    total = fsum(both for both, _ in masses)
    return fsum(both * (dice or 0.0) for both, dice in masses) / total if total else None


def challenge_dice(known: Sequence[PatientFigures]) -> float | None:
    """Return the mean Dice by the rule of the EMIDEC challenge: over all patients, MVO as infarct.

    A patient without scar counts 1 where nothing was found and 0 otherwise.
    """
    if not known:
        return None
    return fsum(
        (one.dice or 0.0) if one.n_scar_slices else float(not one.scar_mass_g) for one in known
    ) / len(known)


def _percent(sick: Sequence[PatientFigures]) -> Figures:
    """Compare scar in percent of LV mass, each by its own wall."""
    rows = [r for r in sick if r.scar_percent_lv is not None and r.true_scar_percent_lv is not None]
    if len(rows) < MIN_FOR_AGREEMENT:
        return {}
    found, true = values_of(rows, "scar_percent_lv"), values_of(rows, "true_scar_percent_lv")
    figures: Figures = to_plain(agreement(found, true))
    return figures


def _false_scar(known: Sequence[PatientFigures], slices: Sequence[SliceFigures]) -> Figures:
    """Return the grams found where there is no scar: in patients and on slices without."""
    well = [one for one in known if not one.n_scar_slices]
    empty = [one for one in slices if one.true_scar_area_mm2 == 0]
    masses = values_of(empty, "scar_mass_g")
    figures: Figures = {}
    if well:
        masses_g = values_of(well, "scar_mass_g")
        figures["on_patients_without_scar_g"] = distribution(masses_g)
        figures["patients_left_empty_percent"] = 100 * float(np.mean(masses_g == 0))
    if empty:
        figures["on_slices_without_scar_g"] = distribution(masses)
        figures["slices_without_scar"] = len(masses)
        figures["slices_with_false_scar"] = int((masses > 0).sum())
    return figures


def _heart(patients: Sequence[PatientFigures], slices: Sequence[SliceFigures]) -> Figures:
    """Return the wall over patients, and the left ventricle's box over slices that have one."""
    overlaps = values_of(slices, "lv_iou")
    figures: Figures = {
        "lv_iou": distribution(overlaps),
        "lv_found_percent": found_percent(overlaps),
        "wall_dice": distribution(values_of(patients, "wall_dice")),
        "pool_dice": distribution(values_of(patients, "pool_dice")),
        "lv_mass_error_g": distribution(values_of(patients, "lv_mass_error_g")),
    }
    rows = [r for r in patients if r.lv_mass_g is not None and r.true_lv_mass_g is not None]
    if len(rows) >= MIN_FOR_AGREEMENT:
        found, true = values_of(rows, "lv_mass_g"), values_of(rows, "true_lv_mass_g")
        figures["lv_mass_agreement"] = to_plain(agreement(found, true))
    return {name: value for name, value in figures.items() if value not in ({}, None)}


def _slices(slices: Sequence[SliceFigures]) -> Figures:
    """Return sensitivity and specificity of slices, by mask and by score."""
    if not slices or slices[0].prompts not in ("auto", "detector"):
        return {}
    known = [one for one in slices if one.true_scar_area_mm2 is not None]
    true = values_of(known, "true_scar_area_mm2") > 0
    said = values_of(known, "scar_area_mm2") > 0
    figures: Figures = {"with_scar": int(true.sum()), "without_scar": int((~true).sum())}
    if true.any():
        figures["sensitivity"] = float(said[true].mean())
    if not true.all():
        figures["specificity"] = float((~said[~true]).mean())
    scores = values_of(known, "scar_score_mm2")
    if len(scores) == len(known) and true.any() and not true.all():
        figures["sensitivity_at_specificity_0.9"] = sensitivity_at(scores, true, SPECIFICITY)
        figures["roc_area"] = roc_area(scores, true)
    return figures


def roc(scores: Values, true: npt.NDArray[np.bool_]) -> tuple[Values, Values]:
    """Return specificity and sensitivity of every cut: slices at or above a score are called.

    The cuts run from above every score down to the lowest.
    """
    cuts = np.concatenate(([np.inf], np.unique(scores)[::-1]))
    specificity = np.array([float((scores[~true] < cut).mean()) for cut in cuts])
    sensitivity = np.array([float((scores[true] >= cut).mean()) for cut in cuts])
    return specificity, sensitivity


def sensitivity_at(scores: Values, true: npt.NDArray[np.bool_], specificity: float) -> float:
    """Return the best sensitivity of a cut whose specificity is at least this."""
    cuts, sensitivity = roc(scores, true)
    return float(sensitivity[cuts >= specificity - 1e-12].max())


def roc_area(scores: Values, true: npt.NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve: the share of pairs in the right order, ties half."""
    with_scar, without = scores[true][:, None], scores[~true][None, :]
    return float(((with_scar > without) + 0.5 * (with_scar == without)).mean())


def _boxes(slices: Sequence[SliceFigures]) -> Figures:
    """Return recall and precision of the program's own scar boxes, per overlap."""
    rows = [one for one in slices if one.n_boxes is not None]
    if not rows:
        return {}
    true, proposed = (int(values_of(rows, name).sum()) for name in ("n_true_boxes", "n_boxes"))
    empty = [one for one in rows if one.n_true_boxes == 0]
    figures: Figures = {"true": true, "proposed": proposed}
    for percent in (10, 30, 50, 75):
        met = int(values_of(rows, f"n_boxes_iou{percent}").sum())
        figures[f"recall_iou{percent}"] = met / true if true else None
        figures[f"precision_iou{percent}"] = met / proposed if proposed else None
    figures["false_boxes_per_slice_without_scar"] = _of(empty, "n_boxes")
    return figures


def _clicks(patients: Sequence[PatientFigures], slices: Sequence[SliceFigures]) -> Figures:
    """Return how many corrective clicks after the box reach the target Dice."""
    if not patients or not patients[0].prompts.startswith("clicks:"):
        return {}
    most = int(patients[0].prompts.partition(":")[2])
    figures: Figures = {"most": most}
    sick = [one for one in patients if one.n_scar_slices]
    with_scar = [one for one in slices if one.true_scar_area_mm2]
    for goal, said in (("075", "0.75"), ("080", "0.80")):
        for what, rows in (("patient", sick), ("slice", with_scar)):
            counts = values_of(rows, f"clicks_to_dice_{goal}")
            figures[f"to_dice_{said}_per_{what}"] = {
                "reached_percent": 100 * len(counts) / len(rows) if rows else None,
                "median_where_reached": float(np.median(counts)) if len(counts) else None,
                "mean_rest_at_most": (
                    (fsum(counts) + most * (len(rows) - len(counts))) / len(rows) if rows else None
                ),
            }
    return figures


def _repeatability(sick: Sequence[PatientFigures]) -> Figures:
    """Compare two readings with prompts drawn independently."""
    rows = [one for one in sick if one.redrawn_scar_mass_g is not None]
    if len(rows) < MIN_FOR_AGREEMENT:
        return {}
    first, second = values_of(rows, "scar_mass_g"), values_of(rows, "redrawn_scar_mass_g")
    both = agreement(second, first)
    return {
        "ccc": None if both.concordance is None else both.concordance.ccc,
        "mean_absolute_difference_g": both.absolute_error.mae,
        "agreement": to_plain(both),
        "dice": distribution(values_of(rows, "redrawn_dice")),
    }


def strata(column: Column) -> Figures:
    """Return the main figures by scar size (tertiles of true grams), image quality and kind."""
    sick = [one for one in column.patients if one.n_scar_slices]
    groups: dict[str, dict[str, list[PatientFigures]]] = {"scar_size": {}}
    if len(sick) >= 3:
        cuts = np.percentile(values_of(sick, "true_scar_mass_g"), (100 / 3, 200 / 3))
        names = [f"up to {cuts[0]:.1f} g", f"{cuts[0]:.1f} to {cuts[1]:.1f} g"]
        names.append(f"over {cuts[1]:.1f} g")
        groups["scar_size"] = {name: [] for name in names}
        for one in sick:
            place = int(np.searchsorted(cuts, one.true_scar_mass_g or 0.0))
            groups["scar_size"][names[place]].append(one)
    groups["image_quality"] = _grouped(sick, lambda one: one.image_quality)
    groups["kind"] = _grouped(sick, lambda one: one.kind)
    return {
        by: {name: _short(rows) for name, rows in parts.items() if rows}
        for by, parts in groups.items()
        if len(parts) > 1 or by == "image_quality"
    }


def _grouped(
    rows: Iterable[PatientFigures], key: Callable[[PatientFigures], str]
) -> dict[str, list[PatientFigures]]:
    groups: dict[str, list[PatientFigures]] = {}
    for row in rows:
        if key(row):
            groups.setdefault(key(row), []).append(row)
    return dict(sorted(groups.items()))


def _short(rows: Sequence[PatientFigures]) -> Figures:
    found, true = values_of(rows, "scar_mass_g"), values_of(rows, "true_scar_mass_g")
    agreed = concordance(found, true)
    return {
        "patients": len(rows),
        "dice": _of(rows, "dice"),
        "hd95_mm": _of(rows, "hd95_mm"),
        "mass_mae_g": float(np.abs(found - true).mean()),
        "mass_bias_g": float((found - true).mean()),
        "mass_ccc": None if agreed is None else agreed.ccc,
    }


def dice_gain(column: Column, over: Column) -> Figures:
    """Compare the Dice of two columns patient by patient: mean difference and Wilcoxon's test."""
    other = {one.patient: one.dice for one in over.patients if one.n_scar_slices}
    rows = [one for one in column.patients if one.n_scar_slices and one.patient in other]
    if not rows:
        return {}
    first = np.array([one.dice or 0.0 for one in rows])
    second = np.array([other[one.patient] or 0.0 for one in rows])
    return {
        "over": over.prompts,
        "dice_difference": distribution(first - second, with_interval=True),
        "wilcoxon": to_plain(wilcoxon(first, second)),
    }


def to_plain(value: Any) -> Any:
    """Return a result with its dataclasses as dictionaries, for JSON."""
    if is_dataclass(value) and not isinstance(value, type):
        return to_plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(name): to_plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(one) for one in value]
    return value
