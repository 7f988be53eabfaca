"""Fetch series whole or not at all.

An archive may end a retrieval with success and three of ten images; cut at its ends, a stack has
no gap that anything could notice. So the images to come are listed first (IMAGE level), what
arrives is held against the list, and nothing is shown before the set is exactly the list.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from scarseg.errors import PacsError
from scarseg.pacs.archive import (
    Archive,
    ArchivedImage,
    ArchivedSeries,
    ArchivedStudy,
    Query,
    is_uid,
)
from scarseg.pacs.folders import SeriesFolder
from scarseg.pacs.instances import normalised
from scarseg.progress import Progress, silent

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

TRIES = 2
"""A retrieval and one more over a new association for what is missing."""
_WORTH_ANOTHER = ("E_PACS_ABORTED", "E_PACS_TIMEOUT", "E_PACS_UNREACHABLE", "E_PACS_REFUSED")


@dataclass(frozen=True)
class FetchedSeries:
    """A series that is whole in its folder; ``n_fetched`` of its images came now."""

    series_uid: str
    path: Path
    n_images: int
    n_fetched: int


@dataclass
class Fetched:
    """How the series of a study fared: those that are whole, and the errors of the others."""

    study: ArchivedStudy
    series: list[FetchedSeries] = field(default_factory=list)
    failed: list[tuple[str, PacsError]] = field(default_factory=list)


def find_study(archive: Archive, study_uid: str) -> ArchivedStudy:
    """Return a study of an archive.

    Raises:
        PacsError: E_PACS_CONFIG, no UID; E_PACS_NOT_FOUND; E_PACS_ANSWER, the study is filed
            under several patients.
    """
    found = archive.find_studies(Query(study_uid=study_uid))
    if not found:
        raise PacsError(
            "E_PACS_NOT_FOUND", f"{archive.server.name} has no study {study_uid}, or none for us."
        )
    if len({one.patient_id for one in found}) > 1:
        raise PacsError(
            "E_PACS_ANSWER", f"Study {study_uid} is filed under several patients; it is refused."
        )
    return found[0]


def fetch_study(
    archive: Archive,
    study_uid: str,
    series_uids: Sequence[str],
    folder: Path,
    progress: Progress = silent,
) -> Fetched:
    """Fetch series of a study, each to ``folder/SERIES_UID``; by default all MR series.

    Raises:
        PacsError: E_PACS_NOT_FOUND, no such study or series; any other before the first image.
        Cancelled: by ``progress``; what has arrived of a series stays hidden, for the next try.
    """
    for uid in series_uids:
        if not is_uid(uid):
            raise PacsError("E_PACS_CONFIG", f"{uid!r} is no UID.")
    fetched = Fetched(find_study(archive, study_uid))
    chosen = _choose(archive.find_series(study_uid), study_uid, series_uids)
    for k, series in enumerate(chosen):

        def part(fraction: float, what: str, k: int = k) -> None:
            progress((k + fraction) / len(chosen), what)

        try:
            fetched.series.append(fetch_series(archive, fetched.study, series, folder, part))
        except PacsError as error:
            fetched.failed.append((series.series_uid, error))
    return fetched


def fetch_series(
    archive: Archive,
    study: ArchivedStudy,
    series: ArchivedSeries,
    folder: Path,
    progress: Progress = silent,
) -> FetchedSeries:
    """Fetch a series to ``folder/SERIES_UID``; one that is whole there is left alone.

    Raises:
        PacsError: E_PACS_INCOMPLETE, images are missing after two tries; E_PACS_ANSWER, something
            else arrived, of which nothing is kept; or whatever kept both tries from beginning.
        OutputError: E_EXISTS, E_WRITE.
        Cancelled: by ``progress``.
    """
    progress(0.0, "List of images")
    images = archive.find_images(study.study_uid, series.series_uid)
    listed = _checked_list(images, series)
    place = SeriesFolder(folder, series.series_uid)
    with place.locked():
        if place.shown() == listed:
            place.discard()
            return FetchedSeries(series.series_uid, place.target, len(listed), 0)
        if not place.shown() <= listed:
            # What is shown was fetched when the archive held other images; it is not mixed.
            raise PacsError(
                "E_PACS_ANSWER",
                f"{place.target} holds images that the archive does not list; fetch to another"
                " folder.",
            )
        place.begin()
        n_before = len(place.present() & listed)
        try:
            _retrieve(archive, study, series, images, place, progress)
        except PacsError as error:
            if error.code == "E_PACS_ANSWER":
                place.discard()
            raise
        place.finish(listed)
    return FetchedSeries(series.series_uid, place.target, len(listed), len(listed) - n_before)


def _retrieve(
    archive: Archive,
    study: ArchivedStudy,
    series: ArchivedSeries,
    images: Sequence[ArchivedImage],
    place: SeriesFolder,
    progress: Progress,
) -> None:
    arrivals = _Arrivals(place, study, series, images)

    def report(_: float, __: str) -> None:
        n = len(arrivals.kept)
        progress(n / len(images), f"{n} of {len(images)} images")

    reason = ""
    error: PacsError | None = None
    for _ in range(TRIES):
        missing = [one for one in images if one.sop_uid not in arrivals.kept]
        if not missing:
            return
        error = None
        try:
            reason = archive.retrieve(
                study.study_uid,
                series.series_uid,
                missing,
                len(missing) == len(images),
                arrivals.store,
                report,
            )
        except PacsError as caught:
            if caught.code not in _WORTH_ANOTHER:
                raise
            error, reason = caught, caught.message
        report(0.0, "")
    n = len(arrivals.kept)
    if n == len(images):
        return
    if error is not None and n == 0:
        raise error
    raise PacsError(
        "E_PACS_INCOMPLETE",
        f"{n} of {len(images)} images of series {series.series_uid} arrived; nothing is shown, and"
        f" the next try goes on from there.{f' {reason}' if reason else ''}",
    )


class _Arrivals:
    """Images of one series on their way to its folder, checked against the list."""

    def __init__(
        self,
        place: SeriesFolder,
        study: ArchivedStudy,
        series: ArchivedSeries,
        images: Sequence[ArchivedImage],
    ) -> None:
        self._place, self._study, self._series = place, study, series
        self._listed = {one.sop_uid: one for one in images}
        self._guard = threading.Lock()
        self._new: set[str] = set()
        self.kept = place.present() & self._listed.keys()

    def store(self, data: bytes | Dataset) -> None:
        """Keep an image.

        Raises:
            PacsError: E_PACS_ANSWER, it is not one of those that were asked for.
            OutputError: E_WRITE.
        """
        found, file = normalised(data)
        listed = self._listed.get(found.sop_uid)
        if listed is None or found.series_uid != self._series.series_uid:
            raise self._refused("an image that is not on its own list")
        if found.study_uid != self._study.study_uid:
            raise self._refused("an image of another study")
        if listed.sop_class_uid not in ("", found.sop_class_uid):
            raise self._refused("an image of another class than it listed")
        if self._study.patient_id and found.patient_id != self._study.patient_id:
            raise self._refused("an image of another patient")
        with self._guard:
            if found.sop_uid in self._new and not self._place.holds(found.sop_uid, file):
                raise self._refused("two images under one UID")
            if found.sop_uid not in self.kept:
                self._place.write(found.sop_uid, file)
                self._new.add(found.sop_uid)
                self.kept.add(found.sop_uid)

    def _refused(self, what: str) -> PacsError:
        return PacsError(
            "E_PACS_ANSWER",
            f"Asked for series {self._series.series_uid}, the archive sent {what}; nothing of it"
            " is kept.",
        )


def _choose(
    found: Sequence[ArchivedSeries], study_uid: str, wanted: Collection[str]
) -> list[ArchivedSeries]:
    by_uid = {one.series_uid: one for one in found}
    if missing := [uid for uid in wanted if uid not in by_uid]:
        raise PacsError("E_PACS_NOT_FOUND", f"Study {study_uid} has no series {missing[0]}.")
    chosen = [by_uid[uid] for uid in dict.fromkeys(wanted)]
    chosen = chosen or [one for one in by_uid.values() if one.modality == "MR"]
    if not chosen:
        raise PacsError("E_PACS_NOT_FOUND", f"Study {study_uid} has no MR series.")
    return chosen


def _checked_list(images: Sequence[ArchivedImage], series: ArchivedSeries) -> set[str]:
    """Return the UIDs of the images to come.

    Raises:
        PacsError: E_PACS_NOT_FOUND, none; E_PACS_ANSWER, one twice; E_PACS_INCOMPLETE, fewer
            than the archive says the series has.
    """
    listed = {one.sop_uid for one in images}
    uid = series.series_uid
    if not listed:
        raise PacsError("E_PACS_NOT_FOUND", f"The archive lists no image of series {uid}.")
    if len(listed) != len(images):
        raise PacsError("E_PACS_ANSWER", f"The archive lists an image of series {uid} twice.")
    if series.n_images is not None and series.n_images > len(listed):
        raise PacsError(
            "E_PACS_INCOMPLETE",
            f"The archive lists {len(listed)} of {series.n_images} images of series {uid}.",
        )
    return listed
