"""Simulated stacks: deterministic, consistent with their truth, and varied."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from scarseg.case.labels import Label, infarct_mask, wall_mask
from scarseg.case.stack import LgeSequence
from scarseg.quant.segments import Territory
from scarseg.simulate.anatomy import SimulationOptions
from scarseg.simulate.series import SimulatedStack, simulate_stack

SMALL = {"rows": 144, "columns": 160, "n_slices": 6}


def same(one: SimulatedStack, two: SimulatedStack) -> bool:
    return one.stack.pixels.tobytes() == two.stack.pixels.tobytes() and np.array_equal(
        one.truth, two.truth
    )


def test_same_seed_same_bytes_whatever_numpy_was_asked_before() -> None:
    options = SimulationOptions(**SMALL)
    first = simulate_stack(7, options)
    np.random.seed(0)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    again = simulate_stack(7, options)
    assert same(first, again)
    assert first.stack.series_uid == again.stack.series_uid
    assert np.array_equal(state, np.random.get_state()[1])  # type: ignore[index]  # noqa: NPY002


def test_seeds_differ() -> None:
    options = SimulationOptions(**SMALL)
    assert not same(simulate_stack(1, options), simulate_stack(2, options))
    assert simulate_stack(1, options).stack.study_uid != simulate_stack(2, options).stack.study_uid


def test_a_generator_gives_another_stack_each_time() -> None:
    rng = np.random.default_rng(3)
    options = SimulationOptions(**SMALL)
    assert simulate_stack(rng, options).seed != simulate_stack(rng, options).seed


@pytest.mark.parametrize("seed", range(3))
def test_truth_is_a_ring_round_a_pool_with_scar_inside_the_wall(seed: int) -> None:
    simulated = simulate_stack(seed, SimulationOptions(scar=True, beyond_heart=False))
    truth = simulated.truth
    assert truth.shape == simulated.stack.pixels.shape
    assert truth.dtype == np.uint8
    assert truth.max() <= Label.MVO
    for labels in truth:
        wall, pool = wall_mask(labels), labels == Label.BLOOD_POOL
        if not wall.any():
            continue
        filled = ndimage.binary_fill_holes(wall)
        assert not (pool & ~filled).any(), "the wall closes round the pool"
        assert ndimage.label(filled)[1] == 1
        edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        assert not edge.any(), "the heart lies inside the picture"


def test_scar_is_where_the_territory_says() -> None:
    middle = {}
    for territory in Territory:
        found = []
        for seed in range(3):
            options = SimulationOptions(territories=(territory,), **SMALL)
            truth = simulate_stack(seed, options).truth
            _, rows, columns = np.nonzero(infarct_mask(truth))
            _, all_rows, all_columns = np.nonzero(truth)
            found.append((columns.mean() - all_columns.mean(), rows.mean() - all_rows.mean()))
        middle[territory] = np.mean(found, axis=0)
    assert middle[Territory.LAD][1] < -3, "anterior is up"
    assert middle[Territory.RCA][1] > 3, "inferior is down"
    assert middle[Territory.LCX][0] > 3, "lateral is right"


def test_magnitude_and_psir_show_the_same_heart() -> None:
    magnitude, psir = (
        simulate_stack(5, SimulationOptions(sequence=kind, **SMALL)) for kind in LgeSequence
    )
    assert magnitude.stack.sequence is LgeSequence.MAGNITUDE
    assert np.array_equal(magnitude.truth, psir.truth)
    assert magnitude.stack.origins_mm == psir.stack.origins_mm
    assert magnitude.stack.study_uid == psir.stack.study_uid
    assert magnitude.stack.series_uid != psir.stack.series_uid
    assert magnitude.stack.pixels.min() >= 0
    assert psir.stack.pixels.min() < 0


@pytest.mark.parametrize("sequence", list(LgeSequence))
def test_scar_is_brighter_than_remote_and_mvo_darker_than_scar(sequence: LgeSequence) -> None:
    options = SimulationOptions(
        territories=(Territory.LAD,), mvo=True, sequence=sequence, inversion_error=0.0, **SMALL
    )
    simulated = [simulate_stack(seed, options) for seed in range(6)]
    levels = {
        label: np.mean(
            [
                s.stack.pixels[s.truth == label].mean() / np.abs(s.stack.pixels).max()
                for s in simulated
                if (s.truth == label).any()
            ]
        )
        for label in Label
    }
    assert levels[Label.SCAR] > 1.5 * max(levels[Label.MYOCARDIUM], 0.05)
    assert levels[Label.BLOOD_POOL] > 1.5 * max(levels[Label.MYOCARDIUM], 0.05)
    assert levels[Label.MVO] < levels[Label.SCAR]


def test_options_fix_what_they_name() -> None:
    options = SimulationOptions(
        scar=False,
        n_slices=7,
        rows=150,
        columns=170,
        pixel_spacing_mm=(1.9, 1.5),
        slice_thickness_mm=6.0,
        slice_gap_mm=2.0,
    )
    simulated = simulate_stack(11, options)
    assert not simulated.has_scar
    assert simulated.stack.pixels.shape == (7, 150, 170)
    assert simulated.stack.pixel_spacing_mm == (1.9, 1.5)
    assert simulated.stack.slice_thickness_mm == 6.0
    assert simulated.stack.slice_spacing_mm == pytest.approx(8.0, abs=1e-5)


def test_simulated_patients_differ() -> None:
    stacks = [simulate_stack(seed) for seed in range(12)]
    scarred = [s.has_scar for s in stacks]
    assert any(scarred) and not all(scarred)
    assert len({s.stack.sequence for s in stacks}) == 2
    assert len({(s.stack.rows, s.stack.columns) for s in stacks}) > 6
    centres = []
    for s in stacks:
        _, rows, columns = np.nonzero(s.truth)
        centres.append((rows.mean() / s.stack.rows, columns.mean() / s.stack.columns))
        row, column = (np.array(v) for v in (s.stack.orientation[:3], s.stack.orientation[3:]))
        assert abs(row @ column) < 1e-9
        assert 144 <= s.stack.rows <= 320 and 144 <= s.stack.columns <= 320
        assert all(1.1 <= v <= 2.0 for v in s.stack.pixel_spacing_mm)
    assert np.ptp(centres, axis=0).min() > 0.15, "the heart is anywhere in the picture"


@pytest.mark.parametrize("seed", [20133, 20149, 20163, 20287, 20391, 20161])
def test_the_tip_of_the_apex_is_a_closed_ring_too(seed: int) -> None:
    truth = simulate_stack(seed).truth
    assert truth.any()
    for labels in truth:
        wall = wall_mask(labels)
        if wall.any():
            assert ndimage.label(wall)[1] == 1
            pool = labels == Label.BLOOD_POOL
            assert not (pool & ~ndimage.binary_fill_holes(wall)).any()


def test_the_same_seed_with_other_options_is_another_series() -> None:
    wide = simulate_stack(3, SimulationOptions(n_slices=6, rows=144, columns=152))
    narrow = simulate_stack(3, SimulationOptions(n_slices=6, rows=152, columns=144))
    assert wide.stack.series_uid != narrow.stack.series_uid
    assert wide.stack.study_uid != narrow.stack.study_uid
