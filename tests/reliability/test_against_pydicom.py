"""What is read equals what pydicom reads, over mutated files; a small run of the benchmark."""

from __future__ import annotations

from types import ModuleType

import pytest

from tests.reliability.scripts import load_script


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    return load_script("fuzz_dicom")


@pytest.mark.timeout(600)
def test_mutants_are_read_as_by_pydicom_or_not_at_all(fuzz: ModuleType) -> None:
    findings, outcomes = fuzz.run(120, seed=1)
    assert findings == []
    assert outcomes["compared"] > 30
    assert outcomes["refused"] > 10
