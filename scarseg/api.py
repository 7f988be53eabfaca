"""The functions that a notebook or script uses: load, propose, segment, measure, table, save.

Values in, values out: a stack is never changed, and :func:`segment` returns a new case. Slices
are counted from 0 (base or apex first, as the stack lies), coordinates are (column, row) in
continuous source pixels: pixel i covers i to i + 1.

    import scarseg

    [stack] = scarseg.load("study")
    case = scarseg.propose(stack)
    case = scarseg.segment(case, 4, boxes=[(98, 77, 121, 90)], points=[(104, 80, 1)])
    print(scarseg.measure(case).scar_mass_g)
    scarseg.save([case], "scar.csv", masks="masks")
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from scarseg.batch.selection import select_stacks
from scarseg.case.case import Case
from scarseg.case.contours import check_contours
from scarseg.case.history import Cause, SliceReading, SliceStatus
from scarseg.case.measurements import DENSITY_G_PER_ML, MassConvention, Measurements
from scarseg.case.prompts import Box, Contour, Point, SlicePrompts
from scarseg.case.stack import Stack
from scarseg.errors import InputError
from scarseg.io import dicom
from scarseg.io.files import refuse_existing, safe_name
from scarseg.io.masks import nifti
from scarseg.io.prompts_json import read_contour
from scarseg.io.tables.columns import Cell
from scarseg.io.tables.table import table_files
from scarseg.models import Models
from scarseg.models import load as load_models
from scarseg.models.calibration_file import read_calibration
from scarseg.segmentation import pipeline
from scarseg.segmentation.calibration import rules_of
from scarseg.segmentation.predict import propose_prompted

__all__ = ["load", "measure", "propose", "save", "segment", "table"]


def load(
    path: str | Path | Sequence[str | Path],
    series: Sequence[str] = (),
    slice_thickness_mm: float | None = None,
) -> list[Stack]:
    """Read the LGE short-axis stack of every study in a folder, file, zip or DICOMDIR.

    Args:
        path: one input or several.
        series: series UIDs to read instead of the stacks that look like LGE short axis.
        slice_thickness_mm: for stacks whose headers hold no thickness.

    Returns:
        Stacks with ``pixels`` float32 (slice, row, column), ``pixel_spacing_mm`` (row, column),
        ``slice_thickness_mm`` and ``warnings``; in the order in which ``scarseg batch`` has them.

    Raises:
        InputError: E_INPUT_MISSING, E_NO_MR, E_NO_LGE (no stack looks like LGE), E_SERIES, or
            the code that a stack is refused with.
        GeometryError: E_THICKNESS.
    """
    inputs = [path] if isinstance(path, str | Path) else list(path)
    selection = select_stacks(dicom.scan([Path(one) for one in inputs]), series, identify=True)
    if not selection.jobs:
        row = selection.records[0].row if selection.records else {}
        code = str(row.get("error_code") or "E_NO_LGE")
        message = str(row.get("error_message") or "No stack looks like LGE short axis.")
        raise InputError(code, message, str(inputs[0]))
    return [dicom.read_stack(job.summary, slice_thickness_mm) for job in selection.jobs]


def propose(
    stack: Stack, models: Models | None = None, calibration: str | Path | None = None
) -> Case:
    """Return a case with blood pool, wall and scar proposed on every slice.

    Args:
        models: from ``scarseg.models.load``; the shipped weights, loaded once, by default.
        calibration: file that ``scarseg calibrate`` wrote.

    Raises:
        InputError, WeightsError: E_CALIBRATION, E_CALIBRATION_WEIGHTS, E_INPUT_MISSING.
    """
    return pipeline.propose_case(stack, _models(models, calibration))


def segment(
    case: Case,
    index: int,
    boxes: Iterable[Sequence[float]] = (),
    points: Iterable[Sequence[float]] = (),
    models: Models | None = None,
    endocardium: Sequence[Sequence[float]] | None = None,
    epicardium: Sequence[Sequence[float]] | None = None,
    calibration: str | Path | None = None,
) -> Case:
    """Return a new case whose slice ``index`` (from 0) is segmented by a reader's prompts.

    The same answer as ``scarseg batch --prompts``: scar where the prompts ask for it, wall and
    blood pool anew. Without boxes, points and contours the slice has no scar.

    Args:
        boxes: (column0, row0, column1, row1) each, round a scar.
        points: (column, row, 1 inside or 0 outside) each.
        endocardium: contour of (column, row) corners; the blood pool is exactly what it encloses.
        epicardium: outer contour of the wall. With a contour and without boxes and points, scar is
            what the segmenter finds in the wall by itself.
        calibration: file that ``scarseg calibrate`` wrote.

    Raises:
        InputError: E_PROMPTS, a slice, box, point or contour that makes no sense on this stack;
            E_CALIBRATION, E_INPUT_MISSING; WeightsError: E_CALIBRATION_WEIGHTS.
    """
    if not 0 <= index < case.stack.n_slices:
        last = case.stack.n_slices - 1
        raise InputError("E_PROMPTS", f"There is no slice {index}; slices are 0 to {last}.")
    try:
        asked = SlicePrompts(
            boxes=tuple(Box.spanning(*map(float, box)) for box in boxes),  # also of NumPy
            points=tuple(Point(float(x), float(y), bool(inside)) for x, y, inside in points),
            endocardium=_contour(endocardium, "endocardium"),
            epicardium=_contour(epicardium, "epicardium"),
        )
        check_contours(asked, (case.stack.rows, case.stack.columns))
    except (TypeError, ValueError) as error:
        message = f"A box, point or contour makes no sense: {error}."
        raise InputError("E_PROMPTS", message) from error
    asked = replace(asked, no_scar=not (asked.has_scar_prompts or asked.has_contours))
    models = _models(models, calibration)
    proposal = propose_prompted(
        case.stack.image(index),
        models,
        case.readings[index].prompts.lv_box,
        asked,
        rules_of(models),
    )
    answered = case.copy()
    answered.calibration = models.calibration
    after = SliceReading(proposal.prompts, SliceStatus.PROPOSED)
    answered.apply(answered.change("segment", index, after, proposal.labels), Cause.ANSWER)
    for change in pipeline.mvo_changes(answered):
        answered.apply(change, Cause.MVO)
    return answered


def measure(
    case: Case,
    convention: str = MassConvention.THICKNESS,
    density_g_per_ml: float = DENSITY_G_PER_ML,
) -> Measurements:
    """Return the measurements of a case: ``scar_mass_g`` and the rest, units in their names.

    Args:
        convention: ``thickness`` or ``spacing``, of the headline; both are always computed.

    Raises:
        InputError: E_DENSITY; ValueError: no such convention.
    """
    return pipeline.measure(case, MassConvention(convention), density_g_per_ml)


def table(cases: Iterable[Case], identify: bool = False) -> list[dict[str, Cell]]:
    """Return one row per case, with the columns of ``scar.csv``.

    Args:
        identify: the patient ID itself instead of its pseudonym.
    """
    return [dict(pipeline.measured_record(case, identify=identify).row) for case in cases]


def save(
    cases: Iterable[Case],
    path: str | Path,
    masks: str | Path | None = None,
    identify: bool = False,
    force: bool = False,
) -> tuple[Path, ...]:
    """Write table, per-slice table and sidecar, and a NIfTI label map per case.

    Args:
        path: of the CSV; the others stand beside it.
        masks: folder of the label maps, none by default.
        force: replace what exists.

    Returns:
        The files written.

    Raises:
        OutputError: E_EXISTS, E_WRITE.
    """
    kept, target = list(cases), Path(path)
    names = {id(case): f"{safe_name(case.stack.stack_id)}.nii.gz" for case in kept}
    files: list[Path] = []
    if masks is not None:
        files = [Path(masks) / names[id(case)] for case in kept]
    if not force:
        refuse_existing([*table_files(target), *files])
    for case, file in zip(kept, files, strict=False):
        nifti.write_labels(file, case.labels, case.stack, force)
    records = [
        pipeline.measured_record(
            case, identify=identify, mask_file=names[id(case)] if masks is not None else ""
        )
        for case in kept
    ]
    return (*pipeline.export_table(target, records, force=force), *files)


def _models(models: Models | None, calibration: str | Path | None) -> Models:
    models = models or _shipped_models()
    if calibration is None:
        return models
    found = read_calibration(Path(calibration))
    detector = "" if models.detector is None else models.detector.identity.sha256
    return replace(models, calibration=found.of_weights(models.segmenter.identity.sha256, detector))


@lru_cache(maxsize=1)
def _shipped_models() -> Models:
    return load_models()


def _contour(corners: Sequence[Sequence[float]] | None, name: str) -> Contour | None:
    if corners is None:
        return None
    return read_contour([[float(one) for one in corner] for corner in corners], name)
