"""Cross-validate the segmenter over all EMIDEC patients on a short schedule.

Weights begin with simulated stacks alone (printed on every real patient: what simulation teaches
without one real label), then five fine-tunings each leave one fifth of the patients out and are
measured on it, as the patients came and with thickened walls. The first fold also runs from
chance, which shows what the simulated start is worth. The left ventricle is the reference's box,
drawn 5 % off: the detector knows most patients. Finished parts are kept in the output folder, so
that a stopped run goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.other_scanners import THICK
from scarseg import models
from scarseg.case.case import ModelIdentity
from scarseg.case.prompts import Box, Origin
from scarseg.case.stack import SliceImage
from scarseg.evaluation.patient import PatientResult, Protocol, evaluate_patient, off_centre_case
from scarseg.evaluation.prompts import parse_strategies
from scarseg.evaluation.summary import summarise
from scarseg.evaluation.tables import result_columns
from scarseg.models import Detection, Models, Structure
from scarseg.training.cases import TrainingCase, read_cases, simulate_cases
from scarseg.training.prompts import bounding_box, draw_box
from scarseg.training.segmenter.compact import CompactTraining
from scarseg.training.segmenter.recipe import Recipe
from scarseg.training.splits import folds
from scarseg.training.wall_warp import warp_case

FOLDS = 5
SHARES = (0.48, 0.21, 0.18, 0.13)
PROTOCOL = Protocol(parse_strategies(["auto", "box", "box+wall", "clicks:3"]), seed=7)


class DrawnHeart:
    """Stands for a detector: the reference's left ventricle, drawn by hand."""

    def __init__(self, case: TrainingCase, seed: int) -> None:
        rng = np.random.default_rng(seed + 1)
        moved = off_centre_case(case, seed)
        self.boxes: dict[bytes, Box] = {}
        for pixels, labels in zip(moved.pixels, moved.labels, strict=True):
            heart = (labels >= 1) & (labels <= 4)
            if heart.any():
                drawn = draw_box(bounding_box(heart), rng, (0.05, 0.05), (0.0, 0.05))
                self.boxes[self.key(pixels)] = Box(*drawn, Origin.DETECTOR, 1.0)
        self.identity = ModelIdentity("drawn by hand", "", False)

    @staticmethod
    def key(pixels: np.ndarray) -> bytes:
        return np.ascontiguousarray(pixels, dtype=np.float32).tobytes()

    def detect(self, image: SliceImage) -> list[Detection]:
        box = self.boxes.get(self.key(image.pixels))
        return [] if box is None else [Detection(box, Structure.LEFT_VENTRICLE, 1.0)]


def train(
    folder: Path, cases: list[TrainingCase], steps: int, init: Path | None, seed: int
) -> Path:
    """Train in ``folder`` unless that was done; give the weights."""
    weights = folder / "average.safetensors"
    done = folder / "done"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        recipe = Recipe(minutes=1e6, steps=steps, seed=seed, rounds=3, previous_share=0.5)
        training = CompactTraining(recipe, folder)
        if init is not None:
            training.load_initial_weights(init)
        if training.checkpoint.exists():
            training.resume()
        training.run(cases, 0, SHARES)
        done.touch()
    return weights


def flat(results: Sequence[PatientResult]) -> dict[str, float]:
    """Take the figures to print from a summary."""
    by_prompts = {column.prompts: summarise(column) for column in result_columns(results)}
    auto, clicks = by_prompts["auto"], by_prompts["clicks:3"]
    boxed = by_prompts["box"]["scar"]
    return {
        "challenge_dice": auto["challenge_dice"],
        "automatic_dice": auto["scar"]["dice"]["mean"],
        "box_dice": boxed["dice"]["mean"],
        "box_mass_ratio": boxed["scar_mass_g"]["mean"] / boxed["true_scar_mass_g"]["mean"],
        "box_wall_dice": by_prompts["box+wall"]["scar"]["dice"]["mean"],
        "box_clicks3_dice": clicks["scar"]["dice"]["mean"],
        "box_clicks3_mae_g": clicks["scar"]["mass_absolute_error_g"]["mean"],
        "wall_dice": auto["heart"]["wall_dice"]["mean"],
        "false_scar_on_normals_g": auto["false_scar"]["on_patients_without_scar_g"]["mean"],
    }


def measure(weights: Path, cases: Sequence[TrainingCase], out: Path) -> dict[str, float]:
    """Evaluate weights on patients, or read what an earlier run wrote."""
    if not out.exists():
        segmenter = models.load(str(weights), None, "cpu").segmenter
        results = [
            evaluate_patient(case, Models(segmenter, DrawnHeart(case, PROTOCOL.seed)), PROTOCOL)
            for case in cases
        ]
        patients = [asdict(row) for result in results for row in result.patients]
        out.write_text(json.dumps({"summary": flat(results), "patients": patients}))
    summary: dict[str, float] = json.loads(out.read_text())["summary"]
    return summary


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("emidec", type=Path)
    parser.add_argument("acdc", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--start-steps", type=int, default=1200)
    parser.add_argument("--fold-steps", type=int, default=700)
    parser.add_argument("--simulated", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    out: Path = options.output
    real = read_cases(options.emidec)
    made = simulate_cases(options.simulated, 2_100_000)
    start = train(out / "start", made, options.start_steps, None, 21)
    dealt = folds([case.name for case in real], FOLDS)
    first = [case for case in real if case.name in dealt[0]]
    rows = {"simulated only, fold 0": measure(start, first, out / "start.json")}
    cine = read_cases(options.acdc)
    for k, left_out in enumerate(dealt):
        others = [case for case in real if case.name not in left_out] + cine + made
        held = [case for case in real if case.name in left_out]
        weights = train(out / f"fold{k}", others, options.fold_steps, start, 30 + k)
        rows[f"fold {k}"] = measure(weights, held, out / f"fold{k}.json")
        thick = [warp_case(case, THICK) for case in held]
        rows[f"fold {k} thick"] = measure(weights, thick, out / f"fold{k}_thick.json")
        if k == 0:
            chance = train(out / "chance", others, options.fold_steps, None, 30)
            rows["fold 0 from chance"] = measure(chance, held, out / "chance.json")
    keys = tuple(rows["fold 0"])
    print(f"{'':24s}", *(f"{key:>24s}" for key in keys))
    for name, row in rows.items():
        print(f"{name:24s}", *(f"{row[key]:24.3f}" for key in keys))
    for kind in ("", " thick"):
        held_out = [rows[f"fold {k}{kind}"] for k in range(FOLDS)]
        for key in keys:
            values = np.array([row[key] for row in held_out])
            spread = f"{values.mean():.3f} +- {values.std(ddof=1):.3f}"
            print(f"{key}{kind}: {spread} over {FOLDS} folds")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
