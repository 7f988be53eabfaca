"""The next study is ready before it is opened; nothing of it is locked or written until then."""

from __future__ import annotations

import csv
import time
from dataclasses import replace

import pytest

from scarseg.case.history import SliceStatus
from scarseg.gui.session.inference_state import Readiness
from scarseg.gui.session.studies import ahead
from scarseg.io.casefile import store
from scarseg.io.casefile.lock import CaseLock
from tests.conftest import make_phantom_stack


def _stack(number):
    return replace(make_phantom_stack(), series_uid=f"1.2.3.{number}", study_uid=f"1.2.8.{number}")


@pytest.fixture
def list_of_four(make_reader):
    """A reader with the first of four studies open, each of them a stack in memory."""
    reader = make_reader()
    for number in range(10, 14):
        reader.session.study_list.add_stack(_stack(number))
    first = reader.session.study_list.studies[0].entries[0]
    reader.session.open(first)
    reader.wait(lambda: reader.session.current)
    return reader


def _entries(reader):
    return [study.entries[0] for study in reader.session.study_list.studies]


def _rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _wait_prepared(reader, entry):
    def ready():
        case = reader.session.ahead._cases.get(entry)
        return case is not None and not case.inference.proposing

    reader.wait(ready)


def test_the_next_studies_are_proposed_behind_the_reading(list_of_four):
    reader = list_of_four
    for entry in _entries(reader)[1:]:
        _wait_prepared(reader, entry)
        assert entry.reading_summary == "proposed"
        path = store.case_path(reader.session.folder, entry.source)
        assert not store.has_case(path), "what nobody opened is not in the store"
        CaseLock().acquire(path).release()  # and another window may open it


def test_a_prepared_study_opens_with_every_slice_ready(list_of_four):
    reader = list_of_four
    entry = _entries(reader)[1]
    _wait_prepared(reader, entry)
    begun = time.perf_counter()
    reader.act("next_study")
    reader.wait(lambda: reader.session.current and reader.session.current.entry is entry)
    assert time.perf_counter() - begun < 5, "no model runs"
    assert set(reader.inference.readiness) == {Readiness.READY}
    assert {each.status for each in reader.case.readings} == {SliceStatus.PROPOSED}
    reader.wait_saved()
    path = reader.session.current.saver.path
    saved = store.load_case(path, reader.case.stack)
    assert [each.status for each in saved.readings] == [SliceStatus.PROPOSED] * 5
    assert (saved.labels == reader.case.labels).all()
    assert reader.case.interactions == 0


def test_what_is_ready_is_kept_while_a_filter_hides_it(list_of_four):
    reader = list_of_four
    entry = _entries(reader)[1]
    _wait_prepared(reader, entry)
    reader.window.studies.line.setText("no study is called this")
    assert entry not in list(reader.session.study_list.upcoming(reader.session.current.entry))
    reader.session.study_list_changed.emit()
    assert reader.session.ahead.find(entry) is not None


def test_a_case_file_changed_meanwhile_is_read_instead_of_what_was_prepared(list_of_four):
    reader = list_of_four
    entry = _entries(reader)[1]
    _wait_prepared(reader, entry)
    other = ahead.prepare_case(
        ahead.OpenRequest(entry.source, reader.session.folder), lambda *_: None
    ).case
    other.reader = "ZZ"
    store.save_case(other, store.case_path(reader.session.folder, entry.source))
    reader.session.open(entry)
    reader.wait(lambda: reader.session.current.entry is entry)
    assert reader.case.reader == "ZZ"


def test_a_prepared_study_that_another_window_opened_is_read_only(list_of_four):
    reader = list_of_four
    entry = _entries(reader)[1]
    _wait_prepared(reader, entry)
    lock = CaseLock().acquire(store.case_path(reader.session.folder, entry.source))
    try:
        reader.session.open(entry)
        reader.wait(lambda: reader.session.current.entry is entry)
        assert reader.document.read_only
    finally:
        lock.release()


def test_without_room_only_the_nearest_is_prepared(make_reader, monkeypatch):
    one = _stack(0)
    monkeypatch.setattr(ahead, "BUDGET_BYTES", 8 * one.pixels.nbytes)
    reader = make_reader()
    for number in range(10, 16):
        reader.session.study_list.add_stack(_stack(number))
    entries = _entries(reader)
    reader.session.open(entries[0])
    reader.wait(lambda: reader.session.current)
    _wait_prepared(reader, entries[1])
    reader.settle()
    kept = reader.session.ahead._cases
    assert entries[1] in kept
    assert len(kept) < len(entries) - 1
    assert sum(case.n_bytes for case in kept.values()) <= 8 * one.pixels.nbytes


def test_an_interval_is_kept_with_the_case_and_not_computed_for_its_export(
    list_of_four, tmp_path, monkeypatch
):
    reader = list_of_four
    reader.wait(lambda: reader.session.current.interval.found)
    reader.wait_saved()
    reader.export(tmp_path / "first.csv")
    entry, case = reader.session.current.entry, reader.case
    assert len(case.intervals) == 2
    saved = store.load_case(reader.session.current.saver.path, case.stack)
    assert saved.intervals == case.intervals

    def refuse(*_args, **_keywords):
        raise AssertionError("the interval was computed again")

    monkeypatch.setattr("scarseg.segmentation.interval.case_interval", refuse)
    reader.act("next_study")
    reader.wait(lambda: reader.session.current and reader.session.current.entry is not entry)
    reader.wait(lambda: reader.session.current.interval.found)
    reader.wait_saved()
    reader.export(tmp_path / "list.csv", "export_all")
    rows, [first] = _rows(tmp_path / "list.csv"), _rows(tmp_path / "first.csv")
    assert len(rows) == 2
    assert rows[0] | {"seconds": first["seconds"]} == first


def test_a_changed_slice_has_no_interval_until_it_is_computed_again(list_of_four):
    reader = list_of_four
    reader.wait(lambda: reader.session.current.interval.found)
    before = reader.case.intervals
    reader.go_to(1)
    reader.paint((30, 30), (34, 30))
    assert reader.case.intervals == ()
    reader.wait(lambda: reader.session.current.interval.found)
    assert reader.case.intervals != before
