"""What is read equals what pydicom reads, over mutated files; a small run of the benchmark."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "fuzz_dicom.py"


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_dicom", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.timeout(600)
def test_mutants_are_read_as_by_pydicom_or_not_at_all(fuzz: ModuleType) -> None:
    findings, outcomes = fuzz.run(120, seed=1)
    assert findings == []
    assert outcomes["compared"] > 30
    assert outcomes["refused"] > 10
