"""NIfTI: our label maps on the source grid, and volumes of the EMIDEC layout."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from scarseg.case.labels import Label, LabelArray
from scarseg.case.stack import FloatArray, Stack
from scarseg.errors import InputError
from scarseg.io.files import write_file

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

_UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    zlib.error,
    ImageFileError,
    HeaderDataError,
    WrapStructError,
)


def write_labels(path: Path, labels: LabelArray, stack: Stack, force: bool = False) -> None:
    """Write labels uint8 (slice, row, column) as a NIfTI-1 file of axes (column, row, slice).

    Nothing is flipped or resampled: voxel (column, row, slice) lies where ``stack.affine``
    says, turned from LPS to RAS, in sform and qform; the voxel size is column spacing, row
    spacing and the distance between slices in mm. The same labels give the same bytes.

    Raises:
        OutputError: E_EXISTS without ``force``, E_WRITE.
    """
    write_file(path, _encode(path, labels, stack), force)


def file_holds_labels(path: Path, labels: LabelArray, stack: Stack) -> bool:
    """Tell whether a plain file holds exactly what :func:`write_labels` would write."""
    try:
        return not path.is_symlink() and path.read_bytes() == _encode(path, labels, stack)
    except OSError:
        return False


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Labels of a file with the grid they lie on.

    ``labels`` uint8 (slice, row, column); ``spacing_mm`` in that order, from the header's
    ``pixdim``; ``affine`` from voxel (column, row, slice) to RAS mm.
    """

    labels: LabelArray
    spacing_mm: tuple[float, float, float]
    affine: npt.NDArray[np.float64]


def read_labels(path: Path) -> LabelArray:
    """Read labels uint8 (slice, row, column) as :func:`write_labels` leaves them.

    Raises:
        InputError: E_MASK, not a label map with values 0 to 4.
    """
    return read_label_map(path).labels


def read_label_map(path: Path, meaning: Mapping[int, Label] | None = None) -> LabelMap:
    """Read labels with their grid, as :func:`write_labels` leaves them.

    Args:
        meaning: what values stand for; 0 to 4 as in :class:`Label` by default.

    Raises:
        InputError: E_MASK, not a label map with values 0 to 4.
    """
    try:
        raw = path.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
        image = nib.Nifti1Image.from_bytes(raw)
        data = np.asanyarray(image.dataobj)
        affine = np.asarray(image.affine, dtype=np.float64)
    except _UNREADABLE as error:
        raise InputError(
            "E_MASK", f"{path} cannot be read as NIfTI: {error}.", str(path)
        ) from error
    known = {int(label): label for label in Label} if meaning is None else {0: 0, **meaning}
    if data.ndim != 3 or not np.isin(data, list(known)).all():
        values = "0 to 4" if meaning is None else ", ".join(str(one) for one in sorted(known))
        raise InputError("E_MASK", f"{path} is not a label map with values {values}.", str(path))
    columns, rows, slices = (float(zoom) for zoom in image.header.get_zooms())
    labels = np.zeros(data.shape, dtype=np.uint8)
    for value, label in known.items():
        labels[data == value] = int(label)
    labels = np.ascontiguousarray(labels.transpose(2, 1, 0))
    return LabelMap(labels, (slices, rows, columns), affine)


def read_image(path: Path) -> tuple[FloatArray, tuple[float, float, float]]:
    """Read an image; give pixels float32 (slice, row, column) and spacing in mm in that order.

    The spacing is the header's ``pixdim``: in EMIDEC's own files the affine says 1 mm and is
    wrong.

    Raises:
        InputError: E_NIFTI.
    """
    try:
        volume = nib.load(path)
        data = np.asarray(volume.dataobj, dtype=np.float32)
    except _UNREADABLE as error:
        raise InputError(
            "E_NIFTI", f"{path.name} is not a readable NIfTI file.", str(path)
        ) from error
    if data.ndim != 3:
        raise InputError("E_NIFTI", f"{path.name} has {data.ndim} axes, not 3.", str(path))
    columns, rows, slices = (float(zoom) for zoom in volume.header.get_zooms())
    return np.ascontiguousarray(data.transpose(2, 1, 0)), (slices, rows, columns)


def _encode(path: Path, labels: LabelArray, stack: Stack) -> bytes:
    if labels.shape != stack.pixels.shape:
        raise ValueError("labels must fit the stack")
    affine = LPS_TO_RAS @ stack.affine
    data = np.ascontiguousarray(labels.transpose(2, 1, 0), dtype=np.uint8)
    image = nib.Nifti1Image(data, affine)
    image.set_sform(affine, code="scanner")
    image.set_qform(affine, code="scanner", strip_shears=True)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = b"scarseg labels 0-4"
    raw: bytes = image.to_bytes()
    return gzip.compress(raw, compresslevel=6, mtime=0) if path.suffix == ".gz" else raw
