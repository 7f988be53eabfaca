"""Patients of an evaluation: their selection, and their hearts moved off the centre."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from scarseg.case.stack import SliceSource, Stack
from scarseg.errors import InputError
from scarseg.training.cases import INNER, VALIDATION, TrainingCase
from scarseg.training.splits import Split

MARGIN_MM = 15
"""Tissue that stays round the reference when an image is cut."""
MOST_PADDING = 40
"""Pixels that are added to one side at most."""


def choose_patients(
    cases: Sequence[TrainingCase], wanted: str | None
) -> tuple[list[TrainingCase], str]:
    """Select patients; return them, sorted by name, and a description of the selection.

    Args:
        wanted: ``validation``, ``inner``, ``all``, a file (one name per line, or a split as
            training keeps it: its held-out patients, or where none is here its validation
            patients), or names with commas between. None is the validation list where any of
            its patients is here, else all.

    Raises:
        InputError: E_PATIENTS when none is here, a name is not, two share a name, or the file
            cannot be read.
    """
    here = {name for case in cases for name in (case.name, case.patient)}
    if wanted is None:
        wanted = "validation" if here & set(VALIDATION) else "all"
    lists = {"validation": VALIDATION, "inner": INNER, "all": tuple(here)}
    if wanted in lists:
        names, said = lists[wanted], f"{wanted} patients"
    else:
        from_file = Path(wanted).is_file()
        names = _names_in(Path(wanted), here) if from_file else tuple(wanted.split(","))
        said = "patients by name"
        missing = [name for name in names if name not in here]
        if missing:
            raise InputError("E_PATIENTS", f"The data hold no patient {', '.join(missing)}.")
    chosen = [case for case in cases if {case.name, case.patient} & set(names)]
    if not chosen:
        raise InputError("E_PATIENTS", f"The data hold none of the {said}.")
    twice = sorted(name for name, n in Counter(case.name for case in chosen).items() if n > 1)
    if twice:
        raise InputError("E_PATIENTS", f"The data hold {', '.join(twice)} more than once.")
    return sorted(chosen, key=lambda case: case.name), said


def _names_in(path: Path, here: Collection[str]) -> tuple[str, ...]:
    if path.suffix.lower() == ".json":
        split = Split.load(path)
        return split.held_out if set(split.held_out) & set(here) else split.validation
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        message = f"{path} cannot be read as a list of patients."
        raise InputError("E_PATIENTS", message, str(path)) from error
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def shifted_case(case: TrainingCase, rng: np.random.Generator) -> TrainingCase:
    """Move the heart off the image's centre: pad one side, cut the other.

    The cut keeps 15 mm round the reference, so that no truth is lost. In the data at hand the
    heart is always at the centre, which a detector could memorise.

    Raises:
        InputError: E_REFERENCE, the labels are empty.
    """
    rows, columns = np.nonzero((case.labels >= 1).any(axis=0))
    if not rows.size:
        raise InputError("E_REFERENCE", f"{case.name} has no reference: its labels are empty.")
    margin = round(MARGIN_MM / min(case.pixel_spacing_mm))
    pads, cuts = [], []
    for low, high, size in (
        (rows.min(), rows.max(), case.labels.shape[1]),
        (columns.min(), columns.max(), case.labels.shape[2]),
    ):
        before = int(rng.integers(0, max(1, low - margin)))
        after = int(rng.integers(0, max(1, size - high - margin)))
        if rng.random() < 0.5:
            pads.append((int(rng.integers(0, MOST_PADDING)), 0))
            cuts.append(slice(0, size + pads[-1][0] - after))
        else:
            pads.append((0, int(rng.integers(0, MOST_PADDING))))
            cuts.append(slice(before, None))
    pad = [(0, 0), *pads]
    low_value = float(np.percentile(case.pixels, 1))
    pixels = np.pad(case.pixels, pad, constant_values=low_value)[:, cuts[0], cuts[1]]
    labels = np.pad(case.labels, pad)[:, cuts[0], cuts[1]]
    return replace(case, pixels=pixels, labels=labels)


def as_stack(case: TrainingCase) -> Stack:
    """Wrap arrays as a stack whose slices touch."""
    n = len(case.labels)
    return Stack(
        pixels=case.pixels,
        pixel_spacing_mm=case.pixel_spacing_mm,
        slice_thickness_mm=case.slice_spacing_mm,
        orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
        origins_mm=tuple((0.0, 0.0, case.slice_spacing_mm * k) for k in range(n)),
        sources=tuple(SliceSource(f"2.25.{k + 1}") for k in range(n)),
        series_uid="2.25.1",
        study_uid="2.25.2",
    )
