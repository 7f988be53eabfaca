"""Simulated patients: DICOM studies on disk, with their truth in files of their own."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence as Listed
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from scarseg.case.history import SliceStatus
from scarseg.case.labels import LabelArray
from scarseg.case.stack import LgeSequence, SliceSource, Stack
from scarseg.io.dicom.uids import derived_uid
from scarseg.io.files import make_folder, refuse_existing, write_file
from scarseg.io.masks.nifti import write_labels
from scarseg.progress import Progress, silent
from scarseg.quant.mass import measure
from scarseg.simulate.anatomy import SimulationOptions
from scarseg.simulate.series import SimulatedStack, simulate_stack, write_localizer, write_scout
from scarseg.simulate.signal import Vendor, series_style
from scarseg.simulate.write_dicom import write_series

TRUTH_COLUMNS = (
    "patient_id",
    "study_uid",
    "series_uid",
    "description",
    "sequence",
    "vendor",
    "enhanced",
    "n_slices",
    "pixel_spacing_row_mm",
    "pixel_spacing_column_mm",
    "slice_thickness_mm",
    "slice_spacing_mm",
    "scar_mass_thickness_g",
    "scar_mass_spacing_g",
    "mvo_mass_thickness_g",
    "mvo_mass_spacing_g",
    "lv_mass_thickness_g",
    "lv_mass_spacing_g",
    "scar_percent_lv",
    "territories",
    "inversion_time_ms",
    "inversion_error",
    "density_g_per_ml",
    "mask_file",
)


@dataclass(frozen=True)
class StudyOptions:
    """Fixed parts of a simulated study; None means drawn from the seed.

    Args:
        simulation: the stack itself.
        vendor: manufacturer whose header conventions are imitated.
        enhanced: one Enhanced multi-frame file instead of a file per slice.
        pair: magnitude and PSIR as two series of one study.
        localizer: add a localizer series.
        scout: add an inversion-time scout: one slice many times.
        missing_slice: leave out one slice inside the stack, from images and truth.
        patient_id: drawn, starts with SIM.
    """

    simulation: SimulationOptions = field(default_factory=SimulationOptions)
    vendor: Vendor | None = None
    enhanced: bool | None = None
    pair: bool | None = None
    localizer: bool | None = None
    scout: bool | None = None
    missing_slice: bool = False
    patient_id: str | None = None


@dataclass(frozen=True, eq=False)
class SimulatedSeries:
    """One LGE series on disk with its truth.

    ``stack`` is the stack that ``files`` hold; ``truth`` uint8 (slice, row, column);
    ``row`` the line of truth.csv.
    """

    stack: Stack
    truth: LabelArray
    files: tuple[Path, ...]
    mask_file: Path
    row: dict[str, str]


@dataclass(frozen=True, eq=False)
class SimulatedStudy:
    """One patient on disk. ``series`` holds the LGE series, the main one first."""

    dicom_folder: Path
    series: tuple[SimulatedSeries, ...]


def write_study(
    folder: Path,
    seed: int,
    options: StudyOptions | None = None,
    truth_folder: Path | None = None,
) -> SimulatedStudy:
    """Write one simulated patient: DICOM in ``folder/dicom``, truth in ``folder/truth``.

    The truth is a label map ``<series_uid>.nii.gz`` for every LGE series and ``truth.csv``.
    With ``truth_folder`` the DICOM series lie in ``folder`` itself, the label maps in
    ``truth_folder``, and the caller writes the table. Same seed and options, same bytes.

    Raises:
        OutputError: E_EXISTS, E_WRITE.
    """
    options = options or StudyOptions()
    dicom_folder = folder if truth_folder else folder / "dicom"
    masks = truth_folder or folder / "truth"
    plan = _plan(seed, options)
    series = []
    for number, simulated in enumerate(_simulate(seed, options, plan), start=2):
        target = dicom_folder / f"{number:02d}_lge_{simulated.stack.sequence}"
        series.append(_write_lge(target, masks, simulated, plan, number))
    if plan.localizer:
        write_localizer(dicom_folder / "01_localizer", series[0].stack)
    if plan.scout:
        style = series_style(plan.vendor, LgeSequence.MAGNITUDE, plan.choice)
        write_scout(
            dicom_folder / "09_scout", series[0].stack, seed, options.simulation, style.header
        )
    study = SimulatedStudy(dicom_folder, tuple(series))
    if truth_folder is None:
        write_file(masks / "truth.csv", truth_table([study]))
    return study


def simulate_patients(
    folder: Path,
    n: int,
    seed: int = 0,
    progress: Progress = silent,
    options: StudyOptions | None = None,
) -> tuple[SimulatedStudy, ...]:
    """Write ``n`` simulated patients with their truth.

    DICOM lies in ``folder/dicom/<patient>/<series>``, label maps in
    ``folder/truth/<series_uid>.nii.gz`` and one table in ``folder/truth.csv``. Patient ``i`` is
    the same whatever ``n`` is.

    Raises:
        OutputError: E_EXISTS, E_WRITE.
        Cancelled: by ``progress``; whole patients written so far stay.
    """
    options = options or StudyOptions()
    table = folder / "truth.csv"
    make_folder(folder)
    refuse_existing([table, folder / "dicom", folder / "truth"], "choose another folder")
    studies = []
    for i in range(n):
        progress(i / n, f"Patient {i + 1} of {n}")
        patient_seed = int(np.random.SeedSequence([seed, i]).generate_state(1, np.uint64)[0] >> 2)
        named = replace(options, patient_id=options.patient_id or f"SIM{seed}-{i + 1:04d}")
        target = folder / "dicom" / str(named.patient_id)
        studies.append(write_study(target, patient_seed, named, truth_folder=folder / "truth"))
    write_file(table, truth_table(studies))
    progress(1.0, "Done")
    return tuple(studies)


@dataclass(frozen=True)
class _Plan:
    vendor: Vendor
    choice: int
    enhanced: bool
    pair: bool
    localizer: bool
    scout: bool
    backwards: bool
    missing: float
    date: str
    patient_id: str


def _plan(seed: int, options: StudyOptions) -> _Plan:
    rng = np.random.default_rng([seed & 0xFFFFFFFF, seed >> 32, 11])
    vendor = list(Vendor)[int(rng.integers(3))]
    shares = (0.2, 0.3, 0.5, 0.2, 0.4)
    enhanced, pair, localizer, scout, backwards = (bool(v) for v in rng.random(5) < shares)
    return _Plan(
        vendor=options.vendor or vendor,
        choice=int(rng.integers(12)),
        enhanced=enhanced if options.enhanced is None else options.enhanced,
        pair=pair if options.pair is None else options.pair,
        localizer=localizer if options.localizer is None else options.localizer,
        scout=scout if options.scout is None else options.scout,
        backwards=backwards,
        missing=float(rng.random()),
        date=f"2024{int(rng.integers(1, 13)):02d}{int(rng.integers(1, 29)):02d}",
        patient_id=options.patient_id or f"SIM{seed % 10**8:08d}",
    )


def _simulate(seed: int, options: StudyOptions, plan: _Plan) -> list[SimulatedStack]:
    """Simulate the one stack of the study, or magnitude and PSIR of the same heart."""
    stacks = [simulate_stack(seed, options.simulation)]
    if plan.pair:
        other = next(kind for kind in LgeSequence if kind is not stacks[0].stack.sequence)
        stacks.append(simulate_stack(seed, replace(options.simulation, sequence=other)))
    n = stacks[0].stack.n_slices
    if options.missing_slice and n > 2:
        stacks = [_without(one, 1 + int(plan.missing * (n - 2))) for one in stacks]
    return stacks


def _without(simulated: SimulatedStack, k: int) -> SimulatedStack:
    """Return a stack without slice ``k``."""
    stack = simulated.stack
    kept = [j for j in range(stack.n_slices) if j != k]
    return replace(
        simulated,
        truth=simulated.truth[kept],
        stack=replace(
            stack,
            pixels=stack.pixels[kept],
            origins_mm=tuple(stack.origins_mm[j] for j in kept),
            sources=tuple(stack.sources[j] for j in kept),
        ),
    )


def _write_lge(
    folder: Path, masks: Path, simulated: SimulatedStack, plan: _Plan, number: int
) -> SimulatedSeries:
    style = series_style(plan.vendor, simulated.stack.sequence, plan.choice)
    stack = replace(
        simulated.stack,
        description=style.description,
        patient_id=plan.patient_id,
        patient_name=f"SIMULATED^{plan.patient_id}",
        study_date=plan.date,
        sources=_sources(simulated.stack, plan),
    )
    header = {
        **style.header,
        "SeriesNumber": number,
        "InversionTime": round(simulated.inversion_time_ms, 1),
        "StudyDescription": "Simulated cardiac MR",
    }
    files = write_series(
        folder, stack, header=header, enhanced=plan.enhanced, storage=style.storage
    )
    mask_file = masks / f"{stack.series_uid}.nii.gz"
    write_labels(mask_file, simulated.truth, stack)
    row = _truth_row(replace(simulated, stack=stack), plan, mask_file.name)
    return SimulatedSeries(stack, simulated.truth, tuple(files), mask_file, row)


def _sources(stack: Stack, plan: _Plan) -> tuple[SliceSource, ...]:
    """Return instance numbers as scanners give them: from base or apex, or frames of one file."""
    n = stack.n_slices
    if plan.enhanced:
        uid = derived_uid(stack.series_uid, "enhanced")
        return tuple(SliceSource(uid, frame=k + 1) for k in range(n))
    return tuple(
        replace(source, instance_number=n - k if plan.backwards else k + 1)
        for k, source in enumerate(stack.sources)
    )


def _truth_row(simulated: SimulatedStack, plan: _Plan, mask_file: str) -> dict[str, str]:
    stack = simulated.stack
    everywhere = [True] * stack.n_slices
    statuses = [SliceStatus.ACCEPTED] * stack.n_slices
    measured = measure(simulated.truth, stack, statuses, mvo_sought=everywhere)
    spacing = stack.slice_spacing_mm
    values: dict[str, object] = {
        "patient_id": stack.patient_id,
        "study_uid": stack.study_uid,
        "series_uid": stack.series_uid,
        "description": stack.description,
        "sequence": stack.sequence,
        "vendor": plan.vendor,
        "enhanced": int(plan.enhanced),
        "n_slices": stack.n_slices,
        "pixel_spacing_row_mm": stack.pixel_spacing_mm[0],
        "pixel_spacing_column_mm": stack.pixel_spacing_mm[1],
        "slice_thickness_mm": stack.slice_thickness_mm,
        "slice_spacing_mm": "" if spacing is None else round(spacing, 6),
        "territories": " ".join(simulated.territories),
        "inversion_time_ms": round(simulated.inversion_time_ms, 1),
        "inversion_error": round(simulated.inversion_error, 4),
        "mask_file": mask_file,
    }
    for name in TRUTH_COLUMNS:
        if name not in values:
            value = getattr(measured, name)
            values[name] = "" if value is None else value
    return {name: str(values[name]) for name in TRUTH_COLUMNS}


def truth_table(studies: Listed[SimulatedStudy]) -> bytes:
    """Return the CSV of the true masses: a row per LGE series, grams in full precision."""
    text = io.StringIO()
    writer = csv.DictWriter(text, TRUTH_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for study in studies:
        writer.writerows(series.row for series in study.series)
    return text.getvalue().encode()
