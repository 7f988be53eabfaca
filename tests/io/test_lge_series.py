"""Which stack of a study is proposed, over names as scanners in many languages write them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scarseg.case.stack import LgeSequence
from scarseg.io.dicom.kinds import frame_kind
from scarseg.io.dicom.lge_series import LgeEvidence, propose
from scarseg.io.dicom.series_words import plain, read_words, split_words
from scarseg.io.dicom.types import ImageKind, StackSummary

Row = dict[str, str]


def _rows() -> Iterator[Row]:
    with (Path(__file__).parent / "lge_names.tsv").open(encoding="utf-8", newline="") as stream:
        yield from csv.DictReader(stream, delimiter="\t")


ROWS = list(_rows())
STUDIES = list(dict.fromkeys(row["study"] for row in ROWS))


def hint(row: Row, name: str) -> str:
    pairs = [part.split("=", 1) for part in row["hints"].split(" ") if "=" in part]
    return dict(pairs).get(name, "")


def verdict(description: str) -> str:
    words = read_words(split_words(description))
    if words.never or (words.other and not words.lge):
        return "not_lge"
    if not words.lge:
        return "unknown"
    return "lge_other" if words.long_axis and not words.short_axis else "lge_sax"


def test_the_table_is_large_enough_and_mixed() -> None:
    assert len(ROWS) >= 150
    assert len({row["language"] for row in ROWS}) >= 8
    assert len({row["vendor"] for row in ROWS}) >= 3
    assert all(sum(row["study"] == study for row in ROWS) >= 2 for study in STUDIES)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["series_description"])
def test_description_alone_never_says_the_wrong_thing(row: Row) -> None:
    said, expected = verdict(row["series_description"]), row["expected"]
    if expected == "not_lge":
        assert said in ("not_lge", "unknown")
    elif expected == "lge_other" and int(hint(row, "slices")) > 30:
        assert said in ("lge_sax", "lge_other")
    else:
        assert said == expected


def stacks_of(
    study: str, change: Callable[[Row], Row] = lambda row: row
) -> list[tuple[StackSummary, LgeEvidence]]:
    return [
        _stack(change(row), number)
        for number, row in enumerate((row for row in ROWS if row["study"] == study), 1)
    ]


def _stack(row: Row, number: int) -> tuple[StackSummary, LgeEvidence]:
    image_type = tuple(row["image_type"].upper().split("\\"))
    kind = frame_kind(image_type, "", False) or ImageKind.MAGNITUDE
    summary = StackSummary(
        series_uid=f"1.2.{number}",
        study_uid="1.2",
        part="",
        description=row["series_description"],
        sequence=LgeSequence.PSIR if kind is ImageKind.PSIR else LgeSequence.MAGNITUDE,
        n_slices=int(hint(row, "slices")),
        rows=192,
        columns=160,
        pixel_spacing_mm=(1.5, 1.25),
        slice_thickness_mm=8.0,
        slice_spacing_mm=None if hint(row, "slices") == "1" else 10.0,
        complete=True,
        warnings=(),
        proposed=False,
        reason="",
        patient_id="1",
        patient_name="",
        study_date="20250101",
        modality="MR",
        kind=kind,
        series_number=number,
        spacing_between_slices_mm=None,
        orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
        frames=(),
    )
    evidence = LgeEvidence(
        row["series_description"],
        row["protocol_name"],
        row["sequence_name"],
        hint(row, "body"),
        bool(hint(row, "TI")),
        bool(hint(row, "contrast")),
        0,
        int(hint(row, "phases") or 1),
    )
    return summary, evidence


def check_proposal(study: str, change: Callable[[Row], Row] = lambda row: row) -> None:
    stacks = stacks_of(study, change)
    expected = [row["expected"] for row in ROWS if row["study"] == study]
    taken = [(one, expected[index]) for index, one in enumerate(propose(stacks)) if one.proposed]
    if "lge_sax" in expected:
        assert [label for _, label in taken] == ["lge_sax"]
        assert not any(w.code == "W_NOT_LGE" for w in taken[0][0].warnings)
    else:
        codes = {warning.code for one, _ in taken for warning in one.warnings}
        assert not taken or codes == {"W_NOT_LGE"}


def _without_accents(row: Row) -> Row:
    return {**row, "series_description": plain(row["series_description"])}


def _upper(row: Row) -> Row:
    if row["language"] in ("fr", "es", "pt"):
        return row  # in capitals DE is "of" as well as delayed enhancement
    return {**row, "series_description": row["series_description"].upper()}


def _underscores(row: Row) -> Row:
    return {**row, "series_description": row["series_description"].replace(" ", "_")}


def _work_in_progress(row: Row) -> Row:
    return {**row, "series_description": f"WIP {row['series_description']}"}


def _protocol_of_the_exam(row: Row) -> Row:
    return {**row, "protocol_name": "Estudio de corazon cine viability"}


@pytest.mark.parametrize(
    "change",
    [lambda row: row, _without_accents, _upper, _underscores, _protocol_of_the_exam],
    ids=["as written", "no accents", "capitals", "underscores", "protocol of the exam"],
)
@pytest.mark.parametrize("study", STUDIES)
def test_proposed_stack_of_every_study(study: str, change: Callable[[Row], Row]) -> None:
    check_proposal(study, change)


@pytest.mark.parametrize("study", ["S01", "S05", "S15", "S22", "S30", "S33"])
def test_prefix_of_the_scanner_changes_nothing(study: str) -> None:
    check_proposal(study, _work_in_progress)


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("Mapa de T1 eje corto", "not_lge"),
        ("Flujo de aorta", "not_lge"),
        ("FLUJO DE AORTA", "not_lge"),
        ("Estudio de corazon", "unknown"),
        ("ESTUDIO DE CORAZON", "unknown"),
        ("DE SAX", "lge_sax"),
        ("sa DE psir", "lge_sax"),
        ("T1 map late enhancement", "not_lge"),
        ("native T1 sax", "not_lge"),
        ("stress perfusion", "not_lge"),
        ("DE after stress SAX", "lge_sax"),
        ("LGE 2CH", "lge_other"),
        ("LGE_4c", "lge_other"),
        ("Realce tardío 4C", "lge_other"),
    ],
)
def test_words_that_mislead(description: str, expected: str) -> None:
    assert verdict(description) == expected


def _alone(description: str, **hints: str) -> StackSummary:
    texts = " ".join(f"{name}={value}" for name, value in {"slices": "9", **hints}.items())
    row = {
        "series_description": description,
        "protocol_name": "",
        "sequence_name": "",
        "hints": texts,
        "image_type": "ORIGINAL\\PRIMARY\\M",
    }
    [one] = propose([_stack(row, 1)])
    return one


def test_inversion_time_alone_does_not_make_late_enhancement() -> None:
    one = _alone("series 7", TI="300")
    assert one.proposed
    [warning] = one.warnings
    assert warning.code == "W_NOT_LGE"
    assert warning.message.startswith("Only an inversion time speaks for late enhancement")


def test_body_part_outweighs_only_a_series_without_a_name() -> None:
    assert _alone("LGE SAX", body="ABDOMEN").proposed
    assert _alone("series 7", body="ABDOMEN").reason == "not proposed: it shows the abdomen"


def test_reason_names_the_field_that_says_it() -> None:
    assert "its description says tardio" in _alone("Realce tardío eje corto").reason
    assert _alone("cine SAX").reason == "not proposed: its description says cine"


def test_two_magnitude_stacks_are_no_psir_pair() -> None:
    stacks = [
        _stack({**ROWS[0], "series_description": name, "hints": "slices=9"}, number)
        for number, name in enumerate(("LGE SAX", "LGE SAX again"), 1)
    ]
    [taken] = [one for one in propose(stacks) if one.proposed]
    assert "PSIR" not in taken.reason
