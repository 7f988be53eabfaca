"""Rules are chosen so that the mass is right, and a patient is judged by rules of the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scarseg.case.labels import Label
from scarseg.errors import InputError
from scarseg.evaluation import windowed_case
from scarseg.evaluation.calibrate import (
    SHIPPED,
    choose_gate,
    choose_rules,
    figures,
    learn_calibration,
    leave_one_out,
    require_enough,
)
from scarseg.evaluation.rule_tables import GRID, KINDS, CaseTable, RuleGrid, read_by_rules
from scarseg.segmentation.proposal import RULES
from tests.evaluation.phantoms import VOXEL_G, healthy_case, phantom_case
from tests.fakes import fake_models

LOGITS, OFFSETS_MM = GRID.logits, GRID.offsets_mm
SHAPE = (len(KINDS), len(OFFSETS_MM), len(LOGITS))


def table(patient: str, true_g: float, factor: float, right_offset: float = 0.0) -> CaseTable:
    """Make a case whose mass at logit 0 is ``factor`` of the true one, and falls 20 % a logit.

    Masks agree best where the mass is right; the pool where the offset is.
    """
    logits = np.array(LOGITS)
    mass = np.broadcast_to(true_g * factor * (1 - 0.2 * logits), SHAPE)
    overlap = 0.8 - 0.1 * np.abs(mass / true_g - 1) if true_g else np.full(SHAPE, np.nan)
    pool = 0.95 - 0.02 * np.abs(np.array(OFFSETS_MM) - right_offset)
    pools = np.broadcast_to(pool[:, None], SHAPE[1:])
    return CaseTable(GRID, patient, true_g, mass, overlap, pools, np.full(SHAPE[1:], 1e4))


def tables(factor: float, right_offset: float = 0.0) -> list[CaseTable]:
    sick = [table(f"p{n}", 10.0 + n, factor, right_offset) for n in range(8)]
    return [*sick, *(table(f"n{n}", 0.0, factor, right_offset) for n in range(4))]


def test_a_threshold_takes_the_bias_away() -> None:
    # 1 / 1.2 of the mass at logit 0 is the whole at -1, where it is 1.2 times as much.
    rules = choose_rules(tables(1 / 1.2))
    assert rules.automatic_logit == rules.prompted_logit == rules.given_wall_logit == -1.0
    after = figures(tables(1 / 1.2), [rules] * 12, calibrated=True)
    assert [one.bias_percent for one in after] == pytest.approx([0.0] * 3, abs=1e-9)
    before = figures(tables(1 / 1.2), [SHIPPED] * 12, calibrated=False)[1]
    assert before.bias_percent == pytest.approx(100 * (1 / 1.2 - 1))  # its shipped level is 0
    assert before.mean_absolute_error_g == pytest.approx(-before.bias_g)
    assert before.bias_g == pytest.approx((1 / 1.2 - 1) * sum(range(10, 18)) / 12)
    assert before.dice == pytest.approx(0.8 - 0.1 * (1 - 1 / 1.2))


def test_the_pool_chooses_the_offset() -> None:
    assert choose_rules(tables(1.0, right_offset=2.0)).endocardium_offset_mm == 2.0
    assert choose_rules(tables(1.0)).endocardium_offset_mm == 0.0


def test_without_labelled_pools_the_offset_stays() -> None:
    unlabelled = [replace(one, pool_dice=np.full(SHAPE[1:], np.nan)) for one in tables(1.0)]
    assert choose_rules(unlabelled).endocardium_offset_mm == RULES.endocardium_offset_mm


def test_where_nothing_is_wrong_nothing_moves() -> None:
    rules = choose_rules(tables(1.0))
    assert (rules.automatic_logit, rules.prompted_logit) == (0.0, 0.0)
    assert rules.given_wall_logit == 0.0


def test_the_logit_with_the_wall_given_is_at_most_that_of_a_box() -> None:
    odd = []
    for one in tables(1 / 1.2):
        mass = one.mass_g.copy()
        if one.true_g:
            mass[2] = one.true_g * (1 - 0.2 * (np.array(LOGITS) - 1.0))  # right at +1
        odd.append(replace(one, mass_g=mass))
    rules = choose_rules(odd)
    assert rules.prompted_logit == rules.given_wall_logit == -1.0


def with_evidence(name: str, true_g: float, evidence_mm2: float) -> CaseTable:
    """Make a case whose mass is right, or 2 g where there is none."""
    found = table(name, true_g, 1.0)
    mass = found.mass_g if true_g else np.full(SHAPE, 2.0)
    return replace(found, mass_g=mass, evidence_mm2=np.full(SHAPE[1:], evidence_mm2))


def test_the_gate_lies_between_false_and_true_scar() -> None:
    sick = [with_evidence(f"p{n}", 10.0, 300.0 + n) for n in range(6)]
    healthy = [with_evidence(f"n{n}", 0.0, 100.0 + n) for n in range(4)]
    at = (OFFSETS_MM.index(0.0), LOGITS.index(0.0))
    assert 103.0 < choose_gate([*sick, *healthy], at) < 300.0
    # Weak true scar below strong false scar: each is worth as much as it shows.
    faint = [with_evidence(f"f{n}", 10.0, 40.0) for n in range(6)]
    assert choose_gate([*faint, *sick], at) < 40.0
    assert choose_gate(sick, at) == RULES.gate_evidence_mm2
    unlimited = [with_evidence(f"u{n}", 10.0, float("inf")) for n in range(6)]
    assert choose_gate(unlimited, at) == RULES.gate_evidence_mm2


def test_withheld_cases_count_with_nothing() -> None:
    [weak] = [with_evidence("p", 10.0, 40.0)]
    at = (OFFSETS_MM.index(0.0), LOGITS.index(0.0))
    gated = weak.gated(41.0)
    assert (gated.mass_g[0][at], gated.dice[0][at]) == (0.0, 0.0)
    assert gated.mass_g[1][at] == weak.mass_g[1][at], "boxes are a reader's"
    assert weak.gated(40.0).mass_g[0][at] == weak.mass_g[0][at]


def test_no_patient_is_judged_by_rules_that_saw_it() -> None:
    # Two stacks of one patient whose masses come out half: alone they would pull the rules.
    odd = [table("odd", 40.0, 0.5), table("odd", 40.0, 0.5)]
    rest = tables(1.0)
    rules = leave_one_out([*odd, *rest])
    assert rules[0] == rules[1] == choose_rules(rest)
    assert rules[2] == choose_rules([*odd, *rest[1:]])
    assert rules[0] != rules[2]


@pytest.mark.parametrize(
    ("sick", "healthy", "says"),
    [(6, 3, "9 patients"), (0, 12, "12 patients 0"), (2, 12, "14 patients 2")],
)
def test_too_few_patients_or_scars_are_refused(sick: int, healthy: int, says: str) -> None:
    cases = [phantom_case(f"p{n}") for n in range(sick)]
    cases += [healthy_case(f"n{n}") for n in range(healthy)]
    with pytest.raises(InputError, match=says) as refused:
        require_enough(cases)
    assert refused.value.code == "E_CALIBRATION_CASES"


def test_ten_stacks_of_five_patients_are_too_few() -> None:
    cases = [replace(phantom_case(f"s{n}"), patient=f"p{n // 2}") for n in range(10)]
    with pytest.raises(InputError, match="5 patients"):
        require_enough(cases)


def test_cases_without_a_slice_read_and_cine_do_not_count() -> None:
    unread = replace(phantom_case("u"), scar_read=(False,) * 5)
    cases = [phantom_case(f"p{n}") for n in range(10)]
    kept = require_enough([*cases, unread, phantom_case("c", kind="cine")])
    assert kept == cases


def test_the_table_of_a_phantom_that_is_read_rightly() -> None:
    case = phantom_case()
    found = read_by_rules(case, fake_models())
    true = VOXEL_G * np.count_nonzero(case.labels == Label.SCAR)
    assert found.true_g == pytest.approx(true)
    at = OFFSETS_MM.index(0.0), LOGITS.index(0.0)
    assert found.mass_g[0][at] == pytest.approx(true)
    assert found.dice[0][at] == pytest.approx(1.0)
    assert found.pool_dice[at] == pytest.approx(1.0)
    # Its logits are 5 and -5: no threshold of the grid changes them; the pool shrinks by offset.
    assert np.ptp(found.mass_g[0], axis=1) == pytest.approx(0.0)
    assert found.pool_dice[-1, 0] < 0.95
    assert np.ptp(found.mass_g[2], axis=0) == pytest.approx(0.0)


def test_only_slices_that_were_read_count() -> None:
    case = phantom_case()
    partly = replace(case, scar_read=(True, True, False, False, True))
    found = read_by_rules(partly, fake_models())
    assert found.true_g == pytest.approx(VOXEL_G * np.count_nonzero(case.labels[1] == Label.SCAR))
    assert found.mass_g[0][OFFSETS_MM.index(0.0)] == pytest.approx(found.true_g)


def test_what_is_learned_names_weights_and_numbers() -> None:
    learned = learn_calibration(tables(1 / 1.2), fake_models())
    assert (learned.segmenter_sha256, learned.detector_sha256) == ("1" * 64, "0" * 64)
    assert (learned.n_cases, learned.n_cases_with_scar) == (12, 8)
    assert [one.calibrated for one in learned.figures] == [False] * 3 + [True] * 3
    assert [one.prompts for one in learned.figures[:3]] == ["auto", "box", "box+wall"]
    assert learned.figures[3].bias_percent == pytest.approx(0.0, abs=1e-9)


def test_a_window_round_the_heart_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = RuleGrid((-0.5, 0.0), (0.0, 3.0))
    found = []
    for margin_mm in (4.0, 1e4):
        monkeypatch.setattr(windowed_case, "MARGIN_MM", margin_mm)
        found.append(read_by_rules(phantom_case(), fake_models(), grid=grid))
    window, whole = found
    assert np.array_equal(window.pool_dice, whole.pool_dice)
    # Contours drawn by the simulated reader are random fields of the size of the image.
    assert np.array_equal(window.mass_g[:2], whole.mass_g[:2])
    assert np.array_equal(window.dice[:2], whole.dice[:2])
