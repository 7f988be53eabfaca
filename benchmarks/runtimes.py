"""CPU milliseconds per image of the networks: plain PyTorch, as shipped, and OpenVINO.

Plain are the same weights in the layers they were trained in, batch norms folded. OpenVINO is
measured where it is installed (``pip install openvino``), with the time that converting takes.
All by one thread, the least of several runs, so that other load on the machine matters less.

    python benchmarks/runtimes.py [--times 10]
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from scarseg import models
from scarseg.models.compact_sam import (
    CompactSam,
    fold_batchnorms,
    network_from_weights,
    split_members,
)
from scarseg.models.detector import read_weights
from scarseg.models.detector_network import build_network
from scarseg.models.fused import fuse_detector, fuse_segmenter
from scarseg.models.weights import resolve_weights

BATCHES = (1, 4, 8)


class Encoder(nn.Module):
    """The image encoder with a tuple as its result."""

    def __init__(self, network: CompactSam) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        made = self.network.embed(crops.contiguous(memory_format=torch.channels_last))
        return made.quarter, made.half, made.full


def milliseconds(work: Callable[[], object], times: int) -> float:
    """Return the least CPU time of several runs after one that warms up."""
    work()
    taken = []
    for _ in range(times):
        begin = time.process_time()
        work()
        taken.append(time.process_time() - begin)
    return 1000 * min(taken)


def openvino_runner(network: nn.Module, example: Tensor) -> Callable[[Tensor], Any]:
    """Convert a network; print how long it takes."""
    begin = time.process_time()
    library = import_module("openvino")
    settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    converted = library.convert_model(network, example_input=example)
    request = library.Core().compile_model(converted, "CPU", settings).create_infer_request()
    print(f"  converted for OpenVINO in {time.process_time() - begin:.1f} CPU s")
    return lambda images: request.infer([images.numpy()], share_inputs=True)


def networks() -> dict[str, tuple[nn.Module, nn.Module, tuple[int, ...]]]:
    """Return both networks, plain and fused, and the shape of their input."""
    state = split_members(load_file(resolve_weights(None, "segmenter").path))[0]
    plain = fold_batchnorms(network_from_weights(state)).to(memory_format=torch.channels_last)
    fused = fuse_segmenter(network_from_weights(state)).to(memory_format=torch.channels_last)
    detector = build_network()
    detector.load_state_dict(read_weights(resolve_weights(None, "detector").path)[0], strict=False)
    detector.eval().fuse(verbose=False)
    return {
        "encoder of the segmenter": (Encoder(plain), Encoder(fused), (3, 80, 80)),
        "detector": (detector, fuse_detector(copy.deepcopy(detector)), (1, 128, 128)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10)
    options = parser.parse_args()
    models.prepare_environment()
    torch.set_num_threads(1)
    with torch.inference_mode():
        for name, (plain, fused, shape) in networks().items():
            print(name)
            runners: dict[str, Callable[[Tensor], Any]] = {"plain": plain, "shipped": fused}
            if find_spec("openvino"):
                runners["OpenVINO"] = openvino_runner(plain, torch.rand(4, *shape))
            for n in BATCHES:
                images = torch.rand(n, *shape)
                taken = [
                    f"{text} {milliseconds(partial(run, images), options.times) / n:.1f} ms"
                    for text, run in runners.items()
                ]
                print(f"  {n} at once, per image: {', '.join(taken)}", flush=True)


if __name__ == "__main__":
    main()
