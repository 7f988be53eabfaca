"""The no-reference grade: by hand, under added noise, on shifted grey scales."""

from __future__ import annotations

import numpy as np
import pytest

from scarseg.case.labels import Label, LabelArray
from scarseg.case.stack import FloatArray, LgeSequence
from scarseg.quant.image_quality import Grade, StackQuality, grade_of, slice_grade, stack_quality
from scarseg.simulate.anatomy import SimulationOptions
from scarseg.simulate.series import simulate_stack

SPACING = (1.5, 1.25)
RANK = {Grade.GOOD: 0, Grade.FAIR: 1, Grade.POOR: 2}


def ring(seed: int = 0, noise: float = 2.0) -> tuple[FloatArray, LabelArray]:
    """Make 3 slices: dark 10, blood 70, muscle 22, scar 90; pool radius 22, wall to 32 mm."""
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid((np.arange(80) - 40) * 1.5, (np.arange(90) - 44) * 1.25, indexing="ij")
    radius = np.hypot(x, y)
    labels = np.zeros((3, 80, 90), dtype=np.uint8)
    labels[:, radius < 22] = Label.BLOOD_POOL
    wall = (radius >= 22) & (radius < 32)
    labels[:, wall] = Label.MYOCARDIUM
    labels[1, wall & (x > 0) & (np.abs(y) < x)] = Label.SCAR
    levels = np.array([10.0, 70.0, 22.0, 90.0, 22.0])
    pixels = levels[labels] + rng.normal(0, noise, labels.shape)
    return pixels.astype(np.float32), labels


def test_signals_and_ratios_by_hand() -> None:
    pixels, labels = ring()
    result = stack_quality(pixels, labels, SPACING)
    for k, one in enumerate(result.slices):
        assert one.noise_sd == pytest.approx(2, rel=0.12)
        assert one.blood == pytest.approx(70, abs=0.5)
        # The dimmest sector of a noisy ring.
        assert one.remote == pytest.approx(22, abs=1)
        assert one.blood_contrast == pytest.approx(48 / 2, rel=0.15)
        # 2 % of 10 +/- 2 lie below 10 - 2.05 * 2.
        assert one.dark == pytest.approx(5.9, abs=0.7)
        assert one.nulling == pytest.approx((22 - 5.9) / (70 - 5.9), abs=0.03)
        assert (one.scar is not None) == (k == 1)
    middle = result.slices[1]
    assert middle.scar_contrast == pytest.approx(68 / 2, rel=0.15)
    assert middle.scar_blood_contrast == pytest.approx(20 / 2, rel=0.2)
    assert result.grade is Grade.GOOD
    assert result.scar_contrast == middle.scar_contrast
    assert result.blood_contrast == np.median([one.blood_contrast for one in result.slices])


@pytest.mark.parametrize(
    ("contrast", "nulling", "grade"),
    [
        (5.0, 0.5, Grade.GOOD),
        (4.99, 0.5, Grade.FAIR),
        (5.0, 0.51, Grade.FAIR),
        (3.0, 0.8, Grade.FAIR),
        (2.99, 0.1, Grade.POOR),
        (20.0, 0.81, Grade.POOR),
        (-1.0, 0.2, Grade.POOR),
        (None, 0.2, None),
        (9.0, None, None),
    ],
)
def test_rule(contrast: float | None, nulling: float | None, grade: Grade | None) -> None:
    assert grade_of(contrast, nulling) is grade


def noisier(seed: int, sequence: LgeSequence) -> list[StackQuality]:
    """Grade one simulated stack with more and more of the same noise."""
    options = SimulationOptions(sequence=sequence, noise=0.02, inversion_error=0.0, n_slices=5)
    simulated = simulate_stack(seed, options)
    stack = simulated.stack
    spread = float(np.percentile(stack.pixels, 98) - np.percentile(stack.pixels, 2))
    field = np.random.default_rng(seed).normal(size=stack.pixels.shape)
    return [
        stack_quality(
            (stack.pixels + share * spread * field).astype(np.float32),
            simulated.truth,
            stack.pixel_spacing_mm,
        )
        for share in (0.0, 0.05, 0.1, 0.2, 0.4)
    ]


@pytest.mark.parametrize("sequence", list(LgeSequence))
@pytest.mark.parametrize("seed", [1, 3])
def test_more_noise_never_grades_better(seed: int, sequence: LgeSequence) -> None:
    results = noisier(seed, sequence)
    noise = [one.noise_sd for one in results if one.noise_sd is not None]
    contrast = [one.blood_contrast for one in results if one.blood_contrast is not None]
    grades = [RANK[one.grade] for one in results if one.grade is not None]
    assert len(noise) == len(contrast) == len(grades) == len(results)
    assert noise == sorted(noise)
    assert contrast == sorted(contrast, reverse=True)
    assert grades == sorted(grades)
    assert grades[0] == RANK[Grade.GOOD]
    assert grades[-1] == RANK[Grade.POOR]


def test_inversion_time_missed_early_costs_magnitude_its_grade_but_not_psir() -> None:
    """Remote recovers its magnitude below zero: PSIR keeps the sign, magnitude does not."""
    grades = {}
    for sequence in LgeSequence:
        options = SimulationOptions(
            sequence=sequence, noise=0.03, inversion_error=-0.15, n_slices=5
        )
        simulated = simulate_stack(3, options)
        grades[sequence] = stack_quality(
            simulated.stack.pixels, simulated.truth, simulated.stack.pixel_spacing_mm
        ).grade
    assert grades == {LgeSequence.MAGNITUDE: Grade.POOR, LgeSequence.PSIR: Grade.GOOD}


def test_gain_and_offset_change_nothing() -> None:
    pixels, labels = ring()
    here = stack_quality(np.round(pixels), labels, SPACING)
    there = stack_quality(4 * np.round(pixels) - 1000, labels, SPACING)
    assert there.blood_contrast == pytest.approx(here.blood_contrast)
    assert there.nulling == pytest.approx(here.nulling)
    assert there.grade is here.grade


def test_flips_change_nothing() -> None:
    pixels, labels = ring()
    here = stack_quality(pixels, labels, SPACING)
    for turn in (np.s_[::-1], np.s_[:, ::-1], np.s_[:, :, ::-1]):
        there = stack_quality(pixels[turn], labels[turn], SPACING)
        assert there.blood_contrast == pytest.approx(here.blood_contrast)
        assert there.nulling == pytest.approx(here.nulling)


def test_padding_is_not_tissue() -> None:
    pixels, labels = ring()
    padded = pixels.copy()
    padded[:, :, :20] = -500
    here, there = stack_quality(pixels, labels, SPACING), stack_quality(padded, labels, SPACING)
    assert there.nulling == pytest.approx(here.nulling, abs=0.02)


def test_blood_mixed_with_wall_is_left_out() -> None:
    """The outermost 2 mm of a small pool would double the noise."""
    pixels, labels = ring()
    y, x = np.meshgrid((np.arange(80) - 40) * 1.5, (np.arange(90) - 44) * 1.25, indexing="ij")
    small = labels.copy()
    small[:, (np.hypot(x, y) >= 8) & (labels[0] == Label.BLOOD_POOL)] = Label.MYOCARDIUM
    pixels[small == Label.MYOCARDIUM] = np.float32(22)
    mixed = pixels.copy()
    mixed[:, (np.hypot(x, y) >= 6.5) & (np.hypot(x, y) < 8)] = 40
    here, there = stack_quality(pixels, small, SPACING), stack_quality(mixed, small, SPACING)
    assert there.slices[0].noise_sd == pytest.approx(here.slices[0].noise_sd)
    assert there.slices[0].blood == pytest.approx(here.slices[0].blood)


def test_coil_unevenness_is_not_noise() -> None:
    pixels, labels = ring()
    slope = (np.arange(90) - 44) * 0.4
    tilted = (pixels + slope).astype(np.float32)
    here, there = stack_quality(pixels, labels, SPACING), stack_quality(tilted, labels, SPACING)
    assert there.slices[0].noise_sd == pytest.approx(here.slices[0].noise_sd, rel=0.02)


def test_what_cannot_be_measured_has_no_grade() -> None:
    pixels, labels = ring()
    without_pool = np.where(labels == Label.BLOOD_POOL, 0, labels).astype(np.uint8)
    assert stack_quality(pixels, without_pool, SPACING).grade is None
    nothing = stack_quality(pixels, np.zeros_like(labels), SPACING)
    assert nothing.grade is None
    assert nothing.slices[0].noise_sd is nothing.slices[0].dark is None
    flat = stack_quality(np.zeros_like(pixels), labels, SPACING)
    assert flat.grade is None
    labels[0] = 0
    result = stack_quality(pixels, labels, SPACING)
    assert result.slices[0].grade is None
    assert result.grade is Grade.GOOD


@pytest.mark.parametrize("seed", range(8))
def test_a_slice_alone_has_the_grade_that_it_has_in_its_stack(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:150, :170]
    away = np.hypot(rows - rng.uniform(50, 100), columns - rng.uniform(60, 110))
    labels = np.where(away < 9, 1, np.where(away < 15, 2, 0)).astype(np.uint8)
    labels[(away >= 9) & (away < 15) & (columns > 100)] = 3
    signal = np.array([rng.uniform(0, 120), 150.0, rng.uniform(20, 140), 220.0])[labels]
    pixels = (signal + rng.normal(0, rng.uniform(2, 60), signal.shape)).astype(np.float32)
    pixels[:, :30] = -5.0  # padding, far from the heart
    spacing = (1.4, 1.3)
    [whole] = stack_quality(pixels[np.newaxis], labels[np.newaxis], spacing).slices
    assert slice_grade(pixels, labels, spacing) is whole.grade
    assert whole.grade is not None
