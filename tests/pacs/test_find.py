"""``scarseg pacs test`` and ``find`` against a real Orthanc."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scarseg import cli
from scarseg.simulate.write_dicom import write_series
from tests.cohorts import patient
from tests.pacs.orthanc import Orthanc, free_port

Find = Callable[..., Any]
COLUMNS = [
    *("patient_id", "patient_name", "study_uid", "study_date", "study_description"),
    *("accession_number", "modalities", "n_images"),
]


@pytest.fixture(params=["dicom", "web"])
def address(request: pytest.FixtureRequest, orthanc: Orthanc) -> str:
    return str(getattr(orthanc, request.param))


@pytest.fixture
def find(capsys: pytest.CaptureFixture[str]) -> Find:
    def call(*words: str) -> Any:
        assert cli.main(["pacs", "find", *words, "--json", "--timeout", "10"]) == 0
        return json.loads(capsys.readouterr().out)

    return call


@pytest.fixture
def archive(orthanc: Orthanc, tmp_path: Path) -> Orthanc:
    """Fill the archive with three patients whose names are in three character sets."""
    names = {1: ("Müller^Zoë", "ISO_IR 192"), 2: ("Ångström^Åsa", "ISO_IR 100"), 3: ("", "")}
    names[3] = ("Yamada^Tarou=山田^太郎", "\\ISO 2022 IR 87")
    for n, (name, characters) in names.items():
        header = {
            "SpecificCharacterSet": characters.split("\\"),
            "PatientName": name,
            "StudyDescription": f"Heart {n}",
            "AccessionNumber": f"A-{n}",
        }
        stack = replace(patient(n), study_date=f"2024010{n}")
        write_series(tmp_path / f"p{n}", stack, header=header)
        orthanc.add(tmp_path / f"p{n}")
    return orthanc


def test_the_server_answers(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["pacs", "test", address]) == 0
    assert "answers" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], {1, 2, 3}),
        (["--patient", "CANARY-2"], {2}),
        (["--patient", "CANARY*"], {1, 2, 3}),
        (["--patient", "CANARY-?"], {1, 2, 3}),
        (["--patient", "CANARY"], set()),
        (["--name", "müller^zoë"], {1}),
        (["--name", "Müller*"], {1}),
        (["--name", "Ångström^Åsa"], {2}),
        (["--name", "Yamada*"], {3}),
        (["--accession", "A-3"], {3}),
        (["--date", "20240102"], {2}),
        (["--date", "20240102-"], {2, 3}),
        (["--date", "20240101-20240102"], {1, 2}),
        (["--modality", "MR"], {1, 2, 3}),
        (["--modality", "CT"], set()),
        (["--study", "1.2.3"], {3}),
        (["--study", "9.9"], set()),
        (["--patient", "CANARY-1", "--date", "20240102"], set()),
    ],
)
def test_studies_are_found(
    archive: Orthanc, address: str, find: Find, words: list[str], found: set[int]
) -> None:
    rows = find(address, *words)
    assert {row["study_uid"] for row in rows} == {f"1.2.{n}" for n in found}
    assert all(list(row) == COLUMNS for row in rows)


def test_names_are_read_in_their_character_set(archive: Orthanc, address: str, find: Find) -> None:
    rows = {row["study_uid"]: row for row in find(address)}
    assert rows["1.2.1"]["patient_name"] == "Müller^Zoë"
    assert rows["1.2.2"]["patient_name"] == "Ångström^Åsa"
    assert rows["1.2.3"]["patient_name"].split("=")[0] == "Yamada^Tarou"
    assert rows["1.2.1"]["study_description"] == "Heart 1"
    assert rows["1.2.1"]["n_images"] == 5
    assert rows["1.2.1"]["modalities"] == ["MR"]


def test_series_are_listed(archive: Orthanc, address: str, find: Find) -> None:
    [row] = find(address, "--study", "1.2.2", "--series")
    assert row["series_uid"] == "1.2.2.1"
    assert row["modality"] == "MR"
    assert row["n_images"] == 5


def test_the_table_is_for_people(
    archive: Orthanc, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["pacs", "find", address, "--patient", "CANARY-1"]) == 0
    out, err = capsys.readouterr()
    assert "Müller^Zoë" in out
    assert "1 study" in err


def code_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.main(["pacs", *words]) == 1
    return capsys.readouterr().err.split(":")[0]


def test_nobody_there_is_said_within_the_timeout(capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    for address in (f"dicom://A@127.0.0.1:{port}", f"http://127.0.0.1:{port}/dicom-web"):
        began = time.monotonic()
        assert code_of(capsys, "test", address, "--timeout", "1") == "E_PACS_UNREACHABLE"
        assert time.monotonic() - began < 3


def test_unknown_ae_titles_are_named(orthanc: Orthanc, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = orthanc.dicom.replace("ORTHANC", "OTHER")
    assert cli.main(["pacs", "test", wrong, "--timeout", "5"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("E_PACS_REJECTED")
    assert "OTHER" in err
    assert "SCARSEG" in err
    # Orthanc answers C-ECHO to anybody, and C-FIND of a stranger with nothing at all.
    words = ["find", orthanc.dicom, "--aet", "STRANGER", "--timeout", "5"]
    assert code_of(capsys, *words) in ("E_PACS_ABORTED", "E_PACS_REJECTED", "E_PACS_REFUSED")
    words[0] = "test"
    assert code_of(capsys, *words) in ("E_PACS_ABORTED", "E_PACS_REJECTED", "E_PACS_REFUSED")


def test_a_dicom_port_is_no_web_server_and_the_reverse(
    orthanc: Orthanc, capsys: pytest.CaptureFixture[str]
) -> None:
    web = f"http://127.0.0.1:{orthanc.dicom_port}/dicom-web"
    assert code_of(capsys, "test", web, "--timeout", "2").startswith("E_PACS_")
    dicom = f"dicom://ORTHANC@127.0.0.1:{orthanc.web_port}"
    assert code_of(capsys, "test", dicom, "--timeout", "2") in ("E_PACS_ABORTED", "E_PACS_TIMEOUT")
    wrong_root = orthanc.web.replace("dicom-web", "nothing")
    assert code_of(capsys, "test", wrong_root) == "E_PACS_NOT_FOUND"


@pytest.mark.parametrize("words", [["--date", "2024"], ["--study", "../x"], ["--name", "a\\b"]])
def test_a_query_that_makes_no_sense_is_not_sent(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"dicom://A@127.0.0.1:{free_port()}"
    assert code_of(capsys, "find", address, *words) == "E_PACS_CONFIG"


def test_a_search_leaves_no_name_in_the_log(
    archive: Orthanc, address: str, find: Find, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    find(address, "--patient", "CANARY-1", "--series")
    assert "CANARY" not in caplog.text
