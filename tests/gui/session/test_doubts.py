"""Doubts of the open case, Enter from one doubtful slice to the next, provisional headline."""

from __future__ import annotations

from scarseg.case.history import SliceStatus
from scarseg.gui import theme
from scarseg.gui.panels.studies import SECOND_LINE_ROLE
from scarseg.gui.session import doubts as session_doubts
from scarseg.quant.doubt import Doubt, DoubtKind

DOUBTFUL = (1, 3)


def _doubt_some(monkeypatch, slices=DOUBTFUL):
    def find(case, indices, ranges):
        doubt = Doubt(DoubtKind.LARGE, "scar is 80 % of the wall")
        return {k: (doubt,) if k in slices else () for k in indices}

    monkeypatch.setattr(session_doubts, "find_doubts", find)


def _open(make_reader, phantom_stack):
    reader = make_reader()
    reader.open(phantom_stack)
    reader.wait_ready()
    reader.wait(lambda: None not in reader.session.current.doubts._found)
    return reader


def _statuses(reader):
    return [each.status for each in reader.case.readings]


def test_enter_goes_from_one_doubtful_slice_to_the_next(make_reader, phantom_stack, monkeypatch):
    _doubt_some(monkeypatch)
    reader = _open(make_reader, phantom_stack)
    reader.go_to(0)
    reader.accept()
    assert reader.document.current == 1
    reader.accept()
    assert reader.document.current == 3
    reader.accept()
    assert reader.document.current not in (0, 1, 3)
    assert "Nothing doubtful is left" in reader.window.status_bar.message.text()


def test_shift_enter_accepts_the_others_seen_as_one_step(make_reader, phantom_stack, monkeypatch):
    _doubt_some(monkeypatch)
    reader = _open(make_reader, phantom_stack)
    reader.document.viewed.update((0, 2, 4))
    steps, interactions = reader.document.undo_stack.count(), reader.case.interactions
    reader.act("accept_seen")
    accepted = [k for k, one in enumerate(_statuses(reader)) if one is SliceStatus.ACCEPTED]
    assert accepted == [0, 2, 4]
    assert reader.document.undo_stack.count() == steps + 1
    assert reader.case.interactions == interactions + 1
    reader.undo()
    assert _statuses(reader) == [SliceStatus.PROPOSED] * 5
    reader.redo()
    assert [k for k, one in enumerate(_statuses(reader)) if one is SliceStatus.ACCEPTED] == accepted


def test_doubts_stand_on_the_slice_and_in_the_list_which_sorts_by_them(
    make_reader, phantom_stack, monkeypatch
):
    _doubt_some(monkeypatch)
    reader = _open(make_reader, phantom_stack)
    window = reader.window
    reader.wait(lambda: window.strip.tiles[1].remark)
    assert "80 %" in window.strip.tiles[1].remark and not window.strip.tiles[0].remark
    assert "2 doubtful" in window.studies.studies.item(0).data(SECOND_LINE_ROLE)
    reader.go_to(1)
    reader.accept()
    assert not window.strip.tiles[1].remark, "what was read is not doubtful"
    assert reader.session.current.entry.n_doubtful == 1
    study_list = reader.session.study_list
    first, other = study_list.studies[0], type(study_list.studies[0])("1.9", "P9", "")
    study_list.studies.insert(0, other)
    assert study_list.ordered == [other, first]
    window.studies.by_doubt.click()
    assert study_list.ordered == [first, other]


def test_the_headline_is_provisional_until_every_slice_is_read(reading):
    results = reading.window.results
    assert results.state.text() == "proposed"
    assert results.headline.property("provisional") == "true"
    reading.document.viewed.update(range(5))
    reading.go_to(1)
    reading.paint((30, 30), (34, 30))
    reading.document.viewed.update(range(5))
    reading.act("accept_seen")
    reading.go_to(1)
    if not reading.document.reading.status.read:
        reading.accept()
    assert results.headline.property("provisional") == "false"
    assert results.state.text() == theme.CORRECTED
    assert reading.window.strip.tiles[1].word == theme.CORRECTED
    assert reading.window.strip.tiles[0].word == "accepted"
    assert reading.session.current.entry.reading_summary.endswith("corrected")
