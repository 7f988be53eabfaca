"""Whole stacks: an LGE examination with its truth, from a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from scarseg.io.uids import derived_uid
from scarseg.labels import Label, LabelArray, infarct_mask
from scarseg.simulate.acquisition import Geometry, draw_geometry, draw_scanner, form_images
from scarseg.simulate.anatomy import ScarComponent, draw_heart
from scarseg.simulate.options import SimulationOptions, Territory
from scarseg.simulate.scene import draw_unevenness, render_scene
from scarseg.simulate.thorax import draw_thorax
from scarseg.simulate.tissue import draw_tissues
from scarseg.stack import FloatArray, Sequence, SliceSource, Stack


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
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(7)]
    heart = draw_heart(streams[0], streams[1], options)
    reach = heart.radius + heart.wall
    thorax = draw_thorax(streams[2], reach)
    geometry = draw_geometry(streams[4], heart.length, reach, options)
    tissues = draw_tissues(streams[3], len(geometry.z_mm), options)
    scanner = draw_scanner(streams[5], options)
    uneven = draw_unevenness(streams[6], geometry)
    signal, truth = render_scene(heart, thorax, tissues, geometry, uneven)
    pixels = form_images(scanner, signal, tissues[len(tissues) // 2].blood)
    name = f"{seed} {replace(options, sequence=None)}"
    stack = _stack(name, seed, pixels, geometry, scanner.sequence)
    return SimulatedStack(
        stack, truth, heart.scars, tissues[0].inversion_ms, tissues[0].inversion_error, seed
    )


def _stack(
    name: str, seed: int, pixels: FloatArray, geometry: Geometry, sequence: Sequence
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
        description="LGE SAX PSIR" if sequence is Sequence.PSIR else "LGE SAX",
        patient_id=f"SIM{seed % 10**8:08d}",
        patient_name="Simulated^Phantom",
        study_date="20240102",
        spacing_between_slices_mm=geometry.thickness_mm + geometry.gap_mm,
    )
