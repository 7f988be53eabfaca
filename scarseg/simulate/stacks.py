"""Whole stacks: an LGE examination with its truth, from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from scarseg.io.uids import derived_uid
from scarseg.labels import Label, LabelArray, infarct_mask
from scarseg.simulate.acquisition import Geometry, draw_geometry, draw_scanner, form_images
from scarseg.simulate.anatomy import Heart, ScarComponent, draw_heart
from scarseg.simulate.heart import render_heart
from scarseg.simulate.options import SimulationOptions, Territory
from scarseg.simulate.thorax import Thorax, draw_thorax, render_thorax
from scarseg.simulate.tissue import Tissues, draw_tissues
from scarseg.stack import FloatArray, Sequence, SliceSource, Stack

SAMPLES_PER_SLICE = 5


@dataclass(frozen=True, eq=False)
class SimulatedStack:
    """A stack with its truth.

    ``truth`` uint8 (slice, row, column), values of :class:`scarseg.labels.Label`;
    ``scars`` what was drawn, also where no slice shows it.
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
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(6)]
    heart = draw_heart(streams[0], streams[1], options)
    reach = heart.radius + heart.wall
    thorax = draw_thorax(streams[2], reach)
    tissues = draw_tissues(streams[3], options)
    geometry = draw_geometry(streams[4], heart.length, reach, options)
    scanner = draw_scanner(streams[5], options)
    signal, truth = _render(seed, heart, thorax, tissues, geometry)
    pixels = form_images(scanner, signal, tissues.blood)
    stack = _stack(seed, pixels, geometry, scanner.sequence)
    return SimulatedStack(
        stack, truth, heart.scars, tissues.inversion_ms, tissues.inversion_error, seed
    )


def _render(
    seed: int, heart: Heart, thorax: Thorax, tissues: Tissues, geometry: Geometry
) -> tuple[FloatArray, LabelArray]:
    row_spacing, column_spacing = geometry.pixel_spacing_mm
    pixel_mm = (row_spacing + column_spacing) / 2
    shape = (len(geometry.z_mm), geometry.rows, geometry.columns)
    signal = np.empty(shape, dtype=np.float32)
    truth = np.zeros(shape, dtype=np.uint8)
    grain = _grain(seed, geometry)
    offsets = (np.arange(SAMPLES_PER_SLICE) + 0.5) / SAMPLES_PER_SLICE - 0.5
    reach = heart.radius * 1.1 + heart.wall * 1.3 + 12
    for k, middle in enumerate(geometry.z_mm):
        shift_x, shift_y = geometry.shifts_mm[k]
        x = (np.arange(geometry.columns) + 0.5) * column_spacing - geometry.heart_position_mm[0]
        y = (np.arange(geometry.rows) + 0.5) * row_spacing - geometry.heart_position_mm[1]
        x, y = x.astype(np.float32), y.astype(np.float32)
        full_x, full_y = np.broadcast_to(x, shape[1:]), np.broadcast_to(y[:, None], shape[1:])
        signal[k] = render_thorax(thorax, tissues, full_x, full_y, float(middle), pixel_mm)
        signal[k] *= 1 + grain[k % 2] * (1 - k / 40)
        x, y = x - np.float32(shift_x), y - np.float32(shift_y)
        c0, c1 = np.searchsorted(x, [-reach - heart.rv_width, reach + 25])
        r0, r1 = np.searchsorted(y, [-reach - 25, reach + 25])
        part = np.s_[k, r0:r1, c0:c1]
        grid_x, grid_y = np.meshgrid(x[c0:c1], y[r0:r1])
        z = (middle + offsets * geometry.thickness_mm).astype(np.float32)
        beat = render_heart(heart, tissues, grid_x, grid_y, z, pixel_mm)
        signal[part] = signal[part] * (1 - beat.share) + beat.signal
        truth[part] = beat.labels
    return signal, truth


def _grain(seed: int, geometry: Geometry) -> FloatArray:
    """Give two uneven textures (2, row, column) for the tissues round the heart."""
    rng = np.random.default_rng([seed & 0xFFFFFFFF, seed >> 32, 7])
    shape = (2, geometry.rows, geometry.columns)
    fine = rng.standard_normal(shape, dtype=np.float32)
    fine = ndimage.gaussian_filter(fine, (0.5, 1.3, 1.3)) * 0.45
    small = (2, geometry.rows // 8 + 2, geometry.columns // 8 + 2)
    coarse = rng.standard_normal(small, dtype=np.float32) * 0.14
    coarse = ndimage.zoom(coarse, (1, 8, 8), order=1)[:, : geometry.rows, : geometry.columns]
    return np.asarray(fine + coarse, dtype=np.float32)


def _stack(seed: int, pixels: FloatArray, geometry: Geometry, sequence: Sequence) -> Stack:
    series = derived_uid("simulated", seed, "series", sequence)
    return Stack(
        pixels=pixels,
        pixel_spacing_mm=geometry.pixel_spacing_mm,
        slice_thickness_mm=geometry.thickness_mm,
        orientation=geometry.orientation,
        origins_mm=geometry.origins_mm,
        sources=tuple(
            SliceSource(derived_uid("simulated", seed, "image", sequence, k), instance_number=k + 1)
            for k in range(len(pixels))
        ),
        series_uid=series,
        study_uid=derived_uid("simulated", seed, "study"),
        sequence=sequence,
        description="LGE SAX PSIR" if sequence is Sequence.PSIR else "LGE SAX",
        patient_id=f"SIM{seed % 10**8:08d}",
        patient_name="Simulated^Phantom",
        study_date="20240102",
        spacing_between_slices_mm=geometry.thickness_mm + geometry.gap_mm,
    )
