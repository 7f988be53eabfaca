"""Patients side by side: a crash costs one patient, a stop stops, missing weights say so."""

from __future__ import annotations

import os
from functools import partial

import numpy as np
import pytest

from scarseg.case.prompts import Box
from scarseg.case.stack import SliceImage
from scarseg.errors import Cancelled, WeightsError
from scarseg.evaluation.patient import Protocol
from scarseg.evaluation.prompts import parse_strategies
from scarseg.evaluation.run import Candidate, evaluate_patients
from scarseg.models import Embedding, Models
from tests.evaluation.phantoms import healthy_case, phantom_case
from tests.fakes import FakeDetector, FakeSegmenter, load_fakes

NAME = "Doe^Jane"
PROTOCOL = Protocol(parse_strategies(["auto", "clicks:2"]), seed=1)


class Deadly(FakeSegmenter):
    """End the process at the first scar."""

    def embed(self, image: SliceImage, lv_box: Box | None) -> Embedding:
        if (np.abs(image.pixels - 200) < 20).any():
            os._exit(3)
        return super().embed(image, lv_box)


def load_deadly() -> Models:
    return Models(Deadly(), FakeDetector())


def load_nothing(code: str) -> Models:
    raise WeightsError(code, "There are no weights.")


def test_a_process_that_dies_costs_its_patient_only() -> None:
    cases = [phantom_case("A"), healthy_case("B"), healthy_case("C")]
    results = evaluate_patients(cases, [Candidate("S", load_deadly)], PROTOCOL, 2)
    rows = [row for result in results for row in result.patients]
    codes = [(row.patient, row.prompts, row.error_code) for row in rows]
    names = ("auto", "clicks:1", "clicks:2")
    assert codes[:3] == [("A", name, "E_CRASH") for name in names]
    assert {code for _, _, code in codes[3:]} == {""}


@pytest.mark.parametrize("n_processes", [1, 2])
def test_missing_weights_stop_everything(n_processes: int) -> None:
    contender = Candidate("S", partial(load_nothing, "E_WEIGHTS_MISSING"))
    with pytest.raises(WeightsError, match="There are no weights"):
        evaluate_patients(
            [phantom_case("A"), phantom_case("B")], [contender], PROTOCOL, n_processes
        )


def test_it_can_be_stopped() -> None:
    def stop(fraction: float, what: str) -> None:
        if fraction > 0.1:
            raise Cancelled

    with pytest.raises(Cancelled):
        evaluate_patients([phantom_case("A")], [Candidate("S", load_fakes)], PROTOCOL, 1, stop)


def test_a_bug_is_a_row_and_its_trace_names_nobody(caplog: pytest.LogCaptureFixture) -> None:
    class Buggy(FakeSegmenter):
        def embed(self, image: SliceImage, lv_box: Box | None) -> Embedding:
            raise KeyError(NAME)

    buggy = Candidate("S", lambda: Models(Buggy(), FakeDetector()))
    [result] = evaluate_patients([phantom_case("A")], [buggy], PROTOCOL)
    assert {row.error_code for row in result.patients} == {"E_INTERNAL"}
    assert "KeyError" in caplog.text
    assert NAME not in caplog.text + result.note
