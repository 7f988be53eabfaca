"""What a comparison of two studies has to read and compute, on a worker; no Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from scarseg.case.case import Case
from scarseg.case.history import SliceStatus
from scarseg.case.measurements import MassInterval
from scarseg.case.stack import Stack
from scarseg.errors import InputError, WeightsError
from scarseg.gui.session.interval import IntervalMaker
from scarseg.models import Models
from scarseg.progress import Progress

if TYPE_CHECKING:
    from scarseg.agreement.follow_study import StudyComparison
    from scarseg.io.casefile.library import CaseFile
    from scarseg.io.dicom.types import StackSummary


@dataclass(frozen=True, eq=False)
class OtherStudy:
    """The study to compare with: its images, and the case file with its reading, if chosen.

    ``case`` is the reading as it is open or being saved in this window; else it is read.
    """

    source: StackSummary | Stack
    case_file: Path | None = None
    case: Case | None = None


def read_study(other: OtherStudy, folder: Path, models: Models | None, progress: Progress) -> Case:
    """Return the reading of the other study; what nobody has read in it is proposed.

    Nothing is written or locked.

    Args:
        folder: of case files.
        models: propose what is unseen; None where they are not loaded.
        progress: may raise Cancelled.

    Raises:
        WeightsError: E_WEIGHTS_MISSING, there is nothing to show and no model to propose it;
            InputError, DicomError, StoreError of reading.
    """
    from scarseg.io.casefile import library, store
    from scarseg.segmentation import pipeline

    case = other.case
    if case is None:
        path = other.case_file or store.case_path(folder, other.source)
        stack = _read_stack(other.source, library.reader_thickness_mm(path), progress)
        case = store.read_case(path, stack).case if store.has_case(path) else Case.new(stack)
    unseen = [k for k, reading in enumerate(case.readings) if reading.status is SliceStatus.UNSEEN]
    if unseen and models is not None:
        if len(unseen) == case.stack.n_slices:
            return pipeline.propose_case(case.stack, models, progress)
        return _propose(case, unseen, models, progress)
    if len(unseen) == case.stack.n_slices:
        message = "That study has not been read, and the models are not loaded to propose it."
        raise WeightsError("E_WEIGHTS_MISSING", message)
    return case


def _read_stack(
    source: StackSummary | Stack, thickness_mm: float | None, progress: Progress
) -> Stack:
    from scarseg.io import dicom

    if isinstance(source, Stack):
        return source
    return dicom.read_stack(source, thickness_mm, progress)


def _propose(case: Case, unseen: list[int], models: Models, progress: Progress) -> Case:
    """Return a copy of a case with its unseen slices proposed."""
    from scarseg.case.history import Cause
    from scarseg.segmentation import pipeline

    proposed = case.copy()
    proposed.segmenter = models.segmenter.identity
    if models.detector is not None:
        proposed.detector = models.detector.identity
    proposed.calibration = models.calibration
    for k, proposal in pipeline.propose_stack(case.stack, models, progress, order=unseen):
        change = pipeline.proposal_change(proposed, k, proposal)
        if change is not None:
            after = replace(change.after, status=SliceStatus.PROPOSED)
            proposed.apply(replace(change, after=after), Cause.PROPOSAL)
    for change in pipeline.mvo_changes(proposed):
        proposed.apply(change, Cause.MVO)
    return proposed


def compare(
    cases: tuple[Case, Case], intervals: tuple[MassInterval | None, MassInterval | None]
) -> StudyComparison:
    """Compare the earlier case with the later one, with the intervals that are known."""
    from scarseg.agreement.follow_study import compare_studies, measure_study

    earlier, later = (
        measure_study(case, interval=interval)
        for case, interval in zip(cases, intervals, strict=True)
    )
    return compare_studies(earlier, later)


def find_interval(case: Case, models: Models | None, progress: Progress) -> MassInterval | None:
    """Return the interval of the other study, kept with it or computed; None without models."""
    return IntervalMaker().make(case, models, [None] * case.stack.n_slices, progress)


def find_images(file: CaseFile, folder: Path, progress: Progress) -> StackSummary:
    """Return the stack of a case file from a folder of images.

    Raises:
        InputError: E_IMAGES, it is not there.
    """
    from scarseg.io import dicom

    for stack in dicom.scan([folder], progress).stacks:
        if (stack.stack_id, stack.study_uid) == (file.stack_id, file.study_uid):
            return stack
    message = f"The images of {file.path.name} (series {file.stack_id}) are not in {folder}."
    raise InputError("E_IMAGES", message, str(folder))


def write_page(path: Path, comparison: StudyComparison, identify: bool, force: bool) -> str:
    """Write the page of a comparison as PDF, and say so."""
    from scarseg.agreement.follow_page import render_page
    from scarseg.io.files import write_file

    write_file(path, render_page(comparison, identify), force)
    return f"Written: {path.name} in {path.parent}"


def is_earlier(date: str, than: str) -> bool:
    """Return whether a study is the earlier of two by their DICOM dates.

    Where a date is missing, or both are the same, the study that was chosen as the earlier one is.
    """
    known = all(len(one) == 8 and one.isdigit() for one in (date, than))
    return date <= than if known else True
