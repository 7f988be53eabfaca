"""A reader's own SAM or MedSAM: time and memory of each ViT, with random weights.

Random weights cost what trained ones do and mark anything: what they call scar is printed in
grams on a simulated stack, as it would be alone and as the program keeps it, in boxes and wall.

    python benchmarks/sam.py --models vit_b vit_l vit_h
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from segment_anything import sam_model_registry

from scarseg import models as scarseg_models
from scarseg.case.prompts import Box, SlicePrompts
from scarseg.case.stack import Stack
from scarseg.io.casefile.embeddings import EmbeddingStore
from scarseg.models import embed_step, keep_embeddings
from scarseg.models.scar_in_wall import ScarInWall
from scarseg.models.segmenter import load_segmenter
from scarseg.quant.mass import MM3_PER_ML
from scarseg.segmentation import pipeline
from scarseg.segmentation.predict import predict
from scarseg.simulate.anatomy import SimulationOptions
from scarseg.simulate.series import simulate_stack

DENSITY = 1.05


def grown_mb() -> float:
    """Return the largest memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def heart_of(stack: Stack) -> Box:
    """Return the box round the left ventricle on the middle slice."""
    box = pipeline.locate_hearts(stack, scarseg_models.load())[stack.n_slices // 2].lv_box
    assert box is not None
    return box


def measure(path: Path, name: str, with_stack: bool) -> None:
    """Print time and memory of a checkpoint, and what it marks on a stack."""
    stack = simulate_stack(3, SimulationOptions(n_slices=8, scar=True)).stack
    image = stack.image(stack.n_slices // 2)
    before = grown_mb()
    start = time.perf_counter()
    segmenter = load_segmenter(path, "cpu")
    assert isinstance(segmenter, ScarInWall)
    loaded = time.perf_counter() - start
    loaded_mb = grown_mb()
    steps, processor = [], time.process_time()
    done = 0.0
    while done < 1:
        start = time.perf_counter()
        done = embed_step(segmenter, image)
        steps.append(time.perf_counter() - start)
    processor = time.process_time() - processor
    print(
        f"{name}: file {path.stat().st_size / 1e6:.0f} MB; loaded in {loaded:.1f} s; a slice"
        f" embedded in {sum(steps):.1f} s ({processor:.1f} s of processor), {len(steps)} steps,"
        f" the longest {max(steps):.1f} s;"
        f" memory {before:.0f} MB before, {loaded_mb:.0f} loaded, {grown_mb():.0f} at most",
        flush=True,
    )
    store = EmbeddingStore(path.parent / "embeddings")
    keep_embeddings(segmenter, store)
    key, box = segmenter.key_of(image), heart_of(stack)
    embedding = segmenter.embed(image, box)
    features = embedding.features.scar.embedding.numpy()
    store.put(key, features)
    start = time.perf_counter()
    found = store.get(key)
    print(
        f"{name}: kept as {features.nbytes / 1e6:.1f} MB, read again in"
        f" {1000 * (time.perf_counter() - start):.0f} ms, the same:"
        f" {found is not None and np.array_equal(found, features)}"
    )
    prompts = SlicePrompts(boxes=(box,), lv_box=box)
    start = time.perf_counter()
    kept = predict(scarseg_models.Models(segmenter, None), embedding, prompts)
    click = time.perf_counter() - start
    alone = segmenter.scar.predict(replace(embedding, features=embedding.features.scar), prompts)
    rows, columns = stack.pixel_spacing_mm
    gram = rows * columns * stack.slice_thickness_mm * DENSITY / MM3_PER_ML
    assert kept.wall is not None
    wall = kept.wall > 0
    print(
        f"{name}: a prompt answered in {click:.2f} s; random weights mark"
        f" {gram * np.count_nonzero(alone.scar > 0):.1f} g on the slice alone,"
        f" {gram * np.count_nonzero((kept.scar > 0) & wall):.1f} g in box and wall, of"
        f" {gram * np.count_nonzero(wall):.1f} g of wall",
        flush=True,
    )
    if with_stack:
        start = time.perf_counter()
        case = pipeline.propose_case(stack, scarseg_models.Models(segmenter, None))
        grams = pipeline.measure(case).scar_mass_g
        print(
            f"{name}: a stack of {stack.n_slices} slices proposed in"
            f" {time.perf_counter() - start:.0f} s: {grams:.1f} g"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["vit_b", "vit_l", "vit_h"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--stack", action="store_true", help="propose a whole stack too")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.measure:
        measure(options.measure, options.models[0], options.stack)
        return
    for name in options.models:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{name}_random.pth"
            torch.manual_seed(0)
            torch.save(sam_model_registry[name]().state_dict(), path)
            # A process of its own: its memory is that of one checkpoint.
            words = ["--models", name, "--threads", str(options.threads), "--measure", str(path)]
            words += ["--stack"] if options.stack else []
            subprocess.run([sys.executable, __file__, *words], check=True)


if __name__ == "__main__":
    main()
