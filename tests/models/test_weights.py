"""Weights are pinned by their sha256."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scarseg.errors import WeightsError
from scarseg.models import weights


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "one.safetensors").write_bytes(b"weights")
    entry = {
        "name": "one",
        "kind": "segmenter",
        "file": "one.safetensors",
        "sha256": weights.sha256(tmp_path / "one.safetensors"),
        "card": "one.json",
        "licence": "CC-BY-NC-SA-4.0",
        "default": True,
    }
    (tmp_path / "manifest.json").write_text(json.dumps({"weights": [entry]}))
    monkeypatch.setattr(weights, "weights_folder", lambda: tmp_path)
    weights.list_weights.cache_clear()
    yield tmp_path
    weights.list_weights.cache_clear()


def test_default_name_and_own_copy_resolve(folder: Path, tmp_path: Path) -> None:
    for asked in (None, "one", folder / "one.safetensors"):
        assert weights.resolve_weights(asked, "segmenter").identity.verified


def test_a_flipped_bit_is_noticed(folder: Path) -> None:
    path = folder / "one.safetensors"
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(bytes(content))
    assert weights.verify_weights()[0][1] == "damaged"
    with pytest.raises(WeightsError, match="E_WEIGHTS_DAMAGED"):
        weights.resolve_weights(None, "segmenter")
    assert not weights.resolve_weights(path, "segmenter").identity.verified


def test_missing_weights_and_manifest(folder: Path) -> None:
    (folder / "one.safetensors").unlink()
    assert weights.verify_weights()[0][1] == "missing"
    with pytest.raises(WeightsError, match="E_WEIGHTS_MISSING"):
        weights.resolve_weights(None, "segmenter")
    with pytest.raises(WeightsError, match="E_WEIGHTS_UNKNOWN"):
        weights.resolve_weights(None, "detector")
    (folder / "manifest.json").write_text("{")
    weights.list_weights.cache_clear()
    with pytest.raises(WeightsError, match="E_WEIGHTS_DAMAGED"):
        weights.resolve_weights(None, "segmenter")
    (folder / "manifest.json").unlink()
    with pytest.raises(WeightsError, match="E_WEIGHTS_MISSING"):
        weights.resolve_weights(None, "segmenter")


def test_a_card_nested_too_deeply_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "mine.safetensors").write_bytes(b"weights")
    (tmp_path / "mine.json").write_text("[" * 200_000)
    with pytest.raises(WeightsError, match="E_WEIGHTS_DAMAGED"):
        weights.resolve_weights(tmp_path / "mine.safetensors", "segmenter")
