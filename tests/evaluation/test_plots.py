"""Charts and example slices are drawn from whatever was evaluated."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from matplotlib.image import imread

from scarseg.evaluation import tables
from scarseg.evaluation.metrics import SliceFigures
from scarseg.evaluation.patient import PatientResult, Protocol, evaluate_patient
from scarseg.evaluation.plots import choose_examples
from scarseg.evaluation.prompts import parse_strategies
from tests.evaluation.phantoms import healthy_case, phantom_case, unread_scar
from tests.fakes import fake_models

CASES = [phantom_case("A"), unread_scar(phantom_case("B")), healthy_case("C")]
PROTOCOL = Protocol(parse_strategies(["auto", "clicks:2"]), seed=1)


@pytest.fixture(scope="module")
def results() -> list[PatientResult]:
    return [evaluate_patient(case, fake_models(), PROTOCOL, "S") for case in CASES]


def test_every_picture_is_there_and_the_same_again(results: list[PatientResult]) -> None:
    drawn = tables.draw_figures(results, CASES, PROTOCOL.seed)
    assert set(drawn) == {
        "bland_altman.png",
        "scatter.png",
        "dice_by_patient.png",
        "slice_roc.png",
        "clicks.png",
        "slices_auto.png",
        "slices_clicks2.png",
    }
    for data in drawn.values():
        assert np.ptp(imread(BytesIO(data))[..., :3]) > 0.5
    assert tables.draw_figures(results, CASES, PROTOCOL.seed) == drawn


def test_true_and_found_scar_have_their_colours(results: list[PatientResult]) -> None:
    drawn = tables.draw_figures(results, CASES, PROTOCOL.seed)["slices_auto.png"]
    colours = imread(BytesIO(drawn))[..., :3]
    for wanted in ((0x00, 0xE5, 0xFF), (0xFF, 0x9E, 0x00)):
        near = np.abs(colours - np.array(wanted) / 255).max(axis=-1) < 0.1
        assert near.sum() > 20


def test_patients_without_scar_alone_need_no_chart() -> None:
    alone = [evaluate_patient(CASES[2], fake_models(), PROTOCOL, "S")]
    assert "bland_altman.png" not in tables.draw_figures(alone, CASES, PROTOCOL.seed)


def test_best_median_worst_and_false() -> None:
    def one(k: int, area: float, dice: float | None, found: float = 1.0) -> SliceFigures:
        return SliceFigures(
            patient="A",
            segmenter="S",
            prompts="auto",
            slice_index=k,
            true_scar_area_mm2=area,
            scar_area_mm2=found,
            dice=dice,
        )

    slices = [one(k, 1.0, k / 12) for k in range(12)]
    slices += [one(12, 0.0, 0.0, 5.0), one(13, 0.0, None, 0.0), one(14, 0.0, 0.0, 9.0)]
    chosen = {name: [one.slice_index for one in some] for name, some in choose_examples(slices)}
    assert chosen == {
        "best": [11, 10, 9, 8],
        "median": [7, 6, 5, 4],
        "worst": [0, 1, 2, 3],
        "false scar": [14, 12],
    }
