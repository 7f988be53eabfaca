"""``docs/tables.md`` lists every column of every table, in the order of the file."""

from __future__ import annotations

import io
from pathlib import Path

import openpyxl
import pytest

from scarseg.agreement.follow_files import FOLLOW_COLUMNS, FOLLOW_SEGMENT_COLUMNS
from scarseg.agreement.mask_files import MaskFiles, compare_files
from scarseg.agreement.rereading import ReadingComparison, RereadCase, write_rereading
from scarseg.case.case import Case
from scarseg.case.history import SliceReading, SliceStatus
from scarseg.case.stack import Stack
from scarseg.cli import main
from scarseg.evaluation.methods import METHOD_FIGURE_COLUMNS
from scarseg.evaluation.tables import PATIENT_COLUMNS
from scarseg.evaluation.tables import SLICE_COLUMNS as EVALUATION_SLICE_COLUMNS
from scarseg.io.masks.nifti import write_labels
from scarseg.io.tables.columns import COLUMNS, IDENTITY_COLUMNS, SLICE_COLUMNS
from scarseg.io.tables.csv_reader import read_csv
from scarseg.io.tables.error_sentences import ERROR_SENTENCES
from scarseg.io.tables.table import render_tables
from scarseg.io.tables.workbook import render_workbook
from scarseg.quant.method_tables import CURVE_COLUMNS, METHOD_COLUMNS, METHOD_SLICE_COLUMNS
from scarseg.quant.segment_tables import SEGMENT_COLUMNS
from scarseg.segmentation import pipeline
from scarseg.simulate.studies import TRUTH_COLUMNS
from tests.agreement.tables import two_readings
from tests.conftest import phantom_labels
from tests.docs.pages import first_cells, section, text_of

TABLES = {
    "scar.csv": COLUMNS,
    "scar_slices.csv": SLICE_COLUMNS,
    "scar_segments.csv": (*IDENTITY_COLUMNS, *SEGMENT_COLUMNS),
    "scar_methods.csv": (*IDENTITY_COLUMNS, *METHOD_COLUMNS),
    "scar_method_slices.csv": (*IDENTITY_COLUMNS, *METHOD_SLICE_COLUMNS),
    "scar_curve.csv": (*IDENTITY_COLUMNS, *CURVE_COLUMNS),
    "patients.csv": PATIENT_COLUMNS,
    "slices.csv": EVALUATION_SLICE_COLUMNS,
    "truth.csv": TRUTH_COLUMNS,
    "methods.csv": METHOD_FIGURE_COLUMNS,
    "follow.csv": FOLLOW_COLUMNS,
    "follow_segments.csv": FOLLOW_SEGMENT_COLUMNS,
}
COMPARED = "pairs.csv of scarseg compare"


def documented(heading: str) -> list[str]:
    return first_cells(section(text_of("docs/tables.md"), f"## {heading}"))


@pytest.mark.parametrize("name", TABLES)
def test_page_lists_the_columns_of(name: str) -> None:
    assert documented(name) == list(TABLES[name])


def test_every_column_has_a_meaning() -> None:
    rows = [line for line in text_of("docs/tables.md").splitlines() if line.startswith("| `")]
    assert len(rows) > 250
    assert [line for line in rows if len(line.strip("| ").split("|")[-1].strip()) < 5] == []


def test_codes_with_a_sentence_are_in_the_table_of_codes() -> None:
    readme = text_of("README.md")
    assert [code for code in ERROR_SENTENCES if f"`{code}`" not in readme] == []
    assert all(text.endswith(".") for text in ERROR_SENTENCES.values())


def test_page_lists_the_columns_of_the_provenance_sheet() -> None:
    book = openpyxl.load_workbook(io.BytesIO(render_workbook([], {}, [])))
    header = next(book["provenance"].iter_rows(max_row=1, values_only=True))
    assert documented("scar.xlsx") == list(header)


def test_page_names_every_part_of_the_sidecar(phantom_stack: Stack) -> None:
    import json

    record = pipeline.measured_record(Case.new(phantom_stack))
    sidecar = json.loads(render_tables(Path("scar.csv"), [record], {})[Path("scar.json")])
    text = section(text_of("docs/tables.md"), "## scar.json: the sidecar")
    assert [name for name in sidecar if f"`{name}`" not in text] == []


def test_page_lists_the_pairs_of_agree(tmp_path: Path) -> None:
    a, b = two_readings(tmp_path)
    assert main(["agree", str(a), str(b), "-o", str(tmp_path / "out")]) == 0
    found = read_csv(tmp_path / "out" / "pairs.csv").columns
    assert documented("pairs.csv of scarseg agree") == list(found)


def test_page_lists_the_pairs_of_compare(tmp_path: Path, phantom_stack: Stack) -> None:
    a, b = (tmp_path / name for name in ("a.nii.gz", "b.nii.gz"))
    for path in (a, b):
        write_labels(path, phantom_labels(), phantom_stack)
    assert main(["compare", str(a), str(b), "-o", str(tmp_path / "out")]) == 0
    assert documented(COMPARED) == list(read_csv(tmp_path / "out" / "pairs.csv").columns)


def test_page_lists_the_pairs_of_a_rereading(tmp_path: Path, phantom_stack: Stack) -> None:
    mask = tmp_path / "mask.nii.gz"
    write_labels(mask, phantom_labels(), phantom_stack)
    read = Case.new(phantom_stack)
    read.readings[0] = SliceReading(status=SliceStatus.NO_SCAR)
    record = pipeline.measured_record(read)
    case = RereadCase("A3", record, record, compare_files(MaskFiles("mask", mask, mask)))
    write_rereading(tmp_path / "page.html", "read 2", [ReadingComparison("read 1", (case,))], [])
    first = documented("Files of a blinded re-reading")
    compared = [name for name in documented(COMPARED) if name not in ("name", *first)]
    assert list(read_csv(tmp_path / "page_pairs.csv").columns) == [*first, *compared]
