"""Twenty varied cases on DICOM files, for everything that is derived from images."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.dataset import Dataset

from scarseg.case.case import Case, ModelIdentity
from scarseg.case.history import SliceReading, SliceStatus
from scarseg.case.labels import Label, LabelArray, MaskArray
from scarseg.case.measurements import Measurements
from scarseg.case.prompts import Box, Origin, Point, SlicePrompts
from scarseg.case.stack import LgeSequence, SliceSource, Stack, Vector
from scarseg.io import dicom
from scarseg.io.dicom.types import StackSummary
from scarseg.io.dicom_export import export_dicom
from scarseg.simulate.write_dicom import write_series

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NAME, ID, BIRTH = "CANARY^NAME", "CANARY-ID-77", "19410203"
HEADER = {
    "PatientBirthDate": BIRTH,
    "PatientSex": "F",
    "AccessionNumber": "CANARYACC",
    "ReferringPhysicianName": "CANARY^PHYSICIAN",
    "InstitutionName": "CANARY HOSPITAL",
    "StudyID": "CANARYSTUDY",
}
CANARIES = (b"CANARY", BIRTH.encode())

HAS_VALIDATOR = shutil.which("dciodvfy") is not None
HAS_SR_VALIDATOR = shutil.which("DicomSRValidator") is not None


@dataclass(frozen=True)
class Variant:
    """How one of the twenty differs from an oblique, anisotropic stack with scar."""

    name: str
    n: int = 6
    shape: tuple[int, int] = (36, 44)
    spacing_mm: tuple[float, float] = (1.5, 1.25)
    step_mm: float = 9.0
    thickness_mm: float = 8.0
    turn: str = "oblique"
    reverse: bool = False
    enhanced: bool = False
    skip: tuple[int, ...] = ()
    labels: str = "scar"
    touched: str = ""
    model: bool = True
    sequence: LgeSequence = LgeSequence.MAGNITUDE
    apart: bool = False


VARIANTS = (
    Variant("oblique"),
    Variant("axial", turn="axial"),
    Variant("coronal", turn="coronal"),
    Variant("flipped rows", turn="flipped"),
    Variant("reversed files", reverse=True),
    Variant("enhanced", enhanced=True),
    Variant("enhanced reversed", enhanced=True, reverse=True, labels="mvo"),
    Variant("enhanced single", enhanced=True, n=1),
    Variant("single slice", n=1),
    Variant("two slices", n=2, labels="mvo"),
    Variant("no scar", labels="no scar"),
    Variant("nothing", labels="nothing"),
    Variant("mvo", labels="mvo", touched="edited"),
    Variant("mvo alone", labels="mvo alone"),
    Variant("scar without wall", labels="scar alone", model=False),
    Variant("missing slice", n=8, skip=(3,)),
    Variant("overlap", step_mm=6.0, thickness_mm=8.0, touched="point"),
    Variant("odd size", shape=(31, 37), spacing_mm=(0.7421875, 1.3671875), touched="box"),
    Variant("psir", sequence=LgeSequence.PSIR, n=12, touched="lv box"),
    Variant("a series per slice", apart=True),
)


@dataclass(frozen=True)
class Export:
    variant: Variant
    case: Case
    summary: StackSummary
    folder: Path


def make_export(variant: Variant, folder: Path) -> Export:
    """Write the images of a variant, read them as the program does, put labels on them."""
    stack = _stack(variant)
    header = {**HEADER}
    if variant.apart:
        for k in range(stack.n_slices):
            part = _only(stack, k)
            write_series(folder, part, header={**header, "InstanceNumber": k + 1}, prefix=f"S{k}-")
    else:
        write_series(folder, stack, header=header, enhanced=variant.enhanced)
    [summary] = dicom.scan([folder]).stacks
    read = dicom.read_stack(summary)
    labels = _labels_of(read.pixels)
    assert np.array_equal(np.sort(labels.ravel()), np.sort(_labels(variant).ravel()))
    case = Case.new(read)
    case.labels[:] = labels
    if variant.model:
        case.segmenter = ModelIdentity("test-segmenter", "ab" * 32, True)
        case.detector = ModelIdentity("test-detector", "cd" * 32, False)
    case.readings = [_reading(variant, k) for k in range(read.n_slices)]
    return Export(variant, case, summary, folder)


def _stack(variant: Variant) -> Stack:
    orientation, normal = _turned(variant.turn)
    places = [k for k in range(variant.n) if k not in variant.skip]
    origins: list[Vector] = []
    for k in places:
        x, y, z = np.array([-12.5, 45.25, 78.75]) + normal * variant.step_mm * k
        origins.append((float(x), float(y), float(z)))
    labels = _labels(variant)
    psir = variant.sequence is LgeSequence.PSIR
    pixels = labels * 100.0 - (250.0 if psir else -10.0)
    if variant.reverse:
        origins, pixels = origins[::-1], pixels[::-1]
    series = f"1.2.826.8.{VARIANTS.index(variant) + 1}"
    return Stack(
        pixels=pixels.astype(np.float32),
        pixel_spacing_mm=variant.spacing_mm,
        slice_thickness_mm=variant.thickness_mm,
        orientation=orientation,
        origins_mm=tuple(origins),
        sources=tuple(SliceSource(f"{series}.{k + 1}") for k in range(len(origins))),
        series_uid=series,
        study_uid="1.2.826.8",
        sequence=variant.sequence,
        description="LGE SAX",
        patient_id=ID,
        patient_name=NAME,
        study_date="20240305",
    )


def _only(stack: Stack, k: int) -> Stack:
    return replace(
        stack,
        pixels=stack.pixels[k : k + 1],
        origins_mm=stack.origins_mm[k : k + 1],
        sources=stack.sources[k : k + 1],
        series_uid=f"{stack.series_uid}.9.{k + 1}",
    )


def _turned(
    turn: str,
) -> tuple[tuple[float, float, float, float, float, float], npt.NDArray[np.float64]]:
    if turn == "oblique":
        normal = np.array([0.62, -0.58, -0.53])
        normal /= np.linalg.norm(normal)
        row = np.cross(normal, [0.1, 0.2, 1.0])
        row /= np.linalg.norm(row)
        column = np.cross(normal, row)
    else:
        row, column = {
            "axial": (np.array([1.0, 0, 0]), np.array([0, 1.0, 0])),
            "coronal": (np.array([1.0, 0, 0]), np.array([0, 0, -1.0])),
            "flipped": (np.array([-1.0, 0, 0]), np.array([0, 1.0, 0])),
        }[turn]
        normal = np.cross(row, column)
    a, b, c, d, e, f = (float(v) for v in (*row, *column))
    return (a, b, c, d, e, f), normal


def _labels(variant: Variant) -> LabelArray:
    """A ring that shrinks to the apex, no two slices or sides alike; scar lies on one side."""
    n = variant.n - len(variant.skip)
    rows, columns = np.mgrid[: variant.shape[0], : variant.shape[1]] + 0.5
    labels = np.zeros((n, *variant.shape), dtype=np.uint8)
    if variant.labels == "nothing":
        return labels
    for k in range(n):
        y, x = rows - 0.45 * variant.shape[0] - 0.3 * k, columns - 0.55 * variant.shape[1]
        radius, angle = np.hypot(y, 0.9 * x), np.arctan2(y, x)
        inner, outer = 6.0 - 0.3 * k, 11.0 - 0.4 * k
        wall = (radius >= inner) & (radius < outer)
        labels[k, radius < inner] = Label.BLOOD_POOL
        labels[k, wall] = Label.MYOCARDIUM
        side = wall & (angle > -0.2) & (angle < 1.1 + 0.1 * k)
        core = side & (radius > inner + 1) & (radius < outer - 1.5) & (angle > 0.2)
        if variant.labels != "no scar" and (k != 1 or n < 3):
            labels[k, side] = Label.SCAR
        if variant.labels in ("mvo", "mvo alone") and (k != 1 or n < 3):
            labels[k, core & (angle < 0.9)] = Label.MVO
    if variant.labels == "scar alone":
        labels[labels != Label.SCAR] = Label.BACKGROUND
    if variant.labels == "mvo alone":
        labels[labels == Label.SCAR] = Label.MYOCARDIUM
    return labels


def _labels_of(pixels: npt.NDArray[np.float32]) -> LabelArray:
    return np.round((pixels - pixels.min()) / 100).astype(np.uint8)


def _reading(variant: Variant, k: int) -> SliceReading:
    box = Box(3.0, 4.0, 20.0, 22.0, Origin.READER)
    prompts = {
        "point": SlicePrompts(points=(Point(10.0, 12.0, True),)),
        "box": SlicePrompts(boxes=(box,)),
        "lv box": SlicePrompts(lv_box=box),
    }
    if k > 0 or not variant.touched:
        own = SlicePrompts(boxes=(replace(box, origin=Origin.DETECTOR),))
        return SliceReading(own, SliceStatus.PROPOSED)
    if variant.touched == "edited":
        return SliceReading(status=SliceStatus.ACCEPTED, edited=True)
    return SliceReading(prompts[variant.touched], SliceStatus.ACCEPTED)


def places_of(mask: MaskArray, stack: Stack) -> npt.NDArray[np.float64]:
    """Return the patient positions (LPS, mm) of a mask's voxel centres, sorted."""
    k, rows, columns = np.nonzero(mask)
    row_mm, column_mm = stack.pixel_spacing_mm
    points = (
        np.asarray(stack.origins_mm)[k]
        + np.outer(columns * column_mm, stack.orientation[:3])
        + np.outer(rows * row_mm, stack.orientation[3:])
    )
    return in_order(points)


def in_order(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    rounded = np.round(points, 2) + 0.0
    return points[np.lexsort(rounded.T)]


def complaints(path: Path) -> list[str]:
    """Return the errors that dciodvfy finds."""
    done = subprocess.run(
        ["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False
    )
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]


def write_segmentation(path: Path, case: Case, summary: StackSummary, **options: Any) -> Dataset:
    """Export a case as DICOM SEG and read it back."""
    export_dicom(case, summary, segmentation=path, **options)
    return dcmread(path)


def write_contours(path: Path, case: Case, summary: StackSummary, **options: Any) -> None:
    export_dicom(case, summary, contours=path, **options)


def write_report(
    path: Path, case: Case, measured: Measurements, summary: StackSummary, **options: Any
) -> None:
    export_dicom(case, summary, report=(path, measured), **options)
