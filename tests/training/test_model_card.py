"""From a finished run to shipped weights: file, card, manifest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from scarseg.models.compact_sam import CompactSam
from scarseg.models.segmenter import CompactSegmenter, load_segmenter
from scarseg.models.weights import list_weights, sha256, verify_weights
from scarseg.training.model_card import main


def finished_run(folder: Path, data: bytes = b"weights") -> Path:
    folder.mkdir()
    (folder / f"{folder.name}.safetensors").write_bytes(data)
    card = {"name": folder.name, "recipe": {"seed": 11}, "validation": {"score": 0.8}}
    (folder / f"{folder.name}.json").write_text(json.dumps(card))
    return folder


def test_a_run_becomes_the_default_and_the_one_before_stays(tmp_path: Path) -> None:
    shelf = tmp_path / "weights"
    shelf.mkdir()
    words = ["--kind", "segmenter", "--folder", str(shelf)]
    assert main([str(finished_run(tmp_path / "a", b"1")), "--name", "ours-1", *words]) == 0
    summary = tmp_path / "summary.json"
    summary.write_text(json.dumps({"box_dice": 0.75}))
    second = [str(finished_run(tmp_path / "b", b"2")), "--name", "ours-2", *words]
    assert main([*second, "--evaluation", str(summary)]) == 0
    list_weights.cache_clear()
    entries = {entry.name: entry for entry in list_weights(shelf)}
    assert {name: entry.default for name, entry in entries.items()} == {
        "ours-1": False,
        "ours-2": True,
    }
    assert all(verdict == "ok" for _, verdict in verify_weights(shelf))
    card = json.loads((shelf / "ours-2.json").read_text())
    assert card["name"] == "ours-2"
    assert card["file"] == "ours-2.safetensors"
    assert card["sha256"] == sha256(shelf / "ours-2.safetensors")
    assert card["recipe"] == {"seed": 11}
    assert card["evaluation"] == {"box_dice": 0.75}


def test_segmenters_that_answer_together_become_one_file(tmp_path: Path) -> None:
    runs = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        state = {k: v.contiguous() for k, v in CompactSam().state_dict().items()}
        save_file(state, finished_run(tmp_path / f"run{seed}") / f"run{seed}.safetensors")
        runs.append(str(tmp_path / f"run{seed}"))
    shelf = tmp_path / "weights"
    shelf.mkdir()
    assert main([*runs, "--name", "pair", "--kind", "segmenter", "--folder", str(shelf)]) == 0
    segmenter = load_segmenter(shelf / "pair.safetensors", "cpu")
    assert isinstance(segmenter, CompactSegmenter)
    first, second = (one.dense_full.bias for one in segmenter.networks)
    assert not torch.equal(first, second)
    card = json.loads((shelf / "pair.json").read_text())
    assert [member["name"] for member in card["members"]] == ["run1", "run2"]


def test_a_run_that_has_not_ended_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    words = ["--name", "x", "--kind", "segmenter", "--folder", str(tmp_path)]
    with pytest.raises(SystemExit, match="has the run ended"):
        main([str(tmp_path / "run"), *words])
    assert not (tmp_path / "manifest.json").exists()


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "[1]"], ids=["deep", "cut", "list"])
def test_a_card_or_manifest_that_is_no_object_is_refused_by_name(tmp_path: Path, text: str) -> None:
    shelf = tmp_path / "weights"
    shelf.mkdir()
    run = finished_run(tmp_path / "run")
    words = [str(run), "--name", "x", "--kind", "segmenter", "--folder", str(shelf)]
    (shelf / "manifest.json").write_text(text)
    with pytest.raises(SystemExit, match=r"manifest\.json"):
        main(words)
    (run / "run.json").write_text(text)
    with pytest.raises(SystemExit, match=r"run\.json"):
        main(words)
