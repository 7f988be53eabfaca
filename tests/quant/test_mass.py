"""Masses worked out by hand on unequal, oblique, irregular and flipped stacks."""

from __future__ import annotations

from dataclasses import replace
from math import cos, pi, sin

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scarseg.case.history import SliceStatus
from scarseg.case.labels import Label, LabelArray
from scarseg.case.measurements import MassConvention, Measurements
from scarseg.case.stack import LoadWarning, SliceSource, Stack
from scarseg.errors import InputError
from scarseg.quant.mass import ProposedInfarct, measure, slice_depths_mm

THICKNESS, SPACING = MassConvention.THICKNESS, MassConvention.SPACING


def make_stack(
    shape: tuple[int, int, int],
    positions: list[float],
    pixel_spacing: tuple[float, float] = (2.0, 0.5),
    thickness: float = 8.0,
    axes: npt.NDArray[np.float64] | None = None,
) -> Stack:
    """Make a stack; ``axes`` are its row direction, column direction and normal as rows."""
    axes = np.eye(3) if axes is None else axes
    origins = [tuple(float(v) for v in np.array([5.0, -3.0, 7.0]) + z * axes[2]) for z in positions]
    return Stack(
        pixels=np.zeros(shape, dtype=np.float32),
        pixel_spacing_mm=pixel_spacing,
        slice_thickness_mm=thickness,
        orientation=tuple(float(v) for v in axes[:2].ravel()),  # type: ignore[arg-type]
        origins_mm=tuple(origins),  # type: ignore[arg-type]
        sources=tuple(SliceSource(f"1.2.{k}") for k in range(shape[0])),
        series_uid="1.2",
        study_uid="1",
    )


def oblique() -> npt.NDArray[np.float64]:
    a, b = 0.6, -1.1
    turn_z = np.array([[cos(a), sin(a), 0], [-sin(a), cos(a), 0], [0, 0, 1]])
    turn_x = np.array([[1, 0, 0], [0, cos(b), sin(b)], [0, -sin(b), cos(b)]])
    return np.asarray(turn_z @ turn_x)


def labels_with(shape: tuple[int, int, int], *counts: dict[Label, int]) -> LabelArray:
    """Fill each slice with so many voxels of each label, from its first voxel on."""
    labels = np.zeros(shape, dtype=np.uint8)
    for k, wanted in enumerate(counts):
        values = [int(label) for label, n in wanted.items() for _ in range(n)]
        labels[k].flat[: len(values)] = values
    return labels


def measured(labels: LabelArray, stack: Stack, **kwargs: object) -> Measurements:
    statuses = [SliceStatus.PROPOSED] * stack.n_slices
    return measure(labels, stack, statuses, **kwargs)  # type: ignore[arg-type]


@pytest.mark.parametrize("axes", [np.eye(3), oblique(), np.diag([1.0, 1.0, -1.0])])
def test_mass_by_hand(axes: npt.NDArray[np.float64]) -> None:
    """2.0 x 0.5 mm pixels, 8 mm thick, at 0, 10, 22 and 30 mm."""
    shape = (4, 6, 7)
    stack = make_stack(shape, [0, 10, 22, 30], axes=axes)
    labels = labels_with(
        shape,
        {Label.SCAR: 3, Label.MYOCARDIUM: 4, Label.BLOOD_POOL: 9},
        {Label.SCAR: 5, Label.MVO: 2},
        {Label.MVO: 1, Label.MYOCARDIUM: 6},
        {Label.SCAR: 7},
    )
    result = measured(labels, stack)
    # One voxel is 2.0 * 0.5 = 1 mm2; infarct 3, 7, 1, 7 voxels; depths 10, 11, 10, 8 mm.
    assert result.scar_mass_thickness_g == pytest.approx(1.05e-3 * 18 * 8, rel=1e-12)
    assert result.scar_mass_spacing_g == pytest.approx(
        1.05e-3 * (3 * 10 + 7 * 11 + 1 * 10 + 7 * 8), rel=1e-12
    )
    assert result.mvo_mass_thickness_g == pytest.approx(1.05e-3 * 3 * 8, rel=1e-12)
    assert result.mvo_mass_spacing_g == pytest.approx(1.05e-3 * (2 * 11 + 1 * 10), rel=1e-12)
    assert result.lv_mass_thickness_g == pytest.approx(1.05e-3 * 28 * 8, rel=1e-12)
    assert result.lv_mass_spacing_g == pytest.approx(
        1.05e-3 * (7 * 10 + 7 * 11 + 7 * 10 + 7 * 8), rel=1e-12
    )
    assert result.scar_mass_g == result.scar_mass_thickness_g
    assert result.scar_volume_ml == pytest.approx(0.144, rel=1e-12)
    assert result.scar_percent_lv == pytest.approx(100 * 18 / 28, rel=1e-12)
    assert [one.n_infarct_voxels for one in result.slices] == [3, 7, 1, 7]
    assert [one.scar_area_mm2 for one in result.slices] == pytest.approx([3, 7, 1, 7])
    assert [one.position_mm for one in result.slices] == pytest.approx([0, 10, 22, 30])


def test_headline_follows_the_convention() -> None:
    shape = (3, 4, 4)
    stack = make_stack(shape, [0, 10, 20])
    labels = labels_with(shape, {Label.SCAR: 1, Label.MYOCARDIUM: 1}, {Label.MVO: 1})
    result = measured(labels, stack, convention=SPACING, density_g_per_ml=2.0)
    assert result.scar_mass_g == pytest.approx(2e-3 * 20)
    assert result.mvo_mass_g == pytest.approx(2e-3 * 10)
    assert result.lv_mass_g == pytest.approx(2e-3 * 30)
    assert result.scar_volume_ml == pytest.approx(0.02)
    assert result.scar_percent_lv == pytest.approx(100 * 20 / 30)
    assert result.scar_mass_thickness_g == pytest.approx(2e-3 * 16)


def test_lv_mass_is_blank_without_myocardium() -> None:
    shape = (2, 4, 4)
    result = measured(labels_with(shape, {Label.SCAR: 4}), make_stack(shape, [0, 8]))
    assert result.scar_mass_g > 0
    assert result.lv_mass_g is None
    assert result.lv_mass_spacing_g is None
    assert result.scar_percent_lv is None


def test_no_scar_is_zero_grams_of_a_known_wall() -> None:
    shape = (2, 4, 4)
    result = measured(labels_with(shape, {Label.MYOCARDIUM: 4}), make_stack(shape, [0, 8]))
    assert result.scar_mass_g == 0.0
    assert result.scar_percent_lv == 0.0


def test_depths_of_an_irregular_stack() -> None:
    stack = make_stack((4, 2, 2), [0, 10, 22, 30])
    assert slice_depths_mm(stack, SPACING) == pytest.approx((10, 11, 10, 8))
    assert slice_depths_mm(stack, THICKNESS) == (8.0, 8.0, 8.0, 8.0)


def test_depths_of_two_slices_are_their_distance() -> None:
    assert slice_depths_mm(make_stack((2, 2, 2), [0, 9]), SPACING) == pytest.approx((9, 9))


@pytest.mark.parametrize(
    ("header", "depth"),
    [(9.5, 9.5), (0.8, 0.8), (None, 8.0), (0.0, 8.0), (-0.5, 8.0), (float("inf"), 8.0)],
)
def test_single_slice_falls_back_and_warns(header: float | None, depth: float) -> None:
    shape = (1, 4, 4)
    stack = replace(make_stack(shape, [0]), spacing_between_slices_mm=header)
    result = measured(labels_with(shape, {Label.SCAR: 2}), stack)
    assert slice_depths_mm(stack, SPACING) == (depth,)
    assert result.scar_mass_spacing_g == pytest.approx(1.05e-3 * 2 * depth)
    assert "W_SINGLE_SLICE" in result.warnings


@pytest.mark.parametrize(
    ("spacing", "warned"),
    [(8.0, False), (8.08, False), (8.085, True), (7.925, False), (7.915, True)],
)
def test_conventions_apart_by_more_than_one_percent_are_warned_about(
    spacing: float, warned: bool
) -> None:
    shape = (3, 4, 4)
    stack = make_stack(shape, [0, spacing, 2 * spacing])
    result = measured(labels_with(shape, {Label.SCAR: 2}), stack)
    assert ("W_CONVENTION" in result.warnings) is warned


def test_warnings_of_the_reader_come_first_without_doubles() -> None:
    shape = (3, 4, 4)
    stack = replace(
        make_stack(shape, [0, 10, 20]),
        warnings=(
            LoadWarning("W_GAP", "a"),
            LoadWarning("W_GAP_IRREGULAR", "b"),
            LoadWarning("W_GAP", "c"),
        ),
        complete=False,
    )
    result = measured(labels_with(shape, {Label.SCAR: 2}), stack)
    assert result.warnings == ("W_GAP", "W_GAP_IRREGULAR", "W_INCOMPLETE")
    assert not result.complete


@pytest.mark.parametrize("density", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_density_is_refused(density: float) -> None:
    with pytest.raises(InputError, match="E_DENSITY"):
        measured(
            np.zeros((1, 2, 2), dtype=np.uint8),
            make_stack((1, 2, 2), [0]),
            density_g_per_ml=density,
        )


@pytest.mark.parametrize("density", [0.5, 1.0])
def test_any_positive_density_scales_the_mass(density: float) -> None:
    shape = (1, 2, 2)
    result = measured(
        labels_with(shape, {Label.SCAR: 2}), make_stack(shape, [0]), density_g_per_ml=density
    )
    assert result.scar_mass_thickness_g == pytest.approx(density * 1e-3 * 2 * 8)


@pytest.mark.parametrize(("shape", "n_statuses"), [((2, 2, 3), 2), ((2, 2, 2), 1)])
def test_labels_and_statuses_must_fit_the_stack(
    shape: tuple[int, int, int], n_statuses: int
) -> None:
    with pytest.raises(ValueError, match="must fit"):
        measure(
            np.zeros(shape, dtype=np.uint8),
            make_stack((2, 2, 2), [0, 8]),
            [SliceStatus.PROPOSED] * n_statuses,
        )


def test_slices_that_only_touch_do_not_overlap() -> None:
    """Of slices of 100 mm those overlap that are less than 99 mm apart."""
    for spacing, convention in ((99.0, THICKNESS), (98.9, SPACING)):
        stack = make_stack((3, 2, 2), [0, spacing, 2 * spacing], thickness=100.0)
        result = measured(labels_with((3, 2, 2), {Label.SCAR: 1}), stack)
        assert result.convention is convention


def test_empty_labels_warn_of_nothing() -> None:
    stack = make_stack((3, 2, 2), [0, 10, 20])
    assert measured(np.zeros((3, 2, 2), dtype=np.uint8), stack).warnings == ()


def test_proposed_infarct_is_weighed_like_the_measured_one() -> None:
    """Pixels of 1.5 x 2 mm, 8 mm thick, 10 mm apart."""
    shape = (3, 4, 4)
    stack = make_stack(shape, [0, 10, 20], (1.5, 2.0))
    proposed = (ProposedInfarct(4, True), None, ProposedInfarct(2, False))
    result = measured(labels_with(shape, {Label.SCAR: 5}), stack, proposed=proposed)
    assert result.slices[0].scar_area_mm2 == pytest.approx(5 * 3)
    assert [one.changed for one in result.slices] == [True, None, False]
    by_slice = [
        (one.scar_mass_proposed_thickness_g, one.scar_mass_proposed_spacing_g)
        for one in result.slices
    ]
    assert by_slice[0] == pytest.approx((1.05e-3 * 4 * 3 * 8, 1.05e-3 * 4 * 3 * 10))
    assert by_slice[1] == (None, None)
    assert by_slice[2] == pytest.approx((1.05e-3 * 2 * 3 * 8, 1.05e-3 * 2 * 3 * 10))
    assert result.scar_mass_proposed_thickness_g == pytest.approx(1.05e-3 * 6 * 3 * 8)
    assert result.scar_mass_proposed_spacing_g == pytest.approx(1.05e-3 * 6 * 3 * 10)
    unknown = measured(labels_with(shape, {Label.SCAR: 5}), stack)
    assert unknown.scar_mass_proposed_thickness_g is None
    assert unknown.scar_mass_proposed_spacing_g is None


UNSEEN, PROPOSED = SliceStatus.UNSEEN, SliceStatus.PROPOSED


@pytest.mark.parametrize(
    ("status", "counts", "sought", "n_mvo"),
    [
        (PROPOSED, {Label.SCAR: 3}, False, None),
        (PROPOSED, {Label.SCAR: 1}, False, None),
        (PROPOSED, {Label.SCAR: 3}, True, 0),
        (PROPOSED, {Label.SCAR: 3, Label.MVO: 1}, False, 1),
        (PROPOSED, {Label.MYOCARDIUM: 3}, False, 0),
        (UNSEEN, {}, True, None),
        (UNSEEN, {Label.SCAR: 1}, True, 0),
        (UNSEEN, {Label.SCAR: 1}, False, None),
    ],
)
def test_mvo_is_zero_only_where_it_was_looked_for(
    status: SliceStatus, counts: dict[Label, int], sought: bool, n_mvo: int | None
) -> None:
    shape = (2, 3, 3)
    stack = make_stack(shape, [0, 10])
    result = measure(
        labels_with(shape, counts), stack, [status, UNSEEN], mvo_sought=(sought, False)
    )
    first = result.slices[0]
    grams = None if n_mvo is None else pytest.approx(1.05e-3 * n_mvo * 8)
    assert (first.n_mvo_voxels, first.mvo_mass_thickness_g) == (n_mvo, grams)
    assert result.mvo_mass_thickness_g == grams
    spaced = None if n_mvo is None else pytest.approx(1.05e-3 * n_mvo * 10)
    assert (first.mvo_mass_spacing_g, result.mvo_mass_spacing_g) == (spaced, spaced)


def test_mvo_of_a_stack_is_unknown_where_one_slice_with_scar_is() -> None:
    shape = (2, 3, 3)
    labels = labels_with(shape, {Label.SCAR: 2, Label.MVO: 1}, {Label.SCAR: 2})
    stack, statuses = make_stack(shape, [0, 10]), [PROPOSED] * 2
    assert measure(labels, stack, statuses, mvo_sought=(True, False)).mvo_mass_g is None
    sought = measure(labels, stack, statuses, mvo_sought=(True, True))
    assert sought.mvo_mass_g == pytest.approx(1.05e-3 * 8)


def test_labelled_mvo_shows_that_it_was_looked_for() -> None:
    shape = (2, 3, 3)
    stack = make_stack(shape, [0, 10])
    scar = {Label.SCAR: 2}
    assert measured(labels_with(shape, scar, scar), stack).mvo_mass_g is None
    with_mvo = measured(labels_with(shape, scar, {**scar, Label.MVO: 1}), stack)
    assert [one.n_mvo_voxels for one in with_mvo.slices] == [0, 1]


def test_reviewed_slices_are_counted() -> None:
    stack = make_stack((4, 2, 2), [0, 8, 16, 24])
    statuses = [
        SliceStatus.ACCEPTED,
        SliceStatus.PROPOSED,
        SliceStatus.NO_SCAR,
        SliceStatus.NOT_ASSESSABLE,
    ]
    result = measure(np.zeros((4, 2, 2), dtype=np.uint8), stack, statuses)
    assert result.n_slices_reviewed == 3
    assert [one.status for one in result.slices] == statuses


@given(
    steps=st.lists(st.floats(1, 20), min_size=1, max_size=6),
    seed=st.integers(0, 2**32 - 1),
    spacing=st.tuples(st.floats(0.3, 4), st.floats(0.3, 4)),
)
def test_mass_does_not_change_under_flips_nor_reversal(
    steps: list[float], seed: int, spacing: tuple[float, float]
) -> None:
    positions = [0.0, *np.cumsum(steps).tolist()]
    shape = (len(positions), 5, 4)
    labels = np.random.default_rng(seed).integers(0, 5, shape, dtype=np.uint8)
    here = measured(labels, make_stack(shape, positions, spacing))
    turned = make_stack((shape[0], 4, 5), positions, spacing[::-1])
    back = [positions[-1] - z for z in positions[::-1]]
    for other in (
        measured(labels[:, ::-1], make_stack(shape, positions, spacing)),
        measured(labels[:, :, ::-1], make_stack(shape, positions, spacing)),
        measured(labels.transpose(0, 2, 1), turned),
        measured(labels[::-1], make_stack(shape, back, spacing)),
    ):
        assert other.scar_mass_thickness_g == pytest.approx(here.scar_mass_thickness_g, rel=1e-9)
        assert other.scar_mass_spacing_g == pytest.approx(here.scar_mass_spacing_g, rel=1e-9)
        assert other.lv_mass_spacing_g == pytest.approx(here.lv_mass_spacing_g, rel=1e-9)


def test_doubled_spacing_is_four_times_the_mass() -> None:
    shape = (3, 5, 4)
    labels = np.random.default_rng(1).integers(0, 5, shape, dtype=np.uint8)
    once = measured(labels, make_stack(shape, [0, 10, 20], (1.3, 1.7)))
    twice = measured(labels, make_stack(shape, [0, 10, 20], (2.6, 3.4)))
    assert twice.scar_mass_spacing_g == pytest.approx(4 * once.scar_mass_spacing_g, rel=1e-12)


def test_digital_cylinder_comes_close_to_paper() -> None:
    """Cylinder of radius 20 mm and 60 mm height on 1.4 x 1.1 mm: pi r2 h rho, within 0.3 %."""
    rng = np.random.default_rng(7)
    positions = [10.0 * k for k in range(6)]
    errors = []
    for _ in range(300):
        row0, column0 = rng.uniform(-1, 1, 2)
        rows, columns = np.mgrid[:48, :60] + 0.5
        y, x = (rows - 24) * 1.4 + row0, (columns - 30) * 1.1 + column0
        inside = np.hypot(x, y) < 20
        labels = np.where(inside, Label.SCAR, 0).astype(np.uint8)[None].repeat(6, axis=0)
        stack = make_stack(labels.shape, positions, (1.4, 1.1), thickness=10.0)
        errors.append(measured(labels, stack).scar_mass_spacing_g / (1.05e-3 * pi * 400 * 60) - 1)
    assert abs(float(np.mean(errors))) < 0.003
