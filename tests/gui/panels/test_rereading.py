"""A blinded re-reading: under codes, in random order, the first readings untouched."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import (
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QListWidget,
    QWidget,
)

from scarseg import cli
from scarseg.case.case import CaseStatus
from scarseg.gui import app
from scarseg.gui.dialogs.reading import ReaderDialog
from scarseg.gui.dialogs.rereading import RereadingDialog, RereadingOptions, RereadingPlan
from scarseg.gui.session.studies.study import Entry
from scarseg.io import dicom
from scarseg.io.casefile import rereading, store
from scarseg.io.masks.nifti import write_labels
from scarseg.simulate.write_dicom import write_series
from tests.conftest import make_phantom_stack
from tests.gui.conftest import Reader

N = 3
CANARY = "Canary"
"""In every text of a study that could tell whose it is."""


def numbered(k: int):
    stack = make_phantom_stack()
    sources = [replace(s, sop_instance_uid=f"{s.sop_instance_uid}.{k}") for s in stack.sources]
    return replace(
        stack,
        sources=tuple(sources),
        patient_id=f"{CANARY}P{k}",
        patient_name=f"{CANARY}^Name{k}",
        study_uid=f"1.2.77{k}",
        series_uid=f"1.2.77{k}.1",
        study_date="20190823",
        description=f"LGE {CANARY} {k}",
    )


def read_whole(reader: Reader, extra: int = 0) -> None:
    """Accept every slice; with ``extra``, a stroke of scar first."""
    reader.wait_ready()
    if extra:
        reader.go_to(2)
        reader.act("label_3")
        reader.paint((30, 30), (30 + extra, 30))
    for k in range(reader.case.stack.n_slices):
        reader.go_to(k)
        reader.accept()
    assert reader.case.status is CaseStatus.READ


@pytest.fixture
def read_once(reader: Reader, tmp_path: Path) -> Reader:
    """A list of studies that CD has read."""
    reader.dialogs.reader = lambda current: "CD"  # type: ignore[attr-defined]
    reader.act("reader")
    for k in range(N):
        write_series(tmp_path / CANARY / str(k), numbered(k))
    reader.session.scan([tmp_path / CANARY])
    for k in range(N):
        reader.wait(lambda: reader.session.current)
        read_whole(reader, 2 * k)
        reader.act("next_study")
        reader.settle()
    reader.session.close()
    reader.settle()
    return reader


def answer(reader: Reader, plan: RereadingPlan) -> list[RereadingOptions]:
    offers: list[RereadingOptions] = []

    def rereading(offer: RereadingOptions) -> RereadingPlan:
        offers.append(offer)
        return plan

    reader.dialogs.rereading = rereading  # type: ignore[attr-defined]
    return offers


def begin(reader: Reader, proposals: bool = True, who: str = "AB") -> list[RereadingOptions]:
    offers = answer(reader, RereadingPlan(who, 1, proposals, tuple(range(N))))
    reader.act("reread")
    reader.wait(lambda: reader.session.blinded and reader.session.current)
    return offers


def read_all_again(reader: Reader, n: int = N) -> None:
    for _ in range(n):
        read_whole(reader, 3)
        before = reader.session.current
        reader.act("next_study")
        reader.settle()
        if before is not reader.session.current:
            reader.wait(lambda: reader.session.current)


def words_in_sight(window: QWidget) -> list[str]:
    """Return every text, tip, title and accessible word of every widget and action."""
    found = [window.windowTitle()]
    for widget in (*window.findChildren(QWidget), *QApplication.topLevelWidgets()):
        found += [widget.toolTip(), widget.accessibleName(), widget.accessibleDescription()]
        found += [widget.windowTitle(), widget.statusTip(), widget.whatsThis()]
        if isinstance(widget, (QLabel, QLineEdit)):
            found.append(widget.text())
        if isinstance(widget, QComboBox):
            found += [widget.itemText(row) for row in range(widget.count())]
        if isinstance(widget, QListWidget):
            for row in range(widget.count()):
                item = widget.item(row)
                found += [str(item.data(role)) for role in range(Qt.ItemDataRole.UserRole)]
                found += [str(item.data(Qt.ItemDataRole.UserRole + k)) for k in range(1, 8)]
        if callable(getattr(widget, "text", None)) and not isinstance(widget, QLabel):
            found.append(str(widget.text()))
    for action in window.findChildren(QAction):
        found += [action.text(), action.toolTip(), action.statusTip()]
    return found


def files_of_firsts(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.is_file() and ".scarseg" in path.name
    }


def index(folder: Path) -> Path:
    (found,) = (folder / rereading.FOLDER).glob(f"*/{rereading.INDEX}")
    return found


def test_a_case_bears_its_readers_initials_once_they_change_it(reader):
    reader.dialogs.reader = lambda current: "CD"
    reader.open(make_phantom_stack())
    reader.wait_ready()
    reader.act("reader")
    assert reader.case.reader == ""
    reader.go_to(0)
    reader.accept()
    assert reader.case.reader == "CD"
    reader.dialogs.reader = lambda current: "AB"
    reader.act("reader")
    assert reader.case.reader == "CD"
    reader.go_to(0)
    reader.act("reopen")
    assert reader.case.reader == "CD+AB"


def test_nothing_in_sight_tells_whose_a_stack_is(read_once):
    reader = read_once
    window = reader.window
    assert any(CANARY in word for word in words_in_sight(window)), "the search finds what is there"
    begin(reader)
    for _ in range(N):
        reader.wait_ready()
        reader.act("history")
        for switched in ("montage", "montage"):
            reader.act(switched)
            telling = [
                word
                for word in words_in_sight(window)
                for told in (CANARY, "1.2.77", "20190823", "2019-08-23")
                if told in word
            ]
            assert telling == []
        reader.act("history")
        read_whole(reader)
        reader.act("next_study")
        reader.settle()
    shown = [window.studies.studies.item(k).text().split()[0] for k in range(N)]
    codes = [
        each.code for each in rereading.read_rereading(index(reader.session.folder).parent).cases
    ]
    assert shown == codes
    assert "read 1, reader AB: 3 of 3 done" in window.rereadings.strip.words.text()


def test_earlier_masks_are_hidden_and_the_first_readings_stay_as_they_are(read_once):
    reader = read_once
    folder = reader.session.folder
    before = files_of_firsts(folder)
    begin(reader)
    reader.wait_ready()
    assert reader.case.n_slices_reviewed == 0 and not reader.case.interactions
    assert (reader.case.reader, reader.case.read_number) == ("AB", 1)
    read_all_again(reader)
    reader.act("reread_leave")
    assert not reader.window.views.isVisible(), "nothing is open: nothing of it is in sight"
    reader.settle()
    assert files_of_firsts(folder) == before
    assert not reader.session.blinded
    assert reader.window.studies.studies.item(0).text().startswith(CANARY)


def test_while_blinded_nothing_opens_or_leaves_that_would_tell(read_once, tmp_path):
    reader = read_once
    reader.session.open(reader.session.study_list.studies[1].entries[0])
    reader.wait(lambda: reader.session.current)
    left = reader.session.current.entry
    begin(reader)
    reader.wait_ready()
    able = {name for name, each in reader.window.actions_by_name.items() if each.isEnabled()}
    for name in (
        "export",
        "export_all",
        "export_parts",
        "save_prompts",
        "open_folder",
        "demo",
        "reread",
    ):
        assert name not in able, name
    assert {"next_study", "reread_leave", "reread_finish", "quit"} <= able
    write_series(tmp_path / f"{CANARY}9", numbered(9))
    now = reader.session.current
    reader.session.scan([tmp_path / f"{CANARY}9"])
    reader.settle()
    assert reader.session.current is now
    assert not [word for word in words_in_sight(reader.window) if CANARY in word]
    reader.act("reread_leave")
    assert reader.window.actions_by_name["open_folder"].isEnabled()
    assert reader.window.actions_by_name["reread"].isEnabled()
    assert not reader.window.actions_by_name["reread_leave"].isEnabled()
    reader.wait(lambda: reader.session.current)
    assert reader.session.current.entry is left


def test_a_reading_again_goes_on_where_it_was_left_once_its_images_are_shown(
    read_once, make_reader, tmp_path
):
    reader = read_once
    begin(reader)
    read_whole(reader)
    first = reader.session.current.entry.title
    labels = reader.case.labels.copy()
    reader.wait_saved()
    reader.session.shut_down(force=True)
    reader.window.close()

    again = make_reader()
    again.wait(lambda: again.session.models is not None)
    again.settle()
    assert "read 1, reader AB, 1 of 3" in again.window.actions_by_name["reread_resume"].text()
    again.act("reread_resume")
    again.wait(lambda: again.session.blinded)
    assert "the images of 3 are wanted" in again.window.rereadings.strip.words.text()
    (tmp_path / "empty").mkdir()
    again.dialogs.path = tmp_path / "empty"
    again.window.rereadings.strip.images.click()
    again.settle()
    assert "None of the images" in again.window.status_bar.message.text()
    again.dialogs.path = tmp_path / CANARY
    again.window.rereadings.strip.images.click()
    again.wait(lambda: again.session.current)
    again.settle()
    assert not [word for word in words_in_sight(again.window) if CANARY in word]
    assert again.session.current.entry.title != first
    entries = [study.entries[0] for study in again.session.study_list.studies]
    again.session.open(next(each for each in entries if each.title == first))
    again.wait(lambda: again.session.current.entry.title == first)
    np.testing.assert_array_equal(again.case.labels, labels)
    assert "1 of 3 done" in again.window.rereadings.strip.words.text()


def test_it_ends_in_the_page_of_agree_and_compare(read_once, tmp_path, capsys):
    reader = read_once
    reader.session.open(reader.session.study_list.studies[1].entries[0])
    reader.wait(lambda: reader.session.current)
    begin(reader)
    read_all_again(reader)
    out = tmp_path / "out" / "agreement.html"
    reader.dialogs.path = out
    reader.act("reread_finish")
    reader.wait(lambda: not reader.session.blinded and reader.session.current)
    assert reader.window.banner.isVisible()
    assert "3 cases against first reading, reader CD: bias" in reader.window.banner.text.text()
    shown = reader.window.rereadings.agreement
    assert shown.isVisible() and shown.plot.accessibleDescription().startswith("3 cases: bias")
    html, numbers = out.read_text(), json.loads(out.with_suffix(".json").read_text())
    assert CANARY not in html and CANARY not in out.with_name("agreement_pairs.csv").read_text()
    assert out.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    (compared,) = numbers["comparisons"]
    assert "Bland-Altman" in html and "HD95" in html and "ICC(2,1)" in html

    tables = [str(out.with_name(f"agreement_{letter}.csv")) for letter in "ab"]
    assert cli.main(["agree", *tables, "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert table["agreement"] == compared["tables"]["agreement"]
    assert table["pairs"] == compared["tables"]["pairs"]
    rows = Path(tables[0]).read_text().splitlines()
    cells = dict(zip(rows[0].split(","), rows[1].split(","), strict=True))
    assert (cells["reader"], cells["read_number"]) == ("AB", "1")

    plan = rereading.read_rereading(index(reader.session.folder).parent)
    assert plan.finished_at_utc
    stacks = {one.stack_id: dicom.read_stack(one) for one in dicom.scan([tmp_path / CANARY]).stacks}
    for covered in plan.cases:
        stack = stacks[covered.first.stack_id]
        for name, path in (
            ("a", plan.case_path(covered.code)),
            ("b", rereading.first_reading_path(reader.session.folder, stack)),
        ):
            (tmp_path / name).mkdir(exist_ok=True)
            labels = store.load_case(path, stack).labels
            write_labels(tmp_path / name / f"{covered.code}.nii.gz", labels, stack)
    assert cli.main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--json"]) == 0
    masks = {one["name"]: one for one in json.loads(capsys.readouterr().out)["stacks"]}
    for one in compared["masks"]["stacks"]:
        for figure in ("dice", "hd95_mm", "slice_hd95_mm", "n_voxels_a", "n_voxels_b"):
            assert masks[one["name"]]["scar"][figure] == pytest.approx(one["scar"][figure])
    assert any(one["scar"]["dice"] < 1 for one in compared["masks"]["stacks"])


def test_finishing_early_leaves_out_what_is_not_read(read_once, tmp_path):
    reader = read_once
    begin(reader)
    reader.act("reread_finish")
    assert "No case is read again" in reader.window.status_bar.message.text()
    read_all_again(reader, 2)
    reader.dialogs.path = tmp_path / "early.html"
    reader.act("reread_finish")
    assert reader.dialogs.asked[-1].startswith("1 of 3 cases are not read again")
    assert reader.session.blinded
    reader.dialogs.yes = True
    reader.act("reread_finish")
    reader.wait(lambda: not reader.session.blinded)
    assert "1 of its cases not read again to the end" in (tmp_path / "early.html").read_text()


def test_a_second_reader_is_held_against_the_first_and_the_other(read_once, tmp_path):
    reader = read_once
    begin(reader, who="AB")
    read_all_again(reader)
    reader.act("reread_leave")
    reader.settle()
    begin(reader, who="EF")
    read_all_again(reader)
    reader.dialogs.path = tmp_path / "page.html"
    reader.act("reread_finish")
    reader.wait(lambda: not reader.session.blinded)
    numbers = json.loads((tmp_path / "page.json").read_text())
    against = [each["b"] for each in numbers["comparisons"]]
    assert against == ["first reading, reader CD", "read 1, reader AB"]
    assert (tmp_path / "page_c.csv").exists()


def test_without_proposals_the_models_only_answer(read_once):
    reader = read_once
    begin(reader, proposals=False)
    reader.settle()
    assert not reader.case.labels.any()
    reader.drag_box(40, 25, 55, 38)
    reader.wait_answer()
    assert reader.document.labels.any()


def test_the_dialog_proposes_the_number_and_takes_no_name(qtbot):
    offer = RereadingOptions(
        ("P1   LGE", "P2   LGE"), "", lambda who, rows: 2 if who == "CD" else 1
    )
    app.application()
    dialog = RereadingDialog(None, offer)  # type: ignore[arg-type]
    qtbot.addWidget(dialog)
    assert not dialog.start.isEnabled()
    qtbot.keyClicks(dialog.reader, "Jane Doe, CD!")
    assert dialog.reader.text() == "JaneDoeC"
    dialog.reader.setText("CD")
    assert dialog.start.isEnabled() and dialog.number.value() == 2
    dialog.studies.item(0).setCheckState(Qt.CheckState.Unchecked)
    assert dialog.plan == RereadingPlan("CD", 2, True, (1,))
    dialog.studies.item(1).setCheckState(Qt.CheckState.Unchecked)
    assert not dialog.start.isEnabled()
    name = ReaderDialog(None, "CD")  # type: ignore[arg-type]
    qtbot.addWidget(name)
    assert name.line.text() == "CD"


def test_a_cover_hides_what_a_series_is(phantom_stack):
    from scarseg.gui.session.studies.study import BlindedEntry

    cover = BlindedEntry("A7K3", Path("x"), "AB", 2)
    assert Entry(phantom_stack, blinding=cover).title == "A7K3"
    assert Entry(phantom_stack).title == phantom_stack.description
