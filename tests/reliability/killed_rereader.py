"""Read again, blinded, and be killed: ``python -m tests.reliability.killed_rereader FOLDER CASES``.

Reads every study of the folder, starts a re-reading, says of its first case that it has no scar,
and kills itself as soon as that shows as saved.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import QSettings
from PyQt6.QtWidgets import QApplication

from scarseg.gui import app
from scarseg.gui.dialogs.rereading import RereadingPlan
from scarseg.gui.main_window import MainWindow
from scarseg.gui.session.autosave import SaveState
from tests.fakes import fake_models


def wait(until: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not until():
        QApplication.processEvents()
        time.sleep(0.002)
        assert time.monotonic() < end, "nothing happened"


def read(window: MainWindow) -> None:
    """Mark every slice of the open case as without scar."""
    wait(lambda: window.session.current)
    current = window.session.current
    assert current is not None
    wait(lambda: not current.inference.proposing)
    for k in range(current.document.case.stack.n_slices):
        window.commands.slices.go_to(k)
        window.commands.slices.no_scar()
    wait(lambda: current.saver.state is SaveState.SAVED)


def main(studies: Path, folder: Path) -> None:
    application = app.application()
    settings = QSettings(str(folder.parent / "settings.ini"), QSettings.Format.IniFormat)
    window = app.make_window(fake_models, folder, settings)
    window.dialogs.rereading = lambda offer: RereadingPlan(  # type: ignore[method-assign]
        "AB", 2, True, tuple(range(len(offer.studies)))
    )
    window.show()
    window.session.start()
    wait(lambda: window.session.models)
    window.session.scan([studies])
    wait(lambda: window.session.current)
    for _ in window.session.study_list.studies:
        read(window)
        before = window.session.current
        window.commands.studies.next_study()
        end = time.monotonic() + 2
        wait(lambda b=before, e=end: window.session.current is not b or time.monotonic() > e)
    window.actions_by_name["reread"].trigger()
    wait(lambda: window.session.blinded)
    read(window)
    application.processEvents()
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
