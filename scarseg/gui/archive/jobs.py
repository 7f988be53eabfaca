"""What the archive worker does: values in, values out; the network's libraries load here."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scarseg.case.case import Case
from scarseg.errors import InputError
from scarseg.gui.session.export import prepare_report
from scarseg.gui.session.interval import IntervalOf
from scarseg.pacs.addresses import Server
from scarseg.pacs.archive import ArchivedSeries, ArchivedStudy, Query
from scarseg.progress import Progress, silent

if TYPE_CHECKING:
    from scarseg.io.dicom.types import StackSummary
    from scarseg.pacs.fetching import Fetched
    from scarseg.pacs.sending import SendReport

MAX_LISTED = 200
"""Studies whose series are listed; a longer answer needs a narrower search."""


@dataclass(frozen=True)
class ListedStudy:
    """A study as the window lists it, with its MR series."""

    study: ArchivedStudy
    series: tuple[ArchivedSeries, ...]

    @property
    def lge_series(self) -> tuple[ArchivedSeries, ...]:
        """Series whose description says LGE."""
        return tuple(one for one in self.series if is_lge(one))


def is_lge(series: ArchivedSeries) -> bool:
    """Return whether the description of a series says LGE."""
    from scarseg.io.dicom.series_words import read_name

    words = read_name(series.series_description)
    return bool(words.lge) and not words.never


def test_server(server: Server) -> str:
    """Return a sentence on the services that answer."""
    from scarseg import pacs

    return pacs.connect(server).test()


def search(server: Server, query: Query, progress: Progress = silent) -> list[ListedStudy]:
    """Return the studies that match, newest first, with their MR series."""
    from scarseg import pacs

    archive = pacs.connect(server)
    progress(0.0, "Searching the archive")
    studies = sorted(archive.find_studies(query), key=lambda one: one.study_date, reverse=True)
    listed = []
    for k, study in enumerate(studies[:MAX_LISTED]):
        progress(k / min(len(studies), MAX_LISTED), f"Series of study {k + 1}")
        series = archive.find_series(study.study_uid)
        listed.append(ListedStudy(study, tuple(one for one in series if one.modality == "MR")))
    return listed


def fetch(
    server: Server,
    study_uid: str,
    series_uids: Sequence[str],
    folder: Path,
    progress: Progress = silent,
) -> Fetched:
    """Fetch series to a folder, each whole or not at all."""
    from scarseg import pacs
    from scarseg.pacs.fetching import fetch_study
    from scarseg.pacs.origins import remember

    fetched = fetch_study(pacs.connect(server), study_uid, series_uids, folder, progress)
    if fetched.series:
        remember(study_uid, server.name)
    return fetched


@dataclass(frozen=True)
class Parts:
    """What is to be sent of a reading."""

    segmentation: bool = True
    report: bool = True
    contours: bool = False
    page: bool = True
    montage: bool = False


def send(
    server: Server,
    summary: StackSummary,
    case: Case,
    parts: Parts,
    interval_of: IntervalOf | None = None,
    progress: Progress = silent,
) -> SendReport:
    """Write a reading as DICOM under the patient's own identity, and send it.

    The page does not say how many seconds were read: the same reading is the same document.

    The files exist for as long as it takes, in a folder that nobody else can read.
    """
    from scarseg import pacs
    from scarseg.batch.selection import BatchJob
    from scarseg.batch.settings import MaskFormat
    from scarseg.batch.stack_files import write_files
    from scarseg.pacs.sending import read_instances, send_instances
    from scarseg.report import patient
    from scarseg.segmentation import pipeline

    progress(0.0, "Writing DICOM")
    if not case.labels.any():
        raise InputError("E_NO_READING", "Nothing is segmented yet: there is nothing to send.")
    measured = pipeline.measure(case)
    pdf = montage = None
    if parts.page or parts.montage:
        interval = interval_of and interval_of(case, progress)
        report = prepare_report(case, interval, identify=True, with_seconds=False)
        pdf = patient.render_report(report) if parts.page else None
        montage = patient.render_montage(report) if parts.montage else None
    with tempfile.TemporaryDirectory(prefix="scarseg-") as scratch:
        folder, job = Path(scratch), BatchJob(summary, "reading.nii.gz")
        write_files(
            folder,
            job,
            case,
            MaskFormat.SEG if parts.segmentation else MaskFormat.NONE,
            measured if parts.report else None,
            identify=True,
            pdf=pdf,
            picture=montage,
        )
        if parts.contours:
            write_files(folder, job, case, MaskFormat.RTSTRUCT, identify=True)
        selection = read_instances([folder])
    return send_instances(pacs.connect(server), selection.instances, progress=progress)
