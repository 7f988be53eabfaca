"""Follow-up of simulated hearts: does the interval hold the true change, and does no change alarm?

Every heart is scanned three times with other slices, tissue signals, coils and noise: as it is, as
it is again, and with its scars narrowed or widened. The program proposes all of it alone. Printed
are the coverage of the 90 % interval of the change, the pairs without change that are called
"beyond repeatability" (false alarms), and the known changes that are (found), for the whole mass
and for segments.

    python benchmarks/follow_up.py --hearts 20
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from scarseg import models as models_module
from scarseg.agreement.follow import (
    MassChange,
    MassWithInterval,
    SegmentMass,
    mass_change,
    segment_changes,
)
from scarseg.case.case import Case
from scarseg.case.labels import LabelArray
from scarseg.case.measurements import MassConvention
from scarseg.case.stack import SliceSource, Stack
from scarseg.models import Models
from scarseg.quant.wall_map import map_wall
from scarseg.segmentation import pipeline
from scarseg.segmentation.interval import case_interval
from scarseg.simulate.anatomy import HeartShape, SimulationOptions, draw_heart
from scarseg.simulate.phantom import draw_drift, render_scene
from scarseg.simulate.signal import draw_geometry, draw_scanner, draw_tissues, form_images
from scarseg.simulate.thorax import draw_thorax

FACTORS = (0.5, 0.7, 1.4, 1.8)
"""Widths of the scars in the third scan, in turn."""


@dataclass(frozen=True)
class Study:
    """A scan of a heart: what the program found, and the truth."""

    mass: MassWithInterval
    regions: Mapping[str, SegmentMass]
    true_g: float
    true_regions: Mapping[str, SegmentMass]


@dataclass(frozen=True)
class Pair:
    """Two scans of a heart: the change that was found and the true one, whole or of a region."""

    changed: bool
    found: MassChange
    true_g: float

    @property
    def held(self) -> bool:
        assert self.found.low_g is not None and self.found.high_g is not None
        return self.found.low_g <= self.true_g <= self.found.high_g


def scan(heart: HeartShape, seed: int, options: SimulationOptions) -> tuple[Stack, LabelArray]:
    """Scan a heart anew: slices, thorax, signals, coils and noise are drawn from the seed."""
    rng = [np.random.default_rng(one) for one in np.random.SeedSequence(seed).spawn(5)]
    reach = heart.radius + heart.wall
    thorax = draw_thorax(rng[0], reach)
    geometry = draw_geometry(rng[1], heart.length, reach, options)
    tissues = draw_tissues(rng[2], len(geometry.z_mm), options)
    scanner = draw_scanner(rng[3], options)
    signal, truth = render_scene(heart, thorax, tissues, geometry, draw_drift(rng[4], geometry))
    pixels = form_images(scanner, signal, tissues[len(tissues) // 2].blood)
    stack = Stack(
        pixels=pixels,
        pixel_spacing_mm=geometry.pixel_spacing_mm,
        slice_thickness_mm=geometry.thickness_mm,
        orientation=geometry.orientation,
        origins_mm=geometry.origins_mm,
        sources=tuple(SliceSource(f"2.25.{k + 1}") for k in range(len(pixels))),
        series_uid=f"2.25.{seed}",
        study_uid="2.25.1",
        sequence=scanner.sequence,
        spacing_between_slices_mm=geometry.thickness_mm + geometry.gap_mm,
    )
    return stack, truth


def regions_of(labels: LabelArray, stack: Stack) -> dict[str, SegmentMass]:
    found = map_wall(labels, stack)
    if found is None:
        return {}
    return {
        str(segment.number): SegmentMass(amount.scar_mass_thickness_g, amount.lv_mass_thickness_g)
        for segment, amount in found.measured.segments
    }


def measure(stack: Stack, truth: LabelArray, models: Models) -> Study:
    case, embeddings = pipeline.propose_case_with_embeddings(stack, models)
    found = case_interval(case, models, embeddings)
    grams = pipeline.measure(case, MassConvention.THICKNESS).scar_mass_thickness_g
    true_case = Case.new(stack)
    true_case.labels[:] = truth
    true_g = pipeline.measure(true_case, MassConvention.THICKNESS).scar_mass_thickness_g
    mass = MassWithInterval(grams, found.low_g, found.high_g)
    return Study(mass, regions_of(case.labels, stack), true_g, regions_of(truth, stack))


def pairs_of(before: Study, after: Study, changed: bool) -> tuple[Pair, list[Pair]]:
    whole = Pair(changed, mass_change(before.mass, after.mass), after.true_g - before.true_g)
    changes = segment_changes(before.regions, after.regions, (before.mass, after.mass))
    parts = [
        Pair(changed, one, after.true_regions[name].scar_g - before.true_regions[name].scar_g)
        for name, one in changes.items()
        if name in before.true_regions and name in after.true_regions
    ]
    return whole, parts


def follow(n: int, seed: int, models: Models) -> Iterator[tuple[Pair, list[Pair]]]:
    for number in range(n):
        streams = np.random.SeedSequence([seed, number]).spawn(2)
        drawn = SimulationOptions(scar=True)
        heart = draw_heart(*(np.random.default_rng(one) for one in streams), drawn)
        first, truth = scan(heart, 1000 * number + seed, drawn)
        # A follow-up is scanned with the protocol of the first study.
        options = replace(
            drawn,
            sequence=first.sequence,
            pixel_spacing_mm=first.pixel_spacing_mm,
            slice_thickness_mm=first.slice_thickness_mm,
            slice_gap_mm=(first.spacing_between_slices_mm or 0.0) - first.slice_thickness_mm,
        )
        factor = FACTORS[number % len(FACTORS)]
        scars = tuple(replace(one, half_angle=one.half_angle * factor) for one in heart.scars)
        before = measure(first, truth, models)
        again = measure(*scan(heart, 1000 * number + seed + 1, options), models)
        other = replace(heart, scars=scars)
        later = measure(*scan(other, 1000 * number + seed + 2, options), models)
        for after, changed in ((again, False), (later, True)):
            whole, parts = pairs_of(before, after, changed)
            print(
                f"heart {number + 1}, {'changed' if changed else 'the same'}: true change"
                f" {whole.true_g:+.1f} g, found {whole.found.change_g:+.1f} g"
                f" ({whole.found.low_g:.1f} to {whole.found.high_g:.1f}), smallest"
                f" {whole.found.smallest_change_g:.1f} g",
                flush=True,
            )
            yield whole, parts


def summary(name: str, pairs: list[Pair]) -> str:
    same = [one for one in pairs if not one.changed]
    changed = [one for one in pairs if one.changed]
    held = sum(one.held for one in pairs)
    alarms = sum(bool(one.found.beyond) for one in same)
    seen = sum(bool(one.found.beyond) for one in changed)
    off = [
        (one.found.change_g - one.true_g) / (one.found.smallest_change_g / 1.96)
        for one in pairs
        if one.found.smallest_change_g
    ]
    return (
        f"{name}: errors of the change are {np.std(off):.2f} of its standard deviation;"
        f" interval holds the true change in {held} of {len(pairs)}"
        f" ({100 * held / len(pairs):.0f} %); false alarms {alarms} of {len(same)}"
        f" ({100 * alarms / len(same):.0f} %); changes found {seen} of {len(changed)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hearts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    models = models_module.load()
    models_module.limit_threads(1)
    whole: list[Pair] = []
    parts: list[Pair] = []
    for one, some in follow(options.hearts, options.seed, models):
        whole.append(one)
        parts += some
    print(summary("scar mass", whole))
    print(summary("segments", parts))


if __name__ == "__main__":
    main()
