"""Patches of a slice: what they restore, and where they may lie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scarseg.case.labels import Patch


@given(st.integers(0, 2**32), st.booleans())
def test_a_patch_gives_back_its_slice(seed: int, sparse: bool):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 5, (9, 13), np.uint8)
    if sparse:
        labels[rng.random(labels.shape) < 0.97] = 0
    patch, again = Patch.of(labels), np.zeros_like(labels)
    patch.apply(again)
    np.testing.assert_array_equal(again, labels)
    assert patch.matches(labels)
    labels[4, 5] ^= 1
    assert not patch.matches(labels)


@pytest.mark.parametrize("place", [(-1, 0), (0, -1), (8, 0), (0, 12)])
def test_a_patch_must_lie_within_its_slice(place: tuple[int, int]):
    patch = Patch.at(*place, np.ones((2, 2), np.uint8))
    with pytest.raises(ValueError, match="within its slice"):
        patch.apply(np.zeros((9, 13), np.uint8))
