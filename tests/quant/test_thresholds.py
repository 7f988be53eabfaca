"""Threshold methods by hand, on anisotropic and flipped stacks, and on simulated ones."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.filters import threshold_otsu

from scarseg.case.labels import Label, LabelArray, MaskArray, infarct_mask, wall_mask
from scarseg.case.stack import FloatArray, LgeSequence
from scarseg.errors import InputError
from scarseg.quant.components import remove_islands
from scarseg.quant.mvo import dark_cores
from scarseg.quant.overlap import dice
from scarseg.quant.remote import (
    MINIMUM_VOXELS,
    RemoteRegion,
    propose_remote,
    propose_remote_outside,
)
from scarseg.quant.thresholds import (
    MethodUnfit,
    Scope,
    ThresholdMethod,
    ThresholdRules,
    ThresholdScar,
    fwhm_mask,
    scar_region,
    threshold_scar,
)
from scarseg.simulate.anatomy import SimulationOptions
from scarseg.simulate.series import simulate_stack

SPACING = (2.0, 1.0)
PLAIN = ThresholdRules(island_mm2=0.0, dark_cores=False)
M = ThresholdMethod


def threshold_all(*arguments: Any, **more: Any) -> dict[ThresholdMethod, ThresholdScar]:
    """Segment scar by every method but the manual one."""
    methods = [method for method in M if method is not M.MANUAL]
    return {method: threshold_scar(method, *arguments, **more) for method in methods}


def strip(*rows: list[float]) -> tuple[FloatArray, MaskArray]:
    """Make slices of one row of wall each."""
    pixels = np.array(rows, dtype=np.float32)[:, None, :]
    return pixels, np.ones(pixels.shape, dtype=bool)


def ring_stack(seed: int = 0) -> tuple[FloatArray, LabelArray]:
    """Make 3 slices of 1.5 x 1.0 mm: ring of radii 14 and 24 mm, scar at the lower right.

    Remote 20 +/- 2, dimmest at the upper left; scar 100, outside 60, pool 90.
    """
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid((np.arange(44) - 20.3) * 1.5, np.arange(64) - 31.6, indexing="ij")
    radius, angle = np.hypot(x, y), np.degrees(np.arctan2(y, x))
    labels = np.zeros((3, 44, 64), dtype=np.uint8)
    labels[:, radius < 14] = Label.BLOOD_POOL
    wall = (radius >= 14) & (radius < 24)
    labels[:, wall] = Label.MYOCARDIUM
    labels[:2, wall & (np.abs(angle - 40) < 30)] = Label.SCAR
    levels = np.array([60.0, 90.0, 20.0, 100.0, 20.0])
    pixels = levels[labels] + rng.normal(0, 2, labels.shape)
    pixels += 3 * np.cos(np.radians(angle + 140 - 180)) * (labels == Label.MYOCARDIUM)
    return pixels.astype(np.float32), labels


def test_levels_by_hand() -> None:
    """Wall 10 to 100; remote 10, 12, 14, 12, 10, 12, 14, 12: mean 12, sample SD 1.5119."""
    remote_values = [10.0, 12, 14, 12, 10, 12, 14, 12]
    pixels, wall = strip([*remote_values, 30, 56, 57, 100, 8])
    remote = np.zeros_like(wall)
    remote[0, 0, :8] = True
    remote = RemoteRegion.drawn(remote)
    sd = np.sqrt(16 / 7)
    expected = {
        M.SD_2: 12 + 2 * sd,
        M.SD_3: 12 + 3 * sd,
        M.SD_4: 12 + 4 * sd,
        M.SD_5: 12 + 5 * sd,
        M.SD_6: 12 + 6 * sd,
        M.FWHM_MAX: 50.0,
        M.FWHM_REMOTE: 56.0,
        M.FWHM_MIN: 54.0,
        M.OTSU: threshold_otsu(pixels[wall].astype(float)),
    }
    found = threshold_all(pixels, wall, SPACING, remote=remote, rules=PLAIN)
    assert set(found) == set(expected)
    for method, level in expected.items():
        assert found[method].thresholds == (pytest.approx(level),), method
        assert np.array_equal(found[method].scar, pixels > level), method
        assert found[method].reason is None
    # A voxel at the threshold is not above it.
    assert found[M.FWHM_REMOTE].scar.sum() == 2


def test_otsu_parts_two_kinds_of_signal() -> None:
    pixels, wall = strip([10, 11, 12, 10, 11, 80, 81, 79])
    found = threshold_scar(M.OTSU, pixels, wall, SPACING, rules=PLAIN)
    assert np.array_equal(found.scar, pixels > 50)


def test_threshold_per_slice_or_per_stack() -> None:
    pixels, wall = strip([10, 60, 100], [10, 30, 50])
    each = threshold_scar(M.FWHM_MAX, pixels, wall, SPACING, rules=PLAIN)
    assert each.thresholds == (50, 25)
    assert each.scar.sum() == 4
    whole = ThresholdRules(scope=Scope.STACK, island_mm2=0.0)
    stack = threshold_scar(M.FWHM_MAX, pixels, wall, SPACING, rules=whole)
    assert stack.thresholds == (50, 50)
    assert stack.scar.sum() == 2
    low = threshold_scar(M.FWHM_MIN, pixels, wall, SPACING, rules=whole)
    assert low.thresholds == (55, 55)


def test_robust_maximum_leaves_an_outlier_out() -> None:
    pixels, wall = strip([*range(100), 1000])
    rules = ThresholdRules(maximum_percentile=99.0, island_mm2=0.0)
    assert threshold_scar(M.FWHM_MAX, pixels, wall, SPACING, rules=rules).thresholds == (49.5,)


def test_region_restricts_the_maximum_and_the_mask() -> None:
    pixels, wall = strip([40, 40, 0, 90, 100], [90, 0, 0, 0, 0])
    region = np.zeros_like(wall)
    region[0, 0, :3] = True
    found = threshold_scar(M.FWHM_MAX, pixels, wall, SPACING, region=region, rules=PLAIN)
    assert found.thresholds == (20, None)
    assert np.argwhere(found.scar).tolist() == [[0, 0, 0], [0, 0, 1]]
    wall[0, 0, 0] = False
    found = threshold_scar(M.FWHM_MAX, pixels, wall, SPACING, region=region, rules=PLAIN)
    assert np.argwhere(found.scar).tolist() == [[0, 0, 1]]


def test_region_leaves_the_dark_end_of_the_wall_in_sight() -> None:
    """The minimum, and what Otsu parts, are those of the wall; the maximum is the region's."""
    pixels, wall = strip([10, 12, 11, 60, 80, 79, 200])
    region = np.zeros_like(wall)
    region[0, 0, 3:6] = True
    low = threshold_scar(M.FWHM_MIN, pixels, wall, SPACING, region=region, rules=PLAIN)
    assert low.thresholds == (45,)
    otsu = threshold_scar(M.OTSU, pixels, wall, SPACING, region=region, rules=PLAIN)
    assert otsu.thresholds == (pytest.approx(threshold_otsu(pixels[wall].astype(float))),)


def test_fwhm_grows_from_the_brightest_voxel_of_each_part_of_the_region() -> None:
    pixels, wall = strip([100, 80, 0, 70, 0, 0, 60, 40, 0, 55])
    region = wall.copy()
    region[0, 0, 5] = False
    found = threshold_scar(M.FWHM_MAX, pixels, wall, SPACING, region=region, rules=PLAIN)
    # 70 is bright but apart from 100; 60 leads the second part, 55 is apart from it.
    assert np.argwhere(found.scar)[:, 2].tolist() == [0, 1, 6]
    loose = ThresholdRules(island_mm2=0.0, grown=False)
    found = threshold_scar(M.FWHM_MAX, pixels, wall, SPACING, region=region, rules=loose)
    assert np.argwhere(found.scar)[:, 2].tolist() == [0, 1, 3, 6, 9]
    found = threshold_scar(M.FWHM_MAX, pixels, wall, SPACING, rules=PLAIN)
    assert np.argwhere(found.scar)[:, 2].tolist() == [0, 1, 3, 6, 9]


def test_islands_are_judged_by_area() -> None:
    """Pixels of 2 mm2: five of them are 10 mm2 and stay, four go."""
    mask = np.zeros((2, 5, 9), dtype=bool)
    mask[0, 0, :5] = mask[0, 2, :4] = mask[0, 4, 8] = True
    kept = remove_islands(mask, SPACING, 10.0)
    assert kept.sum() == 5
    assert kept[0, 0, :5].all()
    # A diagonal neighbour and one on the next slice do not connect.
    mask[0, 1, 5] = mask[1, 0, 0] = True
    assert remove_islands(mask, SPACING, 10.0).sum() == 5
    assert np.array_equal(remove_islands(mask, SPACING, 0.0), mask)


def test_manual_threshold() -> None:
    pixels, wall = strip([10, 60, 100], [10, 30, 50])
    one = threshold_scar(M.MANUAL, pixels, wall, SPACING, manual=40.0, rules=PLAIN)
    assert one.thresholds == (40, 40)
    assert one.scar.sum() == 3
    two = threshold_scar(M.MANUAL, pixels, wall, SPACING, manual=[80.0, 20.0], rules=PLAIN)
    assert two.scar.sum() == 3
    for wrong in (None, float("nan"), [1.0, 2.0, 3.0]):
        with pytest.raises(InputError, match="E_THRESHOLD"):
            threshold_scar(M.MANUAL, pixels, wall, SPACING, manual=wrong)


def test_where_a_method_does_not_apply_it_says_why() -> None:
    pixels, wall = strip([-10, 60, 100] * 4)
    psir = threshold_scar(M.FWHM_MAX, pixels, wall, SPACING, sequence=LgeSequence.PSIR)
    assert psir.reason is MethodUnfit.PSIR
    assert not psir.infarct.any()
    assert threshold_scar(M.SD_5, pixels, wall, SPACING).reason is MethodUnfit.NO_REMOTE
    few = np.zeros_like(wall)
    few[0, 0, : MINIMUM_VOXELS - 1] = True
    drawn = RemoteRegion.drawn(few)
    found = threshold_scar(M.FWHM_REMOTE, pixels, wall, SPACING, remote=drawn)
    assert found.reason is MethodUnfit.NO_REMOTE
    assert threshold_scar(M.OTSU, pixels, ~wall, SPACING).reason is MethodUnfit.NO_WALL
    nowhere = threshold_scar(M.OTSU, pixels, wall, SPACING, region=~wall)
    assert nowhere.reason is MethodUnfit.NO_REGION
    assert not nowhere.scar.any()


def test_a_method_below_remote_is_blank_with_its_reason() -> None:
    """Half of the maximum lies below muscle once an offset is added: no mask, no mass."""
    pixels, labels = ring_stack()
    wall = wall_mask(labels)
    region = infarct_mask(labels)
    remote = propose_remote(wall, (1.5, 1.0))

    def fwhm(image: FloatArray) -> ThresholdScar:
        return threshold_scar(M.FWHM_MAX, image, wall, (1.5, 1.0), region=region, remote=remote)

    assert fwhm(pixels).reason is None
    lifted = fwhm(pixels + 200)
    assert lifted.reason is MethodUnfit.BELOW_REMOTE
    assert not lifted.infarct.any()
    # The thresholds that were found stay to be seen: half of about 300, under muscle at 220.
    assert lifted.thresholds[0] is not None and 140 < lifted.thresholds[0] < 160
    manual = threshold_scar(M.MANUAL, pixels, wall, (1.5, 1.0), remote=remote, manual=-50.0)
    assert manual.reason is None, "a reader may slide the threshold anywhere"


@pytest.mark.parametrize("method", [m for m in M if m not in (M.MANUAL, M.FWHM_MAX)])
def test_signed_grey_scales_change_nothing(method: ThresholdMethod) -> None:
    """PSIR is stored with any offset; half of a raw maximum alone depends on it."""
    pixels, labels = ring_stack()
    pixels = np.round(pixels)
    wall = wall_mask(labels)
    remote = propose_remote(wall, (1.5, 1.0))
    here = threshold_scar(method, pixels, wall, (1.5, 1.0), remote=remote)
    there = threshold_scar(
        method, 4 * pixels - 512, wall, (1.5, 1.0), remote=remote, sequence=LgeSequence.PSIR
    )
    assert here.scar.any()
    assert np.array_equal(here.scar, there.scar)


def everything(pixels: FloatArray, wall: MaskArray, spacing: tuple[float, float]) -> ThresholdScar:
    remote = propose_remote(wall, spacing)
    return threshold_scar(M.FWHM_REMOTE, pixels, wall, spacing, remote=remote)


@pytest.mark.parametrize("method", [m for m in M if m is not M.MANUAL])
def test_flipped_and_turned_stacks_give_flipped_and_turned_scar(method: ThresholdMethod) -> None:
    pixels, labels = ring_stack()

    def scar(image: FloatArray, drawn: LabelArray, spacing: tuple[float, float]) -> MaskArray:
        ring = wall_mask(drawn)
        remote = propose_remote(ring, spacing)
        region = scar_region(ring, infarct_mask(drawn), spacing)
        return threshold_scar(method, image, ring, spacing, region=region, remote=remote).infarct

    here = scar(pixels, labels, (1.5, 1.0))
    assert here.any()
    for turn in (np.s_[::-1], np.s_[:, ::-1], np.s_[:, :, ::-1]):
        assert np.array_equal(scar(pixels[turn], labels[turn], (1.5, 1.0)), here[turn])
    turned = scar(pixels.transpose(0, 2, 1), labels.transpose(0, 2, 1), (1.0, 1.5))
    assert np.array_equal(turned, here.transpose(0, 2, 1))


def test_ring_is_found_by_every_method_that_fits() -> None:
    pixels, labels = ring_stack()
    wall, truth = wall_mask(labels), infarct_mask(labels)
    remote = propose_remote(wall, (1.5, 1.0))
    whole = ThresholdRules(scope=Scope.STACK)
    for method, found in threshold_all(
        pixels, wall, (1.5, 1.0), remote=remote, rules=whole
    ).items():
        if method.n_sd is None or method.n_sd >= 5:
            assert np.array_equal(found.infarct, truth), method


def test_more_standard_deviations_are_less_scar() -> None:
    pixels, labels = ring_stack()
    wall = wall_mask(labels)
    remote = propose_remote(wall, (1.5, 1.0))
    found = threshold_all(pixels, wall, (1.5, 1.0), remote=remote, rules=PLAIN)
    masks = [found[m].scar for m in (M.SD_2, M.SD_3, M.SD_4, M.SD_5, M.SD_6)]
    for more, less in pairwise(masks):
        assert (more | ~less).all()
    assert masks[0].sum() > masks[-1].sum()


def test_dark_core_inside_scar_and_at_the_pool_is_offered() -> None:
    _, labels = ring_stack()
    wall, infarct = wall_mask(labels)[0], infarct_mask(labels)[0]
    y, x = np.meshgrid((np.arange(44) - 20.3) * 1.5, np.arange(64) - 31.6, indexing="ij")
    radius, angle = np.hypot(x, y), np.degrees(np.arctan2(y, x))
    inside = infarct & (np.abs(angle - 40) < 12) & (radius > 17) & (radius < 20)
    at_pool = infarct & (np.abs(angle - 40) < 12) & (radius < 18)
    at_outside = infarct & (np.abs(angle - 40) < 12) & (radius > 19)
    assert np.array_equal(dark_cores(infarct & ~inside, wall), inside)
    assert np.array_equal(dark_cores(infarct & ~at_pool, wall), at_pool)
    assert not dark_cores(infarct & ~at_outside, wall).any()
    assert not dark_cores(infarct, wall).any()
    assert not dark_cores(np.zeros_like(infarct), wall).any()


def test_core_may_show_through_its_epicardial_rim() -> None:
    """One gap of a pixel in the rim is a rim too thin for the pixels; a wide one is muscle."""
    wall = np.zeros((20, 20), dtype=bool)
    wall[4:16, 4:16] = True
    core = np.zeros_like(wall)
    core[5:12, 6:14] = True
    scar = wall & ~core
    scar[4, 10] = False
    core[4, 10] = True
    # The core is 57 voxels with 31 faces on scar, 1 outside; scar is 87.
    assert np.array_equal(dark_cores(scar, wall), core)
    scar[4, 8:12] = False
    assert not dark_cores(scar, wall).any()


def test_papillary_muscle_on_scar_is_not_a_core() -> None:
    """It is shut in by scar and blood, but by blood almost all round."""
    wall = np.ones((16, 16), dtype=bool)
    wall[4:12, 4:12] = False
    scar = wall.copy()
    scar[0] = False
    wall[0] = scar[0] = False
    wall[8:12, 8] = True
    finger = wall & ~scar
    assert finger.sum() == 4
    assert not dark_cores(scar, wall).any()


def test_remote_muscle_under_a_thin_rim_is_not_a_core() -> None:
    """Enhancement all round the epicardium shuts in more muscle than there is scar."""
    _, labels = ring_stack()
    wall = wall_mask(labels)[2]
    y, x = np.meshgrid((np.arange(44) - 20.3) * 1.5, np.arange(64) - 31.6, indexing="ij")
    rim = wall & (np.hypot(x, y) > 21)
    assert not dark_cores(rim, wall).any()


def test_mvo_counts_as_infarct_and_is_told_apart() -> None:
    pixels, labels = ring_stack()
    y, x = np.meshgrid((np.arange(44) - 20.3) * 1.5, np.arange(64) - 31.6, indexing="ij")
    core = np.hypot(x - 14.5, y - 12.2) < 2.2
    assert infarct_mask(labels)[0][core].all()
    pixels[0][core] = 15
    wall = wall_mask(labels)
    remote = propose_remote(wall, (1.5, 1.0))
    found = threshold_scar(M.FWHM_REMOTE, pixels, wall, (1.5, 1.0), remote=remote)
    assert np.array_equal(found.mvo[0], core)
    assert not (found.mvo & found.scar).any()
    assert np.array_equal(found.infarct[0], infarct_mask(labels)[0])
    without = ThresholdRules(dark_cores=False)
    found = threshold_scar(M.FWHM_REMOTE, pixels, wall, (1.5, 1.0), remote=remote, rules=without)
    assert not found.mvo.any()


def test_fwhm_of_one_slice_is_that_of_the_stack() -> None:
    pixels, labels = ring_stack()
    wall, region = wall_mask(labels), infarct_mask(labels)
    region = np.roll(region, 2, axis=2) | region
    stack = fwhm_mask(pixels, wall, (1.5, 1.0), region)
    one = fwhm_mask(pixels[0], wall[0], (1.5, 1.0), region[0])
    assert np.array_equal(one, stack[0])
    assert np.array_equal(one, infarct_mask(labels)[0])
    assert not stack[2].any()


def test_half_maximum_does_not_depend_on_the_grey_scale_unless_asked_to() -> None:
    """The default method finds the scar on an export with an offset; half of it all does not."""
    pixels, labels = ring_stack()
    wall, truth = wall_mask(labels), infarct_mask(labels)
    box = np.zeros_like(truth)
    box[:2, 18:44, 30:58] = True
    lifted = (pixels + 300).astype(np.float32)
    assert np.array_equal(fwhm_mask(lifted, wall, (1.5, 1.0), box), truth)
    raw = fwhm_mask(lifted, wall, (1.5, 1.0), box, method=M.FWHM_MAX)
    assert not raw.any(), "unfit: it would call the whole box scar"


def test_adopted_scar_replaces_the_one_there_and_keeps_the_wall() -> None:
    pixels, labels = ring_stack()
    labels[2, labels[2] == Label.MYOCARDIUM] = Label.SCAR
    wall = wall_mask(labels)
    remote = propose_remote(wall, (1.5, 1.0))
    found = threshold_scar(M.FWHM_REMOTE, pixels, wall, (1.5, 1.0), remote=remote)
    applied = found.apply_to(labels)
    assert np.array_equal(applied == Label.SCAR, found.scar)
    assert np.array_equal(applied == Label.MVO, found.mvo)
    assert np.array_equal(wall_mask(applied), wall)
    assert np.array_equal(applied == Label.BLOOD_POOL, labels == Label.BLOOD_POOL)


def test_inputs_are_left_as_they_were_and_answers_repeat() -> None:
    pixels, labels = ring_stack()
    wall, before = wall_mask(labels), pixels.copy()
    first = everything(pixels, wall, (1.5, 1.0))
    assert np.array_equal(pixels, before)
    assert np.array_equal(wall, wall_mask(labels))
    assert np.array_equal(everything(pixels, wall, (1.5, 1.0)).infarct, first.infarct)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 14), st.integers(1, 14)),
    share=st.floats(0, 1),
    levels=st.sampled_from([1, 2, 5, 4000]),
)
def test_any_wall_and_any_region_give_scar_inside_them(
    seed: int, shape: tuple[int, int, int], share: float, levels: int
) -> None:
    """Also open, scattered, at the border, empty or flat ones; no warning (an error here)."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(-levels, levels, shape).astype(np.float32)
    wall = rng.random(shape) < share
    region = rng.random(shape) < 0.7
    remote = propose_remote_outside(wall, (1.5, 1.0), region)
    assert not (remote.mask & ~wall).any()
    for scope in Scope:
        rules = ThresholdRules(scope=scope, island_mm2=3.0)
        for found in threshold_all(
            pixels, wall, (1.5, 1.0), region=region, remote=remote, rules=rules
        ).values():
            assert not (found.infarct & ~(wall & region)).any()
            assert not (found.scar & found.mvo).any()
            for k, level in enumerate(found.thresholds):
                if level is None:
                    assert not found.scar[k].any()
                else:
                    assert np.isfinite(level)
                    assert (pixels[k][found.scar[k]] > level).all()


def test_methods_are_plausible_on_a_simulated_patient() -> None:
    """Many standard deviations undercall where few overcall, around the truth."""
    options = SimulationOptions(
        scar=True,
        mvo=False,
        sequence=LgeSequence.MAGNITUDE,
        noise=0.03,
        n_slices=6,
        inversion_error=0.0,
    )
    simulated = simulate_stack(11, options)
    stack, truth = simulated.stack, infarct_mask(simulated.truth)
    wall = wall_mask(simulated.truth)
    remote = propose_remote(wall, stack.pixel_spacing_mm)
    found = threshold_all(stack.pixels, wall, stack.pixel_spacing_mm, remote=remote)
    volumes = [int(found[m].infarct.sum()) for m in (M.SD_2, M.SD_3, M.SD_5)]
    assert volumes[0] > volumes[1] > volumes[2]
    assert volumes[0] > truth.sum()
    scores = {method: dice(one.infarct, truth) for method, one in found.items()}
    assert max(score or 0 for score in scores.values()) > 0.7


def test_the_region_of_scar_ends_three_millimetres_from_it_within_the_wall() -> None:
    """Pixels of 2 x 1 mm; scar at column 5: columns 3 to 7 are nearer than 3 mm."""
    wall = np.ones((2, 1, 12), dtype=bool)
    wall[0, 0, 4] = False
    scar = np.zeros_like(wall)
    scar[0, 0, 5] = True
    region = scar_region(wall, scar, SPACING)
    assert np.flatnonzero(region[0]).tolist() == [3, 5, 6, 7]
    assert not region[1].any(), "a slice without scar has no region"
    boxes = np.zeros_like(wall)
    boxes[1, 0, 10:] = True
    assert np.flatnonzero(scar_region(wall, scar, SPACING, boxes)[1]).tolist() == [8, 9, 10, 11]


@pytest.mark.parametrize("method", [m for m in M if m.needs_region])
def test_the_region_decides_the_half_maximum_wherever_it_lies(method: ThresholdMethod) -> None:
    """Scar of 100 in muscle of 20: a bright artefact outside the region changes nothing."""
    pixels, labels = ring_stack()
    wall = wall_mask(labels)
    region = scar_region(wall, infarct_mask(labels), (1.5, 1.0))
    remote = propose_remote(wall, (1.5, 1.0), infarct_mask(labels))
    artefact = pixels.copy()
    row, column = np.argwhere(wall[0] & ~region[0])[0]
    artefact[0, row, column] = 5000
    one, other = (
        threshold_scar(method, each, wall, (1.5, 1.0), region=region, remote=remote)
        for each in (pixels, artefact)
    )
    assert one.reason is None
    assert np.array_equal(one.infarct, other.infarct)
    assert np.array_equal(one.infarct, infarct_mask(labels))


def test_rules_unless_others_are_asked_for() -> None:
    assert ThresholdRules() == ThresholdRules(Scope.SLICE, 100.0, 10.0, True, True)


def test_a_threshold_at_remote_is_not_below_it() -> None:
    """Remote is 20 everywhere; half of 40 is 20, half of 39 is below."""
    for brightest, reason in ((40.0, None), (39.0, MethodUnfit.BELOW_REMOTE)):
        pixels, wall = strip([20.0] * 12 + [brightest])
        remote = np.zeros_like(wall)
        remote[0, 0, :12] = True
        drawn = RemoteRegion.drawn(remote)
        found = threshold_scar(M.FWHM_MAX, pixels, wall, SPACING, remote=drawn, rules=PLAIN)
        assert found.reason is reason


def test_fwhm_grows_in_a_region_that_is_the_whole_image() -> None:
    pixels, wall = strip([100, 80, 0, 70])
    found = threshold_scar(M.FWHM_MAX, pixels, wall, SPACING, region=wall, rules=PLAIN)
    assert np.flatnonzero(found.scar).tolist() == [0, 1]


def test_scar_outside_the_wall_has_no_region() -> None:
    wall = np.ones((1, 1, 12), dtype=bool)
    wall[0, 0, 5] = False
    scar = ~wall
    assert not scar_region(wall, scar, SPACING).any()
    assert np.flatnonzero(scar_region(wall, scar, SPACING, scar)).tolist() == []


def test_half_maximum_of_one_slice_without_a_region_is_sought_in_its_wall() -> None:
    pixels, labels = ring_stack()
    wall = wall_mask(labels)
    one = fwhm_mask(pixels[0], wall[0], (1.5, 1.0))
    assert np.array_equal(one, fwhm_mask(pixels[:1], wall[:1], (1.5, 1.0))[0])
    assert one.any()
