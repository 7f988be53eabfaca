"""Show what the calibration of a site takes away of the bias, on images of other scanners.

Every site is the same patients as another scanner would show them: with thick walls, and resampled
to fine pixels with slices merged in pairs and another contrast and noise. The heart is found by the
program, boxes are drawn by a simulated reader. Each patient is judged by a calibration learned
from the others. Only patients that the weights never saw count: those kept for validation, with
``--weights`` those that a fold of a cross-validation left out.

Tables of a patient are kept in the output folder, so that a stopped run goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.other_scanners import THICK, Image, Scanner, gamma, noisy, seen_by
from scarseg import models
from scarseg.case.labels import Label
from scarseg.evaluation import calibrate
from scarseg.evaluation.patient import off_centre_case
from scarseg.evaluation.rule_tables import GRID, CaseTable, read_by_rules
from scarseg.models import Models
from scarseg.training.cases import VALIDATION, TrainingCase, read_cases, simulate_cases
from scarseg.training.wall_warp import warp_case

SEED, FIRST_SIMULATED = 7, 8_100_000
ARRAYS = ("mass_g", "dice", "pool_dice", "evidence_mm2")


def merged(case: TrainingCase) -> TrainingCase:
    """Average the slices in pairs, as a scanner with thicker ones would; scar where either has."""
    n = len(case.labels) // 2 * 2
    pixels = (case.pixels[:n:2] + case.pixels[1:n:2]) / 2
    labels = np.where(case.labels > Label.MVO, Label.BACKGROUND, case.labels).astype(np.uint8)
    # The numbers of labels ascend from background over pool and wall to infarct.
    labels = np.maximum(labels[:n:2], labels[1:n:2])
    return replace(
        case,
        pixels=pixels.astype(np.float32),
        labels=labels,
        slice_spacing_mm=case.slice_spacing_mm * 2,
    )


def contrast_and_noise(image: Image, rng: np.random.Generator) -> Image:
    """Flatten the contrast between scar, pool and muscle, then add Rician noise."""
    return noisy(ndimage.gaussian_filter(gamma(0.75, image, rng), (0, 0.5, 0.5)), rng)


def of_another_scanner(case: TrainingCase) -> TrainingCase:
    return seen_by(Scanner("", 0.75, values=contrast_and_noise), merged(case), SEED)


SITES: dict[str, Callable[[TrainingCase], TrainingCase]] = {
    "as they came": lambda case: case,
    "thickened walls": partial(warp_case, factors=THICK),
    "made": of_another_scanner,
    "made, thickened": lambda case: of_another_scanner(warp_case(case, THICK)),
}


def table_of(case: TrainingCase, loaded: Models, folder: Path) -> CaseTable:
    """Read a case by every combination of rules, or return what an earlier run found."""
    key = hashlib.sha256(case.pixels.tobytes() + case.labels.tobytes())
    key.update(loaded.segmenter.identity.sha256.encode())
    key.update(repr((case.patient, GRID)).encode())  # boxes are drawn by the name
    path = folder / f"{key.hexdigest()[:32]}.npz"
    if path.exists():
        with np.load(path) as kept:
            arrays = (kept[name] for name in ARRAYS)
            return CaseTable(GRID, case.patient, float(kept["true_g"]), *arrays)
    made = read_by_rules(case, loaded)
    np.savez(path, true_g=made.true_g, **{name: getattr(made, name) for name in ARRAYS})
    return made


def print_site(name: str, tables: list[CaseTable]) -> None:
    """Print mass bias, MAE and Dice, before and after, and how often each rule was chosen."""
    chosen = calibrate.leave_one_out(tables)
    before = calibrate.figures(tables, [calibrate.SHIPPED] * len(tables), calibrated=False)
    after = calibrate.figures(tables, chosen, calibrated=True)
    sick = sum(one.true_g > 0 for one in tables)
    print(f"{name}: {len(tables)} patients, {sick} with scar")
    for one, other in zip(before, after, strict=True):
        print(
            f"  {one.prompts:9s} bias {one.bias_percent:+6.1f} -> {other.bias_percent:+6.1f} %"
            f"   MAE {one.mean_absolute_error_g:5.2f} -> {other.mean_absolute_error_g:5.2f} g"
            f"   Dice {one.dice:.3f} -> {other.dice:.3f}"
        )
    rules = calibrate.choose_rules(tables)
    print(f"  learned from all: {rules}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--site", choices=(*SITES, "simulated"), nargs="+", default=list(SITES))
    parser.add_argument("--patients", nargs="+", default=list(VALIDATION))
    parser.add_argument("--weights", default=None, help="segmenter that never saw the patients")
    parser.add_argument("--simulated", type=int, default=15)
    parser.add_argument("-o", "--output", type=Path, default=Path("build/calibration"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    loaded = models.load(options.weights, None, "cpu")
    models.limit_threads(1)
    cases = [one for one in read_cases(options.data) if one.name in options.patients]
    for site in options.site:
        if site == "simulated":
            made = simulate_cases(options.simulated, FIRST_SIMULATED)
        else:
            made = [SITES[site](off_centre_case(one, SEED)) for one in cases]
        print_site(site, [table_of(one, loaded, options.output) for one in made])


if __name__ == "__main__":
    main()
