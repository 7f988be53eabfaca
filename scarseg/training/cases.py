"""Cases with a reference, for training and evaluation, and how they are read.

Three kinds of folder are understood, in any mix: the EMIDEC layout (NIfTI images and contours),
read case files (a site's own corrections, with the DICOM they were made on), and what
``scarseg simulate`` writes.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scarseg.case.case import Case
from scarseg.case.history import SliceStatus
from scarseg.case.labels import INFARCT, Label, LabelArray
from scarseg.case.stack import Stack
from scarseg.errors import InputError
from scarseg.io import dicom
from scarseg.io.casefile import file_format, store
from scarseg.io.dicom.types import LoadReport, StackSummary
from scarseg.io.masks.nifti import read_image, read_labels
from scarseg.io.tables.pseudonyms import pseudonym
from scarseg.progress import Progress, silent
from scarseg.training.mask_cases import read_mask_cases

_log = logging.getLogger(__name__)
_SUFFIX = ".scarseg"


def case_files(folder: Path) -> list[Path]:
    """List the case files of a folder, also where only the generation before is left."""
    names = {path.name.removesuffix(".1") for path in folder.iterdir() if path.is_file()}
    return [folder / name for name in sorted(names) if name.endswith(_SUFFIX)]


def find_images(
    folder: Path, images: Sequence[Path], progress: Progress
) -> list[tuple[Path, StackSummary]]:
    """Find the series of every case file that a reader worked on, in order of file name.

    Files in which no slice was read are left out, and the log says so.

    Args:
        images: where to look for DICOM, besides the folder itself.

    Raises:
        InputError: E_INPUT_MISSING where images are not found, or the code they were refused
            with.
    """
    waiting: dict[str, Path] = {}
    for path in case_files(folder):
        glance = store.read_progress(path)
        if glance is not None and not glance.n_read:
            _log.warning(
                "a case file has no slice that was read: left out (%s)", short_id(path.stem)
            )
        else:
            waiting[path.name] = path
    if not waiting:
        return []
    report = dicom.scan([*images, folder], progress)
    found: list[tuple[Path, StackSummary]] = []
    for summary in report.stacks:
        name = store.case_path(folder, summary).name
        if name in waiting:
            found.append((waiting.pop(name), summary))
    if waiting:
        raise _without_images(folder, sorted(waiting), len(waiting) + len(found), report)
    return sorted(found, key=lambda pair: pair[0])


def _without_images(folder: Path, names: Sequence[str], n: int, report: LoadReport) -> InputError:
    for refusal in report.refused:
        if refusal.series_uid and any(name.startswith(refusal.series_uid) for name in names):
            return InputError(refusal.code, refusal.message, refusal.path)
    shown = ", ".join(names[:3]) + (" and others" if len(names) > 3 else "")
    message = (
        f"{len(names)} of {n} read cases in {folder} have no DICOM here: {shown}. Name the "
        "folders that hold their images with --dicom, or move these case files elsewhere."
    )
    return InputError("E_INPUT_MISSING", message, str(folder))


def saved_thickness_mm(path: Path) -> float | None:
    """Return the slice thickness a reader entered where the header has none, or None."""
    for generation in (path, path.with_name(path.name + ".1")):
        try:
            content = file_format.parse_case(generation.read_bytes())
            return content.document.source.slice_thickness_mm
        except (OSError, file_format.DamagedCaseError, file_format.NewerFormatError):
            continue
    return None


def short_id(uid: str) -> str:
    """Return a name of a case that hides its UID: a hash of it."""
    return "case-" + sha256(uid.encode("utf-8", "surrogatepass")).hexdigest()[:12]


_log_cases = logging.getLogger(__name__)

VALIDATION = (
    "P022", "P028", "P036", "P045", "P057", "P077", "P085", "P086", "P087", "P090",
    "N024", "N027", "N030", "N048", "N079",
)  # fmt: skip
"""EMIDEC patients whose figures are reported; never trained or tuned on."""
INNER = ("P005", "P043", "P061", "P093", "N012", "N034")
"""EMIDEC patients that serve tuning; not trained on."""
RIGHT_VENTRICLE = 5
"""The label of the RV in cine references."""


@dataclass(frozen=True, eq=False)
class TrainingCase:
    """One stack with its reference.

    Args:
        name: of this stack; a pseudonym where it comes from a case file.
        kind: lge (real, also a reader's corrections), cine or simulated.
        pixels, labels: float32 and uint8 (slice, row, column), labels 0-4 and 5 for the RV.
        pixel_spacing_mm: (row, column).
        slice_spacing_mm: from slice to slice.
        scar_read: per slice, whether a reader has read it; None: all. What was not read is no
            reference, only a neighbour.
        pool_known, wall_known: per slice, whether pool and wall are labelled there; None: all.
        patient: who it is; stacks of one patient share it. The name when empty.
        slice_thickness_mm: None where it is not known; the slices then touch.
    """

    name: str
    kind: str
    pixels: npt.NDArray[np.float32]
    labels: npt.NDArray[np.uint8]
    pixel_spacing_mm: tuple[float, float]
    slice_spacing_mm: float
    scar_read: tuple[bool, ...] | None = None
    pool_known: tuple[bool, ...] | None = None
    wall_known: tuple[bool, ...] | None = None
    patient: str = ""
    slice_thickness_mm: float | None = None

    def __post_init__(self) -> None:
        if self.pixels.shape != self.labels.shape:
            raise ValueError("pixels and labels must have the same shape")
        if not self.patient:
            object.__setattr__(self, "patient", self.name)

    @property
    def slices_read(self) -> list[int]:
        """List the slices that are a reference."""
        n = len(self.labels)
        return [k for k in range(n) if self.scar_read is None or self.scar_read[k]]

    @property
    def has_scar(self) -> bool:
        """Return whether a slice that was read shows scar or MVO."""
        labels = self.labels[self.slices_read]
        return bool(((labels == Label.SCAR) | (labels == Label.MVO)).any())


def read_data(
    folders: Sequence[Path], dicom: Sequence[Path] = (), progress: Progress = silent
) -> list[TrainingCase]:
    """Read every case of the folders, of whichever kind each is.

    Args:
        folders: EMIDEC layout, read case files, masks (NIfTI, DICOM SEG) whose images are in
            ``dicom``, or what ``scarseg simulate`` writes.
        dicom: where the images of the case files are (folders, files or zips): case files know
            their images by UID and content, not by place. A folder of case files is searched too.
        progress: called for every case; may cancel.

    Raises:
        InputError: E_INPUT_MISSING (a folder, or images of read case files), E_INPUT_EMPTY,
            E_INPUT_UNREADABLE (a folder is none of these), E_NIFTI, E_MASK, and what the DICOM
            itself is refused for.
        StoreError: a case file is damaged, newer, or was made on other images.
    """
    cases: list[TrainingCase] = []
    chosen = list(dict.fromkeys(folder.resolve() for folder in folders))
    for number, folder in enumerate(chosen):

        def report(done: float, what: str, number: int = number) -> None:
            progress((number + done) / len(chosen), what)

        if not folder.is_dir():
            raise InputError("E_INPUT_MISSING", f"There is no folder {folder}.", str(folder))
        if _emidec_folders(folder):
            cases += read_cases(folder, report)
        elif (folder / "truth").is_dir():
            cases += read_simulated(folder, report)
        elif case_files(folder):
            cases += read_corrections(folder, dicom, report)
        elif dicom and _holds_masks(folder):
            cases += [
                _as_training(short_id(case.stack.stack_id), case, _patient(case.stack))
                for case in read_mask_cases(folder, dicom, report)
            ]
        else:
            message = (
                f"{folder} holds no training data: neither the EMIDEC layout (Images and Contours "
                "in a folder per case), nor case files (.scarseg), nor what simulate writes, nor,"
                " with --dicom, masks (NIfTI, DICOM SEG)."
            )
            raise InputError("E_INPUT_UNREADABLE", message, str(folder))
    progress(1.0, "Cases read")
    return cases


def _holds_masks(folder: Path) -> bool:
    return any(next(folder.rglob(kind), None) for kind in ("*.nii", "*.nii.gz", "*.dcm"))


def read_cases(folder: Path, progress: Progress = silent) -> list[TrainingCase]:
    """Read every case of a folder in the EMIDEC layout (Images/ and Contours/ per case).

    The RV label (5) marks cine, the name a simulated case.

    Raises:
        InputError: E_INPUT_EMPTY, E_INPUT_MISSING (no image or contour), E_NIFTI, E_MASK.
    """
    found = _emidec_folders(folder)
    if not found:
        raise InputError("E_INPUT_EMPTY", f"There is no case in {folder}.", str(folder))
    cases = []
    for number, case in enumerate(found):
        name = case.name.removeprefix("Case_")
        progress(number / len(found), name)
        image = next(iter(sorted((case / "Images").glob("*.nii*"))), None)
        contours = None if image is None else case / "Contours" / image.name
        if image is None or contours is None or not contours.is_file():
            message = f"{case} has no image, or no contours of the same file name."
            raise InputError("E_INPUT_MISSING", message, str(case))
        pixels, spacing = read_image(image)
        labels = _reference(contours)
        if labels.shape != pixels.shape:
            message = f"{contours.name} is {labels.shape}, its image {pixels.shape}."
            raise InputError("E_NIFTI", message, str(contours))
        kind = "cine" if (labels == RIGHT_VENTRICLE).any() else "lge"
        if case.name.lower().startswith("simulated"):
            kind = "simulated"
        cases.append(TrainingCase(name, kind, pixels, labels, spacing[1:], spacing[0]))
    return cases


def _reference(path: Path) -> LabelArray:
    """Read contours; grey levels or interpolated borders are no labels."""
    values = read_image(path)[0]
    known = np.isin(values, [*Label, RIGHT_VENTRICLE])
    if not known.all():
        strange = float(values[~known][0])
        message = f"{path} has the value {strange:g}; labels are 0 to 4, and 5 for the RV."
        raise InputError("E_MASK", message, str(path))
    return values.astype(np.uint8)


def read_simulated(folder: Path, progress: Progress = silent) -> list[TrainingCase]:
    """Read what ``scarseg simulate`` (or ``write_study``) wrote: every LGE series with its truth.

    Magnitude and PSIR of one heart are two cases of one patient.

    Raises:
        InputError: E_INPUT_MISSING where a truth has no images, E_MASK, and DICOM errors.
    """
    masks = {path.name: path for path in sorted((folder / "truth").glob("*.nii.gz"))}
    stacks = dicom.scan([folder / "dicom"]).stacks if (folder / "dicom").is_dir() else ()
    wanted = [stack for stack in stacks if f"{stack.series_uid}.nii.gz" in masks]
    if not wanted or len(wanted) < len(masks):
        message = f"{len(masks) - len(wanted)} of {len(masks)} label maps have no DICOM series."
        raise InputError("E_INPUT_MISSING", f"In {folder}: {message}", str(folder))
    cases: list[TrainingCase] = []
    for number, summary in enumerate(wanted):
        patient = summary.patient_id
        if not patient.startswith("SIM"):
            patient = _patient(summary)
        name = patient
        if any(case.name == name for case in cases):
            name = f"{patient}-{summary.sequence}"
        progress(number / len(wanted), name)
        mask = masks[f"{summary.series_uid}.nii.gz"]
        stack, labels = dicom.read_stack(summary), read_labels(mask)
        if labels.shape != stack.pixels.shape:
            message = f"{mask.name} is {labels.shape}, its series {stack.pixels.shape}."
            raise InputError("E_MASK", message, str(mask))
        spacing = stack.pixel_spacing_mm
        between = stack.slice_spacing_mm or stack.slice_thickness_mm
        made = TrainingCase(name, "simulated", stack.pixels, labels, spacing, between)
        cases.append(replace(made, patient=patient, slice_thickness_mm=stack.slice_thickness_mm))
    return cases


def read_corrections(
    folder: Path, images: Sequence[Path] = (), progress: Progress = silent
) -> list[TrainingCase]:
    """Read a folder of case files, each on the DICOM series that it was made on.

    Slices that a reader accepted or called free of scar are reference; the others are not. A
    case without one is left out, and the log says so.

    Args:
        images: where to look for DICOM, besides the folder itself.

    Raises:
        InputError: E_INPUT_MISSING where images of a read case are not found, or the code they
            were refused with.
        StoreError: E_CASE_DAMAGED, E_CASE_NEWER, E_CASE_OTHER_STACK.
    """
    found = find_images(folder, images, lambda done, what: progress(0.5 * done, what))
    cases = []
    for number, (path, summary) in enumerate(found):
        name = short_id(summary.stack_id)
        progress(0.5 + 0.5 * number / len(found), name)
        stack = dicom.read_stack(summary, saved_thickness_mm(path))
        case = _as_training(name, store.load_case(path, stack), _patient(summary))
        if case.slices_read:
            cases.append(case)
        else:
            _log_cases.warning("%s has no slice with scar read: left out", name)
    return cases


def _as_training(name: str, case: Case, patient: str) -> TrainingCase:
    """Return the slices of a reading that a reader has accepted as a training case."""
    statuses = (SliceStatus.ACCEPTED, SliceStatus.NO_SCAR)
    drawn = [np.bincount(labels.ravel(), minlength=len(Label)) > 0 for labels in case.labels]
    # A ring of nothing but infarct round a pool is a wall; infarct alone is a reader's brush.
    wall = tuple(
        bool(has[Label.MYOCARDIUM] or (has[Label.BLOOD_POOL] and has[list(INFARCT)].any()))
        for has in drawn
    )
    pool = tuple(
        known or bool(has[Label.BLOOD_POOL]) for known, has in zip(wall, drawn, strict=True)
    )
    stack: Stack = case.stack
    return TrainingCase(
        name,
        "lge",
        stack.pixels,
        case.labels,
        stack.pixel_spacing_mm,
        stack.slice_spacing_mm or stack.slice_thickness_mm,
        scar_read=tuple(reading.status in statuses for reading in case.readings),
        pool_known=pool,
        wall_known=wall,
        patient=patient,
        slice_thickness_mm=stack.slice_thickness_mm,
    )


def _emidec_folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if (path / "Images").is_dir())


def _patient(summary: StackSummary | Stack) -> str:
    """Return the pseudonym of a patient; without an ID every study is a patient of its own."""
    return pseudonym(summary.patient_id) or short_id(summary.study_uid)


def simulate_cases(n: int, first_seed: int, digits: int = 1) -> list[TrainingCase]:
    """Simulate stacks in memory, patient and scanner different in each.

    Args:
        digits: of the number in a name. A split that was kept knows its patients by these names.
    """
    from scarseg.simulate.series import simulate_stack

    cases = []
    for number in range(n):
        made = simulate_stack(first_seed + number)
        stack = made.stack
        spacing_mm = stack.slice_spacing_mm or stack.slice_thickness_mm
        cases.append(
            TrainingCase(
                f"simulated{number:0{digits}d}",
                "simulated",
                np.array(stack.pixels),
                made.truth,
                stack.pixel_spacing_mm,
                spacing_mm,
            )
        )
    return cases
