"""Simulated series: an LGE stack with its truth, scouts and localizers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from scarseg.case.labels import Label, LabelArray, infarct_mask
from scarseg.case.stack import FloatArray, LgeSequence, SliceSource, Stack, Vector
from scarseg.io.dicom.uids import derived_uid
from scarseg.quant.segments import Territory
from scarseg.simulate.anatomy import ScarComponent, SimulationOptions, draw_heart
from scarseg.simulate.phantom import draw_drift, render_scene
from scarseg.simulate.signal import Geometry, draw_geometry, draw_scanner, draw_tissues, form_images
from scarseg.simulate.thorax import draw_thorax
from scarseg.simulate.write_dicom import write_series


@dataclass(frozen=True, eq=False)
class SimulatedStack:
    """A stack with its truth.

    ``truth`` uint8 (slice, row, column), values of :class:`scarseg.case.labels.Label`;
    ``scars`` the infarcts of the heart, also those that no slice shows.
    """

    stack: Stack
    truth: LabelArray
    scars: tuple[ScarComponent, ...]
    inversion_time_ms: float
    inversion_error: float
    seed: int

    @property
    def territories(self) -> tuple[Territory, ...]:
        return tuple(scar.territory for scar in self.scars)

    @property
    def has_scar(self) -> bool:
        return bool(infarct_mask(self.truth).any())

    @property
    def has_mvo(self) -> bool:
        return bool((self.truth == Label.MVO).any())


def simulate_stack(
    seed: int | np.random.Generator, options: SimulationOptions | None = None
) -> SimulatedStack:
    """Simulate one short-axis LGE stack with its truth.

    The same seed and options give the same bytes. A Generator is advanced by one draw, which
    becomes the seed.
    """
    if isinstance(seed, np.random.Generator):
        seed = int(seed.integers(2**62))
    options = options or SimulationOptions()
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(7)]
    heart = draw_heart(streams[0], streams[1], options)
    reach = heart.radius + heart.wall
    thorax = draw_thorax(streams[2], reach)
    geometry = draw_geometry(streams[4], heart.length, reach, options)
    tissues = draw_tissues(streams[3], len(geometry.z_mm), options)
    scanner = draw_scanner(streams[5], options)
    uneven = draw_drift(streams[6], geometry)
    signal, truth = render_scene(heart, thorax, tissues, geometry, uneven)
    pixels = form_images(scanner, signal, tissues[len(tissues) // 2].blood)
    name = f"{seed} {replace(options, sequence=None)}"
    stack = _stack(name, seed, pixels, geometry, scanner.sequence)
    return SimulatedStack(
        stack, truth, heart.scars, tissues[0].inversion_ms, tissues[0].inversion_error, seed
    )


def _stack(
    name: str, seed: int, pixels: FloatArray, geometry: Geometry, sequence: LgeSequence
) -> Stack:
    series = derived_uid("simulated", name, "series", sequence)
    return Stack(
        pixels=pixels,
        pixel_spacing_mm=geometry.pixel_spacing_mm,
        slice_thickness_mm=geometry.thickness_mm,
        orientation=geometry.orientation,
        origins_mm=geometry.origins_mm,
        sources=tuple(
            SliceSource(derived_uid("simulated", name, "image", sequence, k), instance_number=k + 1)
            for k in range(len(pixels))
        ),
        series_uid=series,
        study_uid=derived_uid("simulated", name, "study"),
        sequence=sequence,
        description="LGE SAX PSIR" if sequence is LgeSequence.PSIR else "LGE SAX",
        patient_id=f"SIM{seed % 10**8:08d}",
        patient_name="Simulated^Phantom",
        study_date="20240102",
        spacing_between_slices_mm=geometry.thickness_mm + geometry.gap_mm,
    )


ERRORS = (-0.45, -0.3, -0.15, 0.0, 0.2, 0.4)
"""Inversion times of a scout, relative to the one that nulls remote myocardium, minus 1."""


def write_scout(
    folder: Path,
    stack: Stack,
    seed: int,
    options: SimulationOptions,
    header: Mapping[str, object],
) -> list[Path]:
    """Write an inversion-time scout: the middle slice of a heart at several inversion times.

    Study and patient are those of ``stack``; ``header`` are values of the vendor. All images have
    the same position, as in cine and scout series.
    """
    series = derived_uid(stack.series_uid, "scout")
    files = []
    for k, error in enumerate(ERRORS):
        fixed = replace(options, sequence=LgeSequence.MAGNITUDE, inversion_error=error)
        simulated = simulate_stack(seed, fixed)
        middle = simulated.stack.n_slices // 2
        image = replace(
            stack,
            pixels=simulated.stack.pixels[middle : middle + 1],
            origins_mm=(simulated.stack.origins_mm[middle],),
            sources=(SliceSource(derived_uid(series, k), instance_number=k + 1),),
            series_uid=series,
            description="TI_SCOUT_SAX",
            sequence=LgeSequence.MAGNITUDE,
            spacing_between_slices_mm=None,
        )
        values = {
            **header,
            "ImageType": ["ORIGINAL", "PRIMARY", "M"],
            "ProtocolName": "TI_SCOUT_SAX",
            "SeriesNumber": 9,
            "InversionTime": round(simulated.inversion_time_ms, 1),
            "TriggerTime": float(100 + 60 * k),
            "AcquisitionNumber": 1,
        }
        files += write_series(folder, image, header=values)
    return files


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
            sequence=LgeSequence.MAGNITUDE,
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
    """Return a body with soft tissue inside, float32 (row, column)."""
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    body = np.hypot(x / 0.8, y / 0.6) < 1
    texture = ndimage.gaussian_filter(rng.standard_normal((SIZE, SIZE)), 6) * 900
    noise = np.abs(rng.normal(0, 8, (SIZE, SIZE)))
    image = np.round(body * np.clip(200 + texture, 20, 600) + noise)
    return np.asarray(image, dtype=np.float32)
