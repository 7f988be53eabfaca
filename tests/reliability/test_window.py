"""The window in a program of its own: it starts beside opencv, survives bugs, names no patient."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scarseg.case.case import Case
from scarseg.case.history import SliceStatus
from scarseg.case.stack import Stack
from scarseg.io.casefile import store
from scarseg.io.dicom import read_stack, scan
from scarseg.simulate.write_dicom import write_series
from tests.reliability import patients
from tests.reliability.children import last_line_as_json, run_child


@contextmanager
def virtual_display() -> Iterator[str]:
    """Start Xvfb on a free display; give the display's name."""
    command = ["Xvfb", "-displayfd", "1", "-screen", "0", "1280x800x24", "-nolisten", "tcp"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as program:
        try:
            assert program.stdout is not None
            number = program.stdout.readline().strip()
            if not number:
                pytest.skip("Xvfb does not start here")
            yield f":{number}"
        finally:
            program.kill()


def test_a_reading_leaves_no_name_and_survives_a_bug(tmp_path: Path, phantom_stack: Stack):
    study, home = tmp_path / "study", tmp_path / "home"
    patients.write_marked_study(study, phantom_stack)
    done = run_child(home, "-m", "tests.reliability.reading", str(study / "a"), "fakes")
    seen = last_line_as_json(done)
    assert seen["status"] == 0
    assert seen["bugs"] == 1
    assert seen["banner"], "the reader must be told of a bug"
    # The title names the open patient by ID, for who reads; nothing that is printed does.
    titles = seen.pop("titles")
    assert sum(bool(patients.traces_in(title.encode())) for title in titles) == 1
    *lines, _ = done.stdout.strip().splitlines()
    printed = "\n".join([*lines, json.dumps(seen), done.stderr])
    assert patients.traces_in(printed.encode()) == []
    assert (home / "work" / "scar.csv").is_file()
    assert (home / "work" / "p.json").is_file()
    assert patients.traces_below(home) == []
    saved = Path(seen["case"])
    assert home in saved.parents
    assert SliceStatus.ACCEPTED in [each.status for each in load(saved, study).readings]
    assert not saved.with_name(saved.name + ".lock").exists()


def load(saved: Path, study: Path) -> Case:
    [summary] = scan([study / "a"]).stacks
    return store.load_case(saved, read_stack(summary))


@pytest.mark.parametrize("platform", ["offscreen", "xcb"])
def test_the_window_starts_with_ultralytics_and_opencv_imported_first(
    tmp_path: Path, phantom_stack: Stack, platform: str
):
    write_series(tmp_path / "study", phantom_stack)
    arguments = ["-m", "tests.reliability.reading", str(tmp_path / "study"), "fakes"]
    first = ["torch", "ultralytics", "cv2"]
    guards = {"YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"}
    if platform == "offscreen":
        done = run_child(tmp_path / "home", *arguments, *first, **guards)
    else:
        if sys.platform != "linux" or shutil.which("Xvfb") is None:
            pytest.skip("Xvfb is not installed")
        with virtual_display() as display:
            more = {"QT_QPA_PLATFORM": "xcb", "DISPLAY": display}
            check = "from PyQt6.QtWidgets import QApplication; QApplication([])"
            if run_child(tmp_path / "home", "-c", check, **more).returncode:
                pytest.skip("this machine lacks the libraries of Qt's xcb platform")
            done = run_child(tmp_path / "home", *arguments, *first, **guards, **more)
    seen = last_line_as_json(done)
    assert seen["status"] == 0
    assert seen["platform"] == platform
