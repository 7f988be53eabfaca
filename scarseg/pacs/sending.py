"""Send results to an archive, and nothing that would harm it.

Everything is checked before the first byte goes: no pseudonym, which would make a second patient
of one; a study that exists there, under the same patient ID. Afterwards every instance is looked
up in its study: an accepted one that is not found was not filed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.dataset import Dataset

from scarseg.errors import InputError, PacsError
from scarseg.pacs.archive import Archive, Instance, Query, is_uid
from scarseg.pacs.instances import IMPLEMENTATION_UID, UNREADABLE, identity, parsed, raw_text
from scarseg.progress import Progress, silent

_KINDS = {
    "1.2.840.10008.5.1.4.1.1.66.4": "SEG",
    "1.2.840.10008.5.1.4.1.1.66.7": "SEG (label map)",
    "1.2.840.10008.5.1.4.1.1.481.3": "RTSTRUCT",
    "1.2.840.10008.5.1.4.1.1.104.1": "PDF",
}
_REPORTS = "1.2.840.10008.5.1.4.1.1.88."
_PICTURES = "1.2.840.10008.5.1.4.1.1.7"
_IMAGE = "image"
_IDENTITY_REMOVED = 0x00120062
_FOUND_WITHIN_S = 5.0
"""Archives may file an instance a moment after they accepted it."""
_POLL_S = 0.25
_MAX_FILES = 20_000


@dataclass(frozen=True)
class Outgoing:
    """Instances to send, and how many images were left out."""

    instances: tuple[Instance, ...]
    n_images_left_out: int = 0


@dataclass
class SendReport:
    """How the instances fared: SOP UIDs, and the reason of each refusal."""

    server: str
    sent: list[Instance] = field(default_factory=list)
    present: list[Instance] = field(default_factory=list)
    refused: list[tuple[Instance, str]] = field(default_factory=list)


def read_instances(paths: Iterable[Path], images: bool = False) -> Outgoing:
    """Read the results in files and folders; images too where asked.

    Raises:
        InputError: E_INPUT_MISSING, E_INPUT_EMPTY, E_INPUT_UNREADABLE.
    """
    found: dict[str, Instance] = {}
    n_left_out = 0
    for path, named in _files(paths):
        instance = _read(path)
        if instance is None:
            if named:
                raise InputError(
                    "E_INPUT_UNREADABLE", f"{path} is no DICOM file that can be sent.", str(path)
                )
            continue
        if instance.kind == _IMAGE and not images:
            n_left_out += 1
        elif found.setdefault(instance.sop_uid, instance).data != instance.data:
            raise InputError(
                "E_DUPLICATE", f"{path} has the UID of another file to send.", str(path)
            )
    if not found:
        more = f"; {n_left_out} images need --images" if n_left_out else ""
        raise InputError("E_INPUT_EMPTY", f"There is nothing to send{more}.")
    return Outgoing(tuple(found.values()), n_left_out)


def check_destination(
    archive: Archive,
    instances: Sequence[Instance],
    *,
    pseudonyms: bool = False,
    new_study: bool = False,
) -> None:
    """Check that the instances would be filed under their patient and study.

    Raises:
        PacsError: E_PSEUDONYM, E_PACS_NOT_FOUND, E_PATIENT_MISMATCH, or of the archive. No message
            holds a patient ID.
    """
    if not pseudonyms and (masked := [one for one in instances if one.pseudonymous]):
        raise PacsError(
            "E_PSEUDONYM",
            f"{len(masked)} of {len(instances)} files name their patient by pseudonym, and would"
            " make a second patient in the archive; write them with --identify (or send them"
            " with --pseudonyms).",
        )
    patients: dict[str, set[str]] = {}
    for one in instances:
        patients.setdefault(one.study_uid, set()).add(one.patient_id)
    for study_uid, ids in patients.items():
        there = {one.patient_id for one in archive.find_studies(Query(study_uid=study_uid))}
        if not there and not new_study:
            raise PacsError(
                "E_PACS_NOT_FOUND",
                f"{archive.server.name} has no study {study_uid}; send its images first, or give"
                " --new-study.",
            )
        if len(ids) > 1 or (there and there != ids):
            raise PacsError(
                "E_PATIENT_MISMATCH",
                f"Study {study_uid} is filed under another patient ID in {archive.server.name}"
                " than the files have; nothing was sent.",
            )


def send_instances(
    archive: Archive,
    instances: Sequence[Instance],
    *,
    pseudonyms: bool = False,
    new_study: bool = False,
    progress: Progress = silent,
) -> SendReport:
    """Send instances after :func:`check_destination`; those that are there already stay.

    Raises:
        PacsError: as check_destination; or the archive could not be reached at all.
        Cancelled: by ``progress``, between two instances.
    """
    progress(0.0, "Patient and study")
    check_destination(archive, instances, pseudonyms=pseudonyms, new_study=new_study)
    report = SendReport(archive.server.name)
    there = _sop_uids(archive, instances)
    report.present = [one for one in instances if one.sop_uid in there]
    waiting = [one for one in instances if one.sop_uid not in there]
    if not waiting:
        return report
    archive.open_for_sending([(one.sop_class_uid, one.transfer_syntax) for one in waiting])
    accepted: list[Instance] = []
    try:
        for k, one in enumerate(waiting):
            progress(k / len(waiting), f"{k} of {len(waiting)}")
            if reason := _send(archive, one):
                report.refused.append((one, reason))
            else:
                accepted.append(one)
    finally:
        archive.close()
    progress(1.0, "Looked up")
    found = _wait_for(archive, accepted)
    for one in accepted:
        if one.sop_uid in found:
            report.sent.append(one)
        else:
            report.refused.append((one, "accepted, but not found in its study afterwards"))
    return report


def _send(archive: Archive, instance: Instance) -> str:
    try:
        return archive.send(instance)
    except PacsError as error:
        # Some archives abort the association over one instance: the others still go.
        return error.message


def _wait_for(archive: Archive, instances: Sequence[Instance]) -> set[str]:
    """Return which instances the archive lists, soon after it accepted them."""
    wanted = {one.sop_uid for one in instances}
    end = time.monotonic() + min(_FOUND_WITHIN_S, archive.server.timeout_s)
    pause = _POLL_S
    while True:
        found = _sop_uids(archive, instances)
        if wanted <= found or time.monotonic() > end:
            return found
        time.sleep(pause)
        pause *= 2


def _sop_uids(archive: Archive, instances: Sequence[Instance]) -> set[str]:
    series = dict.fromkeys((one.study_uid, one.series_uid) for one in instances)
    found: set[str] = set()
    for study_uid, series_uid in series:
        try:
            found.update(one.sop_uid for one in archive.find_images(study_uid, series_uid))
        except PacsError as error:
            if error.code != "E_PACS_NOT_FOUND":  # some archives answer 404 for no series
                raise
    return found


def _files(paths: Iterable[Path]) -> Iterable[tuple[Path, bool]]:
    n = 0
    for path in paths:
        if not path.exists():
            raise InputError("E_INPUT_MISSING", f"{path} does not exist.", str(path))
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if not file.is_file() or any(part.startswith(".") for part in file.parts[-2:]):
                continue
            n += 1
            if n > _MAX_FILES:
                raise InputError(
                    "E_LIMIT", f"There are over {_MAX_FILES} files to send.", str(path)
                )
            yield file, path == file


def _read(path: Path) -> Instance | None:
    """Return the instance in a file, None where it is none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            "E_INPUT_UNREADABLE", f"{path} cannot be read: {error.strerror}.", str(path)
        ) from error
    if data[128:132] != b"DICM":
        return None
    try:
        header = parsed(data, stop_before_pixels=True)
        found = identity(header)
        syntax = str(header.file_meta.TransferSyntaxUID)
        ours = str(header.file_meta.get("ImplementationClassUID", "")) == IMPLEMENTATION_UID
    except (*UNREADABLE, PacsError):
        return None
    if not is_uid(syntax):
        return None
    return Instance(
        found.sop_uid,
        found.sop_class_uid,
        found.study_uid,
        found.series_uid,
        syntax,
        found.patient_id,
        _is_pseudonymous(header),
        _kind(found.sop_class_uid, ours),
        data,
    )


def _is_pseudonymous(header: Dataset) -> bool:
    return raw_text(header, _IDENTITY_REMOVED).upper() == "YES"


def _kind(sop_class: str, ours: bool) -> str:
    if sop_class in _KINDS:
        return _KINDS[sop_class]
    if sop_class.startswith(_REPORTS):
        return "SR"
    # A scanner's pictures are images; ours are results.
    is_picture = sop_class == _PICTURES or sop_class.startswith(f"{_PICTURES}.")
    return "picture" if is_picture and ours else _IMAGE
