"""What scar becomes when a reader moves the wall to where it belongs, by several rules.

    python benchmarks/moved_wall.py EMIDEC [--patients tuning|validation|P005,...]

Every slice with scar is proposed; then its wall and blood pool are replaced by those of the
reference, as contours dragged without error would. Printed is the mean Dice of the scar (MVO
included) against the reference:

- proposed: before;
- kept: scar of the proposal within the new wall;
- logits: with it, the segmenter's own scar in wall that is new;
- followed: the window's rule, which adds bright tissue that continues scar;
- refilled: all scar is predicted anew, with the new heart as a prompt;
- segmented again: the segmenter predicts once more with the box of the new heart;
- embedded again: the slice is embedded with that box too.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scarseg import models
from scarseg.case.labels import Label, LabelArray, MaskArray, infarct_mask, without_infarct
from scarseg.case.prompts import Origin
from scarseg.case.stack import SliceImage
from scarseg.models import Models
from scarseg.quant.overlap import dice
from scarseg.segmentation import pipeline, predict
from scarseg.segmentation.moved_wall import scar_in_moved_wall
from scarseg.segmentation.proposal import bounding_box
from scarseg.segmentation.refill import refill_wall
from scarseg.training.cases import INNER, VALIDATION
from tests.emidec import load_emidec


def variants(
    image: SliceImage, proposal: predict.SliceProposal, truth: LabelArray, loaded: Models
) -> Iterator[tuple[str, MaskArray]]:
    """Yield the scar of a slice by each rule, with its name."""
    before, heart = proposal.labels, without_infarct(truth)
    wall, scar = heart == Label.MYOCARDIUM, infarct_mask(proposal.labels)
    new_wall = wall & (without_infarct(before) != Label.MYOCARDIUM)
    after = np.where(scar & wall, before, heart).astype(np.uint8)
    pixels, logits = image.pixels, proposal.logits
    yield "proposed", scar
    yield "kept", scar & wall
    yield "logits", infarct_mask(after) | (new_wall & (logits.scar > 0))
    yield "followed", infarct_mask(scar_in_moved_wall(pixels, before, after, new_wall, logits))
    again = refill_wall(loaded, proposal.embedding, proposal.prompts, after, heart, None)
    yield "refilled", infarct_mask(again.labels)
    box = replace(bounding_box(heart > 0), origin=Origin.READER)
    prompts = replace(proposal.prompts.scar_only, lv_box=box)
    predicted = predict.predict(loaded, proposal.embedding, prompts)
    yield "segmented again", (predicted.scar > 0) & wall
    embedded = loaded.segmenter.embed(image, box)
    yield "embedded again", (predict.predict(loaded, embedded, prompts).scar > 0) & wall


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("emidec", type=Path)
    parser.add_argument("--patients", default="tuning", help="validation, tuning, or names")
    options = parser.parse_args()
    named = {"validation": VALIDATION, "tuning": INNER}
    names = named.get(options.patients) or tuple(options.patients.split(","))
    loaded = models.load()
    scores: dict[str, list[float]] = {}
    for name in names:
        stack, truth = load_emidec(name, options.emidec)
        for k, proposal in pipeline.propose_stack(stack, loaded):
            scar = infarct_mask(truth[k])
            if scar.any():
                for rule, found in variants(stack.image(k), proposal, truth[k], loaded):
                    scores.setdefault(rule, []).append(dice(found, scar) or 0.0)
    print(f"{len(next(iter(scores.values())))} slices with scar of {len(names)} patients")
    for rule, values in scores.items():
        print(f"{rule:16} {np.mean(values):.3f}")


if __name__ == "__main__":
    main()
