"""Texts and numbers of the patient report: table rows, geometry, warnings, provenance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import scarseg
from scarseg.case.case import Case, ModelIdentity
from scarseg.case.history import SliceStatus
from scarseg.case.measurements import MassConvention, Measurements
from scarseg.case.patient import date_text
from scarseg.case.prompts import Origin
from scarseg.case.stack import Stack
from scarseg.io.tables.provenance import labels_sha256, reading_times
from scarseg.io.tables.pseudonyms import pseudonym
from scarseg.io.tables.table import export_status
from scarseg.quant.grey_zone import GreyZoneScheme
from scarseg.quant.insertion_point import InsertionSource
from scarseg.quant.method_comparison import MethodComparison
from scarseg.quant.thresholds import Scope, ThresholdMethod
from scarseg.quant.wall_map import WallMap

BLANK = "–"
NOT_LOOKED_FOR = "not looked for"
"""Where the MVO mass is blank: no reader and no model looked for it, which 0 g would hide."""
CONVENTIONS = {
    MassConvention.THICKNESS: "slice thickness",
    MassConvention.SPACING: "slice spacing",
}
METHOD_NAMES = {
    **{one: f"{one.n_sd} SD" for one in ThresholdMethod if one.n_sd is not None},
    ThresholdMethod.FWHM_MAX: "FWHM (max)",
    ThresholdMethod.FWHM_REMOTE: "FWHM (remote)",
    ThresholdMethod.FWHM_MIN: "FWHM (min)",
    ThresholdMethod.OTSU: "Otsu",
}
_SCHEME_NAMES = {
    GreyZoneScheme.SCHMIDT: "Schmidt",
    GreyZoneScheme.ROES: "Roes",
    GreyZoneScheme.YAN: "Yan",
}
_MEANINGS = {
    "W_GAP": "slices lie further apart than they are thick",
    "W_OVERLAP": "slices lie closer than they are thick",
    "W_CONVENTION": "the two masses differ by over 1 %",
    "W_GAP_IRREGULAR": "a slice is missing or the spacing is irregular",
    "W_INCOMPLETE": "the stack is incomplete, and so is the mass",
    "W_SLICE_DAMAGED": "a slice could not be decoded and is left out",
    "W_SINGLE_SLICE": "a single slice: its depth is not measured",
    "W_FEW_SLICES": "few slices for a left ventricle",
    "W_THICKNESS": "the header has no slice thickness",
    "W_SPACING_HEADER": "the header's spacing disagrees with the positions",
    "W_TILT": "the slice direction disagrees with the positions",
    "W_SPLIT": "the series held several stacks",
    "W_REPEAT": "the series held repeats",
    "W_PATIENT": "the series held images of several patients",
    "W_MERGED": "put together from series of one slice each",
    "W_UIDS": "put together from studies of one slice each",
    "W_SPLIT_OFF": "a slice at the stack's pitch differs and is left out",
    "W_UNREAD": "a file beside the images cannot be read and may belong here",
    "W_ONE_FILE": "one file of a series was opened",
    "W_NOT_LGE": "nothing in the header says LGE",
    "W_NOT_MR": "not MR",
    "W_SIGNED": "taken for PSIR by its negative pixels",
    "W_LOSSY": "images were compressed with loss",
    "W_INTENSITY": "a slice is blank, or of other intensities than the others",
    "W_NO_PROMPTS": "no prompts for this series",
    "W_UNVERIFIED_WEIGHTS": "weights that are not in the manifest",
    "W_MASK_IGNORED": "segments of other tissues were left out",
    "W_MASK_PARTIAL": "the mask does not cover every slice",
    "W_MASK_VALUES": "the mask holds blood pool alone",
}


@dataclass(frozen=True)
class ScarInterval:
    """Interval of the scar mass of the headline; ``rule`` names the method it was computed by."""

    low_g: float
    high_g: float
    rule: str


def patient_line(case: Case, identify: bool) -> str:
    """Return patient and study date; the patient as a pseudonym unless ``identify``."""
    patient, date = patient_text(case.stack, identify), date_text(case.stack.study_date)
    return f"{patient}     Study of {date}" if date else patient


def patient_text(stack: Stack, identify: bool) -> str:
    """Return the patient as a pseudonym, or by ID and name where ``identify``."""
    who = pseudonym(stack.patient_id) or "without an ID"
    if identify:
        who = " ".join(
            part for part in (stack.patient_id, _readable_name(stack.patient_name)) if part
        )
    return f"Patient {who}" if identify else f"Patient {who} (pseudonym)"


def _readable_name(name: str) -> str:
    return " ".join(part for part in name.split("=")[0].split("^") if part)


def status_line(case: Case, measured: Measurements, method: str) -> tuple[str, bool]:
    """Return the status of the reading in words, and whether the reading is complete."""
    seen = f"{measured.n_slices_reviewed} of {measured.n_slices} slices reviewed"
    if export_status(case) == "read":
        return f"Read: {seen}", True
    if is_external(method):
        return f"Not read here: labels made elsewhere, {seen}", False
    if measured.n_slices_reviewed:
        return f"Reading incomplete: {seen}", False
    return f"Proposal, not a reading: {seen}", False


def has_result(measured: Measurements) -> bool:
    """Return whether anything was read or proposed: 0 g must never stand for "not read"."""
    unseen = all(one.status is SliceStatus.UNSEEN for one in measured.slices)
    return not unseen or measured.scar_mass_g > 0


def is_external(method: str) -> bool:
    """Return whether the labels came from a mask file made elsewhere."""
    return method.startswith("from_")


def rounded_grams(grams: float) -> str:
    """Return grams as people read them, with one decimal; little is never called nothing."""
    return "< 0.1" if 0 < grams < 0.05 else f"{grams:.1f}"


def result_rows(
    measured: Measurements, interval: ScarInterval | None
) -> list[tuple[str, str, str]]:
    """Return name, value by slice thickness and value by slice spacing of every number."""
    density = measured.density_g_per_ml
    by = {
        MassConvention.THICKNESS: (
            measured.scar_mass_thickness_g,
            measured.mvo_mass_thickness_g,
            measured.lv_mass_thickness_g,
        ),
        MassConvention.SPACING: (
            measured.scar_mass_spacing_g,
            measured.mvo_mass_spacing_g,
            measured.lv_mass_spacing_g,
        ),
    }
    columns: list[tuple[float | None, ...]] = []
    for scar, mvo, lv in by.values():
        share = None if lv is None else 100 * scar / lv
        columns.append((scar, mvo, lv, share, scar / density))
    if not has_result(measured):
        columns = [(None,) * 5, (None,) * 5]
    names = ("Scar (infarct), g", "   of it MVO, g", "LV mass, g", "Scar, % of LV mass",
             "Scar volume, ml")  # fmt: skip
    digits = (1, 1, 1, 1, 1)
    rows = [
        (name, format_number(one, places), format_number(other, places))
        for name, one, other, places in zip(names, *columns, digits, strict=True)
    ]
    if has_result(measured) and columns[0][1] is None:
        rows[1] = (names[1], NOT_LOOKED_FOR, "")
    if interval is not None:
        text = f"{interval.low_g:.1f} to {interval.high_g:.1f}"
        thick = measured.convention is MassConvention.THICKNESS
        rows.insert(1, ("   interval, g", text if thick else "", "" if thick else text))
    return rows


def method_lines(found: MethodComparison, convention: MassConvention) -> list[tuple[str, str, str]]:
    """Return name, grams and percent of LV of every method, with one threshold per slice."""
    rows = []
    for method, name in METHOD_NAMES.items():
        one = found.result(str(method), Scope.SLICE)
        if one is None:
            continue
        grams = None if one.scar is None else one.scar.total(convention)
        rows.append(
            (name, format_number(grams, 1), format_number(found.percent(one, convention), 1))
        )
    return rows


def zone_lines(found: MethodComparison, convention: MassConvention) -> list[tuple[str, str, str]]:
    """Return scheme, core and grey zone in grams."""
    rows = []
    for scheme, name in _SCHEME_NAMES.items():
        parts = [found.result(f"{scheme}_{part}", Scope.SLICE) for part in ("core", "grey")]
        if any(one is None for one in parts):
            continue
        core, grey = (
            None if one is None or one.scar is None else one.scar.total(convention) for one in parts
        )
        rows.append((name, format_number(core, 1), format_number(grey, 1)))
    return rows


def method_note(case: Case, found: MethodComparison) -> str:
    """Return the rules that the threshold methods followed."""
    if not any(found.wall.thickness):
        return "No threshold method without a wall."
    sentences = [
        "A threshold per slice; SD methods in the whole wall, FWHM in the scar and 3 mm round it; "
        "dark cores enclosed by scar count as MVO."
    ]
    signal = found.remote_stack
    if signal is not None:
        sentences.append(
            f"Remote region {found.remote_region.origin}: {signal.n_voxels} voxels, signal "
            f"{signal.mean:.0f} ± {signal.sd:.0f}."
        )
    sentences.append("Otsu on slices with scar.")
    if any(one.reason == "W_METHOD_PSIR" for one in found.results):
        sentences.append("Half of a maximum means nothing on PSIR.")
    if any(one.reason == "W_METHOD_REGION" for one in found.results):
        sentences.append("No scar is segmented or boxed: FWHM and Otsu do not apply.")
    if any(one.reason == "W_THRESHOLD_BELOW_REMOTE" for one in found.results):
        sentences.append("Blank where a threshold lies below remote muscle on some slice.")
    return " ".join(sentences)


def insertion_note(found: WallMap) -> str:
    """Return the source of the RV insertion point, the first angle of the segments."""
    if found.source is None:
        return "RV insertion set by the reader."
    by = "the image" if found.source is InsertionSource.IMAGE else "the slices' orientation"
    return f"RV insertion proposed from {by}, not checked by a reader."


def geometry_line(case: Case, measured: Measurements) -> str:
    """Return the geometry and the formula of the mass."""
    stack = case.stack
    spacing = stack.slice_spacing_mm
    apart = "spacing unknown (one slice)" if spacing is None else f"{spacing:.2f} mm apart"
    source = "given by the user" if stack.thickness_from_user else "header"
    row_mm, column_mm = stack.pixel_spacing_mm
    return (
        f"{stack.n_slices} slices of {stack.slice_thickness_mm:g} mm ({source}), {apart}; pixels "
        f"{row_mm:.4g} × {column_mm:.4g} mm (row × column), {stack.rows} × {stack.columns}; "
        f"{'PSIR' if stack.sequence == 'psir' else 'magnitude'}; density "
        f"{measured.density_g_per_ml:g} g/ml. Mass = density × sum of voxels × row spacing × column"
        f" spacing × depth; depth is the slice thickness, or half the distance between the"
        f" neighbouring slices (spacing)."
    )


def warning_line(measured: Measurements, more: Sequence[str] = ()) -> str:
    """Return the warnings with their meanings; no text of a header, which may name the patient."""
    codes = list(dict.fromkeys((*measured.warnings, *more)))
    texts = [f"{code}: {_MEANINGS[code]}" if code in _MEANINGS else code for code in codes]
    return "; ".join(texts) + "." if texts else "None."


def provenance_lines(
    case: Case, method: str, interval: ScarInterval | None, with_seconds: bool = True
) -> list[str]:
    """Return lines on version, weights, reader, times and prompts.

    Args:
        with_seconds: say how long was read. The seconds go on while a study is open, so that a
            page with them changes although the reading does not.
    """
    stack = case.stack
    models = [
        model_line(role, one)
        for role, one in (("Segmenter", case.segmenter), ("Detector", case.detector))
        if one.name or one.sha256
    ]
    if case.calibration is not None:
        models.append(f"Calibration sha256 {case.calibration.sha256}")
    reader = f"Reader {case.reader}; method {method}" if case.reader else f"Method {method}"
    if case.interactions or (case.seconds and with_seconds):
        seconds = f"{case.seconds:.0f} s of active reading, " if with_seconds else ""
        reader += f"; {seconds}{case.interactions} interactions"
    return [
        f"scarseg {scarseg.__version__}. {reader}{_read_when(case)}. {_prompts(case)}",
        *([f"Interval of the scar mass: {interval.rule}."] if interval is not None else []),
        *models,
        f"Study {stack.study_uid}",
        f"Series {stack.stack_id}; mask sha256 {labels_sha256(case)}",
    ]


def model_line(role: str, one: ModelIdentity) -> str:
    """Return the name and sha256 of weights, and whether the manifest knows them."""
    verified = "verified" if one.verified else "not in the manifest"
    return f"{role} {one.name}, {verified}, sha256 {one.sha256 or BLANK}"


def _read_when(case: Case) -> str:
    """Return when a reader worked on the case, in UTC; empty if no reader did."""
    times = reading_times(case)
    if times is None:
        return ""
    first, last = times
    until = f"{last:%H:%M}" if first.date() == last.date() else f"{last:%Y-%m-%d %H:%M}"
    return f", {first:%Y-%m-%d %H:%M} to {until} UTC"


def _prompts(case: Case) -> str:
    """Return the number of prompts; their coordinates are in the JSON sidecar of the table."""
    boxes = dict.fromkeys(Origin, 0)
    points, slices = 0, []
    for k, reading in enumerate(case.readings):
        for box in reading.prompts.boxes:
            boxes[box.origin] += 1
        points += len(reading.prompts.points)
        if reading.prompts.boxes or reading.prompts.points:
            slices.append(str(k + 1))
    if not slices:
        return "No prompts."
    own, found = boxes[Origin.READER], sum(boxes.values()) - boxes[Origin.READER]
    counts = [f"{_count(own, 'box', 'boxes')} by the reader"] if own else []
    counts += [f"{_count(found, 'box', 'boxes')} by the detector"] if found else []
    counts += [_count(points, "point", "points")] if points else []
    where = f"slice{'s' if len(slices) > 1 else ''} {', '.join(slices)}"
    return f"Prompts: {', '.join(counts)}, on {where}."


def _count(n: int, one: str, more: str) -> str:
    return f"{n} {one if n == 1 else more}"


def format_number(value: float | None, digits: int) -> str:
    """Return a number as text, a dash for None."""
    return BLANK if value is None else f"{value:.{digits}f}"
