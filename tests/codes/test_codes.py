"""Every code of the README's table is provoked, and its sentence is true of the input."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

import scarseg
from tests.codes import of_archives, of_clusters, of_files, of_images
from tests.codes.makers import MAKERS, Bench, Maker, changed
from tests.docs.pages import section, text_of
from tests.io.dicom_files import series

__all__ = ["of_archives", "of_clusters", "of_files", "of_images"]
CODE = re.compile(r"\b[EW]_[A-Z][A-Z_]+\b")
UNDISTURBED = {"W_GAP"}
"""Of the series the makers of images start from: 8 mm slices 9 mm apart."""


def codes_of_the_readme() -> set[str]:
    return set(CODE.findall(section(text_of("README.md"), "## Warnings and errors")))


def test_every_code_of_the_table_is_provoked() -> None:
    assert sorted(codes_of_the_readme() - {code for code, _, _ in MAKERS}) == []


def test_every_code_of_the_program_is_in_the_table() -> None:
    root = Path(scarseg.__file__).parent
    known = codes_of_the_readme()
    texts = (path.read_text(encoding="utf-8") for path in root.rglob("*.py"))
    used = {code for text in texts for code in re.findall(r'"([EW]_[A-Z][A-Z_]+)[":]', text)}
    assert sorted(used - known) == []


@pytest.mark.parametrize(
    ("code", "says", "maker"), MAKERS, ids=[f"{code}-{maker.__name__}" for code, _, maker in MAKERS]
)
def test_the_sentence_is_true_of_the_input(
    code: str,
    says: str,
    maker: Maker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = maker(Bench(tmp_path, monkeypatch, capsys))
    sentences = [sentence for found, sentence in said if found == code]
    assert sentences, f"{code} was not said, but {said}"
    assert any(re.search(says, sentence) for sentence in sentences), sentences


def test_an_undisturbed_series_provokes_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = Bench(tmp_path, monkeypatch, capsys).loaded(changed(series()))
    assert {code for code, _ in said} == UNDISTURBED


def test_codes_of_tables_are_absent_where_their_reason_is() -> None:
    stack = replace(of_files.STACK, slice_thickness_mm=10.0)  # as far apart as they are thick
    case = of_files.case_of(stack)
    assert of_files.pipeline.measure(case).warnings == ()
    assert str(of_files.pipeline.measured_record(case).row["warnings"]) == ""
    assert of_files.method_warnings(stack, case.labels, "sd5", "fwhm_max", "otsu") == []
