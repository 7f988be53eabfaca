"""Methods beside the segmentation: the same numbers as each of them alone, weighed as the table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scarseg.case.history import SliceStatus
from scarseg.case.labels import Label, LabelArray, wall_mask
from scarseg.case.measurements import MassConvention
from scarseg.case.stack import LgeSequence, Stack
from scarseg.quant.mass import measure
from scarseg.quant.method_comparison import METHOD_CHOICES, compare_methods
from scarseg.quant.method_tables import (
    CURVE_COLUMNS,
    METHOD_COLUMNS,
    METHOD_SLICE_COLUMNS,
    curve_rows,
    method_rows,
    method_slice_rows,
)
from scarseg.quant.thresholds import (
    MethodUnfit,
    Scope,
    ThresholdMethod,
    ThresholdRules,
    scar_region,
    threshold_scar,
)
from scarseg.simulate.anatomy import SimulationOptions
from scarseg.simulate.series import simulate_stack


@pytest.fixture
def noisy(phantom_stack: Stack) -> Stack:
    noise = np.random.default_rng(3).normal(0, 12, phantom_stack.pixels.shape)
    return replace(phantom_stack, pixels=(phantom_stack.pixels + noise).astype(np.float32))


def test_the_segmentation_has_the_grams_of_the_table(
    noisy: Stack, phantom_truth: LabelArray
) -> None:
    phantom_truth[2][phantom_truth[2] == Label.SCAR] = Label.MVO
    statuses = [SliceStatus.PROPOSED] * 5
    for convention in MassConvention:
        table = measure(phantom_truth, noisy, statuses, convention, 1.1)
        found = compare_methods(noisy, phantom_truth, (), 1.1)
        [row] = method_rows(found, noisy, convention)
        assert row["method"] == "segmentation"
        assert row["scar_mass_g"] == table.scar_mass_g
        assert row["scar_mass_thickness_g"] == table.scar_mass_thickness_g
        assert row["scar_mass_spacing_g"] == table.scar_mass_spacing_g
        assert row["mvo_mass_thickness_g"] == table.mvo_mass_thickness_g
        assert row["scar_percent_lv"] == pytest.approx(table.scar_percent_lv, rel=1e-12)


@pytest.mark.parametrize("scope", list(Scope))
@pytest.mark.parametrize("name", ["sd3", "fwhm_max", "fwhm_remote", "fwhm_min"])
def test_a_method_is_what_it_is_alone(
    name: str, scope: Scope, noisy: Stack, phantom_truth: LabelArray
) -> None:
    found = compare_methods(noisy, phantom_truth, (name,))
    one = found.result(name, scope)
    wall = wall_mask(phantom_truth)
    near = scar_region(wall, phantom_truth == Label.SCAR, noisy.pixel_spacing_mm)
    alone = threshold_scar(
        ThresholdMethod(name),
        noisy.pixels,
        wall,
        noisy.pixel_spacing_mm,
        region=None if name == "sd3" else near,
        remote=found.remote_region,
        rules=ThresholdRules(scope=scope),
    )
    assert one is not None and one.scar is not None
    assert one.thresholds == alone.thresholds
    counts = np.count_nonzero(alone.infarct, axis=(1, 2))
    assert one.n_voxels == tuple(counts)
    # 1.5 x 1.25 mm, 8 mm thick, 10 mm apart, 1.05 g/ml
    grams = int(counts.sum()) * 1.5 * 1.25 * 1.05 / 1000
    assert one.scar.total(MassConvention.THICKNESS) == pytest.approx(8 * grams, rel=1e-12)
    assert one.scar.total(MassConvention.SPACING) == pytest.approx(10 * grams, rel=1e-12)


def test_remote_keeps_away_from_the_segmented_scar(noisy: Stack, phantom_truth: LabelArray) -> None:
    found = compare_methods(noisy, phantom_truth, ("sd5",))
    assert found.remote.any(axis=(1, 2)).all()
    assert not (found.remote & (phantom_truth == Label.SCAR)).any()
    one = found.result("sd5", Scope.STACK)
    assert one is not None and found.remote_stack is not None
    values = noisy.pixels[found.remote].astype(np.float64)
    median = np.median(values)
    mad = np.median(np.abs(values - median))
    assert one.thresholds[0] == pytest.approx(median + 5 * 1.4826 * mad)


def test_otsu_is_for_slices_with_scar(noisy: Stack, phantom_truth: LabelArray) -> None:
    one = compare_methods(noisy, phantom_truth, ("otsu",)).result("otsu")
    assert one is not None
    assert [level is not None for level in one.thresholds] == [False, True, True, True, False]
    assert one.n_voxels[0] == one.n_voxels[4] == 0


def test_psir_has_no_half_of_a_signed_maximum(noisy: Stack, phantom_truth: LabelArray) -> None:
    psir = replace(noisy, pixels=noisy.pixels - 120, sequence=LgeSequence.PSIR)
    rows = method_rows(compare_methods(psir, phantom_truth), psir)
    refused = {row["method"] for row in rows if "W_METHOD_PSIR" in str(row["warnings"])}
    assert refused == {"fwhm_max", "schmidt_core", "schmidt_grey", "roes_core", "roes_grey"}
    assert all(row["scar_mass_g"] is None for row in rows if row["method"] in refused)
    assert all(row["scar_mass_g"] is not None for row in rows if row["method"] not in refused)


def test_scar_without_a_wall_leaves_blanks(noisy: Stack, phantom_truth: LabelArray) -> None:
    alone = np.where(phantom_truth == Label.SCAR, phantom_truth, 0)
    rows = method_rows(compare_methods(noisy, alone), noisy)
    assert rows[0]["scar_mass_g"] and rows[0]["scar_percent_lv"] is None
    assert {row["warnings"] for row in rows[1:]} == {"W_NO_WALL"}
    assert {row["scar_mass_g"] for row in rows[1:]} == {None}
    assert curve_rows(noisy, alone) == []


def test_rows_fill_their_columns(noisy: Stack, phantom_truth: LabelArray) -> None:
    found = compare_methods(noisy, phantom_truth)
    rows = method_rows(found, noisy)
    assert all(tuple(row) == METHOD_COLUMNS for row in rows)
    names = {str(row["method"]).removesuffix("_core").removesuffix("_grey") for row in rows}
    assert names == {"segmentation", *METHOD_CHOICES}
    keys = [(row["method"], row["threshold_scope"], row["maximum_percentile"]) for row in rows]
    assert len(set(keys)) == len(keys)
    slices = method_slice_rows(found, noisy)
    assert all(tuple(row) == METHOD_SLICE_COLUMNS for row in slices)
    assert len(slices) == 5 * len(rows)
    for row, key in zip(rows, keys, strict=True):
        same = ("method", "threshold_scope", "maximum_percentile")
        mine = [one for one in slices if tuple(one[name] for name in same) == key]
        total = sum(float(str(one["scar_mass_spacing_g"])) for one in mine)
        assert total == pytest.approx(row["scar_mass_spacing_g"])


def test_the_curve_falls_from_the_wall_to_nothing(noisy: Stack, phantom_truth: LabelArray) -> None:
    rows = curve_rows(noisy, phantom_truth)
    assert tuple(rows[0]) == CURVE_COLUMNS
    grams = [float(str(row["scar_mass_thickness_g"])) for row in rows]
    assert grams == sorted(grams, reverse=True)
    assert grams[-1] == 0
    one_voxel = 1.5 * 1.25 * 8 * 1.05 / 1000
    wall = measure(phantom_truth, noisy, [SliceStatus.PROPOSED] * 5).lv_mass_thickness_g
    assert wall == pytest.approx(grams[0] + one_voxel), "all but the darkest voxel"


REGIONAL = {"fwhm_max", "fwhm_remote", "fwhm_min", "otsu"}
REGIONAL |= {f"{scheme}_{part}" for scheme in ("schmidt", "roes") for part in ("core", "grey")}


def test_no_method_calls_a_healthy_wall_scar() -> None:
    """Simulated hearts without scar: shares of a maximum are blank, few SD stay a small part."""
    percents: dict[str, list[float]] = {}
    for seed in range(25):
        options = SimulationOptions(
            scar=False, sequence=LgeSequence.MAGNITUDE, n_slices=3, inversion_error=0.0
        )
        simulated = simulate_stack(seed, options)
        found = compare_methods(simulated.stack, simulated.truth)
        for one in found.results[1:]:
            percent = found.percent(one, MassConvention.THICKNESS)
            if one.name in REGIONAL:
                assert one.reason is MethodUnfit.NO_REGION
                assert percent is None and one.scar is None
            elif percent is not None and one.scope is Scope.SLICE:
                percents.setdefault(one.name, []).append(percent)
    for name, mean, most in (("sd2", 15, 25), ("sd3", 5, 15), ("sd5", 2, 8)):
        assert np.mean(percents[name]) < mean and max(percents[name]) < most, name


def test_a_box_of_the_reader_is_a_region_where_nothing_is_segmented(
    noisy: Stack, phantom_truth: LabelArray
) -> None:
    """The scar of the phantom, not segmented but boxed, is found by the half maximum."""
    scar = phantom_truth == Label.SCAR
    healthy = np.where(scar, np.uint8(Label.MYOCARDIUM), phantom_truth)
    blank = compare_methods(noisy, healthy, ("fwhm_remote",)).result("fwhm_remote")
    assert blank is not None and blank.reason is MethodUnfit.NO_REGION and blank.scar is None
    boxed = compare_methods(noisy, healthy, ("fwhm_remote",), boxes=scar).result("fwhm_remote")
    assert boxed is not None and boxed.scar is not None
    assert sum(boxed.n_voxels) == pytest.approx(scar.sum(), rel=0.1)
    assert boxed.search_region == "scar + 3 mm"
