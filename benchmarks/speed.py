"""Time a stack's proposal and a click, beside segment-anything's ViT-B on the same slices."""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable

import torch
from segment_anything import sam_model_registry

from scarseg import models as models_module
from scarseg.case.case import ModelIdentity
from scarseg.case.prompts import Box, Point, SlicePrompts
from scarseg.case.stack import Stack
from scarseg.models import Models, Segmenter
from scarseg.models.sam_vit import VitSegmenter
from scarseg.segmentation.pipeline import propose_stack, segment
from scarseg.simulate.anatomy import SimulationOptions
from scarseg.simulate.series import simulate_stack


def seconds(work: Callable[[], object], times: int) -> float:
    """Return the median time of ``times`` runs after one that warms up."""
    work()
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def click_prompts(lv_box: Box) -> SlicePrompts:
    column, row = lv_box.centre
    box = Box(column, lv_box.row0, lv_box.column1, row)
    return SlicePrompts((box,), (Point(lv_box.column1 - 3, row),), lv_box)


def time_segmenter(
    segmenter: Segmenter, stack: Stack, lv_box: Box, times: int
) -> tuple[float, float]:
    """Return seconds to embed one slice and to answer one click on it."""
    image = stack.image(stack.n_slices // 2)
    embedding = segmenter.embed(image, lv_box)
    prompts = click_prompts(lv_box)
    first = segmenter.predict(embedding, prompts)
    embed = seconds(lambda: segmenter.embed(image, lv_box), times)
    click = seconds(lambda: segmenter.predict(embedding, prompts, first), times)
    return embed, click


def twelve_slices(seed: int) -> Stack:
    return simulate_stack(seed, SimulationOptions(n_slices=12)).stack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--seed", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    begin = time.perf_counter()
    models: Models = models_module.load(device="cpu")
    print(f"torch {torch.__version__}, {options.threads} threads")
    print(f"load both models                    {time.perf_counter() - begin:8.3f} s")
    stack = twelve_slices(options.seed)
    print(f"stack {stack.pixels.shape}, spacing {stack.pixel_spacing_mm} mm")
    proposed = seconds(lambda: list(propose_stack(stack, models)), 3)
    print(f"12 slices, opened to all proposed   {proposed:8.3f} s")
    proposals = dict(propose_stack(stack, models))
    middle = proposals[stack.n_slices // 2]
    lv_box = middle.prompts.lv_box or Box(0, 0, stack.columns, stack.rows)
    if models.detector is not None:
        find = models.detector.detect
        found = seconds(lambda: find(stack.image(stack.n_slices // 2)), 20)
        print(f"detect on a slice                   {found * 1e3:8.1f} ms")
    embed, click = time_segmenter(models.segmenter, stack, lv_box, 20)
    print(f"embed a slice                       {embed * 1e3:8.1f} ms")
    print(f"click on an embedded slice          {click * 1e3:8.1f} ms")
    whole = seconds(
        lambda: segment(models, middle.embedding, click_prompts(lv_box), middle.labels), 20
    )
    print(f"click to labels (with rules)        {whole * 1e3:8.1f} ms")
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"most memory so far                  {used:8.0f} MB")
    vit = VitSegmenter(sam_model_registry["vit_b"](), ModelIdentity("vit_b"), "cpu")
    vit_embed, vit_click = time_segmenter(vit, stack, lv_box, 3)
    print(
        f"ViT-B, untrained: embed a slice     {vit_embed * 1e3:8.1f} ms ({vit_embed / embed:.0f} x)"
    )
    print(
        f"ViT-B, untrained: click             {vit_click * 1e3:8.1f} ms ({vit_click / click:.1f} x)"
    )
    print(f"ViT-B, 12 slices embedded           {12 * vit_embed:8.1f} s")


if __name__ == "__main__":
    main()
