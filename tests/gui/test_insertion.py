"""Where the right ventricle inserts: proposed, set with one click, undone, kept, deleted."""

from __future__ import annotations

from scarseg.prompts import InsertionPoint

POINT = InsertionPoint(2, 36.0, 10.0)


def test_it_is_a_step_that_can_be_undone_and_is_kept(reading, make_reader, phantom_stack):
    document = reading.document
    labels, versions = reading.case.labels.copy(), list(document.versions)
    placed = []
    document.placed.connect(lambda: placed.append(reading.case.insertion))
    document.place(POINT)
    document.place(POINT)
    assert reading.case.insertion == POINT and document.undo_stack.count() == 1
    assert document.undo_stack.undoText() == "set the insertion point, slice 3"
    reading.undo()
    assert reading.case.insertion is None
    reading.redo()
    assert placed == [POINT, None, POINT]
    assert (reading.case.labels == labels).all() and document.versions == versions
    reading.wait_saved()
    reading.window.close()
    again = make_reader()
    again.open(phantom_stack)
    assert again.case.insertion == POINT
    again.document.place(None)
    assert again.case.insertion is None
