"""Replay case files on their images, one after another: the engine of ``scarseg replay``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

import scarseg
from scarseg.case.measurements import MassConvention
from scarseg.case.stack import Stack
from scarseg.errors import InputError, ModelError, ScarsegError
from scarseg.io import dicom
from scarseg.io import files as io_files
from scarseg.io.casefile import last_position, library, store
from scarseg.io.casefile.file_format import has_same_files, stack_identity
from scarseg.io.casefile.library import CaseFile
from scarseg.io.dicom.types import LoadReport
from scarseg.io.masks import nifti
from scarseg.io.tables.table import StackRecord
from scarseg.progress import Progress
from scarseg.quant.remote import drawn_mask
from scarseg.replay.model_runs import ReplayWeights
from scarseg.replay.replay import replay_case
from scarseg.replay.result import ReplayResult, describe_replay
from scarseg.segmentation import pipeline
from scarseg.segmentation.interval import case_interval, embed_missing

TABLE = "scar.csv"
ProgressBar = Callable[[str], AbstractContextManager[Progress]]
Print = Callable[[str], None]


@dataclass(frozen=True)
class ReplayOutput:
    """Lines to print, the files that were written, and whether every case came out identical."""

    lines: tuple[str, ...]
    files: tuple[Path, ...]
    identical: bool


def replay_files(options: argparse.Namespace, bar: ProgressBar, say: Print) -> ReplayOutput:
    """Make the readings of case files again and compare.

    Args:
        options: of ``scarseg replay``.
        bar: opens a progress bar with a title; say: prints a note.

    Raises:
        InputError, OutputError, StoreError, WeightsError: nothing could be done.
    """
    missing = next((one for one in options.cases if not one.exists()), None)
    if missing is not None:
        raise InputError("E_INPUT_MISSING", f"{missing} does not exist.", str(missing))
    found = library.find_case_files(options.cases)
    for note in found.notes:
        say(note)
    if not found.cases:
        raise InputError("E_INPUT_MISSING", "There is no case file (.scarseg) here that is whole.")
    if options.output is not None and not options.force:
        io_files.refuse_existing(_outputs(options.output, found.cases))
    with bar("Reading headers") as progress:
        report = dicom.scan(_images(options.dicom, found.rest), progress)
    source = ReplayWeights(options.segmenter, options.detector, options.device)
    lines: list[str] = []
    records: list[StackRecord] = []
    identical = not found.notes
    for one in found.cases:
        with bar(one.path.name) as progress:
            described, record, same = _replay(one, report, source, options, progress)
        lines += described
        records += [] if record is None else [record]
        identical &= same
    files = _write_table(options, found.cases, records)
    return ReplayOutput(tuple(lines), files, identical)


def _images(given: Sequence[Path], rest: Sequence[Path]) -> list[Path]:
    """Return the folders to search for images: those given, else the folder of last time."""
    if given:
        return list(given)
    last = last_position.load_last_folder(store.default_folder())
    folders = [*rest, *([] if last is None else [last])]
    if not folders:
        raise InputError(
            "E_INPUT_MISSING", "Name the folder that holds the images with --dicom DIR."
        )
    return folders


def _replay(
    one: CaseFile,
    report: LoadReport,
    source: ReplayWeights,
    options: argparse.Namespace,
    progress: Progress,
) -> tuple[list[str], StackRecord | None, bool]:
    """Replay one case; return the lines to print, its row, and whether it is identical."""
    name = one.path.name
    try:
        stack = _stack(one, report)
        replayed = _replay_case(one, stack, source, options, progress)
        record = None
        if options.output is not None:
            record = _write_case(options, replayed)
    except ScarsegError as error:
        return [f"{name}: {error.code}: {error.message}"], None, False
    return describe_replay(name, replayed), record, replayed.identical


def _stack(one: CaseFile, report: LoadReport) -> Stack:
    for summary in report.stacks:
        if (summary.stack_id, summary.study_uid) == (one.stack_id, one.study_uid):
            return dicom.read_stack(summary, one.thickness_mm)
    refused = [
        each for each in report.refused if each.series_uid and each.series_uid in one.stack_id
    ]
    for each in refused:
        raise InputError(each.code, each.message, each.path)
    message = f"The images of series {one.stack_id} are not here: name their folder with --dicom."
    raise InputError("E_INPUT_MISSING", message)


def _replay_case(
    one: CaseFile,
    stack: Stack,
    source: ReplayWeights,
    options: argparse.Namespace,
    progress: Progress,
) -> ReplayResult:
    saved = store.read_case(one.path, stack)
    replayed = replay_case(
        saved.case, source, progress, MassConvention(options.mass), options.density
    )
    found = replayed.findings
    if saved.software_version != scarseg.__version__:
        found.add_reason(
            f"another version: scarseg {saved.software_version or 'unknown'} saved the case,"
            f" this is {scarseg.__version__}"
        )
    content = store.read_content(one.path)
    if content.document.stack.pixels_sha256 != stack_identity(stack).pixels_sha256:
        found.add_reason("images that decode to other values than they did")
    elif all(each.sha256 for each in stack.sources) and not has_same_files(content, stack):
        found.add_reason("image files that were changed, though not their pixels")
    return replayed


def _mask(folder: Path, stack_id: str) -> Path:
    return folder / f"{io_files.safe_name(stack_id)}.nii.gz"


def _remote(folder: Path, stack_id: str) -> Path:
    return folder / f"{io_files.safe_name(stack_id)}{nifti.REMOTE_SUFFIX}"


def _outputs(folder: Path, cases: Sequence[CaseFile]) -> list[Path]:
    from scarseg.io.tables.table import table_files

    files = [name(folder, one.stack_id) for one in cases for name in (_mask, _remote)]
    return [*table_files(folder / TABLE), *files]


def _write_case(options: argparse.Namespace, replayed: ReplayResult) -> StackRecord:
    """Write the label map that was made again; return its row."""
    case = replayed.case
    path = _mask(options.output, case.stack.stack_id)
    io_files.make_folder(options.output)
    nifti.write_labels(path, replayed.labels, case.stack, options.force)
    if case.remote_regions:
        remote = _remote(options.output, case.stack.stack_id)
        nifti.write_remote(remote, drawn_mask(case), case.stack, options.force)
    convention, density = MassConvention(options.mass), options.density
    interval = None
    if replayed.models is not None:
        # Without an answer of the models only the interval is missing.
        with suppress(ModelError):
            embeddings = embed_missing(case, replayed.models, replayed.embeddings)
            interval = case_interval(case, replayed.models, embeddings, convention, density)
    return pipeline.measured_record(
        case, convention, density, mask_file=path.name, interval=interval
    )


def _write_table(
    options: argparse.Namespace, cases: Sequence[CaseFile], records: Sequence[StackRecord]
) -> tuple[Path, ...]:
    if options.output is None or not records:
        return ()
    settings = {
        "replayed": True,
        "mass_convention": options.mass,
        "density_g_per_ml": options.density,
    }
    table = options.output / TABLE
    files = pipeline.export_table(table, records, settings, options.force)
    masks = [name(options.output, one.stack_id) for one in cases for name in (_mask, _remote)]
    return (files.table, *(mask for mask in masks if mask.exists()))
