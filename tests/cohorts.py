"""Phantoms written as DICOM, and what a batch left of them."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pydicom

from scarseg.case.stack import SliceSource, Stack
from scarseg.simulate.write_dicom import write_series
from tests.conftest import make_phantom_stack


def patient(n: int) -> Stack:
    """Return the phantom as patient ``n``, with UIDs of its own."""
    return replace(
        make_phantom_stack(),
        patient_id=f"CANARY-{n}",
        patient_name=f"CANARY^{n}",
        study_uid=f"1.2.{n}",
        series_uid=f"1.2.{n}.1",
        sources=tuple(SliceSource(f"1.2.{n}.1.{k + 1}") for k in range(5)),
    )


def write(folder: Path, *numbers: int) -> Path:
    for n in numbers:
        write_series(folder / f"p{n}", patient(n))
    return folder


def spoil(folder: Path, keyword: str, value: object) -> None:
    """Change one element in every file of a folder."""
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
        dataset.save_as(path)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def write_marked(folder: Path, n: int) -> None:
    pixels = patient(n).pixels.copy()
    pixels[:, 0, 0] = 77
    write_series(folder / f"p{n}", replace(patient(n), pixels=pixels))
