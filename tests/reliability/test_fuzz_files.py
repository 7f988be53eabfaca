"""Case files, masks, tables, prompts and weights with sealed checksums; a small fuzz of each."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

from tests.reliability.scripts import load_script


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    return load_script("fuzz_files")


@pytest.mark.filterwarnings("default")
@pytest.mark.timeout(600)
def test_mutants_are_read_as_others_read_them_or_not_at_all(fuzz: ModuleType) -> None:
    findings, outcomes = fuzz.run(180, seed=2)
    assert findings == []
    read = {name.split()[0] for name in outcomes if name.endswith(" read")}
    assert read == {"scarseg", "nii", "dcm", "csv", "json", "safetensors"}
    assert sum(n for name, n in outcomes.items() if " E_" in name) > 60


@pytest.mark.filterwarnings("default")
def test_a_reader_that_shifts_labels_is_found(
    fuzz: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_mask = fuzz.read_mask

    def shifted(*arguments: object) -> object:
        found = read_mask(*arguments)
        return replace(found, labels=np.roll(found.labels, 1, axis=2))

    monkeypatch.setattr(fuzz, "read_mask", shifted)
    findings, _ = fuzz.run(0, seed=1)
    assert [(one.kind, one.number) for one in findings] == [("nii", -1)]
