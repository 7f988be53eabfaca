"""Measure what clicks on wall and blood pool, and a box round the pool, do to both.

    python benchmarks/structure_prompts.py [--segmenter FILE] [--detector FILE] [--constants]

On EMIDEC patients kept for tuning. A reader clicks where the largest error of a slice is deepest,
a little off, and names what is there; slices without an error deeper than 1.9 mm are left alone
and not counted. Dice per slice, averaged over slices, after each click; the scar's is pooled over
a patient's corrected slices. ``--constants`` tries other constants of scarseg/borders.py.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
from scipy import ndimage

from scarseg.segmentation import predict

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scarseg import models
from scarseg.case.labels import Label, LabelArray, infarct_mask, wall_mask
from scarseg.case.prompts import Box, Point, SlicePrompts
from scarseg.models import Models
from scarseg.quant.components import inside_boxes
from scarseg.quant.overlap import dice
from scarseg.segmentation import pipeline, wall_correction
from scarseg.segmentation.proposal import bounding_box, largest_component, split_heart
from scarseg.segmentation.wall_correction import HeartMasks, correct_logits
from scarseg.training.cases import INNER
from tests.emidec import load_emidec

CLICKS = 3
VISIBLE_MM = 1.9
"""An error less deep than this, a pixel and a third, is not seen."""
TREMOR_PIXELS = 0.7
READERS = 2


@dataclass(frozen=True, eq=False)
class Slice:
    """One proposed slice with its truth, uint8 (row, column)."""

    patient: str
    spacing_mm: tuple[float, float]
    proposal: predict.SliceProposal
    truth: LabelArray

    @property
    def true_heart(self) -> HeartMasks:
        return HeartMasks(wall_mask(self.truth), self.truth == Label.BLOOD_POOL)


Way = Callable[[Slice, SlicePrompts], HeartMasks]
"""How prompts for wall and pool are obeyed."""


def slices(loaded: Models) -> Iterator[Slice]:
    for name in INNER:
        stack, truth = load_emidec(name)
        for k, proposal in pipeline.propose_stack(stack, loaded):
            if truth[k].any():
                yield Slice(name, stack.pixel_spacing_mm, proposal, truth[k])


def click(
    found: HeartMasks, true: HeartMasks, one: Slice, rng: np.random.Generator
) -> Point | None:
    """Click into the deepest error, and say what is there, or what is not."""
    deepest, chosen = VISIBLE_MM, None
    here, there = (h.labels for h in (found, true))
    for wrong in (0, 1, 2):
        for right in {0, 1, 2} - {wrong}:
            mask = np.pad((here == wrong) & (there == right), 1)
            depth = ndimage.distance_transform_edt(mask, one.spacing_mm)[1:-1, 1:-1]
            if depth.max() > deepest:
                deepest = float(depth.max())
                chosen = (depth, wrong, right)
    if chosen is None:
        return None
    depth, wrong, right = chosen
    row, column = np.unravel_index(int(np.argmax(depth)), depth.shape)
    down, across = rng.normal(0, TREMOR_PIXELS, 2)
    at = (round(row + down), round(column + across))
    if not (0 <= at[0] < depth.shape[0] and 0 <= at[1] < depth.shape[1] and depth[at] > 0):
        at = (int(row), int(column))
    label = Label(right or wrong)
    return Point(at[1] + 0.5, at[0] + 0.5, bool(right), label)


def asked_again(loaded: Models) -> Way:
    """Take the way that is shipped."""

    def way(one: Slice, prompts: SlicePrompts) -> HeartMasks:
        embedding, logits = one.proposal.embedding, one.proposal.logits
        return HeartMasks.of_logits(predict.apply_heart_prompts(loaded, embedding, logits, prompts))

    return way


def pulled(one: Slice, prompts: SlicePrompts) -> HeartMasks:
    """Pull the borders; the segmenter is not asked again."""
    return HeartMasks.of_logits(correct_logits(one.proposal.logits, prompts, one.spacing_mm))


def discs(one: Slice, prompts: SlicePrompts) -> HeartMasks:
    """Paint a disc of 4 mm round each click: the simplest way there is."""
    heart = HeartMasks.of_logits(one.proposal.logits)
    labels = heart.labels
    row_mm, column_mm = one.spacing_mm
    rows, columns = np.ogrid[: labels.shape[0], : labels.shape[1]]
    for point in prompts.heart_points:
        column, row = point.pixel
        near = np.hypot((rows - row) * row_mm, (columns - column) * column_mm) <= 4
        if point.positive:
            labels[near] = point.structure
        else:
            other = _instead(labels, point)
            labels[near & (labels == point.structure)] = other
    whole = ndimage.binary_fill_holes(largest_component(labels > 0))
    return HeartMasks(whole & (labels != Label.BLOOD_POOL), whole & (labels == Label.BLOOD_POOL))


def _instead(labels: LabelArray, point: Point) -> Label:
    """Return what it is if not this: wall for pool, the nearer of pool and background for wall."""
    column, row = point.pixel
    if point.structure is Label.BLOOD_POOL:
        return Label.MYOCARDIUM
    away = [
        ndimage.distance_transform_edt(labels != label)[row, column]
        for label in (Label.BACKGROUND, Label.BLOOD_POOL)
    ]
    return Label.BACKGROUND if away[0] <= away[1] else Label.BLOOD_POOL


def bumps(one: Slice, prompts: SlicePrompts) -> HeartMasks:
    """Add a Gaussian bump of 11 mm to the logits so that each click comes true."""
    logits = one.proposal.logits
    assert logits.wall is not None and logits.blood_pool is not None
    pool, wall = np.clip(logits.blood_pool, -6, 6), np.clip(logits.wall, -6, 6)
    row_mm, column_mm = one.spacing_mm
    rows, columns = np.ogrid[: pool.shape[0], : pool.shape[1]]
    for point in prompts.heart_points:
        column, row = point.pixel
        away = ((rows - row) * row_mm) ** 2 + ((columns - column) * column_mm) ** 2
        bump = np.exp(-away / (2 * 11.0**2))
        mine, other = (wall, pool) if point.structure is Label.MYOCARDIUM else (pool, wall)
        sign = 1 if point.positive else -1
        mine += sign * bump * max(0.0, 1 - sign * float(mine[row, column]))
        if point.positive:
            other -= bump * max(0.0, 1 + float(other[row, column]))
    return HeartMasks(*split_heart(replace(logits, blood_pool=pool, wall=wall)))


def read(way: Way, every: list[Slice]) -> tuple[np.ndarray, int]:
    """Return Dice (click, wall and pool), averaged over the slices with an error to click at."""
    found = []
    for reader in range(READERS):
        for number, one in enumerate(every):
            rng = np.random.default_rng([reader, number])
            prompts = replace(one.proposal.prompts, points=())
            heart, true, scores = HeartMasks.of_logits(one.proposal.logits), one.true_heart, []
            for _ in range(CLICKS + 1):
                scores.append((dice(heart.wall, true.wall), dice(heart.pool, true.pool)))
                point = click(heart, true, one, rng)
                if point is not None and len(scores) <= CLICKS:
                    prompts = prompts.with_point(point)
                    heart = way(one, prompts)
            if prompts.points:
                found.append(scores)
    return np.mean(found, axis=0), len(found) // READERS


def compare_clicks(ways: dict[str, Way], every: list[Slice]) -> None:
    print(f"{'wall Dice, pool Dice after clicks':46} {'0':>12} {'1':>12} {'2':>12} {'3':>12}  ms")
    for name, way in ways.items():
        started = time.perf_counter()
        scores, n = read(way, every)
        took = 1000 * (time.perf_counter() - started) / (READERS * n * CLICKS)
        row = " ".join(f"{wall:.3f} {pool:.3f} " for wall, pool in scores)
        print(f"{name:46} {row} {took:3.0f}   ({n} slices)", flush=True)


def limited(one: Slice, prompts: SlicePrompts) -> HeartMasks:
    """Take from the pool what lies outside its box."""
    heart = HeartMasks.of_logits(one.proposal.logits)
    assert prompts.pool_box is not None
    held = inside_boxes((prompts.pool_box,), heart.pool.shape)
    whole = heart.wall | heart.pool
    return HeartMasks(whole & ~(heart.pool & held), heart.pool & held)


def pool_box(one: Slice, rng: np.random.Generator) -> Box:
    """Draw a box round the true pool as a reader would, edges off by up to 6 %."""
    tight = bounding_box(one.true_heart.pool)
    left, up, right, down = rng.uniform(-0.06, 0.06, 4)
    return Box(
        tight.column0 - left * tight.width,
        tight.row0 - up * tight.height,
        tight.column1 + right * tight.width,
        tight.row1 + down * tight.height,
    )


def compare_boxes(ways: dict[str, Way], every: list[Slice], worst: float) -> None:
    """Box the pool of the slices whose pool Dice is below ``worst``."""
    print(f"\n{f'a box round the pool where its Dice < {worst}':46} wall   pool")
    pooled = [one for one in every if (one.truth == Label.BLOOD_POOL).any()]
    chosen = [
        one
        for one in pooled
        if dice(HeartMasks.of_logits(one.proposal.logits).pool, one.true_heart.pool) < worst
    ]
    before = {"before": lambda one, _prompts: HeartMasks.of_logits(one.proposal.logits)}
    for name, way in (before | ways).items():
        scores = []
        for number, one in enumerate(chosen):
            box = pool_box(one, np.random.default_rng(number))
            prompts = replace(one.proposal.prompts, pool_box=box)
            heart, true = way(one, prompts), one.true_heart
            scores.append((dice(heart.wall, true.wall), dice(heart.pool, true.pool)))
        wall, pool = np.mean(scores, axis=0)
        print(f"{name:46} {wall:.3f}  {pool:.3f}   ({len(scores)} slices)", flush=True)


def compare_scar(loaded: Models, every: list[Slice]) -> None:
    """Return what becomes of the scar when the wall is corrected with three clicks."""
    counts: dict[str, dict[str, list[int]]] = {}
    for number, one in enumerate(every):
        rng = np.random.default_rng(number)
        prompts = replace(one.proposal.prompts, points=())
        heart = HeartMasks.of_logits(one.proposal.logits)
        for _ in range(CLICKS):
            point = click(heart, one.true_heart, one, rng)
            if point is not None:
                prompts = prompts.with_point(point)
                heart = asked_again(loaded)(one, prompts)
        if not prompts.points or not infarct_mask(one.truth).any():
            continue
        before = one.proposal.labels == Label.SCAR
        again, _ = pipeline.segment(
            loaded, one.proposal.embedding, prompts, one.proposal.labels, one.proposal.logits
        )
        logits = predict.apply_heart_prompts(
            loaded, one.proposal.embedding, one.proposal.logits, prompts
        )
        gained = heart.wall & ~HeartMasks.of_logits(one.proposal.logits).wall & (logits.scar > 0)
        true = infarct_mask(one.truth)
        for name, scar in {
            "scar as it stood (shipped)": before,
            "the same, clipped to the new wall (I)": before & heart.wall,
            "clipped, and the segmenter's in wall gained": (before & heart.wall) | gained,
            "segmented anew with its boxes (Space)": again == Label.SCAR,
        }.items():
            sums = counts.setdefault(name, {}).setdefault(one.patient, [0, 0])
            sums[0] += 2 * int((scar & true).sum())
            sums[1] += int(scar.sum()) + int(true.sum())
    print(f"\n{'scar of slices whose wall was clicked at':46} Dice")
    for name, patients in counts.items():
        value = np.mean([both / both_sizes for both, both_sizes in patients.values()])
        print(f"{name:46} {value:.3f}   ({len(patients)} patients)")


def compare_constants(every: list[Slice]) -> None:
    ways: dict[str, Way] = {}
    trials = [
        *(("SIGMA_MM", v) for v in (6.0, 10.0, 14.0, 20.0)),
        *(("SIGMA_OF_RADIUS", v) for v in (0.4, 0.55, 0.7, 1.0)),
        *(("BEYOND", v) for v in (0.0, 0.2, 0.4, 0.7, 1.0)),
        *(("MARGIN_MM", v) for v in (0.3, 0.7, 1.2)),
        *(("BOX_AGREES", v) for v in (0.0, 0.06, 0.12)),
        *(("THINNEST_WALL_MM", v) for v in (1.5, 3.0, 5.0)),
    ]
    for name, value in trials:

        def way(
            one: Slice, prompts: SlicePrompts, name: str = name, value: float = value
        ) -> HeartMasks:
            with patch.object(wall_correction, name, value):
                return pulled(one, prompts)

        ways[f"{name} = {value}"] = way
    print()
    compare_clicks(ways, every)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--segmenter")
    parser.add_argument("--detector")
    parser.add_argument("--constants", action="store_true")
    options = parser.parse_args()
    loaded = models.load(options.segmenter, options.detector, "cpu")
    every = list(slices(loaded))
    ways: dict[str, Way] = {
        "borders pulled, segmenter asked again (shipped)": asked_again(loaded),
        "borders pulled alone": pulled,
        "bumps on the logits": bumps,
        "discs painted": discs,
    }
    compare_clicks(ways, every)
    boxed = {
        "pool stretched, segmenter asked again (shipped)": asked_again(loaded),
        "pool stretched alone": pulled,
        "pool limited": limited,
    }
    for worst in (2.0, 0.93):
        compare_boxes(boxed, every, worst)
    compare_scar(loaded, every)
    if options.constants:
        compare_constants(every)


if __name__ == "__main__":
    main()
