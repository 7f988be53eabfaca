"""Measure how long a reader waits for each study of a list, with the real weights.

The window is driven offscreen over simulated studies. The first study is waited for from its
opening to its last proposal; for each further one the reader reads for ``--seconds``, accepts what
was shown in the montage, presses Tab, and waits until the next one is shown with every slice ready.
The largest memory of the process is printed last: nothing of a study that was left may stay.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from PyQt6.QtCore import QEventLoop, QSettings
from PyQt6.QtWidgets import QApplication

from scarseg.gui import app
from scarseg.gui.session.inference_state import Readiness
from scarseg.gui.session.session import Session
from scarseg.models import prepare_environment
from scarseg.simulate import studies

LONGEST_S = 300.0


def wait_for(condition: Callable[[], bool]) -> float:
    """Run the event loop until a condition holds; return the seconds it took."""
    begun = time.perf_counter()
    while not condition():
        if time.perf_counter() - begun > LONGEST_S:
            raise TimeoutError
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents, 5)
    return time.perf_counter() - begun


def is_ready(session: Session) -> bool:
    """Return whether a case is open with every slice ready."""
    current = session.current
    return current is not None and set(current.inference.readiness) == {Readiness.READY}


def main() -> None:
    """Print the waiting for each study."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=30.0, help="reading time of each study")
    options = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    prepare_environment()
    application = app.application()
    with tempfile.TemporaryDirectory(prefix="scarseg-") as name:
        folder = Path(name)
        # In a process of its own: the memory printed last is the window's alone.
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            pool.submit(studies.simulate_patients, folder / "studies", options.patients, 0).result()
        settings = QSettings(str(folder / "settings.ini"), QSettings.Format.IniFormat)
        window = app.make_window(None, folder / "cases", settings)
        window.show()
        session = window.session
        window.views.show_montage(True)
        session.start()
        wait_for(lambda: session.models is not None)
        session.scan([folder / "studies" / "dicom"])
        print(f"study 1: {wait_for(lambda: is_ready(session)):.2f} s")
        for number in range(2, options.patients + 1):
            until = time.perf_counter() + options.seconds
            wait_for(lambda until=until: time.perf_counter() > until)
            window.actions_by_name["accept_seen"].trigger()
            before = session.current
            window.actions_by_name["next_study"].trigger()
            waited = wait_for(
                lambda before=before: session.current is not before and is_ready(session)
            )
            print(f"study {number}: {waited:.2f} s")
        print(
            f"largest memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB"
        )
        window.close()
    application.processEvents()


if __name__ == "__main__":
    main()
