"""NIfTI: our label maps on the source grid, and volumes of the EMIDEC layout."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from scarseg.case.labels import Label, LabelArray, MaskArray
from scarseg.case.stack import FloatArray, Stack
from scarseg.errors import InputError, LimitError
from scarseg.io.files import write_file

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

_UNREADABLE = (
    *(OSError, EOFError, ValueError, OverflowError, zlib.error),
    *(ImageFileError, HeaderDataError, WrapStructError),
)
LABELS, REMOTE = b"scarseg labels 0-4", b"scarseg remote myocardium"
"""Descriptions in the header of the files that are written."""
MAX_VOXELS = 2**30
_MAX_BYTES = 2**31
_HEADER_BYTES = 348
REMOTE_SUFFIX = ".remote.nii.gz"
"""Ending of a remote region beside a mask; such a file is never taken for a mask of scar."""
_SMALLEST_DETERMINANT = 1e-9
"""Of the matrix from voxels to mm: steps that are parallel, or of no length, have none."""


def write_labels(path: Path, labels: LabelArray, stack: Stack, force: bool = False) -> None:
    """Write labels uint8 (slice, row, column) as a NIfTI-1 file of axes (column, row, slice).

    Nothing is flipped or resampled: voxel (column, row, slice) lies where ``stack.affine``
    says, turned from LPS to RAS, in sform and qform; the voxel size is column spacing, row
    spacing and the distance between slices in mm. The same labels give the same bytes.

    Raises:
        OutputError: E_EXISTS without ``force``, E_WRITE.
    """
    write_file(path, _encode(path, labels, stack, LABELS), force)


def write_remote(path: Path, region: MaskArray, stack: Stack, force: bool = False) -> None:
    """Write a remote region (slice, row, column) as NIfTI of 0 and 1, as :func:`write_labels`.

    A file that holds it already is left.

    Raises:
        OutputError: E_EXISTS without ``force``, E_WRITE.
    """
    data = _encode(path, region.astype(np.uint8), stack, REMOTE)
    if force or not _holds(path, data):
        write_file(path, data, force)


def file_holds_labels(path: Path, labels: LabelArray, stack: Stack) -> bool:
    """Return whether a plain file holds exactly what :func:`write_labels` would write."""
    return _holds(path, _encode(path, labels, stack, LABELS))


def _holds(path: Path, data: bytes) -> bool:
    try:
        return not path.is_symlink() and path.read_bytes() == data
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
        image = read_nifti(path)
        data = np.asanyarray(image.dataobj)
        affine = finite_affine(path, image)
    except _UNREADABLE as error:
        raise InputError(
            "E_MASK", f"{path} cannot be read as NIfTI: {error}.", str(path)
        ) from error
    known = {int(label): label for label in Label} if meaning is None else {0: 0, **meaning}
    if data.ndim != 3 or not np.isin(data, list(known)).all():
        values = "0 to 4" if meaning is None else ", ".join(str(one) for one in sorted(known))
        raise InputError("E_MASK", f"{path} is not a label map with values {values}.", str(path))
    columns, rows, slices = zooms = [float(zoom) for zoom in image.header.get_zooms()]
    if not all(math.isfinite(zoom) and zoom > 0 for zoom in zooms):
        raise InputError("E_MASK", f"{path} has a voxel size of {zooms} mm.", str(path))
    labels = np.zeros(data.shape, dtype=np.uint8)
    for value, label in known.items():
        labels[data == value] = int(label)
    labels = np.ascontiguousarray(labels.transpose(2, 1, 0))
    return LabelMap(labels, (slices, rows, columns), affine)


def read_image(path: Path) -> tuple[FloatArray, tuple[float, float, float]]:
    """Read an image: pixels float32 (slice, row, column) and spacing in mm in that order.

    The spacing is the header's ``pixdim``: in EMIDEC's own files the affine says 1 mm and is
    wrong.

    Raises:
        InputError: E_NIFTI.
    """
    try:
        volume = read_nifti(path)
        data = np.asarray(volume.dataobj, dtype=np.float32)
    except _UNREADABLE as error:
        raise InputError(
            "E_NIFTI", f"{path.name} is not a readable NIfTI file.", str(path)
        ) from error
    if data.ndim != 3:
        raise InputError("E_NIFTI", f"{path.name} has {data.ndim} axes, not 3.", str(path))
    columns, rows, slices = (float(zoom) for zoom in volume.header.get_zooms())
    return np.ascontiguousarray(data.transpose(2, 1, 0)), (slices, rows, columns)


def read_nifti(path: Path) -> Any:
    """Read a NIfTI-1 file, compressed or not, as an image of nibabel.

    No more is unpacked than the header says: 9 MB may unpack to 9 GB.

    Raises:
        LimitError: E_LIMIT, more than 2^30 voxels or 2 GiB.
        OSError, EOFError, ValueError, zlib.error and errors of nibabel: no whole NIfTI file.
    """
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream = cast(IO[bytes], gzip.GzipFile(fileobj=file)) if packed else file
        head = stream.read(_HEADER_BYTES)
        header = nib.Nifti1Header(head)
        shape = [int(n) for n in header["dim"][1 : 1 + int(header["dim"][0])]]
        n_voxels = math.prod(shape)
        n_bytes = int(header["vox_offset"]) + n_voxels * int(header["bitpix"]) // 8
        if n_voxels > MAX_VOXELS:
            raise LimitError("E_LIMIT", f"{path} has {n_voxels} voxels.", str(path))
        if n_bytes > _MAX_BYTES:
            raise LimitError("E_LIMIT", f"{path} holds {n_bytes} bytes.", str(path))
        return nib.Nifti1Image.from_bytes(head + stream.read(max(n_bytes - len(head), 0)))


def finite_affine(path: Path, image: Any) -> npt.NDArray[np.float64]:
    """Return the matrix of an image from voxel (column, row, slice) to RAS mm.

    Raises:
        InputError: E_MASK, it is not finite, or does not span space.
    """
    affine = np.asarray(image.affine, dtype=np.float64)
    strange = affine[~np.isfinite(affine)]
    if strange.size:
        raise InputError("E_MASK", f"{path}: its affine holds {strange[0]}.", str(path))
    determinant = float(np.linalg.det(affine[:3, :3]))
    if abs(determinant) < _SMALLEST_DETERMINANT:
        raise InputError(
            "E_MASK", f"{path}: its affine has a determinant of {determinant:g}.", str(path)
        )
    return affine


def _encode(path: Path, labels: LabelArray, stack: Stack, content: bytes) -> bytes:
    if labels.shape != stack.pixels.shape:
        raise ValueError("labels must fit the stack")
    affine = LPS_TO_RAS @ stack.affine
    data = np.ascontiguousarray(labels.transpose(2, 1, 0), dtype=np.uint8)
    image = nib.Nifti1Image(data, affine)
    image.set_sform(affine, code="scanner")
    image.set_qform(affine, code="scanner", strip_shears=True)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = content
    raw: bytes = image.to_bytes()
    return gzip.compress(raw, compresslevel=6, mtime=0) if path.suffix == ".gz" else raw
