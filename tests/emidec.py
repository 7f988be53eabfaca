"""Wrap cases of the EMIDEC challenge (NIfTI) as DICOM folders, for tests and benchmarks.

The images stay where they are: what is written goes where the caller says, never into the
repository.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from scarseg.case.labels import LabelArray
from scarseg.case.stack import FloatArray, SliceSource, Stack
from scarseg.io.dicom.uids import derived_uid
from scarseg.simulate.write_dicom import write_series

EMIDEC = Path(
    os.environ.get(
        "SCARSEG_EMIDEC", Path(__file__).resolve().parents[2] / "shared" / "data" / "emidec"
    )
)
"""The challenge's own layout: ``Case_X/Images/Case_X.nii.gz``, ``Case_X/Contours/...``."""
_ORIENTATION = (0.64, 0.48, -0.6, 0.0, -0.78086881, -0.624695048)
"""A typical short-axis plane, LPS: the files do not tell the true one."""


@dataclass(frozen=True, eq=False)
class WrappedCase:
    """``stack`` as a reader should find it in ``folder``; ``truth`` uint8 (slice, row, column)."""

    name: str
    stack: Stack
    truth: LabelArray
    folder: Path
    files: tuple[Path, ...]


def case_names(root: Path = EMIDEC) -> list[str]:
    """List the cases, P022 and so on; none where the data are not there."""
    return sorted(path.name.removeprefix("Case_") for path in root.glob("Case_*"))


def load_emidec(name: str, root: Path = EMIDEC) -> tuple[Stack, LabelArray]:
    """Read a case as radiologists see it: anterior up, septum left, base to apex.

    The files' first axis runs from inferior to anterior, their second from lateral to septal,
    their third from apex to base; the voxel size is ``pixdim``, never the affine.
    """
    folder = root / f"Case_{name}"
    image = nib.load(folder / "Images" / f"Case_{name}.nii.gz")
    contours = nib.load(folder / "Contours" / f"Case_{name}.nii.gz")
    pixels = _upright(np.asanyarray(image.dataobj)).astype(np.float32)
    truth = _upright(np.asanyarray(contours.dataobj)).astype(np.uint8)
    # pixdim is float32: 1.43 comes as 1.4299999475
    row_mm, column_mm, slice_mm = (round(float(v), 5) for v in image.header.get_zooms()[:3])
    return _stack(name, pixels, (row_mm, column_mm), slice_mm), truth


def _upright(voxels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(voxels[::-1, ::-1, ::-1].transpose(2, 0, 1))


def _stack(
    name: str, pixels: FloatArray, pixel_spacing_mm: tuple[float, float], slice_mm: float
) -> Stack:
    series = derived_uid("emidec", name)
    across = np.asarray(_ORIENTATION[:3]) / np.linalg.norm(_ORIENTATION[:3])
    down = np.asarray(_ORIENTATION[3:])
    down = down - (down @ across) * across
    down /= np.linalg.norm(down)
    across, down = np.round(across, 12), np.round(down, 12)
    to_apex = -np.cross(across, down)
    origins = [np.round(k * slice_mm * to_apex, 9) for k in range(len(pixels))]
    return Stack(
        pixels=pixels,
        pixel_spacing_mm=pixel_spacing_mm,
        slice_thickness_mm=slice_mm,
        orientation=tuple(float(v) for v in (*across, *down)),
        origins_mm=tuple((float(x), float(y), float(z)) for x, y, z in origins),
        sources=tuple(
            SliceSource(derived_uid(series, k), instance_number=k + 1) for k in range(len(pixels))
        ),
        series_uid=series,
        study_uid=derived_uid("emidec study", name),
        description="LGE SAX",
        patient_id=name,
        patient_name=f"EMIDEC^{name}",
        study_date="20200101",
        spacing_between_slices_mm=slice_mm,
    )


def wrap_emidec(
    name: str, folder: Path, root: Path = EMIDEC, *, enhanced: bool = False
) -> WrappedCase:
    """Write a case as DICOM into ``folder/<name>``."""
    stack, truth = load_emidec(name, root)
    target = folder / name
    files = write_series(target, stack, enhanced=enhanced)
    return WrappedCase(name, stack, truth, target, tuple(files))
