"""Nothing is lost: autosave, reopening, failing disks, two windows, exceptions."""

from __future__ import annotations

import errno
import json
import os
import platform
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scarseg.case.case import Case
from scarseg.case.history import SliceReading, SliceStatus
from scarseg.errors import StoreError
from scarseg.gui import app
from scarseg.gui.session import autosave, resume
from scarseg.gui.session.autosave import SaveState
from scarseg.io.casefile import lock, store
from tests import cohorts
from tests.conftest import make_phantom_stack
from tests.reliability.children import clean_environment


def test_a_change_is_saved_by_itself_and_shown_as_saved(reading):
    reading.paint((20, 20), (25, 20))
    assert reading.session.current.saver.state is SaveState.UNSAVED
    assert "unsaved" in reading.window.status_bar.saved.text()
    reading.wait_saved()
    assert "saved" in reading.window.status_bar.saved.text()
    path = reading.session.current.saver.path
    kept = store.load_case(path, reading.case.stack)
    np.testing.assert_array_equal(kept.labels, reading.case.labels)


def test_reopening_goes_on_where_one_left_off(reading, make_reader, phantom_stack):
    reading.go_to(1)
    reading.drag_box(30, 20, 50, 40)
    reading.wait_answer()
    reading.accept()
    reading.go_to(3)
    reading.paint((5, 5), (9, 5))
    labels, readings = reading.case.labels.copy(), list(reading.case.readings)
    reading.window.close()
    again = make_reader()
    again.open(phantom_stack)
    again.wait_ready()
    np.testing.assert_array_equal(again.case.labels, labels)
    assert again.case.readings == readings
    assert again.case.readings[1].status is SliceStatus.ACCEPTED
    assert not again.document.read_only
    assert again.document.current == 3


def test_a_case_opens_at_the_slice_where_it_was_left(reading, make_reader, phantom_stack):
    reading.go_to(0)
    other = replace(make_phantom_stack(), series_uid="1.2.3.9", study_uid="1.2.8")
    reading.open(other)
    assert reading.document.current == 2, "a case that nobody has seen opens in the middle"
    reading.go_to(4)
    reading.window.close()
    again = make_reader()
    again.open(phantom_stack)
    assert again.document.current == 0
    again.open(other)
    assert again.document.current == 4


def test_places_are_a_convenience_that_cannot_fail(reading, make_reader, phantom_stack):
    reading.go_to(0)
    reading.accept()
    reading.window.close()
    (reading.session.folder / "places.json").write_text('{"1.2.3.4.scarseg": 99, "x": []}')
    again = make_reader()
    again.open(phantom_stack)
    assert again.document.current == 2
    (reading.session.folder / "places.json").unlink()
    (reading.session.folder / "places.json").mkdir()
    again.go_to(1)
    again.window.close()


def test_switching_saves_and_coming_back_finds_it(reading):
    reading.paint((20, 20), (25, 20))
    labels = reading.case.labels.copy()
    first = reading.session.current.entry
    reading.open(replace(make_phantom_stack(), series_uid="1.2.3.9", study_uid="1.2.8"))
    assert len(reading.session.study_list.studies) == 2
    reading.session.open(first)
    reading.wait(lambda: reading.session.current.entry is first)
    np.testing.assert_array_equal(reading.case.labels, labels)
    assert not reading.document.read_only


def test_a_failed_save_stays_in_sight_until_it_is_repaired(reading, monkeypatch):
    def full(case, path):
        raise StoreError("E_CASE_WRITE", "The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(autosave, "_save", full)
        reading.paint((20, 20), (25, 20))
        reading.act("save")
        reading.wait(lambda: reading.session.current.saver.state is SaveState.FAILED)
        banner = reading.window.banner
        assert banner.isVisible() and "disk is full" in banner.text.text()
        assert not banner.dismiss.isVisible()
        reading.window.close()
        assert reading.window.isVisible()
        reading.paint((30, 20), (35, 20))
        assert reading.session.current.saver.state is SaveState.FAILED
    banner.retry.click()
    reading.wait_saved()
    assert not banner.isVisible()


def test_a_second_window_reads_only_and_says_so(reading, make_reader, phantom_stack):
    reading.accept()
    reading.wait_saved()
    second = make_reader()
    second.open(phantom_stack)
    assert second.document.read_only
    assert second.window.banner.isVisible()
    assert "reading only" in second.window.banner.text.text()
    assert not second.window.banner.dismiss.isVisible(), "it stays in sight"
    assert "read only" in second.window.status_bar.saved.text()
    second.settle()
    before = second.case.labels.copy()
    second.window.canvas.tool = "brush"
    second.drag((20, 20), (25, 20))
    second.window.commands.slices.accept()
    second.window.commands.slices.no_scar()
    second.window.commands.segmentation.segment()
    second.settle()
    np.testing.assert_array_equal(second.case.labels, before)
    assert second.case.readings[2].status is SliceStatus.ACCEPTED


def test_the_second_window_goes_on_once_the_first_lets_go(
    reading, make_reader, phantom_stack, monkeypatch
):
    monkeypatch.setattr(resume, "WATCH_MS", 10)
    second = make_reader()
    second.open(phantom_stack)
    second.settle()
    assert second.document.read_only
    reading.go_to(1)
    reading.accept()
    assert not second.window.banner.retry.isVisible()
    reading.window.close()
    second.wait(lambda: second.window.banner.retry.isVisible())
    assert second.case.n_slices_reviewed == 0
    second.window.banner.retry.click()
    second.wait(lambda: not second.document.read_only)
    assert second.case.readings[1].status is SliceStatus.ACCEPTED
    assert not second.window.banner.isVisible()
    second.go_to(3)
    second.accept()
    second.wait_saved()
    assert store.load_case(second.session.current.saver.path, phantom_stack).n_slices_reviewed == 2


@contextmanager
def killed(program):
    """Read what a program says, and kill it in the end whatever happens."""
    with program:
        try:
            yield program.stdout
        finally:
            program.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="needs kill -9")
def test_a_window_beside_another_program_looks_on_and_takes_over_when_that_dies(
    make_reader, tmp_path, monkeypatch
):
    monkeypatch.setattr(resume, "WATCH_MS", 20)
    study = cohorts.write(tmp_path / "studies", 1)
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.reliability.killed_reader", str(study), "1", "fakes"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=clean_environment(tmp_path / "home", SCARSEG_HOME=str(tmp_path)),
    )
    with killed(program) as lines:
        for line in lines:
            if line.startswith(b"saved"):
                break
        reader = make_reader()
        reader.session.scan([study])
        reader.wait(lambda: reader.session.current is not None)
        assert reader.document.read_only
        banner = reader.window.banner
        assert f"process {program.pid}" in banner.text.text() and not banner.dismiss.isVisible()
        reader.settle()
        assert not banner.retry.isVisible()
    reader.wait(lambda: banner.retry.isVisible())
    banner.retry.click()
    reader.wait(lambda: not reader.document.read_only)
    kept = store.load_case(reader.session.current.saver.path, reader.case.stack)
    np.testing.assert_array_equal(reader.case.labels, kept.labels)
    reader.wait_ready()
    reader.act("no_scar")
    reader.wait_saved()


def test_a_reading_that_never_rests_is_saved_all_the_same(reading, monkeypatch):
    monkeypatch.setattr(autosave, "DELAY_MS", 200)
    monkeypatch.setattr(autosave, "LONGEST_MS", 300)
    saver, n = reading.session.current.saver, 0
    reading.wait_saved()
    saved = []
    saver.state_changed.connect(lambda: saved.append(saver.state))
    while SaveState.SAVED not in saved and n < 200:
        n += 1
        reading.paint((20 + n % 20, 20), (25 + n % 20, 20 + n % 7))
        reading.qtbot.wait(20)
    assert n < 200, "it waits for a rest that does not come"


def test_after_a_sudden_end_the_next_start_has_everything_and_says_so(
    make_reader, phantom_stack, tmp_path
):
    case = Case.new(phantom_stack)
    case.readings[1] = SliceReading(status=SliceStatus.NO_SCAR, edited=True)
    path = store.case_path(tmp_path / "cases", phantom_stack)
    store.save_case(case, path)
    dead = {"pid": 2**22 + 1, "started": "x", "host": platform.node(), "token": "x"}
    path.with_name(path.name + ".lock").write_text(json.dumps(dead))
    reader = make_reader()
    reader.open(phantom_stack)
    assert "ended suddenly" in reader.window.status_bar.message.text()
    assert not reader.window.banner.isVisible()
    assert reader.case.readings[1].status is SliceStatus.NO_SCAR
    assert not reader.document.read_only


def test_a_damaged_case_is_kept_aside_and_a_new_one_begins(make_reader, phantom_stack, log_words):
    log_words.append("damaged")
    reader = make_reader()
    path = store.case_path(reader.session.folder, phantom_stack)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"nothing of ours")
    reader.open(phantom_stack)
    assert "E_CASE_DAMAGED" in reader.window.banner.text.text()
    reader.wait_ready()
    reader.accept()
    reader.wait_saved()
    assert store.load_case(path, phantom_stack).n_slices_reviewed == 1


def test_an_exception_in_a_slot_ends_nothing(reading, monkeypatch, log_words):
    log_words.append("ZeroDivisionError")
    monkeypatch.setattr(sys, "excepthook", app.excepthook(reading.window))
    reading.paint((20, 20), (25, 20))

    def broken():
        raise ZeroDivisionError("on purpose")

    reading.window.actions_by_name["fit"].triggered.connect(broken)
    reading.act("fit")
    assert "ZeroDivisionError" in reading.window.banner.text.text()
    reading.wait_saved()
    reading.accept()
    assert reading.case.n_slices_reviewed == 1


def test_closing_before_the_second_is_over_saves(reading, phantom_stack):
    reading.paint((20, 20), (25, 20))
    labels, path = reading.case.labels.copy(), reading.session.current.saver.path
    reading.window.close()
    np.testing.assert_array_equal(store.load_case(path, phantom_stack).labels, labels)
    lock.CaseLock().acquire(path).release()


def test_what_is_open_elsewhere_can_be_looked_at_and_not_changed(make_reader, phantom_stack):
    first, second = make_reader(), make_reader()
    first.open(phantom_stack)
    first.wait_ready()
    second.open(phantom_stack)
    assert second.document.read_only
    for name in ("accept", "no_scar", "not_assessable", "brush", "box", "segment"):
        assert not second.window.actions_by_name[name].isEnabled(), name
    for name in ("export", "next_slice", "window_level", "fit"):
        assert second.window.actions_by_name[name].isEnabled(), name


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_full_disk_is_said_reading_goes_on_and_nothing_is_lost(reading, monkeypatch, call):
    reading.accept()
    reading.wait_saved()
    path, banner = reading.session.current.saver.path, reading.window.banner
    before = store.load_case(path, reading.case.stack).labels.copy()
    full = [True]

    def refusing(real):
        def call_or_refuse(*arguments, **named):
            if full[0] and reading.session.disk_worker.busy:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*arguments, **named)

        return call_or_refuse

    if call == "replace":
        monkeypatch.setattr(Path, "replace", refusing(Path.replace))
    else:
        monkeypatch.setattr(os, call, refusing(getattr(os, call)))
    reading.go_to(0)
    reading.paint((20, 20), (25, 20))
    reading.act("save")
    reading.wait(lambda: banner.isVisible())
    assert "No space left" in banner.text.text() and banner.retry.isVisible()
    assert not banner.dismiss.isVisible()
    assert "not saved" in reading.window.status_bar.saved.text()
    np.testing.assert_array_equal(store.load_case(path, reading.case.stack).labels, before)
    reading.paint((30, 20), (35, 20))
    reading.undo()
    reading.redo()
    reading.go_to(3)
    reading.drag_box(30, 20, 50, 40)
    reading.wait_answer()
    assert banner.isVisible()
    full[0] = False
    banner.retry.click()
    reading.wait_saved()
    assert not banner.isVisible()
    kept = store.load_case(path, reading.case.stack)
    np.testing.assert_array_equal(kept.labels, reading.case.labels)
    assert kept.readings == reading.case.readings
    assert not list(path.parent.glob(".*.tmp"))


def test_a_case_in_which_nothing_changed_never_waits_to_be_saved(reading):
    reading.wait_saved()
    reading.document.edited.emit()
    assert reading.session.current.saver.state is SaveState.SAVED
    path = reading.session.current.saver.path
    reading.session.close()
    reading.settle()
    lock.CaseLock().acquire(path).release()
