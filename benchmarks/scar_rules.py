"""Choose the rules between logits and scar on patients whose segmenter never saw them.

    python benchmarks/scar_rules.py emidec --segmenter FILE [--patients inner] [--rules NAME ...]

Every patient is read as it came and with thickened walls (benchmarks/other_scanners.py), the
heart found by the program. Per set of rules: automatic Dice by the challenge's rule (all patients;
1 where nothing is found and there is nothing) and of patients with scar, Dice with a
box per component, mass found over true mass, grams on patients without scar, Dice with a box and
a reader's contours, after three clicks, its mean absolute error in grams; then the share of
clicks obeyed, and of negative clicks that lower the Dice of their slice by more than 0.02. What
the networks answer is kept, so that another set of rules costs little.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.other_scanners import THICK, Scanner, seen_by
from scarseg import models
from scarseg.case.labels import infarct_mask
from scarseg.case.prompts import Box, Point, SlicePrompts
from scarseg.case.stack import SliceImage
from scarseg.evaluation.patient import off_centre_case, reference_of
from scarseg.evaluation.patients import as_stack, choose_patients
from scarseg.evaluation.prompts import PromptKind, PromptStrategy, RandomStream, rng_for
from scarseg.evaluation.reader import Reference, StackProposal, propose_stack, simulate_reading
from scarseg.models import Embedding, Logits, Models
from scarseg.quant.overlap import dice
from scarseg.segmentation.pipeline import segment
from scarseg.segmentation.proposal import RULES, ProposalRules
from scarseg.training.cases import TrainingCase, read_data
from scarseg.training.prompts import corrective_click

NONE = replace(
    RULES,
    automatic_logit=0.0,
    prompted_logit=0.0,
    given_wall_logit=0.0,
    island_mm2=30.0,
    previous_with_points=False,
    pool_reach_mm=0.0,
    click_radius_mm=0.0,
    negative_reach_mm=0.0,
)
WALLS = {
    f"logit {level:g}, {reach:g} mm into the pool": replace(
        NONE,
        automatic_logit=level,
        prompted_logit=level,
        given_wall_logit=level,
        pool_reach_mm=reach,
    )
    for level in (0.0, -0.5, -1.0)
    for reach in (0.0, 1.5, 2.0, 3.0)
}
ISLANDS = {f"islands from {mm2:g} mm2": replace(RULES, island_mm2=mm2) for mm2 in (8.0, 20.0, 30.0)}
CLICKS = {
    "clicks as before": replace(
        RULES, previous_with_points=False, click_radius_mm=0.0, negative_reach_mm=0.0
    ),
    "from the scar before": replace(RULES, click_radius_mm=0.0, negative_reach_mm=0.0),
    "obeyed, anew": replace(RULES, previous_with_points=False, negative_reach_mm=0.0),
    "and obeyed": replace(RULES, negative_reach_mm=0.0),
    **{
        f"negative up to {mm:g} mm": replace(RULES, negative_reach_mm=mm)
        for mm in (6.0, 10.0, 20.0)
    },
    **{
        f"discs of {mm:g} mm": replace(RULES, click_radius_mm=mm, negative_reach_mm=0.0)
        for mm in (1.5, 2.0)
    },
}
GROUPS: dict[str, dict[str, ProposalRules]] = {
    "before": {"before": NONE},
    "now": {"now": RULES},
    "walls": WALLS,
    "islands": ISLANDS,
    "clicks": CLICKS,
}


class RememberingSegmenter:
    """A segmenter that answers the same question once."""

    def __init__(self, segmenter: Any) -> None:
        self.segmenter, self.identity = segmenter, segmenter.identity
        self.takes_walls = models.takes_walls(segmenter)
        self.embeddings: dict[object, Embedding] = {}
        self.answers: dict[object, Logits] = {}

    def embed(self, image: SliceImage, lv_box: Box | None) -> Embedding:
        pixels = np.ascontiguousarray(image.pixels).tobytes()
        key = hashlib.sha1(pixels).digest(), lv_box
        if key not in self.embeddings:
            self.embeddings[key] = self.segmenter.embed(image, lv_box)
        return self.embeddings[key]

    def predict(
        self,
        embedding: Embedding,
        prompts: SlicePrompts,
        previous: Logits | None = None,
        quick: bool = False,
    ) -> Logits:
        fed = () if previous is None else (previous.scar, previous.wall, previous.blood_pool)
        digests = tuple(hashlib.sha1(one.tobytes()).digest() for one in fed if one is not None)
        key = id(embedding), prompts, digests, quick
        if key not in self.answers:
            self.answers[key] = self.segmenter.predict(embedding, prompts, previous, quick)
        return self.answers[key]


class RememberingDetector:
    """A detector that looks at every image once."""

    def __init__(self, detector: Any) -> None:
        self.detector, self.identity = detector, detector.identity
        self.found: dict[bytes, Any] = {}

    def detect(self, image: SliceImage) -> Any:
        key = hashlib.sha1(np.ascontiguousarray(image.pixels).tobytes()).digest()
        if key not in self.found:
            self.found[key] = self.detector.detect(image)
        return self.found[key]


@dataclass
class Clicks:
    """Clicks of the simulated reader: obeyed or not, harmful or not, by their sign."""

    positive: list[bool]
    negative: list[bool]
    harmful: list[bool]


def grams(labels: np.ndarray, case: TrainingCase) -> float:
    row_mm, column_mm = case.pixel_spacing_mm
    voxel_ml = row_mm * column_mm * case.slice_spacing_mm / 1000
    return 1.05 * voxel_ml * int(infarct_mask(labels).sum())


def click_through(
    loaded: Models, seen: StackProposal, truth: Reference, rules: ProposalRules, counted: Clicks
) -> np.ndarray:
    """Box every scar, then click three times at the largest error; return the labels."""
    found = np.stack([one.labels for one in seen.proposals])
    boxed = simulate_reading(PromptStrategy(PromptKind.BOX), loaded, seen, truth, 7, rules=rules)[0]
    for k, proposal in enumerate(seen.proposals):
        scar, asked = truth.scar[k], boxed.prompts[k]
        rng = rng_for(7, truth.patient, k, 0, RandomStream.CLICKS)
        labels, logits = segment(
            loaded, proposal.embedding, asked, proposal.labels, proposal.logits, rules
        )
        for _ in range(3 if scar.any() else 0):
            clicks = corrective_click(scar, infarct_mask(labels), rng)
            if not clicks:
                break
            point = Point(clicks[0][0], clicks[0][1], bool(clicks[0][2]))
            asked, before = asked.with_point(point), dice(infarct_mask(labels), scar)
            labels, logits = segment(loaded, proposal.embedding, asked, labels, logits, rules)
            column, row = point.pixel
            now = infarct_mask(labels)
            (counted.positive if point.positive else counted.negative).append(
                bool(now[row, column]) is point.positive
            )
            if not point.positive:
                counted.harmful.append((dice(now, scar) or 0.0) < (before or 0.0) - 0.02)
        found[k] = labels
    return found


def measure(
    loaded: Models, cases: Sequence[TrainingCase], rules: ProposalRules, clicking: bool
) -> list[float]:
    rows: dict[str, list[float]] = {
        name: [] for name in ("auto", "box", "ratio", "normal", "wall", "clicks", "mae")
    }
    counted = Clicks([], [], [])
    for raw in cases:
        case = off_centre_case(raw, 7)
        truth = reference_of(case)
        seen = propose_stack(as_stack(case), loaded, rules=rules)
        automatic = np.stack([one.labels for one in seen.proposals])
        if not truth.scar.any():
            rows["normal"].append(grams(automatic, case))
            continue
        true_g = grams(case.labels, case)
        rows["auto"].append(dice(infarct_mask(automatic), truth.scar) or 0.0)
        for name, kind in (("box", PromptKind.BOX), ("wall", PromptKind.BOX_WALL)):
            strategy = PromptStrategy(kind)
            read = simulate_reading(strategy, loaded, seen, truth, 7, rules=rules)[0]
            rows[name].append(dice(read.scar, truth.scar) or 0.0)
            if name == "box":
                rows["ratio"].append(grams(read.labels, case) / true_g)
        if not clicking:
            continue
        clicked = click_through(loaded, seen, truth, rules, counted)
        rows["clicks"].append(dice(infarct_mask(clicked), truth.scar) or 0.0)
        rows["mae"].append(abs(grams(clicked, case) - true_g))
    shares = (counted.positive, counted.negative, counted.harmful)
    right = [*rows["auto"], *(float(not mass) for mass in rows["normal"])]
    return [
        float(np.mean(right)),
        *(float(np.mean(values)) if values else float("nan") for values in rows.values()),
        *(100 * float(np.mean(one)) if one else float("nan") for one in shares),
    ]


COLUMNS = (
    "rule",
    "auto",
    "box",
    "ratio",
    "false g",
    "+wall",
    "+3",
    "MAE g",
    "pos %",
    "neg %",
    "harm %",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--patients", default="inner")
    parser.add_argument("--segmenter", default=None)
    parser.add_argument("--detector", default=None)
    parser.add_argument("--rules", nargs="+", default=["before", "now"], choices=GROUPS)
    parser.add_argument("--only", default="", help="rules whose name holds this")
    parser.add_argument("--no-clicks", action="store_true")
    parser.add_argument("--walls", nargs="+", default=["", "thick"], choices=["", "thick"])
    options = parser.parse_args()
    cases, which = choose_patients(read_data(options.data), options.patients)
    loaded = models.load(options.segmenter, options.detector, "cpu")
    remembering = Models(
        RememberingSegmenter(loaded.segmenter), RememberingDetector(loaded.detector)
    )
    thick = [seen_by(Scanner("thick", None, walls=THICK), case, 7) for case in cases]
    print(f"{which}; first as they came, then with thickened walls")
    print(f"{'':34s}", *(f"{name:>7s}" for name in COLUMNS))
    for group in options.rules:
        for name, rules in GROUPS[group].items():
            if options.only not in name:
                continue
            for kind, some in (("", cases), ("  thick", thick)):
                if kind.strip() not in options.walls:
                    continue
                clicking = group not in ("walls", "islands") and not options.no_clicks
                shown = measure(remembering, some, rules, clicking)
                title = kind or name
                print(f"{title:34s}", *(f"{value:7.3f}" for value in shown), flush=True)


if __name__ == "__main__":
    main()
