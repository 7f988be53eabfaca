"""Scar withheld from a whole stack: shown as such, shown again on request, never in the way."""

from __future__ import annotations

import numpy as np
import pytest

from scarseg.case.history import SliceStatus
from scarseg.case.labels import infarct_mask
from scarseg.case.stack import Stack
from scarseg.gui.session.studies.study_list import state_text


@pytest.fixture
def probably_free(monkeypatch: pytest.MonkeyPatch, reader, phantom_stack: Stack):
    """Return a reader with the phantom open, whose scar counts as too weak."""
    monkeypatch.setattr("scarseg.segmentation.gate.withholds_scar", lambda *_evidence: True)
    reader.open(phantom_stack)
    reader.wait_ready()
    reader.wait(lambda: all(one.scar_withheld for one in reader.case.readings))
    return reader


def remarks(reader) -> str:
    return reader.window.results.remarks.text()


def test_what_is_withheld_is_said_and_can_be_shown(probably_free, phantom_truth):
    reader = probably_free
    assert not infarct_mask(reader.case.labels).any()
    assert not reader.document.undo_stack.count(), "no step of the reader's"
    assert "Probably no scar" in remarks(reader)
    assert "probably no scar" in state_text(reader.session.current.entry)
    assert reader.window.results.headline.text() == "0.0 g"
    reader.act("show_withheld")
    assert np.array_equal(infarct_mask(reader.case.labels), infarct_mask(phantom_truth))
    assert "Probably no scar" not in remarks(reader)
    reader.undo()
    assert not infarct_mask(reader.case.labels).any()
    assert all(one.scar_withheld for one in reader.case.readings)
    reader.redo()
    assert np.array_equal(infarct_mask(reader.case.labels), infarct_mask(phantom_truth))


def test_a_box_is_answered_on_a_stack_whose_scar_is_withheld(probably_free):
    reader = probably_free
    reader.go_to(2)
    reader.drag_box(38, 18, 52, 40)
    reader.wait_answer()
    assert infarct_mask(reader.case.labels[2]).any()
    assert not reader.document.reading.scar_withheld
    assert reader.document.reading.status is SliceStatus.PROPOSED
    assert not infarct_mask(reader.case.labels[1]).any()


def test_nothing_to_show_is_said(reading):
    reading.act("show_withheld")
    assert not reading.document.undo_stack.count()
    assert "withheld" in reading.window.status_bar.message.text()
