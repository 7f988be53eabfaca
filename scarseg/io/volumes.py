"""Read NIfTI volumes of the EMIDEC layout as (slice, row, column)."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt

from scarseg.errors import InputError


def _read(path: Path) -> tuple[npt.NDArray[np.float32], tuple[float, float, float]]:
    try:
        volume = nib.load(path)
        data = np.asarray(volume.dataobj, dtype=np.float32)
    except (OSError, nib.filebasedimages.ImageFileError) as error:
        raise InputError("E_NIFTI", f"{path.name} is not a readable NIfTI file", str(path)) from (
            error
        )
    zooms = [float(z) for z in volume.header.get_zooms()]
    if data.ndim != 3:
        raise InputError("E_NIFTI", f"{path.name} has {data.ndim} axes, not 3", str(path))
    return np.ascontiguousarray(data.transpose(2, 1, 0)), (zooms[2], zooms[1], zooms[0])


def read_image(path: Path) -> tuple[npt.NDArray[np.float32], tuple[float, float, float]]:
    """Read an image; give pixels (slice, row, column) and spacing in mm in the same order.

    The spacing is the header's ``pixdim``: in EMIDEC's own files the affine says 1 mm and is
    wrong.

    Raises:
        InputError: E_NIFTI.
    """
    return _read(path)


def read_label_map(path: Path) -> npt.NDArray[np.uint8]:
    """Read a label map as uint8 (slice, row, column).

    Raises:
        InputError: E_NIFTI.
    """
    return np.rint(_read(path)[0]).astype(np.uint8)
