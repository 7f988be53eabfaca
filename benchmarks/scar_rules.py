"""Choose the rules between logits and scar on patients whose segmenter never saw them.

    python benchmarks/scar_rules.py EMIDEC --folds DIR [--rules GROUP ...]
    python benchmarks/scar_rules.py EMIDEC --first-network --patients NAMES [--rules GROUP ...]

With ``--folds`` (the output of ``cross_validation.py``) every patient is read by the weights of
the fold that left it out, else by the shipped weights or, with ``--first-network``, by the first of
their networks, which saw neither the validation nor the tuning patients. The left ventricle is the
reference's box, drawn 5 % off. Every patient is read as it came and with thickened walls. What the
networks answer is kept, so that another set of rules costs little. The last table chooses by
cross-validation: of each group, the rules that are best on four folds are measured on the fifth.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.fold_reading import PARTS as ALL_PARTS
from benchmarks.fold_reading import PatientRow, figures, gated, read_patient, show
from benchmarks.folds import FOLDS, SEED, DrawnHeart, RememberingSegmenter, held_out
from benchmarks.other_scanners import THICK
from scarseg import models
from scarseg.evaluation.patients import choose_patients
from scarseg.models import Models
from scarseg.models.segmenter import MIRRORS, CompactSegmenter, load_segmenter
from scarseg.segmentation.proposal import RULES, ProposalRules
from scarseg.training.cases import TrainingCase, read_data
from scarseg.training.wall_warp import warp_case

LEVELS = (0.5, 0.0, -0.5, -1.0, -1.5)
NO_RULES = replace(
    RULES,
    automatic_logit=0.0,
    prompted_logit=0.0,
    given_wall_logit=0.0,
    island_mm2=30.0,
    previous_with_points=False,
    pool_reach_mm=0.0,
    click_radius_mm=0.0,
    local_clicks=False,
    gate_evidence_mm2=0.0,
)


def at_level(level: float, reach_mm: float) -> ProposalRules:
    return replace(
        RULES,
        automatic_logit=level,
        prompted_logit=level,
        given_wall_logit=level,
        pool_reach_mm=reach_mm,
    )


GROUPS: dict[str, dict[str, ProposalRules]] = {
    "none": {"no rules": NO_RULES},
    "now": {"now": RULES},
    "walls": {
        f"{level:g}, {mm:g} mm": at_level(level, mm) for level in LEVELS for mm in (0.0, 2.0, 3.0)
    },
    "islands": {f"{mm2:g} mm2": replace(RULES, island_mm2=mm2) for mm2 in (8.0, 15.0, 30.0, 50.0)},
    "clicks": {
        "whole": replace(RULES, local_clicks=False),
        **{
            f"{share:g}/mm": replace(RULES, negative_far_share_per_mm=share)
            for share in (0.0, 0.02, 0.03, 0.04, 0.05)
        },
    },
}
PARTS = {"walls": ("box",), "islands": (), "clicks": ("clicks",)}
CHOSEN_BY = {"walls": ("auto", "box"), "islands": ("rule",), "clicks": ("+3",)}
LIMITS = (0.0, 30.0, 60.0, 90.0, 120.0, 150.0, 200.0, 250.0, 300.0)
"""Limits of the gate to compare, in mm2."""

Patient = tuple[int, TrainingCase, Models, Path | None]


def folded(
    options: argparse.Namespace, thick: bool
) -> Iterator[tuple[int, TrainingCase, Models, Path]]:
    only = tuple(options.only_folds)
    return held_out(options.data[0], options.folds, thick, options.views, only)


def shipped(options: argparse.Namespace, thick: bool) -> Iterator[Patient]:
    """Return the patients asked for with the shipped weights, or with their first network."""
    cases, _ = choose_patients(read_data(options.data), options.patients)
    whole = load_segmenter(options.segmenter, "cpu")
    assert isinstance(whole, CompactSegmenter)
    networks = whole.networks[:1] if options.first_network else whole.networks
    segmenter = CompactSegmenter(networks, whole.identity, "cpu", whole.takes_walls)
    if options.first_network:
        segmenter.mirrors = [MIRRORS[: options.views]]
    for n, case in enumerate(cases):
        seen = warp_case(case, THICK) if thick else case
        both = Models(RememberingSegmenter(segmenter), DrawnHeart(seen, SEED))
        name = f"{'thick' if thick else 'plain'}-{case.name}.answers"
        file = None if options.answers is None else options.answers / name
        yield n % FOLDS, seen, both, file


def read_all(
    patients: Iterable[Patient], rules: dict[str, ProposalRules], parts: Sequence[str]
) -> dict[str, list[PatientRow]]:
    """Read every patient by every set of rules, patient by patient."""
    rows: dict[str, list[PatientRow]] = {name: [] for name in rules}
    for fold, case, loaded, file in patients:
        if file is not None:
            loaded.segmenter.load(file)
        for name, one in rules.items():
            rows[name].append(read_patient(case, loaded, one, parts, fold))
        if file is not None:
            loaded.segmenter.save(file)
            loaded.segmenter.answers.clear()
    return rows


def chosen(both: Sequence[dict[str, list[PatientRow]]], figure: str) -> str:
    """Return, in words, the rules chosen on four folds and their figure on the fifth."""

    def mean(name: str, folds: set[int]) -> float:
        kinds = [[row for row in rows[name] if row.fold in folds] for rows in both]
        return float(np.mean([figures(rows)[figure] for rows in kinds]))

    every = {row.fold for rows in both for name in rows for row in rows[name]}
    picks, reached = [], []
    for fold in sorted(every):
        rest = every - {fold} or every
        best = max(both[0], key=lambda name: mean(name, rest))
        picks.append(best)
        reached.append(mean(best, {fold}))
    whole = max(both[0], key=lambda name: mean(name, every))
    return f"{figure}: {np.mean(reached):.3f} by {picks}; of all folds best: {whole}"


def show_gate(rows: dict[str, list[PatientRow]]) -> None:
    """Print what each limit of the gate would do to the automatic reading."""
    for kind, some in rows.items():
        print(f"\ngate, {kind}")
        show({f"{limit:g} mm2": [gated(row, limit) for row in some] for limit in LIMITS})
        ranked = sorted(some, key=lambda row: row.evidence_mm2)
        weak = [f"{row.patient} {row.true_g:.1f} g {row.evidence_mm2:.0f}" for row in ranked[:40]]
        print("weakest:", ", ".join(weak))


def compare_rules(
    patients: Callable[[bool], Iterable[Patient]],
    groups: Sequence[str],
    walls: Sequence[str],
    only: Sequence[str] = (),
) -> None:
    """Print every group of rules, on plain and thickened walls, and which is chosen.

    Args:
        patients: returns them, with thickened walls or without.
        groups: names in ``GROUPS``, or ``gate``.
        walls: ``plain``, ``thick`` or both.
        only: names of rules; all by default.
    """
    for group in groups:
        rules = GROUPS["now" if group == "gate" else group]
        rules = {name: one for name, one in rules.items() if not only or name in only}
        parts = () if group == "gate" else PARTS.get(group, ALL_PARTS)
        rows = {}
        for kind in walls:
            rows[kind] = read_all(patients(kind == "thick"), rules, parts)
            if group != "gate":
                print(f"\n{group}, {kind}, {len(next(iter(rows[kind].values())))} patients")
                show(rows[kind])
        if group == "gate":
            show_gate({kind: one["now"] for kind, one in rows.items()})
        for figure in CHOSEN_BY.get(group, ()):
            print(chosen(list(rows.values()), figure))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--folds", type=Path, help="output of cross_validation.py")
    parser.add_argument("--only-folds", type=int, nargs="+", default=[], metavar=f"0..{FOLDS - 1}")
    parser.add_argument("--views", type=int, default=4, help="mirrored views to average")
    parser.add_argument("--patients", default="inner")
    parser.add_argument("--segmenter", default=None)
    parser.add_argument("--first-network", action="store_true")
    parser.add_argument("--answers", type=Path, help="folder that keeps what networks answer")
    parser.add_argument("--rules", nargs="+", default=["none", "now"], choices=[*GROUPS, "gate"])
    parser.add_argument("--only", nargs="+", default=[], help="rules by name")
    parser.add_argument("--walls", nargs="+", default=["plain", "thick"])
    options = parser.parse_args()
    models.limit_threads(1)
    patients = partial(shipped if options.folds is None else folded, options)
    compare_rules(patients, options.rules, options.walls, options.only)


if __name__ == "__main__":
    main()
