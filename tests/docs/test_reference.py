"""The example of the Python reference runs as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from scarseg.case.stack import Stack
from scarseg.io.tables.csv_reader import read_csv
from scarseg.simulate.write_dicom import write_series
from tests.docs.pages import fenced_block, text_of
from tests.fakes import fake_models


def test_example_measures_a_study(
    tmp_path: Path,
    phantom_stack: Stack,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("scarseg.api._shipped_models", fake_models)
    monkeypatch.chdir(tmp_path)
    write_series(tmp_path / "study", phantom_stack)
    exec(fenced_block(text_of("docs/reference.md")), {})
    (row,) = read_csv(tmp_path / "scar.csv").rows
    assert float(row["scar_mass_thickness_g"]) > 0
    assert row["scar_mass_thickness_g"] in capsys.readouterr().out
    assert len(list((tmp_path / "masks").iterdir())) == 1
