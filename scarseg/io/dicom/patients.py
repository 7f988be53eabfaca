"""Distinguish patients: one ID with two names is two patients until somebody checks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

from scarseg.io.dicom.headers import ImageFile
from scarseg.io.dicom.series_words import plain

Owner = tuple[str, str, str]


@lru_cache(maxsize=4096)
def name_key(name: str) -> str:
    """Return a person's name for comparison: without case, accents and empty components."""
    parts = plain(name.partition("=")[0]).casefold().replace("^", " ").split()
    return " ".join(parts)


def group_owners(images: Sequence[ImageFile]) -> dict[Owner, list[ImageFile]]:
    """Group the images of one series by patient ID, name and study.

    An empty name, or an empty ID, joins the only other one of the same ID, or name.
    """
    names: defaultdict[str, set[str]] = defaultdict(set)
    ids: defaultdict[str, set[str]] = defaultdict(set)
    for image in images:
        patient, name = image.patient_id, name_key(image.patient_name)
        if patient and name:
            names[patient].add(name)
            ids[name].add(patient)
    owners: defaultdict[Owner, list[ImageFile]] = defaultdict(list)
    for image in images:
        patient, name = image.patient_id, name_key(image.patient_name)
        if patient and not name and len(names[patient]) == 1:
            name = next(iter(names[patient]))
        elif name and not patient and len(ids[name]) == 1:
            patient = next(iter(ids[name]))
        owners[(patient, name, image.study_uid)].append(image)
    return dict(owners)


def ids_with_several_names(images: Sequence[ImageFile]) -> set[str]:
    """Return the patient IDs that carry more than one name anywhere in a scan."""
    names: defaultdict[str, set[str]] = defaultdict(set)
    for image in images:
        if image.patient_id and image.patient_name:
            names[image.patient_id].add(name_key(image.patient_name))
    return {patient for patient, known in names.items() if len(known) > 1}
