"""A save that fails, in whatever way, is shown as not saved and tried again."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scarseg.case.case import Case
from scarseg.gui.session import autosave
from scarseg.gui.session.autosave import OVERDUE, SaveState
from scarseg.io.casefile import store
from scarseg.io.dicom import read_stack, scan
from scarseg.simulate.write_dicom import write_series
from tests.reliability.children import clean_environment
from tests.reliability.painting import get_number


def fail_once(error: BaseException):
    """Return a save that raises ``error`` the first time and saves from then on."""
    calls = []

    def save(case, path):
        calls.append(path)
        if len(calls) == 1:
            raise error
        store.save_case(case, path)

    return save


@pytest.mark.parametrize(
    "error", [MemoryError(), RecursionError("deep"), ValueError("a bug"), OSError(28, "No space")]
)
def test_any_exception_in_saving_is_shown_and_retried(reading, monkeypatch, error, log_words):
    log_words.append("while saving")
    monkeypatch.setattr(autosave, "_save", fail_once(error))
    monkeypatch.setattr(autosave, "RETRY_MS", 50)
    saver, states = reading.session.current.saver, []
    saver.state_changed.connect(lambda: states.append(saver.state))
    reading.paint((20, 20), (25, 20))
    reading.wait(lambda: SaveState.FAILED in states)
    reading.wait_saved()
    assert states[-1] is SaveState.SAVED
    kept = store.load_case(saver.path, reading.case.stack)
    np.testing.assert_array_equal(kept.labels, reading.case.labels)


def test_a_failed_save_stands_in_the_banner_and_the_status_bar(reading, monkeypatch, log_words):
    log_words.append("while saving")
    monkeypatch.setattr(autosave, "_save", fail_once(MemoryError()))
    reading.paint((20, 20), (25, 20))
    reading.wait(lambda: reading.session.current.saver.state is SaveState.FAILED)
    assert "not saved" in reading.window.status_bar.saved.text()
    assert reading.window.banner.isVisible()
    assert reading.window.banner.text.text() == "Not saved. MemoryError"
    reading.window.banner.retry.click()
    reading.wait_saved()
    assert not reading.window.banner.isVisible()


def test_no_memory_for_the_copy_that_is_saved_is_shown_and_retried(reading, monkeypatch, log_words):
    log_words.append("while saving")
    monkeypatch.setattr(autosave, "RETRY_MS", 50)
    calls, copy_case = [], Case.copy

    def copied(case):
        if sys._getframe(1).f_code.co_filename == autosave.__file__:
            calls.append(1)
            if len(calls) == 1:
                raise MemoryError
        return copy_case(case)

    monkeypatch.setattr(Case, "copy", copied)
    reading.paint((20, 20), (25, 20))
    reading.wait(lambda: reading.session.current.saver.state is SaveState.FAILED)
    reading.wait_saved()


def test_a_save_that_does_not_end_is_not_shown_as_saving_for_ever(reading, monkeypatch):
    import threading

    held = threading.Event()

    def save(case, path):
        held.wait(60)
        store.save_case(case, path)

    saver = reading.session.current.saver
    monkeypatch.setattr(autosave, "_save", save)
    saver._overdue_timer.setInterval(50)
    reading.paint((20, 20), (25, 20))
    reading.act("save")
    assert saver.state is SaveState.SAVING
    reading.wait(lambda: saver.state is SaveState.FAILED)
    assert saver.problem == OVERDUE
    held.set()
    reading.wait_saved()
    assert not reading.window.banner.isVisible()


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_to_end_saves_the_last_stroke(tmp_path: Path, phantom_stack, name):
    study, home = tmp_path / "study", tmp_path / "home"
    write_series(study, phantom_stack)
    [summary] = scan([study]).stacks
    stack = read_stack(summary)
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.gui.session.one_stroke", str(study)],
        stdout=subprocess.PIPE,
        env=clean_environment(home),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    with program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"painted\n"
        program.send_signal(getattr(signal, name))
        assert program.wait(60) == 0
    found = store.read_case(store.case_path(home / "scarseg" / "cases", stack), stack)
    assert get_number(found.case.labels[0]) == 7
