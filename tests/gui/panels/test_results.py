"""A dash stands for what nobody looked at or looked for: 0.0 g is a finding."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PyQt6.QtWidgets import QApplication

from scarseg.gui.panels.slice_bars import HIGH_ROW, LOW_ROW

DASH = "–"


@pytest.fixture
def unseen(make_reader, phantom_stack):
    """The phantom open while the models are still loading: nobody has seen a slice."""
    import threading

    from tests.fakes import fake_models

    gate = threading.Event()

    def load():
        gate.wait(60)
        return fake_models()

    reader = make_reader(loader=load)
    reader.open(phantom_stack)
    yield reader, gate
    gate.set()


def test_an_unseen_stack_has_no_mass_and_no_interval(unseen):
    reader, gate = unseen
    results = reader.window.results
    assert results.headline.text() == DASH
    assert results.figures["other"].text() == DASH
    assert results.figures["percent"].text() == DASH
    assert not results.interval.isVisible()
    gate.set()
    reader.wait_ready()
    assert results.headline.text().endswith(" g")
    reader.wait(lambda: results.interval.isVisible())


def mvo(reader) -> tuple[str, str]:
    results = reader.window.results
    return results.figures["mvo"].text(), results._words["mvo"].text()


def test_mvo_is_looked_for_with_the_scar(reading):
    reading.wait(lambda: mvo(reading) == ("0.0 g", "of it MVO"))
    assert not reading.document.undo_stack.count(), "no step of the reader's"


def test_mvo_is_a_dash_until_it_was_looked_for(reading):
    reading.wait(lambda: mvo(reading) == ("0.0 g", "of it MVO"))
    document, with_scar = reading.document, list[int]()
    for k, one in enumerate(reading.case.readings):
        if one.mvo_sought:
            with_scar.append(k)
            unread = replace(one, mvo_sought=False, edited=True)
            document.push(document.case.change("forget", k, unread))
            reading.inference.predictions[k]._by_labels.clear()
    assert len(with_scar) > 1
    assert mvo(reading) == (DASH, "MVO not looked for")
    reading.go_to(with_scar[0])
    reading.act("propose_mvo")
    figure, words = mvo(reading)
    assert figure == DASH and words == f"MVO looked for on 1 of {len(with_scar)} slices with scar"
    for k in with_scar[1:]:
        reading.go_to(k)
        reading.act("propose_mvo")
    assert mvo(reading) == ("0.0 g", "of it MVO")


def test_mvo_that_is_drawn_is_weighed(reading):
    reading.wait(lambda: mvo(reading) == ("0.0 g", "of it MVO"))
    reading.act("label_4")
    reading.paint((30, 30), (36, 30))
    figure, words = mvo(reading)
    assert words == "of it MVO" and figure.endswith(" g") and figure != "0.0 g"


def test_bars_are_low_where_high_ones_would_be_out_of_sight(reading):
    results, n = reading.window.results, reading.case.stack.n_slices
    results.resize(results.width(), 2000)
    assert results.bars.height() == HIGH_ROW * n + 4
    results.resize(results.width(), 330)
    assert results.bars.height() == LOW_ROW * n + 4


def test_remarks_are_spelled_out_for_the_slice_in_front_alone(reading):
    results = reading.window.results
    results.show_remarks({1: "scar at the base", 3: "scar in fat"}, 3, clips=True)
    assert results.remarks.text().splitlines() == [
        "Slice 4: scar in fat",
        "Also slice 2",
        "Key I clips the scar of a slice to its wall",
    ]
    results.show_remarks({1: "scar at the base", 3: "scar in fat"}, 0)
    assert results.remarks.text() == "To look at: slices 2, 4"


def test_long_words_do_not_push_the_bars_out_of_sight(reading):
    results = reading.window.results
    results._figure("mvo", DASH, "MVO looked for on 16 of 17 slices with scar, and on no other")
    QApplication.sendPostedEvents()
    QApplication.processEvents()
    assert results._area.widget().width() == results._area.viewport().width()
    assert results.bars.width() < results._area.viewport().width()
