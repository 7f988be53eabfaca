"""Count the modules of scarseg that are entered on the way of a click and of a study.

    python benchmarks/modules_touched.py [DICOM] [--list]

A click: from the prompt that a reader adds in the window to the new mask on the screen. A study:
from its DICOM to its CSV, as ``scarseg batch`` makes it. A module is counted when one of its
functions runs meanwhile; imports are done before, so that module bodies do not count. Without
DICOM a study is simulated. Each way runs in a process of its own, and once unmeasured before.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

GOAL = 35


class Recorder:
    """Records the modules whose functions run, on any thread, while ``active``."""

    def __init__(self) -> None:
        self.active = False
        self.names: set[str] = set()
        # Before any thread starts: a thread that runs already cannot be reached.
        threading.setprofile(self._trace)
        sys.setprofile(self._trace)

    def _trace(self, frame: FrameType, event: str, _argument: object) -> None:
        if not self.active or event != "call":
            return
        name = frame.f_globals.get("__name__", "")
        # The body of a module is no step of the way.
        if name.startswith("scarseg") and frame.f_code.co_name != "<module>":
            self.names.add(name)


def count_batch(dicom: Path) -> None:
    """Print the modules entered from DICOM to CSV, the second time."""
    from scarseg.cli import main

    recorder = Recorder()
    with tempfile.TemporaryDirectory() as folder:
        words = ["batch", str(dicom), "-o"]
        main([*words, f"{folder}/first.csv"])
        recorder.active = True
        main([*words, f"{folder}/second.csv"])
        recorder.active = False
    print(json.dumps(sorted(recorder.names)))


def count_click(dicom: Path) -> None:
    """Print the modules entered from a click with the point tool to the mask it gives."""
    recorder = Recorder()
    import numpy as np
    from PyQt6.QtCore import QEvent, Qt

    from benchmarks import desk_driver, desk_reading

    def scenario(driver: Any) -> None:
        driver.until(lambda: driver.session.current is not None)
        desk_reading.all_ready(driver)
        desk_reading.go_to(driver, desk_reading.scarred(driver))
        driver.key(Qt.Key.Key_P)
        wall = np.argwhere(driver.document.labels >= 2)
        for n, active in enumerate((False, True)):
            row, column = wall[len(wall) // 3 * (n + 1)]
            at = driver.window.canvas.from_source(column + 0.5, row + 0.5)
            driver.quiet()
            recorder.active = active
            driver.mouse(QEvent.Type.MouseButtonPress, at)
            driver.mouse(QEvent.Type.MouseButtonRelease, at)
            driver.until(lambda: not driver.inference.pending)
            driver.quiet()
            recorder.active = False
        driver.figures = {"modules": sorted(recorder.names)}

    os.environ["BEGUN"] = str(time.monotonic())
    desk_driver.run(scenario, [str(dicom)])


def main() -> int:
    """Print the number of modules of each way; exit status 1 where one is above the goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dicom", nargs="?", type=Path, help="a study (default: simulated)")
    parser.add_argument("--list", action="store_true", help="name the modules")
    parser.add_argument("--way", choices=("batch", "click"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        count = {"batch": count_batch, "click": count_click}[options.way]
        count(options.dicom)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        dicom = options.dicom
        if dicom is None:
            from scarseg.simulate.studies import write_study

            dicom = write_study(Path(folder) / "study", 19).dicom_folder
        counts = {}
        for way, title in (("click", "a click to its mask"), ("batch", "DICOM to its CSV")):
            words = [sys.executable, __file__, str(dicom), "--way", way]
            home = {
                **os.environ,
                "SCARSEG_HOME": f"{folder}/home",
                "PYTHONPATH": os.pathsep.join(sys.path),
            }
            done = subprocess.run(words, stdout=subprocess.PIPE, env=home, text=True, check=True)
            names = json.loads(done.stdout.splitlines()[-1])
            names = names if way == "batch" else names["modules"]
            counts[way] = len(names)
            print(f"{title}: {len(names)} modules (goal: at most {GOAL})")
            if options.list:
                print(*(f"  {name}" for name in names), sep="\n")
    return 0 if max(counts.values()) <= GOAL else 1


if __name__ == "__main__":
    raise SystemExit(main())
