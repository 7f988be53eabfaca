"""Cross-validate the segmenter over all EMIDEC patients on a short schedule.

    python benchmarks/cross_validation.py train EMIDEC ACDC -o DIR [--chance]
    python benchmarks/cross_validation.py read EMIDEC -o DIR [--folds 0 1] [--walls plain thick]
    python benchmarks/cross_validation.py choose EMIDEC -o DIR [--rules walls clicks gate]

``train``: weights begin with cine and simulated stacks, without one labelled scar of a patient;
five fine-tunings each leave one fold of the patients out: the validation patients, then the
others in four. With ``--chance`` the first fold also begins from nothing, which shows what the
start is worth. Finished parts stay in the output folder, so that a stopped run goes on.

``read``: every patient by the weights that never saw it, as it came and with thickened walls, by
the rules in use; what the networks answer is kept in the output folder for other rules.
``choose``: the same by other rules, as ``scar_rules.py --folds``, and which are best. How a reader
is simulated: ``fold_reading.py``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.fold_reading import PARTS, PatientRow, read_patient, show
from benchmarks.folds import deal, held_out
from benchmarks.scar_rules import GROUPS, Patient, compare_rules
from scarseg.segmentation.proposal import RULES
from scarseg.training.cases import TrainingCase, read_cases, simulate_cases
from scarseg.training.segmenter.compact import CompactTraining
from scarseg.training.segmenter.recipe import Recipe

SHARES = (0.48, 0.21, 0.18, 0.13)


def train(
    folder: Path, cases: list[TrainingCase], steps: int, init: Path | None, seed: int
) -> Path:
    """Train in ``folder`` unless that was done; return the weights."""
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


def train_folds(options: argparse.Namespace) -> None:
    out: Path = options.output
    real, cine = read_cases(options.emidec), read_cases(options.acdc)
    made = simulate_cases(options.simulated, 2_100_000)
    start = train(out / "start", cine + made, options.start_steps, None, 21)
    for k, left_out in enumerate(deal([case.name for case in real])):
        others = [case for case in real if case.name not in left_out] + cine + made
        train(out / f"fold{k}", others, options.fold_steps, start, 30 + k)
        if k == 0 and options.chance:
            train(out / "chance", others, options.fold_steps, None, 30)


def read_folds(options: argparse.Namespace) -> None:
    tables: dict[str, list[PatientRow]] = {}
    for walls in options.walls:
        rows: list[PatientRow] = []
        for fold, case, loaded, file in held_out(
            options.emidec, options.output, walls == "thick", options.views, options.folds
        ):
            loaded.segmenter.load(file)
            rows.append(read_patient(case, loaded, RULES, options.parts, fold))
            loaded.segmenter.save(file)
            print(".", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        for fold in sorted({row.fold for row in rows}):
            tables[f"{walls} {fold}"] = [row for row in rows if row.fold == fold]
        tables[f"{walls}, all"] = rows
    n = len(tables[f"{options.walls[0]}, all"])
    print(f"{n} patients, each read by weights that never saw it; {options.views} mirrored views")
    print("heart: the reference's box, drawn 5 % off; boxes 6 % off and not grown")
    show(tables)


def choose_rules(options: argparse.Namespace) -> None:
    def patients(thick: bool) -> Iterator[Patient]:
        return held_out(options.emidec, options.output, thick, options.views, options.folds)

    compare_rules(patients, options.rules, options.walls, options.only)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    steps = parser.add_subparsers(required=True)
    training = steps.add_parser("train")
    training.add_argument("emidec", type=Path)
    training.add_argument("acdc", type=Path)
    training.add_argument("--start-steps", type=int, default=900)
    training.add_argument("--fold-steps", type=int, default=600)
    training.add_argument("--simulated", type=int, default=100)
    training.add_argument("--chance", action="store_true")
    training.set_defaults(run=train_folds)
    reading = steps.add_parser("read")
    reading.add_argument("emidec", type=Path)
    reading.add_argument("--folds", type=int, nargs="+", default=[])
    reading.add_argument("--walls", nargs="+", default=["plain", "thick"])
    reading.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    reading.add_argument("--views", type=int, default=4)
    reading.set_defaults(run=read_folds)
    choosing = steps.add_parser("choose")
    choosing.add_argument("emidec", type=Path)
    choosing.add_argument("--folds", type=int, nargs="+", default=[])
    choosing.add_argument("--walls", nargs="+", default=["plain", "thick"])
    choosing.add_argument("--rules", nargs="+", default=list(GROUPS), choices=[*GROUPS, "gate"])
    choosing.add_argument("--only", nargs="+", default=[], help="rules by name")
    choosing.add_argument("--views", type=int, default=4)
    choosing.set_defaults(run=choose_rules)
    for one in (training, reading, choosing):
        one.add_argument("-o", "--output", type=Path, required=True)
        one.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.run(options)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
