"""Draw the dialogs of archives in a reading from archive to archive: docs/archive.png, send.png.

    xvfb-run -a python benchmarks/archive_picture.py

Needs Orthanc (packages ``orthanc`` and ``orthanc-dicomweb``). Simulated patients are searched for,
fetched, proposed by the shipped models and sent back; prints what the archive said.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from PyQt6.QtCore import QSettings
from PyQt6.QtWidgets import QApplication

from scarseg import models
from scarseg.case.stack import SliceSource
from scarseg.gui import app
from scarseg.gui.main_window import MainWindow
from scarseg.pacs import addresses
from scarseg.simulate.series import simulate_stack
from scarseg.simulate.write_dicom import write_series
from tests.pacs.orthanc import Orthanc, running_orthanc

DOCS = Path(__file__).resolve().parents[1] / "docs"
PATIENTS = (
    ("MUSTER^ANNA", "LGE PSIR SAX", "20240311"),
    ("MUSTER^PAUL", "LGE SAX 10 min", "20240308"),
    ("MUSTER^ILSE", "T2 STIR SAX", "20240305"),
)
PATIENCE_S = 200.0


def wait(application: QApplication, condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        application.processEvents()
        time.sleep(0.02)


def fill(archive: Orthanc, folder: Path) -> None:
    """File a simulated study of each patient."""
    for n, (name, description, date) in enumerate(PATIENTS, start=1):
        stack = simulate_stack(n).stack
        study, series = f"1.2.840.1.{n}", f"1.2.840.1.{n}.1"
        sources = tuple(SliceSource(f"{series}.{k + 1}") for k in range(stack.n_slices))
        stack = replace(
            stack,
            patient_id=f"P00{n}",
            patient_name=name,
            description=description,
            study_date=date,
            study_uid=study,
            series_uid=series,
            sources=sources,
        )
        write_series(folder / f"p{n}", stack, header={"StudyDescription": "Cardiac MR"})
        archive.add(folder / f"p{n}")


def draw(application: QApplication, window: MainWindow, folder: Path) -> None:
    """Search, fetch, wait for the proposals and send; save a picture of both dialogs."""
    window.actions_by_name["open_archive"].trigger()
    search = window.archive.search
    assert search is not None
    search.folder.setText("~/studies")
    search.resize(860, 420)
    search.patient.setText("MUSTER")
    search.search.click()
    wait(application, search.search.isEnabled, PATIENCE_S)
    search.tree.expandAll()
    search.tree.setFocus()
    wait(application, lambda: False, 0.5)
    search.grab().save(str(DOCS / "archive.png"))
    search.folder.setText(str(folder))
    search.fetch_button.click()
    wait(application, lambda: window.session.current is not None, PATIENCE_S)
    current = window.session.current
    assert current is not None
    wait(application, lambda: bool(current.document.case.labels.any()), PATIENCE_S)
    window.actions_by_name["send_archive"].trigger()
    sending = window.archive.sending
    assert sending is not None
    for _ in range(2):  # the reading is not finished: the second click sends
        sending.send.click()
    wait(application, sending.send.isEnabled, PATIENCE_S)
    wait(application, lambda: False, 0.5)
    sending.grab().save(str(DOCS / "send.png"))
    print(sending.message.text())


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.environ["SCARSEG_HOME"] = str(folder / "home")
        application = app.application()
        with running_orthanc(folder / "orthanc") as archive:
            fill(archive, folder)
            addresses.write_servers({"heart": addresses.parse_address(archive.dicom, "heart")})
            settings = QSettings(str(folder / "settings.ini"), QSettings.Format.IniFormat)
            window = app.make_window(lambda: models.load(device="cpu"), folder / "cases", settings)
            window.show()
            window.session.start()
            draw(application, window, folder / "fetched")
            window.session.shut_down(force=True)
            window.close()


if __name__ == "__main__":
    main()
