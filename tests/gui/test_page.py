"""The page of a patient by one key: where it goes, whose name it bears, and that it is shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scarseg.gui.session import export
from scarseg.report import patient
from tests.conftest import make_phantom_stack


@pytest.fixture
def named(reader):
    reader.open(
        replace(
            make_phantom_stack(), patient_id="P7", patient_name="Doe^Jane", study_date="20240131"
        )
    )
    reader.wait_ready()
    return reader


@pytest.fixture
def printed(monkeypatch):
    """Whether each page that was rendered bears the identity."""
    found = []
    render = patient.render_report

    def note(report):
        found.append(report.identify)
        return render(report)

    monkeypatch.setattr(patient, "render_report", note)
    return found


def test_one_key_writes_the_page_and_shows_it(named, tmp_path, printed):
    path = tmp_path / "page.pdf"
    named.export(path, "report")
    assert path.read_bytes().startswith(b"%PDF")
    assert named.dialogs.shown == path
    assert "P7" in named.dialogs.title
    assert printed == [False]
    named.dialogs.path = None  # from now on into the folder of the last export, without asking
    named.act("report")
    name = f"{make_phantom_stack().series_uid}.pdf"
    named.wait(lambda: (tmp_path / name).exists() and named.dialogs.shown.name == name)
    named.settle()


def test_the_identity_stands_on_the_page_where_the_reader_says_so(named, tmp_path, printed):
    named.act("identify")
    assert export.page_name(named.case, True) == "P7_20240131.pdf"
    named.export(tmp_path / "page.pdf", "report")
    assert printed == [True]
    named.act("identify")
    assert not named.window.commands.export.identify
    assert "P7" not in export.page_name(named.case, False)


def test_an_interrupted_export_is_recovered_when_the_window_starts(named, tmp_path, monkeypatch):
    named.export(tmp_path / "scar.csv")
    asked = []
    monkeypatch.setattr("scarseg.io.commit.recover", lambda *folders: asked.extend(folders))
    named.window.commands.export.recover()
    named.settle()
    assert asked == [tmp_path]
