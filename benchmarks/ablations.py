"""Print what each rule of a proposal and of a click gave, one added to the others.

    python benchmarks/ablations.py EMIDEC --folds DIR [--walls plain thick]

Every patient is read by the weights of the fold that left it out (``cross_validation.py``), as it
came and with thickened walls: first without any rule, then with one rule more in each column, as
the rules stand in ``scarseg/segmentation/proposal.py``. What training gave is not told apart here:
each of its steps would take five fine-tunings of its own.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.fold_reading import show
from benchmarks.folds import held_out
from benchmarks.scar_rules import NO_RULES, read_all
from scarseg import models
from scarseg.segmentation.proposal import RULES, ProposalRules

STEPS: dict[str, tuple[str, ...]] = {
    "none": (),
    "levels": ("automatic_logit", "prompted_logit", "given_wall_logit"),
    "reach": ("pool_reach_mm",),
    "islands": ("island_mm2",),
    "previous": ("previous_with_points",),
    "obeyed": ("click_radius_mm",),
    "local": ("local_clicks",),
    "gate": ("gate_evidence_mm2",),
}


def cumulative() -> dict[str, ProposalRules]:
    """Return the rules after each step; the last are those in use."""
    rules, steps = NO_RULES, {}
    for name, fields in STEPS.items():
        rules = replace(rules, **{field: getattr(RULES, field) for field in fields})
        steps[name] = rules
    if rules != RULES:
        raise AssertionError("a rule in use belongs to no step")
    return steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--folds", type=Path, required=True, help="output of cross_validation.py")
    parser.add_argument("--walls", nargs="+", default=["plain", "thick"])
    parser.add_argument("--views", type=int, default=4, help="mirrored views to average")
    options = parser.parse_args()
    models.limit_threads(1)
    for kind in options.walls:
        patients = held_out(options.data, options.folds, kind == "thick", options.views)
        rows = read_all(patients, cumulative(), ("box", "wall", "clicks"))
        print(f"\n{kind}, {len(rows['none'])} patients")
        show(rows)


if __name__ == "__main__":
    main()
