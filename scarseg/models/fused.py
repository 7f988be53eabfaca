"""Replace layers of a trained network by ones that compute the same in fewer passes over memory.

PyTorch rearranges the weights of a convolution at every call, and adds and activates in passes of
their own. oneDNN, which PyTorch is built with, does all of it in one call with weights arranged
once. Elsewhere (no oneDNN, another device) the same layers run one after the other.
"""

from __future__ import annotations

from typing import Literal

import torch
from segment_anything.modeling.transformer import Attention
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from scarseg.models.compact_sam import CompactSam, ResidualBlock, fold_batchnorms

Activation = Literal["none", "relu", "swish"]

_MOST_SIZES = 3
"""Arrangements of weights that a layer keeps, one for each size of its input."""


class FusedConvolution(nn.Module):
    """Convolution, optionally the sum with another tensor, and activation in one call.

    Only for inference: no gradients are computed.
    """

    def __init__(self, convolution: nn.Conv2d, activation: Activation = "none") -> None:
        super().__init__()
        self.weight, self.bias = convolution.weight, convolution.bias
        self.activation = activation
        self.stride, self.padding = _pair(convolution.stride), _pair(convolution.padding)
        self.dilation, self.groups = _pair(convolution.dilation), convolution.groups
        self._arranged: dict[tuple[int, int], Tensor] = {}

    def forward(self, x: Tensor, added: Tensor | None = None) -> Tensor:
        """Return the activated convolution of ``x`` (batch, channel, row, column).

        ``added``, of the shape of the result, is added before the activation, which then is ReLU.
        """
        if x.device.type != "cpu" or not _has_onednn():
            made = F.conv2d(
                x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
            )
            made = made if added is None else made + added
            return _activate(made, self.activation)
        shape = (self.padding, self.stride, self.dilation, self.groups)
        convolve = torch.ops.mkldnn._convolution_pointwise
        weight = self._weight_for(x)
        made = (
            convolve(x, weight, self.bias, *shape, self.activation, [], "")
            if added is None
            else convolve.binary(
                x, added, weight, self.bias, *shape, "add", 1.0, self.activation, [], ""
            )
        )
        result: Tensor = made
        return result

    def _weight_for(self, x: Tensor) -> Tensor:
        """Return the weights arranged for an input of this size; the batch does not matter."""
        size = (int(x.shape[2]), int(x.shape[3]))
        found = self._arranged.get(size)
        if found is None:
            if len(self._arranged) >= _MOST_SIZES:
                self._arranged.clear()
            found = torch.ops.mkldnn._reorder_convolution_weight(
                self.weight.detach(),
                self.padding,
                self.stride,
                self.dilation,
                self.groups,
                [1, int(x.shape[1]), *size],
            )
            self._arranged[size] = found
        return found


class FusedResidualBlock(nn.Module):
    """Two convolutions with a skip connection, in two calls."""

    def __init__(self, block: ResidualBlock) -> None:
        super().__init__()
        first, second = (one for one in block.convolutions if isinstance(one, nn.Conv2d))
        self.first = FusedConvolution(first, "relu")
        self.second = FusedConvolution(second, "relu")

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.second(self.first(x), x)
        return result


class FusedAttention(nn.Module):
    """segment-anything's attention with PyTorch's own kernel for it."""

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.n_heads = attention.num_heads
        self.q_proj, self.k_proj = attention.q_proj, attention.k_proj
        self.v_proj, self.out_proj = attention.v_proj, attention.out_proj

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return (batch, query, channel) of queries, keys and values (batch, token, channel)."""
        queries, keys, values = (
            one.unflatten(2, (self.n_heads, -1)).transpose(1, 2)
            for one in (self.q_proj(q), self.k_proj(k), self.v_proj(v))
        )
        made = F.scaled_dot_product_attention(queries, keys, values)
        result: Tensor = self.out_proj(made.transpose(1, 2).flatten(2))
        return result


def fuse_segmenter(network: CompactSam) -> CompactSam:
    """Make a trained segmenter faster in place: the same logits but for the last digits."""
    fold_batchnorms(network)
    _fuse_children(network)
    network.position = network.prompt_encoder.get_dense_pe().detach()
    return network


def fuse_detector(network: nn.Module) -> nn.Module:
    """Make a detector whose batch norms are folded faster in place."""
    for module in list(network.modules()):
        convolution, activation = getattr(module, "conv", None), getattr(module, "act", None)
        if type(convolution) is nn.Conv2d and isinstance(activation, nn.SiLU):
            module.conv = FusedConvolution(convolution, "swish")
            module.act = nn.Identity()
    _fuse_children(network)
    return network


def _fuse_children(module: nn.Module) -> None:
    for name, child in module.named_children():
        replaced = _fused(child)
        if replaced is None:
            _fuse_children(child)
        else:
            setattr(module, name, replaced)


def _fused(module: nn.Module) -> nn.Module | None:
    """Return the fused form of a module, or None where only its children have one."""
    if isinstance(module, ResidualBlock):
        return FusedResidualBlock(module)
    if isinstance(module, Attention):
        return FusedAttention(module)
    if type(module) is nn.Conv2d:
        return FusedConvolution(module)
    if isinstance(module, nn.Sequential):
        layers = [one for one in module if not isinstance(one, nn.Identity)]
        if [type(one) for one in layers] == [nn.Conv2d, nn.ReLU]:
            convolution = layers[0]
            assert isinstance(convolution, nn.Conv2d)
            return FusedConvolution(convolution, "relu")
    return None


def _activate(x: Tensor, activation: Activation) -> Tensor:
    if activation == "none":
        return x
    return F.relu(x) if activation == "relu" else F.silu(x)


def _has_onednn() -> bool:
    return torch.backends.mkldnn.is_available() and hasattr(
        torch.ops.mkldnn, "_convolution_pointwise"
    )


def _pair(value: object) -> tuple[int, int]:
    """Return stride, padding or dilation as PyTorch keeps them for two axes."""
    assert isinstance(value, tuple)
    rows, columns = value
    return int(rows), int(columns)
