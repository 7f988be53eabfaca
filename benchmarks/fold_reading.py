"""Read one patient by one set of rules, alone and as a reader would, and compare with the truth.

A reader's box has every edge off by a normal error of 6 % of its side and is not grown; contours
of the wall are smoothly off by 1 mm (root mean square); a click goes to the largest error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from benchmarks.folds import SEED
from scarseg.case.labels import Label, LabelArray, MaskArray, infarct_mask, wall_mask
from scarseg.case.prompts import Box, Point, SlicePrompts
from scarseg.evaluation.patient import off_centre_case, reference_of
from scarseg.evaluation.patients import as_stack
from scarseg.evaluation.prompts import PromptKind, PromptStrategy, RandomStream, rng_for
from scarseg.evaluation.reader import Reference, StackProposal, propose_stack, simulate_reading
from scarseg.models import Models
from scarseg.quant.mvo import propose_mvo
from scarseg.quant.overlap import dice
from scarseg.segmentation.pipeline import segment
from scarseg.segmentation.proposal import RULES, ProposalRules
from scarseg.training.cases import TrainingCase
from scarseg.training.prompts import bounding_box, components, corrective_click, draw_box

HARM = 0.02
"""A click that lowers the Dice of its slice by more than this harms."""
PARTS = ("box", "wall", "clicks", "size", "mvo")


@dataclass
class Clicks:
    """Clicks of the simulated reader: obeyed or not, harmful or not, by their sign."""

    positive: list[bool] = field(default_factory=list)
    negative: list[bool] = field(default_factory=list)
    harmful: list[bool] = field(default_factory=list)


@dataclass
class PatientRow:
    """Figures of one patient; Dice over the stack, masses in g, None where not measured.

    ``open_dice`` and ``open_g`` are of the automatic reading before the gate, ``tight_dice`` and
    ``small_dice`` with the exact box and with one 10 % smaller, ``mvo_dice`` with boxes.
    """

    patient: str
    fold: int
    true_g: float
    evidence_mm2: float = 0.0
    withheld: bool = False
    auto_dice: float = 0.0
    auto_g: float = 0.0
    open_dice: float = 0.0
    open_g: float = 0.0
    wall_dice: float | None = None
    pool_dice: float | None = None
    box_dice: float | None = None
    box_g: float | None = None
    box_wall_dice: float | None = None
    clicks_dice: float | None = None
    clicks_g: float | None = None
    tight_dice: float | None = None
    small_dice: float | None = None
    true_mvo_g: float = 0.0
    mvo_g: float | None = None
    mvo_dice: float | None = None
    clicks: Clicks = field(default_factory=Clicks)


def read_patient(
    case: TrainingCase,
    loaded: Models,
    rules: ProposalRules = RULES,
    parts: Sequence[str] = PARTS,
    fold: int = 0,
) -> PatientRow:
    """Read a patient by itself and in the ways that ``parts`` name."""
    moved = off_centre_case(case, SEED)
    stack, truth = as_stack(moved), reference_of(moved)
    seen = propose_stack(stack, loaded, rules=rules)
    labels = np.stack([one.labels for one in seen.proposals])

    def grams(mask: MaskArray) -> float:
        row_mm, column_mm = moved.pixel_spacing_mm
        return 1.05e-3 * row_mm * column_mm * moved.slice_spacing_mm * int(mask.sum())

    def overlap(found: MaskArray) -> float:
        return dice(found, truth.scar) or 0.0

    row = PatientRow(case.name, fold, grams(truth.scar), seen.evidence_mm2, seen.withheld)
    row.open_g, row.open_dice = grams(infarct_mask(labels)), overlap(infarct_mask(labels))
    automatic = simulate_reading(PromptStrategy(PromptKind.AUTO), loaded, seen, truth, SEED)[-1]
    row.auto_g, row.auto_dice = grams(automatic.scar), overlap(automatic.scar)
    row.wall_dice = dice(wall_mask(labels), wall_mask(truth.labels))
    row.pool_dice = dice(labels == Label.BLOOD_POOL, truth.labels == Label.BLOOD_POOL)
    row.true_mvo_g = grams(truth.labels == Label.MVO)
    if row.true_g == 0:
        return row
    if "box" in parts or "mvo" in parts:
        strategy = PromptStrategy(PromptKind.BOX)
        boxed = simulate_reading(strategy, loaded, seen, truth, SEED, rules=rules)[0]
        row.box_dice, row.box_g = overlap(boxed.scar), grams(boxed.scar)
        if "mvo" in parts:
            found = propose_mvo(stack.pixels, boxed.labels, stack.pixel_spacing_mm)
            dark = np.zeros_like(truth.scar) if found is None else found == Label.MVO
            row.mvo_g = grams(dark)
            if row.true_mvo_g:
                row.mvo_dice = dice(dark, truth.labels == Label.MVO)
    if "wall" in parts:
        strategy = PromptStrategy(PromptKind.BOX_WALL)
        walled = simulate_reading(strategy, loaded, seen, truth, SEED, rules=rules)[0]
        row.box_wall_dice = overlap(walled.scar)
    if "clicks" in parts:
        clicked = infarct_mask(_click_through(loaded, seen, truth, rules, row.clicks))
        row.clicks_dice, row.clicks_g = overlap(clicked), grams(clicked)
    if "size" in parts:
        row.tight_dice, row.small_dice = (
            overlap(_sized(loaded, seen, truth, rules, growth)) for growth in (0.0, -0.1)
        )
    return row


def _click_through(
    loaded: Models, seen: StackProposal, truth: Reference, rules: ProposalRules, counted: Clicks
) -> LabelArray:
    """Box every scar, then click three times at the largest error; return the labels."""
    found = np.stack([one.labels for one in seen.proposals])
    strategy = PromptStrategy(PromptKind.BOX)
    boxed = simulate_reading(strategy, loaded, seen, truth, SEED, rules=rules)[0]
    for k, proposal in enumerate(seen.proposals):
        scar, asked = truth.scar[k], boxed.prompts[k]
        rng = rng_for(SEED, truth.patient, k, 0, RandomStream.CLICKS)
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
                counted.harmful.append((dice(now, scar) or 0.0) < (before or 0.0) - HARM)
        found[k] = labels
    return found


def _sized(
    loaded: Models, seen: StackProposal, truth: Reference, rules: ProposalRules, growth: float
) -> MaskArray:
    """Return scar of boxes that are exact but for being larger by a share of their sides."""
    found = np.zeros_like(truth.scar)
    rng = np.random.default_rng(0)  # draws no error
    for k, proposal in enumerate(seen.proposals):
        scar = truth.scar[k]
        if not scar.any():
            continue
        exact = [bounding_box(part) for part in components(scar)]
        boxes = tuple(
            Box.spanning(*draw_box(box, rng, (0.0, 0.0), (growth, growth))) for box in exact
        )
        asked = SlicePrompts(boxes, lv_box=proposal.prompts.lv_box)
        labels, _ = segment(
            loaded, proposal.embedding, asked, proposal.labels, proposal.logits, rules
        )
        found[k] = infarct_mask(labels)
    return found


def gated(row: PatientRow, limit_mm2: float) -> PatientRow:
    """Return a row as it would be with another limit of the gate."""
    if row.evidence_mm2 < limit_mm2:
        return replace(row, withheld=True, auto_dice=0.0, auto_g=0.0)
    return replace(row, withheld=False, auto_dice=row.open_dice, auto_g=row.open_g)


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else float("nan")


def _concordance(found: Sequence[float], true: Sequence[float]) -> float:
    a, b = np.array(found), np.array(true)
    if len(a) < 2:
        return float("nan")
    return float(
        2 * np.cov(a, b, bias=True)[0, 1] / (a.var() + b.var() + (a.mean() - b.mean()) ** 2)
    )


Scarred = Callable[[Sequence[PatientRow]], float]


def _error(name: str) -> Scarred:
    return lambda rows: _mean(
        [abs(getattr(one, name) - one.true_g) for one in rows if getattr(one, name) is not None]
    )


def _ratio(name: str) -> Scarred:
    def ratio(rows: Sequence[PatientRow]) -> float:
        known = [one for one in rows if getattr(one, name) is not None]
        return sum(getattr(one, name) for one in known) / (sum(one.true_g for one in known) or 1)

    return ratio


def _share(name: str) -> Scarred:
    return lambda rows: (
        100 * _mean([float(yes) for one in rows for yes in getattr(one.clicks, name)])
    )


def _of(name: str) -> Scarred:
    return lambda rows: _mean([getattr(one, name) for one in rows])


FIGURES: dict[str, Scarred] = {
    "auto": _of("auto_dice"),
    "auto MAE": _error("auto_g"),
    "a.ratio": _ratio("auto_g"),
    "box": _of("box_dice"),
    "b.ratio": _ratio("box_g"),
    "b.MAE": _error("box_g"),
    "+wall": _of("box_wall_dice"),
    "+3": _of("clicks_dice"),
    "MAE g": _error("clicks_g"),
    "CCC": lambda rows: (
        _concordance(
            *zip(
                *((one.clicks_g, one.true_g) for one in rows if one.clicks_g is not None),
                strict=True,
            )
        )
        if any(one.clicks_g is not None for one in rows)
        else float("nan")
    ),
    "pos %": _share("positive"),
    "neg %": _share("negative"),
    "harm %": _share("harmful"),
    "exact": _of("tight_dice"),
    "-10 %": _of("small_dice"),
    "MVO": _of("mvo_dice"),
}
"""Figures over the patients with scar."""


def figures(rows: Sequence[PatientRow]) -> dict[str, float]:
    """Return what is printed of several patients."""
    sick, normal = ([one for one in rows if bool(one.true_g) is scar] for scar in (True, False))
    right = [one.auto_dice for one in sick] + [float(not one.auto_g) for one in normal]
    false = [one.auto_g for one in normal if one.auto_g]
    missed = [float(one.withheld and one.open_g > 0) for one in sick]
    return {
        "rule": _mean(right),
        **{name: figure(sick) for name, figure in FIGURES.items()},
        "wall": _of("wall_dice")(rows),
        "pool": _of("pool_dice")(rows),
        "empty %": 100 * _mean([float(not one.auto_g) for one in normal]),
        "false g": _mean(false) if false else 0.0,
        "withheld %": 100 * _mean(missed),
    }


def show(tables: dict[str, Sequence[PatientRow]]) -> None:
    """Print the figures of several sets of rows, a column each; those not measured are left out."""
    columns = {name: figures(rows) for name, rows in tables.items()}
    width = max(10, *(len(name) + 2 for name in columns))
    print(f"{'':12s}", *(f"{name:>{width}s}" for name in columns))
    for key in next(iter(columns.values())):
        values = [column[key] for column in columns.values()]
        if not all(np.isnan(value) for value in values):
            print(f"{key:12s}", *(f"{value:{width}.3f}" for value in values), flush=True)
