"""A localizer series, so that a study holds more than the stack that is wanted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from scarseg.io.dicom_write import write_series
from scarseg.io.uids import derived_uid
from scarseg.stack import FloatArray, Sequence, SliceSource, Stack, Vector

SIZE, SPACING_MM = 128, 3.0
_PLANES = (
    ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
    ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0)),
    ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0)),
)
"""Row and column direction of transverse, coronal and sagittal images."""


def write_localizer(folder: Path, stack: Stack) -> list[Path]:
    """Write three orthogonal images through the middle of ``stack`` as a series of its own."""
    series = derived_uid(stack.study_uid, "localizer")
    seed = int(derived_uid(stack.study_uid, "localizer noise").split(".")[-1])
    rng = np.random.default_rng(seed)
    middle = np.mean(np.asarray(stack.origins_mm), axis=0) + 120.0
    files = []
    for k, (across, down) in enumerate(_PLANES):
        half = SIZE * SPACING_MM / 2
        corner = middle - half * np.asarray(across) - half * np.asarray(down)
        plane = replace(
            stack,
            pixels=_image(rng)[None],
            pixel_spacing_mm=(SPACING_MM, SPACING_MM),
            slice_thickness_mm=8.0,
            spacing_between_slices_mm=None,
            orientation=(*across, *down),
            origins_mm=(_vector(corner),),
            sources=(SliceSource(derived_uid(series, k), instance_number=k + 1),),
            series_uid=series,
            description="localizer",
            sequence=Sequence.MAGNITUDE,
        )
        header = {
            "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"],
            "SeriesNumber": 1,
            "ScanningSequence": "GR",
            "InversionTime": None,
        }
        files += write_series(folder, plane, header=header)
    return files


def _vector(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Vector:
    x, y, z = (round(float(v), 4) for v in values)
    return (x, y, z)


def _image(rng: np.random.Generator) -> FloatArray:
    """Make a body with soft insides, float32 (row, column)."""
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    body = np.hypot(x / 0.8, y / 0.6) < 1
    texture = ndimage.gaussian_filter(rng.standard_normal((SIZE, SIZE)), 6) * 900
    noise = np.abs(rng.normal(0, 8, (SIZE, SIZE)))
    image = np.round(body * np.clip(200 + texture, 20, 600) + noise)
    return np.asarray(image, dtype=np.float32)
