"""The interval beside the gram in the window: when it comes, when it goes, what it waits for."""

from __future__ import annotations

import csv
import threading

import pytest

from scarseg.case.labels import infarct_mask
from scarseg.case.measurements import MassConvention
from scarseg.gui.session import interval
from scarseg.gui.session.inference_state import Readiness
from scarseg.models import Models
from scarseg.segmentation.interval import case_interval
from scarseg.segmentation.pipeline import propose_case_with_embeddings
from tests.fakes import FakeDetector, FakeSegmenter


@pytest.fixture(autouse=True)
def _short_rest(monkeypatch):
    monkeypatch.setattr(interval, "REST_MS", 20)


class Counting(FakeSegmenter):
    """Count answers and embeddings; hold the answers up while the gate is shut."""

    def __init__(self) -> None:
        self.answers, self.embeddings = 0, 0
        self.gate = threading.Event()
        self.gate.set()

    def embed(self, image, lv_box):
        self.embeddings += 1
        return super().embed(image, lv_box)

    def predict(self, embedding, prompts, previous=None, quick=False):
        assert self.gate.wait(10)
        self.answers += 1
        return super().predict(embedding, prompts, previous, quick)


def found(reader):
    return reader.session.current.interval.found


def wait_interval(reader):
    reader.wait(lambda: found(reader) is not None)


def scarred(reader):
    return next(k for k, labels in enumerate(reader.case.labels) if infarct_mask(labels).any())


def test_the_interval_comes_when_the_reader_rests(reading, phantom_stack):
    line = reading.window.results.interval
    wait_interval(reading)
    case, embeddings = propose_case_with_embeddings(phantom_stack, reading.session.models)
    for convention in MassConvention:
        assert found(reading)[convention] == case_interval(
            case, reading.session.models, embeddings, convention
        )
    ends = found(reading)[MassConvention.THICKNESS]
    assert line.isVisible()
    assert line.text() == f"{ends.low_g:.1f} – {ends.high_g:.1f} g   90 % interval"
    assert "redrawn prompts" in line.toolTip() and "by slice spacing" in line.toolTip()


def test_a_change_takes_the_interval_away_until_the_reader_rests_again(reading):
    wait_interval(reading)
    before = found(reading)
    k = scarred(reading)
    reading.go_to(k)
    reading.accept()
    assert found(reading) is None
    assert reading.window.results.interval.text().startswith("…")
    others = reading.session.current.interval.slices[MassConvention.THICKNESS]
    assert others[k] is None
    assert sum(one is not None for one in others) == len(others) - 1, "the others still hold"
    wait_interval(reading)
    assert found(reading) == before, "to agree changes nothing"


def test_painting_asks_the_models_nothing_anew(make_reader, phantom_stack):
    segmenter = Counting()
    reader = make_reader(Models(segmenter, FakeDetector()))
    reader.open(phantom_stack)
    reader.wait_ready()
    k = scarred(reader)
    reader.go_to(k)
    reader.accept()
    wait_interval(reader)
    mass = reader.window.presenter.measured.scar_mass_g
    answers = segmenter.answers
    reader.go_to(k)
    reader.paint((28, 26), (34, 26))
    wait_interval(reader)
    assert reader.window.presenter.measured.scar_mass_g != mass
    ends = found(reader)[MassConvention.THICKNESS]
    assert ends.low_g <= reader.window.presenter.measured.scar_mass_g <= ends.high_g
    assert segmenter.answers == answers


def test_a_click_waits_for_one_answer_at_most(make_reader, phantom_stack):
    segmenter = Counting()
    reader = make_reader(Models(segmenter, FakeDetector()))
    reader.open(phantom_stack)
    reader.wait_ready()
    k = scarred(reader)
    reader.go_to(k)
    reader.accept()
    wait_interval(reader)
    reader.go_to(k)
    reader.click(45, 30)
    reader.wait_answer()
    segmenter.gate.clear()
    answers = segmenter.answers
    reader.wait(lambda: reader.session.inference_worker.busy)  # the first of the interval's answers
    reader.click(46, 31)
    assert k in reader.inference.pending
    order = []
    reader.inference.pending_changed.connect(lambda _: order.append(segmenter.answers))
    segmenter.gate.set()
    reader.wait_answer()
    assert order and order[0] <= answers + 2, "the one under way, then the reader's"
    wait_interval(reader)


def test_a_finished_case_at_rest_has_the_interval_it_had(make_reader, phantom_stack):
    first = make_reader()
    first.open(phantom_stack)
    first.wait_ready()
    for k in range(phantom_stack.n_slices):
        first.go_to(k)
        first.act("accept")
    wait_interval(first)
    before = found(first)
    first.session.shut_down()
    segmenter = Counting()
    again = make_reader(Models(segmenter, FakeDetector()))
    again.open(phantom_stack)
    wait_interval(again)
    assert found(again) == before
    assert set(again.inference.readiness) == {Readiness.RESTING}
    assert segmenter.embeddings == segmenter.answers == 0, "it is kept with the case"


def test_the_whiskers_tell_their_slice(reading):
    wait_interval(reading)
    bars, k = reading.window.results.bars, scarred(reading)
    low, high = found(reading)[MassConvention.THICKNESS].slices_g[k]
    assert f"90 % interval {low:.1f} – {high:.1f} g" in bars.words(k)
    plain = bars.grab().toImage()
    ranges = list(found(reading)[MassConvention.THICKNESS].slices_g)
    ranges[k] = (0.0, 1.2 * high + 1.0)
    bars.show_ranges(ranges)
    assert bars.grab().toImage() != plain


def test_models_that_fail_take_the_line_away_and_nothing_else(make_reader, phantom_stack):
    class Failing(FakeSegmenter):
        broken = False

        def predict(self, embedding, prompts, previous=None, quick=False):
            if self.broken:
                raise RuntimeError("out of memory")
            return super().predict(embedding, prompts, previous, quick)

    segmenter = Failing()
    reader = make_reader(Models(segmenter, FakeDetector()))
    reader.open(phantom_stack)
    reader.wait_ready()
    segmenter.broken = True
    wait_gone = reader.session.current.interval
    reader.wait(lambda: not wait_gone.coming)
    assert not reader.window.results.interval.isVisible()
    assert not reader.window.banner.isVisible()
    segmenter.broken = False
    reader.go_to(scarred(reader))
    reader.accept()
    wait_interval(reader)
    assert reader.window.results.interval.isVisible()


def untimed(path):
    """Return the rows of a table without the reading time, which goes on between two exports."""
    with path.open(newline="", encoding="utf-8") as file:
        return [{**row, "seconds": ""} for row in csv.DictReader(file)]


def test_an_export_before_the_interval_is_there_has_it_all_the_same(reading, tmp_path, monkeypatch):
    wait_interval(reading)
    reading.session.current.interval._rest.setInterval(60_000)
    reading.go_to(scarred(reading))
    reading.accept()
    assert found(reading) is None
    early, late = tmp_path / "early", tmp_path / "late"
    early.mkdir(), late.mkdir()
    reading.export(early / "scar.csv")
    reading.session.current.interval._rest.start(0)
    wait_interval(reading)
    reading.export(late / "scar.csv")
    assert (early / "scar.json").read_bytes() == (late / "scar.json").read_bytes()
    assert untimed(early / "scar_slices.csv") == untimed(late / "scar_slices.csv")
    header, row = (early / "scar.csv").read_text().splitlines()
    cells = dict(zip(header.split(","), row.split(","), strict=True))
    ends = found(reading)[MassConvention.THICKNESS]
    assert float(cells["scar_mass_low_g"]) == ends.low_g
    assert float(cells["scar_mass_high_g"]) == ends.high_g
    assert ends.method in (early / "scar.json").read_text()
