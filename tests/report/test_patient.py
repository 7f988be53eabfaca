"""Patient report: numbers as in the table, everything on the page, stable bytes."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scarseg.case.case import Case
from scarseg.case.history import SliceReading, SliceStatus
from scarseg.case.labels import Label, LabelArray
from scarseg.case.measurements import MassConvention
from scarseg.case.prompts import Box, Origin, Point, SlicePrompts
from scarseg.case.stack import LgeSequence, SliceSource, Stack
from scarseg.errors import OutputError
from scarseg.report import patient
from scarseg.report.layout import HEIGHT_MM, LEFT_MM, RIGHT_MM, WIDTH_MM, width_mm, wrap_text
from scarseg.report.patient import prepare, render_report, report_figures, write_report
from scarseg.report.text import ScarInterval, patient_line, provenance_lines, rounded_grams
from scarseg.segmentation import pipeline
from tests.calibrations import learned
from tests.conftest import make_phantom_stack
from tests.report.pdf_text import pages_of, text_of, unpacked


def case_of(stack: Stack, truth: LabelArray, n: int = 5) -> Case:
    """Repeat the phantom's middle slices until there are ``n``."""
    order = [k % 5 for k in range(n)]
    noise = np.random.default_rng(0).normal(0, 8, (n, *truth.shape[1:]))
    long = replace(
        stack,
        pixels=(stack.pixels[order] + noise).astype(np.float32),
        origins_mm=tuple((0.0, 0.0, 10.0 * k) for k in range(n)),
        sources=tuple(SliceSource(f"1.2.3.4.{k + 1}") for k in range(n)),
        patient_id="CANARY-ID",
        patient_name="CANARY^NAME",
        description="CANARY SAX",
    )
    case = Case.new(long)
    case.labels[:] = truth[order]
    return case


@pytest.fixture
def case(phantom_stack: Stack, phantom_truth: LabelArray) -> Case:
    case = case_of(phantom_stack, phantom_truth)
    case.readings = [replace(reading, mvo_sought=True) for reading in case.readings]
    return case


@pytest.mark.parametrize("convention", list(MassConvention))
def test_numbers_are_those_of_the_table(case: Case, convention: MassConvention) -> None:
    case.labels[2][case.labels[2] == Label.SCAR] = Label.MVO
    measured = pipeline.measure(case, convention, 1.1)
    text = text_of(render_report(prepare(case, measured)))
    assert measured.lv_mass_g is not None and measured.scar_percent_lv is not None
    for value in (
        f"{measured.scar_mass_g:.1f} g",
        f"{measured.scar_mass_thickness_g:.1f}",
        f"{measured.scar_mass_spacing_g:.1f}",
        f"{measured.mvo_mass_g:.1f} g",
        f"{measured.lv_mass_g:.1f} g",
        f"{measured.scar_percent_lv:.1f} %",
        f"by slice {convention}",
        "1.1 g/ml",
        "For research use only. Not a medical device.",
    ):
        assert value in text, value
    for one in measured.slices:
        grams = one.scar_mass_thickness_g
        if convention is MassConvention.SPACING:
            grams = one.scar_mass_spacing_g
        assert grams == 0 or f"{rounded_grams(grams)} g" in text


def test_the_status_of_the_reading_is_printed(case: Case) -> None:
    measured = pipeline.measure(case)
    assert "Proposal, not a reading: 0 of 5" in text_of(render_report(prepare(case, measured)))
    told = text_of(render_report(prepare(case, measured, method="from_nifti")))
    assert "Not read here: labels made elsewhere" in told
    case.readings = [SliceReading(status=SliceStatus.ACCEPTED) for _ in range(5)]
    case.readings[0] = SliceReading(status=SliceStatus.NOT_ASSESSABLE)
    case.reader = "R. Eader"
    told = text_of(render_report(prepare(case, pipeline.measure(case))))
    assert "Read: 5 of 5 slices reviewed" in told
    assert "Reader R. Eader" in told
    assert "not assessable" in told


def test_an_unseen_stack_has_no_zero_grams(phantom_stack: Stack) -> None:
    case = Case.new(phantom_stack)
    told = text_of(render_report(prepare(case, pipeline.measure(case))))
    assert "0.0 g" not in told
    assert told.count("not seen") >= 5


def test_a_blank_mvo_mass_is_called_not_looked_for(case: Case) -> None:
    measured = pipeline.measure(case)
    assert "not looked for" not in text_of(render_report(prepare(case, measured)))
    blank = dict.fromkeys(("mvo_mass_thickness_g", "mvo_mass_spacing_g"))
    blanked = replace(measured, **blank)  # type: ignore[arg-type]
    text = text_of(render_report(prepare(case, blanked)))
    assert text.count("not looked for") == 2
    assert f"{measured.scar_mass_g:.1f} g" in text


def test_provenance_and_warnings_are_printed(case: Case) -> None:
    box = Box(1.0, 2.0, 9.0, 9.0, Origin.READER)
    prompts = SlicePrompts(boxes=(box, replace(box, origin=Origin.DETECTOR)), points=(Point(5, 5),))
    case.readings[2] = SliceReading(prompts, SliceStatus.ACCEPTED)
    case.segmenter = replace(case.segmenter, name="some-net", sha256="ab" * 32, verified=True)
    measured = pipeline.measure(case)
    shown = prepare(
        case, measured, interval=ScarInterval(1.5, 2.75, "by dice"), warnings=["W_LOSSY"]
    )
    told = text_of(render_report(shown))
    for value in ("some-net, verified", "ab" * 32, "1 box by the reader, 1 box by the detector",
                  "1 point, on slice 3", "W_CONVENTION", "W_LOSSY", "1.2.3.4", "by dice",
                  "interval 1.5 to 2.8 g"):  # fmt: skip
        assert value in told, value


def test_the_patient_is_named_only_on_request(case: Case) -> None:
    measured = pipeline.measure(case)
    assert b"CANARY" not in unpacked(render_report(prepare(case, measured)))
    assert "CANARY" not in text_of(render_report(prepare(case, measured)))
    told = text_of(render_report(prepare(case, measured, identify=True)))
    assert "Patient CANARY-ID CANARY NAME" in told
    assert "CANARY SAX" not in told


@pytest.mark.parametrize(
    ("date", "told"), [("20240102", "2024-01-02"), ("20240000", "20240000"), ("", "")]
)
def test_an_invalid_date_is_printed_as_it_is(date: str, told: str, phantom_stack: Stack) -> None:
    case = Case.new(replace(phantom_stack, study_date=date))
    line = patient_line(case, identify=False)
    assert line.endswith(f"Study of {told}" if told else "(pseudonym)")


def test_the_same_case_gives_the_same_bytes(case: Case) -> None:
    measured = pipeline.measure(case)
    first = render_report(prepare(case, measured))
    time.sleep(1.1)  # a PDF's date counts seconds
    assert render_report(prepare(case, measured)) == first
    assert b"CreationDate" not in first


@pytest.mark.parametrize(("n", "sheets"), [(1, 1), (16, 1), (17, 2), (47, 3)])
def test_all_slices_are_shown_on_as_many_pages_as_needed(
    n: int, sheets: int, phantom_stack: Stack, phantom_truth: LabelArray
) -> None:
    case = case_of(phantom_stack, phantom_truth, n)
    data = render_report(prepare(case, pipeline.measure(case)))
    assert pages_of(data) == sheets
    assert data.count(b"/Subtype /Image") == n


@pytest.mark.parametrize("kind", ["plain", "psir", "no wall", "nothing", "long", "names"])
def test_everything_fits_on_the_page(
    kind: str, phantom_stack: Stack, phantom_truth: LabelArray
) -> None:
    case = case_of(phantom_stack, phantom_truth, 30 if kind == "long" else 11)
    if kind == "psir":
        case.stack = replace(case.stack, sequence=LgeSequence.PSIR)
    elif kind == "no wall":
        case.labels[case.labels != Label.SCAR] = 0
    elif kind == "nothing":
        case.labels[:] = 0
    elif kind == "names":
        case.reader = "A reader whose name is long indeed"
        case.stack = replace(
            case.stack, patient_name="Longest^Of^Names", series_uid="1." * 31 + "1"
        )
        case.segmenter = replace(case.segmenter, name="n" * 60, sha256="ab" * 32)
    figures = report_figures(prepare(case, pipeline.measure(case), identify=kind == "names"))
    for figure in figures:
        for text in figure.texts:
            size = text.get_fontsize()
            start = text.get_position()[0] * WIDTH_MM
            long = width_mm(text.get_text(), size)
            start -= {"left": 0.0, "right": long}[text.get_ha()]
            assert start >= LEFT_MM - 0.1, text.get_text()
            assert start + long <= RIGHT_MM + 0.1, text.get_text()
            assert 5.0 < HEIGHT_MM * (1 - text.get_position()[1]) < 292.0, text.get_text()
        small = [one for one in figure.texts if one.get_fontsize() == 5.6]
        assert all(HEIGHT_MM * (1 - one.get_position()[1]) < 281.0 for one in small)


def test_writing_replaces_nothing_unasked(case: Case, tmp_path: Path) -> None:
    measured, path = pipeline.measure(case), tmp_path / "r" / "1.2.3.4.pdf"
    write_report(path, prepare(case, measured))
    before = path.read_bytes()
    write_report(path, prepare(case, measured))  # what a killed run left is its own
    case.labels[1] = 0
    with pytest.raises(OutputError, match="E_EXISTS"):
        write_report(path, prepare(case, pipeline.measure(case)))
    assert path.read_bytes() == before
    write_report(path, prepare(case, pipeline.measure(case)), force=True)
    assert path.read_bytes() != before
    assert [one.name for one in path.parent.iterdir()] == ["1.2.3.4.pdf"]


def test_lines_break_at_spaces_and_long_words_where_they_must() -> None:
    lines = wrap_text("one two " + "9" * 90, 30.0, 6.0)
    assert lines[0] == "one two"
    assert "".join(lines[1:]) == "9" * 90
    assert len(lines) > 3


def test_people_read_rounded_grams_and_little_is_not_nothing() -> None:
    assert [rounded_grams(each) for each in (18.634, 0.06, 0.04, 0.0)] == [
        "18.6", "0.1", "< 0.1", "0.0",
    ]  # fmt: skip


def test_the_signature_is_clear_of_a_long_provenance(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"line {n} of a provenance " + "with a long text " * 14 for n in range(9)]
    monkeypatch.setattr(patient.report_text, "provenance_lines", lambda *_args: list(lines))
    measured = pipeline.measure(case)
    figure = report_figures(prepare(case, measured))[0]
    ends = {text.get_text(): (1 - text.get_position()[1]) * HEIGHT_MM for text in figure.texts}
    signature = ends["Read and signed by"]
    above = [end for text, end in ends.items() if "with a long" in text]
    assert len(above) >= 5
    assert max(above) <= signature - 4


def test_the_calibration_stands_with_the_weights() -> None:
    case = Case.new(make_phantom_stack())
    assert "Calibration" not in " ".join(provenance_lines(case, "none", None))
    case.calibration = learned().calibration
    lines = provenance_lines(case, "none", None)
    assert f"Calibration sha256 {learned().sha256}" in lines
