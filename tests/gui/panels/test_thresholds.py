"""Strip of threshold methods: numbers, preview, adoption, remote region."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest

from scarseg.case.history import SliceStatus
from scarseg.case.labels import Label, infarct_mask, wall_mask
from scarseg.case.stack import LgeSequence
from scarseg.errors import WeightsError
from scarseg.gui.panels.thresholds import masks
from scarseg.gui.panels.thresholds.preview import PreviewLayer
from scarseg.quant.method_comparison import compare_methods, mass_curve
from scarseg.quant.remote import RemoteRegion, propose_remote_outside
from scarseg.quant.thresholds import Scope

PHANTOM_REMOTE = (36.5, 21.5)
"""In the wall of the phantom, above its middle, (column, row)."""


@pytest.fixture
def noisy_stack(phantom_stack, phantom_truth):
    """The phantom with noise, and three parts of its wall a little brighter: methods differ."""
    noise = np.random.default_rng(3).normal(0, 3, phantom_stack.pixels.shape)
    pixels = phantom_stack.pixels + np.clip(noise, -8, 8)
    wall = phantom_truth == Label.MYOCARDIUM
    for rows, more in ((slice(22, 27), 14), (slice(27, 32), 22), (slice(32, 37), 40)):
        part = np.zeros_like(wall)
        part[:, rows, :36] = wall[:, rows, :36]
        pixels[part] = pixels[part].clip(44, 54) + more
    return replace(phantom_stack, pixels=pixels.astype(np.float32))


@pytest.fixture
def comparing(reader, noisy_stack):
    """A reader with the noisy phantom open on slice 3, the comparison open."""
    reader.open(noisy_stack)
    reader.wait_ready()
    reader.go_to(2)
    return opened(reader)


def opened(reader):
    reader.act("compare")
    reader.wait(lambda: settled(reader))
    return reader


def settled(reader):
    return not reader.window.comparison.stale and not reader.session.measurement_worker.busy


def choose(reader, name):
    tile = tile_of(reader, name)
    QTest.mouseClick(tile, Qt.MouseButton.LeftButton)
    assert tile.chosen


def tile_of(reader, name):
    return reader.window.comparison.strip.tile(name)


def test_the_strip_is_closed_until_its_key_and_replaces_the_filmstrip_in_a_low_window(reading):
    window = reading.window
    assert not window.comparison.strip.isVisible() and window.strip.isVisible()
    window.resize(1280, 800)
    reading.press_key(Qt.Key.Key_J)
    reading.wait(window.comparison.strip.isVisible)
    reading.wait(lambda: not window.strip.isVisible())
    window.resize(1280, 1100)
    reading.wait(window.strip.isVisible)
    reading.press_key(Qt.Key.Key_J)
    assert not window.comparison.strip.isVisible() and window.strip.isVisible()


@pytest.mark.parametrize("scope", list(Scope))
def test_the_numbers_are_those_of_the_tables(comparing, scope):
    if scope is Scope.STACK:
        comparing.act("whole_stack")
        comparing.wait(lambda: settled(comparing))
    expected = compare_methods(comparing.case.stack, comparing.case.labels)
    answer = comparing.window.comparison.answer
    convention = answer.measured.convention
    masses = set()
    for name in masks.TITLES:
        if name == masks.MANUAL:
            continue
        mine = answer.method(name)
        theirs = expected.result(name, None if name == masks.SEGMENTED else scope)
        assert mine.total_g == pytest.approx(theirs.scar.total(convention), rel=1e-12)
        assert mine.slices_g == pytest.approx(getattr(theirs.scar, convention.value), rel=1e-12)
        assert mine.percent == pytest.approx(expected.percent(theirs, convention), rel=1e-12)
        assert mine.levels == theirs.thresholds
        tile = tile_of(comparing, name)
        assert tile.grams == f"{mine.total_g:.1f} g"
        assert tile.percent == f"{mine.percent:.0f} % LV"
        assert f"{mine.slices_g[2]:.1f}" in tile.here
        masses.add(round(mine.total_g, 6))
    assert len(masses) >= 2


def test_the_manual_tile_follows_the_threshold_brush(comparing):
    comparing.act("threshold")
    comparing.act("higher_threshold")
    comparing.wait(lambda: settled(comparing))
    value = comparing.window.canvas.threshold
    method = comparing.window.comparison.answer.method(masks.MANUAL)
    assert set(method.levels) == {value}
    comparing.act("higher_threshold")
    comparing.wait(lambda: settled(comparing))
    now = comparing.window.comparison.answer.method(masks.MANUAL)
    assert comparing.window.canvas.threshold > value
    assert set(now.levels) == {comparing.window.canvas.threshold}


def test_a_method_is_previewed_and_changes_no_label(comparing):
    before, revision = comparing.case.labels.tobytes(), comparing.document.revision
    layer = PreviewLayer.on(comparing.window.canvas)
    assert layer.outline.isEmpty() and not layer.remote.isEmpty()
    choose(comparing, "fwhm_max")
    assert not layer.outline.isEmpty()
    comparing.act("previous_method")
    assert comparing.window.comparison.chosen == "sd6"
    for _ in masks.TITLES:
        comparing.act("next_method")
    assert comparing.window.comparison.chosen == "sd6"
    assert comparing.case.labels.tobytes() == before and comparing.document.revision == revision
    comparing.act("compare")
    assert layer.outline.isEmpty() and layer.remote.isEmpty()


def test_adopting_is_one_undoable_step_within_the_wall(comparing):
    case, document = comparing.case, comparing.document
    comparing.erase((46.0, 30.0), (48.0, 30.0))
    comparing.wait(lambda: settled(comparing))
    before, ground = case.labels.copy(), document.labels_under_scar.copy()
    reading, steps = case.readings[2], case.interactions
    choose(comparing, "sd2")
    method = comparing.window.comparison.answer.method("sd2")
    comparing.act("adopt")
    assert np.array_equal(infarct_mask(case.labels[2]), method.infarct[2])
    assert np.array_equal(wall_mask(case.labels), wall_mask(before))
    assert np.array_equal(case.labels == Label.BLOOD_POOL, before == Label.BLOOD_POOL)
    assert not np.array_equal(case.labels[2], before[2])
    assert document.undo_stack.undoText() == "adopt 2 SD, slice 3"
    assert case.readings[2].status is SliceStatus.PROPOSED and case.readings[2].edited
    assert case.interactions == steps + 1
    comparing.undo()
    assert case.labels.tobytes() == before.tobytes() and case.readings[2] == reading
    assert np.array_equal(document.labels_under_scar, ground)
    comparing.redo()
    assert np.array_equal(infarct_mask(case.labels[2]), method.infarct[2])


def test_adopting_on_all_slices_leaves_what_is_read(comparing):
    comparing.go_to(1)
    comparing.accept()
    before = comparing.case.labels.copy()
    steps, done = comparing.case.interactions, comparing.document.undo_stack.index()
    choose(comparing, "sd3")
    comparing.wait(lambda: settled(comparing))
    infarct = comparing.window.comparison.answer.method("sd3").infarct
    comparing.act("adopt_all")
    labels = comparing.case.labels
    assert np.array_equal(labels[1], before[1])
    assert comparing.case.readings[1].status is SliceStatus.ACCEPTED
    for k in (0, 2, 3, 4):
        assert np.array_equal(infarct_mask(labels[k]), infarct[k])
    assert comparing.case.interactions == steps + 1
    comparing.document.go_to_step(done)
    assert labels.tobytes() == before.tobytes()


def test_scar_outside_the_wall_is_no_wall_to_search(comparing):
    comparing.paint((36.0, 30.0), (38.0, 30.0))
    comparing.wait(lambda: settled(comparing))
    assert not comparing.window.comparison.answer.wall[2, 30, 36]
    choose(comparing, "fwhm_remote")
    comparing.act("adopt")
    assert comparing.document.labels[30, 36] == Label.BLOOD_POOL


def test_nothing_is_adopted_before_a_method_is_chosen(comparing):
    said = []
    comparing.window.comparison.said.connect(said.append)
    before = comparing.case.labels.tobytes()
    comparing.act("adopt")
    assert "Choose a method first" in said[-1] and comparing.case.labels.tobytes() == before


def test_a_method_not_for_psir_is_disabled_with_its_reason(reader, noisy_stack):
    reader.open(replace(noisy_stack, sequence=LgeSequence.PSIR))
    reader.wait_ready()
    opened(reader)
    tile = tile_of(reader, "fwhm_max")
    assert not tile.able and not tile.isEnabled() and "PSIR" in tile.toolTip()
    assert (tile.grams, tile.percent, tile.here) == ("–", "", "not for PSIR")
    assert tile_of(reader, "fwhm_remote").able
    reader.window.comparison.choose("sd6")
    reader.act("next_method")
    assert reader.window.comparison.chosen == "fwhm_remote"


def test_a_method_below_remote_wall_is_blank_with_its_reason(comparing, noisy_stack):
    """With an offset of 300 half of the maximum lies below muscle."""
    lifted = replace(noisy_stack, pixels=noisy_stack.pixels + np.float32(300))
    request = masks.MethodRequest(replace(comparing.case, stack=lifted))
    answer = masks.compute_masks(request)
    unfit, other = answer.method("fwhm_max"), answer.method("sd5")
    assert "not above remote" in unfit.why_not and not unfit.infarct.any()
    assert other.why_not == "" and other.infarct.any()


def test_half_of_the_maximum_without_scar_is_blank_with_its_reason(comparing):
    comparing.go_to(2)
    for k in range(comparing.case.stack.n_slices):
        comparing.go_to(k)
        comparing.act("no_scar")
    comparing.wait(lambda: settled(comparing))
    for name in ("fwhm_max", "fwhm_remote", "fwhm_min", "otsu"):
        tile = tile_of(comparing, name)
        assert not tile.able and "segmented or boxed scar" in tile.toolTip(), name
    assert tile_of(comparing, "sd5").able


def test_without_a_wall_the_strip_shows_the_reason(make_reader, noisy_stack):
    reader = make_reader(loader=lambda: (_ for _ in ()).throw(WeightsError("E_W", "none")))
    reader.open(noisy_stack)
    opened(reader)
    compared = reader.window.comparison
    assert "No wall" in compared.strip.words.text()
    assert not any(tile.able for tile in compared.strip.row.tiles[1:])
    assert "No wall" in tile_of(reader, "otsu").toolTip()
    assert "none" in compared.strip.remote.text()
    reader.settle()


def test_nothing_is_adopted_on_a_read_only_case(make_reader, noisy_stack):
    first = make_reader()
    first.open(noisy_stack)
    first.wait_ready()
    first.wait_saved()
    second = make_reader()
    second.open(noisy_stack)
    assert second.document.read_only
    opened(second)
    tile = tile_of(second, "fwhm_max")
    assert tile.able
    choose(second, "fwhm_max")
    before = second.case.labels.tobytes()
    assert not second.window.actions_by_name["adopt"].isEnabled()
    second.window.comparison.adopt()
    second.window.comparison.adopt_all()
    assert second.case.labels.tobytes() == before
    for reader in (second, first):
        reader.settle()


def test_a_reader_draws_the_remote_region(comparing):
    compared, case = comparing.window.comparison, comparing.case
    proposed = compared.answer.remote.copy()
    assert "proposed" in compared.strip.remote.text()
    before = case.labels.tobytes()
    comparing.act("remote")
    comparing.drag(PHANTOM_REMOTE)
    comparing.wait(lambda: settled(comparing))
    assert "drawn" in compared.strip.remote.text()
    moved = compared.answer.remote[2]
    assert moved[21, 36] and not np.array_equal(moved, proposed[2])
    corners = [(28.0, 16.0), (44.0, 16.0), (44.0, 24.0), (28.0, 24.0), (28.0, 16.0)]
    comparing.drag(*corners)
    comparing.wait(lambda: settled(comparing))
    drawn = compared.answer.remote
    box = np.zeros_like(drawn[2])
    box[16:24, 28:44] = True
    assert np.array_equal(drawn[2], box & (case.labels[2] == Label.MYOCARDIUM))
    remote = RemoteRegion(drawn, frozenset({2}))
    expected = compare_methods(case.stack, case.labels, ["sd5"], remote=remote).result("sd5")
    assert compared.answer.method("sd5").levels == expected.thresholds
    assert np.array_equal(np.delete(drawn, 2, 0), np.delete(proposed, 2, 0))
    assert case.labels.tobytes() == before
    assert [*case.remote_regions] == [2]
    comparing.document.undo_stack.undo()
    comparing.wait(lambda: settled(comparing))
    assert np.array_equal(compared.answer.remote[2], moved)
    comparing.document.undo_stack.redo()
    comparing.wait(lambda: settled(comparing))
    assert np.array_equal(compared.answer.remote, drawn)
    assert case.labels.tobytes() == before
    comparing.drag(PHANTOM_REMOTE, modifiers=Qt.KeyboardModifier.AltModifier)
    comparing.wait(lambda: settled(comparing))
    assert "proposed" in compared.strip.remote.text()
    assert np.array_equal(compared.answer.remote, proposed)
    assert case.remote_regions == {}


def test_a_remote_region_without_wall_is_refused(comparing):
    said = []
    comparing.window.comparison.said.connect(said.append)
    comparing.act("remote")
    comparing.drag((2.0, 2.0), (8.0, 2.0), (8.0, 8.0), (2.0, 8.0))
    assert "Not taken" in said[-1]
    assert "proposed" in comparing.window.comparison.strip.remote.text()
    comparing.act("compare")
    assert comparing.window.views.shared.tool == "box"


def test_a_result_of_outdated_labels_is_dropped(comparing, monkeypatch):
    compared, go, begun = comparing.window.comparison, threading.Event(), []
    was = masks.compute_masks

    def slow(question):
        begun.append(question)
        go.wait(10)
        return was(question)

    monkeypatch.setattr(masks, "compute_masks", slow)
    first = compared.answer
    comparing.erase((46.0, 30.0), (48.0, 30.0))
    comparing.wait(lambda: begun)
    comparing.erase((44.0, 33.0), (48.0, 33.0))
    choose(comparing, "sd5")
    comparing.act("adopt")
    assert compared.answer is first and tile_of(comparing, "sd5").stale
    labels = comparing.case.labels.copy()
    go.set()
    comparing.wait(lambda: comparing.document.undo_stack.undoText() == "adopt 5 SD, slice 3")
    comparing.wait(lambda: settled(comparing))
    assert len(begun) >= 2
    asked = begun[1]
    assert np.array_equal(asked.case.labels, labels)
    remote = propose_remote_outside(
        wall_mask(labels),
        asked.case.stack.pixel_spacing_mm, infarct_mask(labels),
    )  # fmt: skip
    expected = compare_methods(asked.case.stack, labels, ["sd5"], remote=remote).result("sd5")
    assert int(infarct_mask(comparing.document.labels).sum()) == expected.n_voxels[2]


def test_another_case_has_its_own_remote_regions(comparing, phantom_stack):
    compared = comparing.window.comparison
    comparing.act("remote")
    comparing.drag(PHANTOM_REMOTE)
    comparing.wait(lambda: settled(comparing) and "drawn" in compared.strip.remote.text())
    first = comparing.case.stack
    comparing.open(replace(phantom_stack, series_uid="9.8.7"))
    comparing.wait_ready()
    comparing.go_to(2)
    comparing.wait(lambda: settled(comparing))
    assert "proposed" in compared.strip.remote.text()
    comparing.open(first)
    comparing.go_to(2)
    comparing.wait(lambda: settled(comparing) and "drawn" in compared.strip.remote.text())


def test_dark_cores_are_adopted_as_scar_and_labelled_mvo_stays():
    labels = np.full((1, 6), Label.MYOCARDIUM, dtype=np.uint8)
    labels[0, 0], labels[0, 3], labels[0, 4] = Label.BLOOD_POOL, Label.MVO, Label.SCAR
    ground = np.where(labels > Label.MYOCARDIUM, Label.MYOCARDIUM, labels).astype(np.uint8)
    ground[0, 4] = Label.BACKGROUND
    scar, mvo = np.zeros((2, 1, 1, 6), dtype=bool)
    scar[0, 0, [0, 1, 3, 4]], mvo[0, 0, 2] = True, True
    method = masks.MethodMask("sd5", "", scar, mvo, (1.0,), (1.0,), 1.0, 1.0)
    out = masks.labels_with_method(labels, ground, method, 0)
    assert out.dtype == np.uint8
    assert list(out[0]) == [
        Label.BLOOD_POOL, Label.SCAR, Label.SCAR, Label.MVO, Label.BACKGROUND, Label.MYOCARDIUM,
    ]  # fmt: skip


def test_the_remote_region_is_chosen_by_keyboard_alone(comparing):
    compared = comparing.window.comparison
    comparing.act("remote")
    comparing.act("keyboard")
    hand = comparing.window.keyboard
    while hand.at[1] > 21.5:
        comparing.press_key(Qt.Key.Key_Up)
    comparing.press_key(Qt.Key.Key_Space)
    comparing.wait(lambda: settled(comparing))
    assert "drawn" in compared.strip.remote.text() and compared.answer.remote[2, 21, 36]
    comparing.press_key(Qt.Key.Key_Space, Qt.KeyboardModifier.ShiftModifier)
    comparing.wait(lambda: settled(comparing))
    assert "proposed" in compared.strip.remote.text()
    comparing.press_key(Qt.Key.Key_Escape)


def test_the_curve_has_a_point_for_every_method(comparing):
    window, compared = comparing.window, comparing.window.comparison
    window.resize(2200, 1200)
    comparing.wait(compared.strip.plot.isVisible)
    plot, case = compared.strip.plot, comparing.case
    only = np.zeros(case.labels.shape, dtype=bool)
    only[2] = wall_mask(case.labels[2])
    curve = mass_curve(case.stack, only, convention=compared.answer.measured.convention)
    points = plot.points()
    assert len(points) == len(masks.TITLES) - 1
    for method, level, grams in points:
        assert level == method.levels[2] and grams == pytest.approx(curve.mass_at(level))
    comparing.wait(lambda: plot.height() == compared.strip.row.tiles[0].height())
    before = plot.grab().toImage()
    choose(comparing, "sd4")
    assert plot.grab().toImage() != before
    window.resize(1280, 800)
    comparing.wait(lambda: not plot.isVisible())
