"""What the presets of window level show of a heart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtCore import QSettings

from scarseg.case.case import Case
from scarseg.case.labels import Label
from scarseg.case.stack import LgeSequence
from scarseg.gui.viewer import window_level
from scarseg.simulate.anatomy import SimulationOptions
from scarseg.simulate.series import simulate_stack
from tests.conftest import make_phantom_stack, phantom_labels


def _simulated(seed: int, **fixed: object) -> Case:
    made = simulate_stack(seed, SimulationOptions(n_slices=8, noise=0.03, **fixed))
    case = Case.new(made.stack)
    case.labels[:] = made.truth
    return case


def _grey(case: Case, value: float, name: str = window_level.AUTOMATIC) -> float:
    low, high = window_level.preset(case, name)
    return (value - low) / (high - low)


@pytest.mark.parametrize("sequence", list(LgeSequence))
@pytest.mark.parametrize("seed", [1, 2, 7])
def test_the_automatic_window_nulls_the_wall_and_burns_no_scar(seed, sequence):
    case = _simulated(seed, scar=True, sequence=sequence, inversion_error=0.0)
    found = window_level.tissues(case)
    assert 0.0 < _grey(case, found.remote) <= 0.15
    assert 0.2 < _grey(case, found.pool) <= 0.65
    assert found.scar is not None and 0.5 < _grey(case, found.scar) <= 0.96
    scar = case.stack.pixels[case.labels == Label.SCAR]
    assert np.mean(scar > window_level.preset(case, window_level.AUTOMATIC)[1]) < 0.01


def test_without_scar_the_pool_is_grey_in_the_middle():
    case = _simulated(3, scar=False, sequence=LgeSequence.PSIR)
    found = window_level.tissues(case)
    assert found.scar is None
    assert 0.4 < _grey(case, found.pool) < 0.55


@pytest.mark.parametrize("seed", [1, 2, 7])
def test_before_anything_is_proposed_the_window_is_much_the_same(seed):
    case = _simulated(seed, scar=True, inversion_error=0.0)
    found = window_level.tissues(case)
    case.labels[:] = Label.BACKGROUND
    assert _grey(case, found.remote) < 0.3
    assert 0.3 < _grey(case, found.pool) < 1.25


def test_the_border_preset_blackens_the_wall_and_parts_pool_from_scar():
    case = _simulated(2, scar=True, sequence=LgeSequence.PSIR, inversion_error=0.0)
    found = window_level.tissues(case)
    assert found.scar is not None
    assert _grey(case, found.remote, window_level.BORDER) < 0
    apart = {
        name: _grey(case, found.scar, name) - _grey(case, found.pool, name)
        for name in window_level.PRESETS
    }
    assert apart[window_level.BORDER] == max(apart.values())


def test_an_even_stack_has_a_window():
    stack = make_phantom_stack()
    flat = Case.new(replace(stack, pixels=np.full(stack.pixels.shape, 7.0, dtype=np.float32)))
    for name in window_level.PRESETS:
        low, high = window_level.preset(flat, name)
        assert high > low


def test_the_choice_is_remembered_per_kind_of_sequence(tmp_path):
    settings = QSettings(str(tmp_path / "s.ini"), QSettings.Format.IniFormat)
    stack = make_phantom_stack()
    magnitude = Case.new(replace(stack, sequence=LgeSequence.MAGNITUDE))
    psir = Case.new(replace(stack, sequence=LgeSequence.PSIR))
    assert window_level.recalled(settings, psir)[0] == window_level.AUTOMATIC
    window_level.remember(settings, psir, window_level.BORDER)
    window_level.remember(settings, magnitude, (10.0, 90.0))
    assert window_level.recalled(settings, psir) == (
        window_level.BORDER, window_level.preset(psir, window_level.BORDER)
    )  # fmt: skip
    name, values = window_level.recalled(settings, magnitude)
    assert name == window_level.BY_HAND
    np.testing.assert_allclose(values, (10.0, 90.0), atol=0.2)


def test_opening_changes_the_window_once_when_the_wall_is_known(reader, phantom_stack):
    canvas, seen = reader.window.canvas, []
    was = canvas.set_levels

    def note(values: window_level.Levels) -> None:
        if not seen or seen[-1] != values:
            seen.append(values)
        was(values)

    canvas.set_levels = note
    reader.open(phantom_stack)
    reader.wait_ready()
    assert len(seen) <= 2
    assert reader.window.view_row.presets.currentText() == window_level.AUTOMATIC


def test_a_preset_is_chosen_in_the_row_and_key_a_comes_back(reading):
    row, canvas = reading.window.view_row, reading.window.canvas
    reading.act("auto_window")
    automatic = canvas.levels
    row.presets.textActivated.emit(window_level.FULL)
    assert canvas.levels == (
        float(reading.case.stack.pixels.min()), float(reading.case.stack.pixels.max())
    )  # fmt: skip
    reading.act("auto_window")
    assert canvas.levels == automatic
    assert row.presets.currentText() == window_level.AUTOMATIC


def test_each_slice_is_shown_by_its_own_remote_wall_unless_all_are_alike():
    stack = make_phantom_stack()
    offsets = np.arange(stack.n_slices, dtype=np.float32)[:, None, None]
    pixels = stack.pixels.copy()
    case = Case.new(replace(stack, pixels=pixels * (1 + 0.1 * offsets) + 3 * offsets))
    case.labels[:] = phantom_labels()
    low, high = window_level.preset(case, window_level.AUTOMATIC)
    balances = window_level.balances(case)
    greys, blood = [], []
    for k, balance in enumerate(balances):
        black, white = balance.levels((low, high))
        remote, pool = (50.0, 150.0)
        greys.append((remote * (1 + 0.1 * k) + 3 * k - black) / (white - black))
        blood.append((pool * (1 + 0.1 * k) + 3 * k - black) / (white - black))
    assert np.ptp(greys) < 1e-3 and 0 < greys[0] < 0.15
    assert np.ptp(blood) < 1e-3


def test_a_slice_that_does_not_tell_goes_between_its_neighbours():
    stack = make_phantom_stack()
    pixels = stack.pixels.copy()
    pixels[2] *= 3
    case = Case.new(replace(stack, pixels=pixels))
    assert window_level.balances(case) == ()
    case.labels[:] = phantom_labels()
    case.labels[2] = Label.BACKGROUND
    assert window_level.balances(case)[2].levels((0.0, 1.0)) == pytest.approx((0.0, 1.0), abs=0.3)


def test_the_lock_is_remembered_and_shows_all_slices_alike(reading, make_reader):
    views = reading.window.views
    assert len(views.shared.balances) == reading.case.stack.n_slices
    reading.act("lock_levels")
    assert views.shared.balances == ()
    assert views.canvas.shown_levels == views.canvas.levels
    other = make_reader()
    assert other.window.actions_by_name["lock_levels"].isChecked()
    reading.act("lock_levels")
    assert views.shared.balances
