"""The scripted reader of the benchmarks reads a list of studies by keys and mouse alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import reader_decisions as decisions
from benchmarks.reader import read_list
from benchmarks.reader_input import WindowDriver
from benchmarks.reader_tables import GOOD_DICE
from scarseg.case.history import SliceStatus
from scarseg.case.labels import Label, LabelArray
from scarseg.case.prompts import Box, Origin, SlicePrompts
from scarseg.case.stack import SliceSource, Stack
from scarseg.simulate.write_dicom import write_series
from tests.conftest import phantom_labels
from tests.gui.conftest import Reader


def study(stack: Stack, patient: str, number: int, folder: Path) -> None:
    """Write the phantom as a study of its own."""
    sources = tuple(SliceSource(f"1.2.{number}.{k + 1}") for k in range(stack.n_slices))
    own = replace(
        stack,
        patient_id=patient,
        study_uid=f"1.2.{number}",
        series_uid=f"1.2.{number}.0",
        description="LGE SAX",
        sources=sources,
    )
    write_series(folder / patient, own)


def other_opinion() -> LabelArray:
    """A reference that knows less scar than the phantom shows: none on 1, the lower half on 2."""
    truth = phantom_labels()
    truth[1][truth[1] == Label.SCAR] = Label.MYOCARDIUM
    rows, columns = np.nonzero(truth[2] == Label.SCAR)
    upper = rows < 29
    truth[2, rows[upper], columns[upper]] = Label.MYOCARDIUM
    return truth


@pytest.fixture
def reads(request, make_reader: Callable[..., Reader], phantom_stack: Stack, tmp_path: Path):
    """Seat the scripted reader before two studies, and let it read both; param: the montage?"""
    seated = make_reader()
    study(phantom_stack, "AGREES", 1, tmp_path / "list")
    study(phantom_stack, "DIFFERS", 2, tmp_path / "list")
    truths = {"AGREES": phantom_labels(), "DIFFERS": other_opinion()}
    seated.wait(lambda: seated.session.models)
    driver = WindowDriver(seated.window)
    listed = read_list(driver, tmp_path / "list", truths, seed=0, montage=request.param)
    return seated, {one.name: one for one in listed}


large = pytest.mark.parametrize("reads", [False], indirect=True)
montage = pytest.mark.parametrize("reads", [True], indirect=True)
both = pytest.mark.parametrize("reads", [False, True], indirect=True)


@both
def test_a_list_is_read_to_its_end(reads):
    seated, read = reads
    assert set(read) == {"AGREES", "DIFFERS"}
    assert all(entry.read for study in seated.session.study_list.studies for entry in study.entries)
    agrees, differs = read["AGREES"], read["DIFFERS"]
    assert agrees.dice == 1.0 and agrees.grams == pytest.approx(agrees.reference_g)
    by_slice = {one.slice_index: one for one in differs.slices}
    assert set(by_slice) == set(range(5))
    assert by_slice[2].dice[0] < GOOD_DICE <= by_slice[2].dice[-1]
    assert set(by_slice[2].acts) == {"-"}
    assert len(by_slice[2].acts) == len(by_slice[2].answers_s)
    for one in read.values():
        assert one.steps == sum(each.steps for each in one.slices)
        assert one.gestures >= sum(each.gestures for each in one.slices)
        assert min(seconds for _, seconds in one.waits) > 0
        parts = one.first_s + one.others_s + one.on_verdicts_s + sum(one.answers_s)
        assert one.waited_s >= parts - 1e-6


@large
def test_one_by_one_every_slice_gets_its_verdict(reads):
    _, read = reads
    agrees, differs = read["AGREES"], read["DIFFERS"]
    assert [one.steps for one in agrees.slices] == [1] * 5 and agrees.steps == 5
    assert all(one.steps == len(one.acts) + 1 for one in differs.slices)
    assert agrees.looked_s == agrees.others_s == 0


@montage
def test_in_the_montage_what_is_right_costs_one_step_for_all_of_it(reads):
    seated, read = reads
    agrees, differs = read["AGREES"], read["DIFFERS"]
    assert seated.window.views.montage
    assert agrees.steps == 1 and sum(one.gestures for one in agrees.slices) == 0
    acts = {one.slice_index: (one.acts, one.steps) for one in differs.slices}
    assert acts[1] == ([], 1)  # N
    assert acts[2][1] == len(acts[2][0]) > 0
    assert differs.steps == 1 + 1 + len(acts[2][0])
    assert agrees.others_s > 0 and agrees.looked_s > 0


@both
def test_the_last_study_stands_as_read(reads):
    seated, read = reads
    name = seated.case.stack.patient_id
    statuses = [reading.status for reading in seated.case.readings]
    expected = [SliceStatus.ACCEPTED] * 5
    if name == "DIFFERS":
        expected[1] = SliceStatus.NO_SCAR
    assert statuses == expected
    assert seated.case.interactions == read[name].steps


def slice_with(*squares: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros((60, 72), dtype=bool)
    for row0, row1, column0, column1 in squares:
        mask[row0:row1, column0:column1] = True
    return mask


NEAR, FAR = (10, 20, 10, 18), (40, 50, 50, 60)
SPACING = (1.5, 1.25)


def test_what_nobody_found_gets_a_box_by_an_unsteady_hand():
    scar = slice_with(NEAR)
    act = decisions.correct(scar, slice_with(), SlicePrompts(), SPACING, np.random.default_rng(1))
    assert isinstance(act, decisions.DrawBox)
    tight = Box(10, 10, 18, 20)
    assert 0.5 < act.box.intersection_over_union(tight) < 1


def test_a_bad_mask_gets_a_box_before_clicks():
    scar, found = slice_with((10, 20, 10, 22)), slice_with((10, 20, 10, 14))
    proposed = SlicePrompts((Box(9, 9, 15, 21, Origin.DETECTOR, 0.9),))
    act = decisions.correct(scar, found, proposed, SPACING, np.random.default_rng(1))
    assert isinstance(act, decisions.DrawBox)
    drawn = SlicePrompts((*proposed.boxes, act.box))
    act = decisions.correct(scar, found, drawn, SPACING, np.random.default_rng(1))
    assert isinstance(act, decisions.Click)


def test_one_box_holds_what_lies_together_and_the_largest_missing_piece_of_what_is_apart():
    near, speck = slice_with((10, 20, 10, 18), (12, 18, 20, 30)), slice_with((12, 18, 20, 30))
    act = decisions.correct(near, speck, SlicePrompts(), SPACING, np.random.default_rng(1))
    assert act.box.intersection_over_union(Box(10, 10, 30, 20)) > 0.5
    apart = slice_with(NEAR, FAR)
    act = decisions.correct(apart, slice_with(), SlicePrompts(), SPACING, np.random.default_rng(1))
    assert act.box.intersection_over_union(Box(50, 40, 60, 50)) > 0.5


def test_a_box_of_false_scar_is_deleted():
    scar, boxes = slice_with(NEAR), (Box(9, 9, 19, 21), Box(49, 39, 61, 51))
    found = slice_with(NEAR, FAR)
    act = decisions.correct(scar, found, SlicePrompts(boxes), SPACING, np.random.default_rng(1))
    assert act == decisions.DeleteBox(1)


@pytest.mark.parametrize("positive", [True, False])
def test_a_click_stays_inside_the_largest_error(positive):
    scar, found = slice_with((10, 20, 10, 22)), slice_with((10, 20, 10, 17))
    if not positive:
        scar, found = found, scar
    for seed in range(20):
        act = decisions.correct(scar, found, SlicePrompts(), SPACING, np.random.default_rng(seed))
        assert isinstance(act, decisions.Click) and act.point.positive is positive
        column, row = act.point.pixel
        assert (scar ^ found)[row, column]
