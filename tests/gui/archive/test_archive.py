"""From archive to archive in the window: search, fetch, read, send; servers; receiving."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from pynetdicom import AE
from PyQt6.QtCore import QSettings
from PyQt6.QtWidgets import QDialog
from pytestqt.qtbot import QtBot

from scarseg.case.case import Case
from scarseg.case.stack import SliceSource, Stack
from scarseg.gui.archive import receive
from scarseg.gui.archive.receive import ReceiveDialog
from scarseg.gui.archive.send_dialog import UNFINISHED
from scarseg.gui.dialogs import Dialogs
from scarseg.gui.dialogs.export import ExportDialog
from scarseg.gui.main_window import MainWindow
from scarseg.gui.session.autosave import SaveState
from scarseg.gui.session.export import ExportFormat
from scarseg.io.casefile import store
from scarseg.pacs import addresses
from scarseg.simulate.write_dicom import write_series
from tests.cohorts import patient
from tests.gui.conftest import Reader
from tests.pacs.conftest import _orthanc, home, orthanc
from tests.pacs.orthanc import Orthanc, free_port

__all__ = ["_orthanc", "home", "orthanc"]
WAIT_MS = 60_000


@pytest.fixture
def archive(orthanc: Orthanc, tmp_path: Path) -> Orthanc:
    """Fill the archive with a study of an LGE and a cine series, and one without LGE."""
    write_series(tmp_path / "lge", patient(1))
    first = patient(1)
    sources = tuple(SliceSource(f"1.2.1.7.{k}") for k in range(first.n_slices))
    cine = replace(first, series_uid="1.2.1.7", sources=sources, description="cine SAX")
    write_series(tmp_path / "cine", cine)
    write_series(tmp_path / "other", replace(patient(2), description="T2 haste"))
    orthanc.add(tmp_path / "lge", tmp_path / "cine", tmp_path / "other")
    addresses.write_servers(
        {
            "heart": addresses.parse_address(orthanc.dicom, "heart"),
            "web": addresses.parse_address(orthanc.web, "web"),
        }
    )
    return orthanc


@pytest.fixture
def reader(home: Path, make_reader: Callable[..., Reader]) -> Reader:
    return make_reader()


@pytest.fixture
def window(reader: Reader) -> MainWindow:
    return reader.window


def load_case(window: MainWindow, stack: Stack) -> Case:
    """Read the case file of a stack."""
    return store.load_case(store.case_path(window.session.folder, stack), stack)


def search(window: MainWindow, qtbot: QtBot, patient_text: str = "", server: str = "heart") -> None:
    window.actions_by_name["open_archive"].trigger()
    dialog = window.archive.search
    assert dialog is not None
    dialog.server.setCurrentText(server)
    dialog.patient.setText(patient_text)
    dialog.search.click()
    qtbot.waitUntil(lambda: dialog.search.isEnabled(), timeout=WAIT_MS)


@pytest.mark.parametrize("server", ["heart", "web"])
def test_a_reading_from_archive_to_archive(
    archive: Orthanc, reader: Reader, qtbot: QtBot, tmp_path: Path, server: str
) -> None:
    window = reader.window
    search(window, qtbot, server=server)
    dialog = window.archive.search
    assert dialog is not None
    top = [dialog.tree.topLevelItem(k) for k in range(dialog.tree.topLevelItemCount())]
    stars = {item.text(1): item.text(0) for item in top if item is not None}
    assert stars == {"CANARY-1": "★", "CANARY-2": ""}
    assert dialog.chosen == ("1.2.1", ["1.2.1.1"])  # the LGE series alone
    dialog.folder.setText(str(tmp_path / "fetched"))
    dialog.fetch_button.click()
    qtbot.waitUntil(lambda: window.session.current is not None, timeout=WAIT_MS)
    assert not dialog.isVisible()
    current = window.session.current
    assert current is not None
    assert current.document.case.stack.series_uid == "1.2.1.1"
    assert [path.name for path in (tmp_path / "fetched").iterdir()] == ["1.2.1.1"]
    reader.wait_ready()
    assert current.document.case.labels.any()

    window.actions_by_name["send_archive"].trigger()
    sending = window.archive.sending
    assert sending is not None
    assert sending.server.currentText() == server  # where it came from
    assert "CANARY-1" in sending.subject.text()
    assert "1.2.1" in sending.subject.text()
    before = len(archive.instances())
    sending.send.click()
    assert sending.send.text() == UNFINISHED  # not read: nothing goes before a second click
    sending.send.click()
    qtbot.waitUntil(lambda: sending.send.isEnabled(), timeout=WAIT_MS)
    assert sending.message.text().startswith("3 sent")
    filed = archive.instances()
    assert len(filed) == before + 3
    qtbot.waitUntil(lambda: current.saver.state is SaveState.SAVED, timeout=WAIT_MS)

    # Reading time goes on; the reading is the same, and so are its documents.
    current.document.case.add_reading_time(0, 5.0)
    sending.send.click()
    qtbot.waitUntil(lambda: sending.send.isEnabled(), timeout=WAIT_MS)
    assert sending.message.text().endswith("3 were there already.")
    assert archive.instances() == filed

    kept = load_case(window, current.document.case.stack)
    assert kept.archive == server
    assert {one.kind for one in kept.sent} == {"SEG", "SR", "PDF"}
    assert {one.sop_instance_uid for one in kept.sent} <= set(filed)
    assert {one.server for one in kept.sent} == {server}
    assert {one["PatientID"] for one in filed.values()} == {"CANARY-1", "CANARY-2"}
    new = [one for one in filed.values() if one["Modality"] != "MR"]
    assert {one["StudyInstanceUID"] for one in new} == {"1.2.1"}


def test_a_search_by_name_or_id_and_an_archive_that_is_not_there(
    archive: Orthanc, window: MainWindow, qtbot: QtBot
) -> None:
    for text, n in (("CANARY-2", 1), ("canary", 2), ("NOBODY", 0)):
        search(window, qtbot, text)
        dialog = window.archive.search
        assert dialog is not None
        assert dialog.tree.topLevelItemCount() == n, text
    addresses.write_servers(
        {"gone": addresses.parse_address(f"dicom://A@127.0.0.1:{free_port()}", "gone")}
    )
    search(window, qtbot, server="gone")
    assert dialog.message.text().startswith("E_PACS_UNREACHABLE")


def test_servers_are_kept_and_tested(archive: Orthanc, window: MainWindow, qtbot: QtBot) -> None:
    window.actions_by_name["archive_servers"].trigger()
    dialog = window.archive.servers
    assert dialog is not None
    dialog.add.click()
    dialog.name.setText("new")
    dialog.address.setText("nonsense")
    dialog.keep.click()
    assert "names no host" in dialog.message.text()
    dialog.address.setText(archive.dicom)
    dialog.keep.click()
    assert list(addresses.read_servers()) == ["heart", "web", "new"]
    dialog.test.click()
    qtbot.waitUntil(lambda: "answers" in dialog.message.text(), timeout=WAIT_MS)
    dialog.remove.click()
    assert list(addresses.read_servers()) == ["heart", "web"]
    dialog.close()


def test_receiving_is_off_until_switched_on_and_opens_what_arrives(
    home: Path,
    window: MainWindow,
    qtbot: QtBot,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not window.archive.receiving.is_on
    assert window.archive.state.isHidden()
    port = free_port()
    settings: QSettings = window.archive._settings
    settings.setValue(receive.PORT_KEY, port)
    monkeypatch.setattr(ReceiveDialog, "exec", lambda _: QDialog.DialogCode.Accepted)
    window.actions_by_name["archive_receive"].trigger()
    assert window.archive.receiving.is_on
    assert str(port) in window.archive.state.text()
    entity = AE("SCANNER")
    entity.add_requested_context(MRImageStorage, ExplicitVRLittleEndian)
    opened = entity.associate("127.0.0.1", port, ae_title="SCARSEG")
    for path in write_series(tmp_path / "p1", patient(1)):
        opened.send_c_store(dcmread(path))
    opened.release()
    qtbot.waitUntil(lambda: window.session.current is not None, timeout=WAIT_MS)
    first = window.session.current
    opened = entity.associate("127.0.0.1", port, ae_title="SCARSEG")
    for path in write_series(tmp_path / "p2", patient(2)):
        opened.send_c_store(dcmread(path))
    opened.release()
    studies = window.session.study_list
    qtbot.waitUntil(lambda: len(studies.entries) == 2, timeout=WAIT_MS)
    assert window.session.current is first
    window.actions_by_name["archive_receive"].trigger()
    assert not window.archive.receiving.is_on
    assert window.archive.state.isHidden()
    assert not window.actions_by_name["archive_receive"].isChecked()


def test_the_export_dialog_leads_to_the_archive_but_not_for_pseudonyms(
    home: Path, window: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered: list[bool] = []

    def answer(dialog: ExportDialog) -> QDialog.DialogCode:
        assert dialog.send_button is not None
        offered.append(dialog.send_button.isEnabled())
        dialog.send_button.click()
        return QDialog.DialogCode.Rejected

    monkeypatch.setattr(ExportDialog, "exec", answer)
    dialogs = Dialogs(window)
    dialogs.send_to_archive, dialogs.may_send = window.archive.open_sending, window.archive.may_send
    asked = (("subject", "all"), frozenset({ExportFormat.CSV}), 1, True)
    assert dialogs.export_request(*asked) is None  # nothing is open
    write_series(tmp_path / "p1", patient(1))
    window.session.scan([tmp_path / "p1"])
    qtbot.waitUntil(lambda: window.session.current is not None, timeout=WAIT_MS)
    assert dialogs.export_request(*asked) is None
    assert window.archive.sending is not None
    assert window.archive.sending.isVisible()
    window.archive.sending.close()
    monkeypatch.setattr(type(window.session), "blinded", property(lambda _: True))
    assert dialogs.export_request(*asked) is None
    assert offered == [False, True, False]
    assert not window.archive.sending.isVisible()
