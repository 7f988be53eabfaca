"""Numbers that leave the desk are those of the command line, byte for byte."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from scarseg.io import prompts_json
from scarseg.io.casefile import store
from scarseg.segmentation import pipeline
from scarseg.segmentation.interval import case_interval
from tests.conftest import make_phantom_stack


def _read_bytes(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_csv_of_a_patient_equals_the_pipelines(reading, tmp_path):
    reading.go_to(0)
    reading.paint((30, 30), (34, 30))
    reading.accept()
    reading.window.reading_time.stopwatch._clock.stop()
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    mine.mkdir(), theirs.mkdir()
    reading.export(mine / "scar.csv")
    case = reading.document.case.copy()
    _, embeddings = pipeline.propose_case_with_embeddings(case.stack, reading.session.models)
    interval = case_interval(case, reading.session.models, embeddings)
    record = pipeline.measured_record(case, interval=interval)
    pipeline.export_table(theirs / "scar.csv", [record])
    written = _read_bytes(mine)
    segments = written.pop("scar_segments.csv")
    assert segments.startswith(b"patient_id,")
    assert written == _read_bytes(theirs)
    assert len(written) == 3


def test_an_export_overwrites_only_after_asking(reading, tmp_path):
    path = tmp_path / "scar.csv"
    path.write_text("precious")
    reading.export(path)
    assert path.read_text() == "precious"
    assert len(reading.dialogs.asked) == 1
    reading.dialogs.yes = True
    reading.export(path)
    assert path.read_text().startswith("patient_id")


def test_the_whole_list_is_exported_with_the_case_on_the_desk(reading, tmp_path):
    reading.accept()
    first = reading.case
    other = replace(make_phantom_stack(), series_uid="1.2.3.9", study_uid="1.2.8")
    reading.open(other)
    reading.wait_ready()
    reading.go_to(1)
    reading.act("no_scar")
    third = replace(make_phantom_stack(), series_uid="1.2.3.10", study_uid="1.2.9")
    reading.session.study_list.add_stack(third)
    reading.export(tmp_path / "all.csv", "export_all")
    lines = (tmp_path / "all.csv").read_text().splitlines()
    assert len(lines) == 3
    expected = tmp_path / "expected.csv"
    pipeline.export_table(
        expected, [pipeline.measured_record(case) for case in (reading.case, first)]
    )
    # The clock of the first case went on until it was left.
    assert lines[0] == expected.read_text().splitlines()[0]
    assert {line.split(",")[2] for line in lines[1:]} == {"1.2.3.4", "1.2.3.9"}
    assert "1 series have no reading" in reading.window.status_bar.message.text()


@pytest.mark.parametrize("what", ["export", "export_all", "save_prompts", "save_slice"])
def test_a_failing_disk_is_said_until_it_is_tried_again(reading, tmp_path, what):
    reading.go_to(1)
    reading.click(45, 30)
    reading.wait_answer()
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "scar.out"
    reading.export(path, what)
    banner = reading.window.banner
    assert "E_WRITE" in banner.text.text() and banner.retry.isVisible()
    reading.accept()
    assert banner.isVisible(), "it stays in sight while the reading goes on"
    (tmp_path / "file").unlink()
    (tmp_path / "file").mkdir()
    banner.retry.click()
    reading.settle()
    assert path.is_file()
    assert not banner.isVisible()
    assert "Written" in reading.window.status_bar.message.text()


def test_prompts_are_saved_in_the_command_lines_format(reading, tmp_path):
    reading.go_to(1)
    reading.click(45, 30)
    reading.wait_answer()
    path = tmp_path / "prompts.json"
    reading.export(path, "save_prompts")
    assert json.loads(path.read_text())["version"] == 1
    found = prompts_json.read_prompts(path).for_stack(reading.case.stack)
    assert [p.positive for p in found[1].points] == [True]
    assert len(found[1].boxes) == 1


def test_the_title_names_the_patient_by_id_and_the_file_does_not(make_reader):
    stack = replace(make_phantom_stack(), patient_name="Canary^Anna", patient_id="CANARY7")
    reader = make_reader()
    reader.open(stack)
    reader.wait_ready()
    reader.accept()
    reader.wait_saved()
    title = reader.window.windowTitle()
    assert "CANARY7" in title and "Anna" not in title
    assert "canary" not in store.case_path(reader.session.folder, stack).name.lower()
