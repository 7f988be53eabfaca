"""Embeddings kept beside the case files: whole or not at all, bounded, without identity."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from scarseg.io.casefile.embeddings import SUFFIX, EmbeddingStore


def features(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(1, 4, 8, 8)).astype(np.float16)


def test_what_was_kept_comes_back_to_the_bit(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path / "embeddings")
    assert store.get("a" * 64) is None
    store.put("a" * 64, features())
    found = EmbeddingStore(tmp_path / "embeddings").get("a" * 64)
    assert found is not None
    assert found.tobytes() == features().tobytes()
    assert store.get("b" * 64) is None
    assert (tmp_path / "embeddings").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other"])
def test_a_damaged_file_is_as_good_as_none(damage: str, tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    store.put("a", features())
    path = tmp_path / f"a{SUFFIX}"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    contents = {
        "cut": path.read_bytes()[:-9],
        "flipped": bytes(data),
        "empty": b"",
        "other": b"no embedding at all, but long enough to have a digest of 32 bytes",
    }
    path.write_bytes(contents[damage])
    assert store.get("a") is None
    store.put("a", features(1))
    assert np.array_equal(store.get("a"), features(1))


def test_the_one_used_longest_ago_goes(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    store.put("first", features(1))
    size = (tmp_path / f"first{SUFFIX}").stat().st_size
    store.max_bytes = 3 * size
    for k, name in enumerate(("first", "second", "third"), start=1):
        store.put(name, features(k))
        os.utime(tmp_path / f"{name}{SUFFIX}", (1000 * k, 1000 * k))
    assert store.get("first") is not None  # used now, so that the second is the oldest
    store.put("fourth", features(4))
    kept = {path.stem for path in tmp_path.iterdir()}
    assert kept == {"first", "third", "fourth"}


def test_a_folder_that_refuses_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    store = EmbeddingStore(tmp_path / "file" / "embeddings")
    store.put("a", features())
    assert store.get("a") is None
