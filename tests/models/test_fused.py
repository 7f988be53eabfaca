"""Fused layers against the layers of PyTorch that they replace."""

from __future__ import annotations

import copy
from typing import Any, cast

import pytest
import torch
from segment_anything.modeling.transformer import Attention
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from scarseg.models import fused
from scarseg.models.compact_sam import CompactSam, PromptBatch
from scarseg.models.detector_network import build_network
from scarseg.models.fused import (
    Activation,
    FusedAttention,
    FusedConvolution,
    fuse_detector,
    fuse_segmenter,
)

ACTIVATIONS: dict[Activation, Any] = {"none": lambda x: x, "relu": F.relu, "swish": F.silu}


@pytest.fixture(params=["oneDNN", "plain"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "plain":
        monkeypatch.setattr(fused, "_has_onednn", lambda: False)
    return str(request.param)


def with_statistics(network: nn.Module, *shape: int) -> Any:
    """Return a network whose batch norms have seen noise of a shape (channel, row, column)."""
    with torch.no_grad():
        for _ in range(3):
            network.train()(torch.randn(4, *shape))
    return network.eval()


@pytest.mark.parametrize("activation", ["none", "relu", "swish"])
@pytest.mark.parametrize(
    ("channels", "made", "kernel", "stride", "groups"),
    [(3, 20, 3, 1, 1), (20, 40, 3, 2, 1), (64, 32, 1, 1, 1), (16, 16, 3, 1, 16)],
)
def test_a_convolution_is_that_of_pytorch(
    engine: str,
    activation: Activation,
    channels: int,
    made: int,
    kernel: int,
    stride: int,
    groups: int,
) -> None:
    torch.manual_seed(1)
    plain = nn.Conv2d(channels, made, kernel, stride, padding=kernel // 2, groups=groups).eval()
    layer = FusedConvolution(plain, activation)
    with torch.inference_mode():
        for n, size in enumerate([(12, 20), (9, 9), (5, 5), (20, 12), (12, 20)], start=1):
            x = torch.randn(n, channels, *size)
            expected = ACTIVATIONS[activation](plain(x))
            assert torch.allclose(layer(x), expected, atol=1e-5), engine


def test_what_is_added_is_added_before_the_activation(engine: str) -> None:
    torch.manual_seed(2)
    plain = nn.Conv2d(8, 8, 3, padding=1).eval()
    x, added = torch.randn(2, 8, 10, 10), torch.randn(2, 8, 10, 10)
    kept = added.clone()
    with torch.inference_mode():
        found = FusedConvolution(plain, "relu")(x, added)
        assert torch.allclose(found, F.relu(plain(x) + added), atol=1e-5), engine
    assert torch.equal(added, kept), "the skip connection is used again"


def test_attention_is_that_of_segment_anything() -> None:
    torch.manual_seed(3)
    plain = Attention(128, 4, downsample_rate=2).eval()
    q, k, v = torch.randn(2, 400, 128), torch.randn(2, 9, 128), torch.randn(2, 9, 128)
    with torch.inference_mode():
        assert torch.allclose(FusedAttention(plain)(q, k, v), plain(q, k, v), atol=1e-5)


def prompts(n: int) -> PromptBatch:
    return PromptBatch(
        torch.tensor([[10.0, 20.0, 50.0, 60.0]]).repeat(n, 1),
        torch.tensor([[[30.0, 30.0, 40.0, 35.0]]]).repeat(n, 1, 1),
        torch.ones(n, 1, dtype=torch.bool),
        torch.tensor([[[12.5, 70.5], [60.5, 5.5]]]).repeat(n, 1, 1),
        torch.tensor([[1.0, 0.0]]).repeat(n, 1),
        torch.zeros(n, 3, 80, 80),
    )


def test_a_fused_segmenter_gives_the_same_logits(engine: str) -> None:
    torch.manual_seed(4)
    plain = CompactSam()
    encoder = with_statistics(plain.image_encoder, 3, 80, 80)
    assert encoder is plain.image_encoder
    plain.eval()
    network = fuse_segmenter(copy.deepcopy(plain))
    image = torch.randn(2, 3, 80, 80)
    with torch.inference_mode():
        expected = plain.predict(plain.embed(image), prompts(2))[0]
        found = network.predict(network.embed(image), prompts(2))[0]
    assert torch.allclose(found, expected, atol=1e-3), engine
    assert network.position is not None
    assert not any(isinstance(one, nn.BatchNorm2d) for one in network.image_encoder.modules())


def test_a_fused_detector_gives_the_same_boxes(engine: str) -> None:
    torch.manual_seed(5)
    plain = build_network()
    with torch.no_grad():
        for _ in range(3):
            plain.train()(torch.randn(4, 1, 128, 128))
    plain.eval().fuse(verbose=False)
    network = fuse_detector(copy.deepcopy(plain))
    image = torch.rand(2, 1, 128, 160)
    with torch.inference_mode():
        expected, found = (cast(Tensor, one(image)[0]) for one in (plain, network))
    assert torch.allclose(found, expected, atol=1e-2, rtol=1e-4), engine
