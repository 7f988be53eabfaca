"""Show how the models hold on images that other scanners would have made of the same patients.

Every stack is resampled, turned, brightened, shaded or made noisy, and evaluated as it is read:
the heart off the centre and found by the program. Rows are comparable with the first, which is
the stack as it came. ``ratio`` is the mass found with boxes over the true one, ``rule`` the Dice
by the challenge's rule.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scarseg import models
from scarseg.evaluation.patient import Protocol
from scarseg.evaluation.patients import choose_patients
from scarseg.evaluation.prompts import parse_strategies
from scarseg.evaluation.run import Candidate, evaluate_patients
from scarseg.evaluation.tables import summarise_results
from scarseg.training.cases import TrainingCase, read_data
from scarseg.training.wall_warp import WarpFactors, warp_case

Image = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Scanner:
    """How a stack is made to look: spacing (None as it is), quarter turns, step, and values."""

    name: str
    spacing_mm: float | None = 1.2
    turns: int = 0
    mirrored: bool = False
    step: int = 1
    walls: WarpFactors | None = None
    values: Callable[[Image, np.random.Generator], Image] | None = None


def gamma(power: float, image: Image, rng: np.random.Generator) -> Image:
    return np.asarray(image**power, dtype=np.float32)


def shaded(image: Image, rng: np.random.Generator) -> Image:
    """Brighten one corner against the other by a factor of about 5, as a surface coil does."""
    rows = np.linspace(-1, 1, image.shape[1])[:, None]
    columns = np.linspace(-1, 1, image.shape[2])[None, :]
    return np.asarray(image * np.exp(0.5 * columns + 0.3 * rows), dtype=np.float32)


def noisy(image: Image, rng: np.random.Generator) -> Image:
    """Add Rician noise of 2.5 % of the range."""
    noise = rng.normal(0, 0.025, (2, *image.shape))
    return np.hypot(image + noise[0], noise[1]).astype(np.float32)


THICK = WarpFactors(0.75, 0.25)
"""Endocardium 25 % further in, up to 44 % at scar: walls of about 12 mm, as other hospitals'."""
THIN = WarpFactors(1.15)

SCANNERS = (
    Scanner("as it came", None),
    Scanner("0.8 mm pixels", 0.8),
    Scanner("1.9 mm pixels", 1.9),
    Scanner("turned", turns=1),
    Scanner("mirrored, dim", mirrored=True, values=partial(gamma, 1.7)),
    Scanner("bright", values=partial(gamma, 0.6)),
    Scanner("shaded", values=shaded),
    Scanner("noisy", values=noisy),
    Scanner("every other slice", step=2),
    Scanner("thicker walls", None, walls=THICK),
    Scanner("thinner walls", None, walls=THIN),
)


def seen_by(scanner: Scanner, case: TrainingCase, seed: int) -> TrainingCase:
    """Make a stack look as if this scanner had made it; the reference goes along."""
    if scanner.walls is not None:
        case = warp_case(case, scanner.walls)
    pixels, labels, spacing = case.pixels, case.labels, case.pixel_spacing_mm
    if scanner.spacing_mm is not None:
        factors = [one / scanner.spacing_mm for one in spacing]
        pixels = np.stack([ndimage.zoom(one, factors, order=3) for one in pixels])
        labels = np.stack([ndimage.zoom(one, factors, order=0) for one in labels])
        spacing = (scanner.spacing_mm, scanner.spacing_mm)
    if scanner.values is not None:
        low, high = np.percentile(pixels, (0.5, 99.5))
        scaled = np.clip((pixels - low) / (high - low), 0, 2).astype(np.float32)
        pixels = 800 * scanner.values(scaled, np.random.default_rng(seed))
    if scanner.turns % 2:
        spacing = (spacing[1], spacing[0])
    pixels, labels = (np.rot90(one, scanner.turns, (1, 2)) for one in (pixels, labels))
    if scanner.mirrored:
        pixels, labels = pixels[:, :, ::-1], labels[:, :, ::-1]
    return replace(
        case,
        pixels=np.ascontiguousarray(pixels[:: scanner.step], dtype=np.float32),
        labels=np.ascontiguousarray(labels[:: scanner.step]),
        pixel_spacing_mm=spacing,
        slice_spacing_mm=case.slice_spacing_mm * scanner.step,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--patients", default="inner")
    parser.add_argument("--segmenter", default=None)
    parser.add_argument("--detector", default=None)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=[one.name for one in SCANNERS])
    options = parser.parse_args()
    cases, which = choose_patients(read_data(options.data), options.patients)
    load = partial(models.load, options.segmenter, options.detector, "cpu")
    protocol = Protocol(parse_strategies(("auto", "box", "box+wall", "clicks:3")), options.seed)
    print(f"{which}; mean over patients")
    names = (
        *("auto", "box", "+wall", "box+3", "MAE g", "ratio", "rule"),
        *("wall", "pool", "LV IoU", "found %", "false g"),
    )
    print(f"{'':20s}", *(f"{name:>8s}" for name in names))
    for scanner in SCANNERS:
        if options.only and scanner.name not in options.only:
            continue
        made = [seen_by(scanner, case, options.seed) for case in cases]
        results = evaluate_patients(made, [Candidate("shipped", load)], protocol, options.jobs)
        columns = {one["prompts"]: one for one in summarise_results(results)}
        automatic, boxed = columns["auto"], columns["box"]["scar"]
        heart, false = automatic["heart"], automatic["false_scar"]
        clicked = columns["clicks:3"]["scar"]
        shown = (
            automatic["scar"]["dice"]["mean"],
            boxed["dice"]["mean"],
            columns["box+wall"]["scar"]["dice"]["mean"],
            clicked["dice"]["mean"],
            clicked["mass_absolute_error_g"]["mean"],
            boxed["scar_mass_g"]["mean"] / boxed["true_scar_mass_g"]["mean"],
            automatic["challenge_dice"],
            heart["wall_dice"]["mean"],
            heart["pool_dice"]["mean"],
            heart["lv_iou"]["mean"],
            heart["lv_found_percent"],
            false.get("on_patients_without_scar_g", {}).get("mean", float("nan")),
        )
        print(f"{scanner.name:20s}", *(f"{value:8.3f}" for value in shown), flush=True)


if __name__ == "__main__":
    main()
