"""What travels with a number so that it can be made again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

import numpy as np
import openpyxl
import pytest

from scarseg.case.case import Case
from scarseg.case.history import Cause
from scarseg.case.prompts import InsertionPoint
from scarseg.case.stack import Stack
from scarseg.io.tables.export import write_export
from scarseg.models import Models
from scarseg.segmentation import pipeline
from scarseg.segmentation.proposal import RULES


@pytest.fixture
def case(phantom_stack: Stack, models: Models, monkeypatch: pytest.MonkeyPatch) -> Case:
    """A proposal that a reader accepted on two slices, one minute and a half apart."""
    monkeypatch.setattr("scarseg.case.case._now_ms", lambda: 1_700_000_000_000)
    case = pipeline.propose_case(phantom_stack, models)
    case.reader = "R1"
    for k, ms in ((1, 1_700_000_100_000), (2, 1_700_000_190_000)):
        monkeypatch.setattr("scarseg.case.case._now_ms", lambda ms=ms: ms)
        labels = case.labels[k].copy()
        labels[3, 4] = 3
        case.apply(case.change("paint", k, labels=labels))
        case.count_interaction(k)
    return case


def test_times_thresholds_reader_and_the_mask_are_told(case):
    told = pipeline.measured_record(case).provenance
    assert told["reader"] == "R1"
    assert told["read_from_utc"] == "2023-11-14T22:15:00+00:00"
    assert told["read_until_utc"] == "2023-11-14T22:16:30+00:00"
    assert told["thresholds"] == asdict(RULES)
    by_hand = hashlib.sha256(bytes(case.labels.ravel().tolist())).hexdigest()
    assert told["labels_sha256"] == by_hand
    assert told["insertion"] is None
    case.insertion = InsertionPoint(2, 20.5, 30.0)
    told = pipeline.measured_record(case).provenance
    assert told["insertion"] == {"slice_index": 2, "column": 20.5, "row": 30.0}
    json.dumps(told)


def test_another_voxel_is_another_mask(case):
    before = pipeline.measured_record(case).provenance["labels_sha256"]
    case.labels[0, 0, 0] = 1
    assert pipeline.measured_record(case).provenance["labels_sha256"] != before


def test_without_a_reader_there_is_no_time_and_without_models_no_threshold(phantom_stack, models):
    told = pipeline.measured_record(pipeline.propose_case(phantom_stack, models)).provenance
    assert told["read_from_utc"] is told["read_until_utc"] is None
    bare = Case.new(phantom_stack)
    bare.apply(bare.change("paint", 0, labels=np.ones_like(bare.labels[0])), Cause.READER)
    assert "thresholds" not in pipeline.measured_record(bare).provenance


def test_a_workbook_tells_the_same(case, tmp_path):
    write_export(tmp_path / "scar.xlsx", [pipeline.measured_record(case)], {})
    sheet = openpyxl.load_workbook(tmp_path / "scar.xlsx")["provenance"]
    items = {row[4]: row[5] for row in sheet.iter_rows(min_row=2, values_only=True)}
    assert items["read_until_utc"] == "2023-11-14T22:16:30+00:00"
    assert len(items["labels_sha256"]) == 64
    assert json.loads(items["thresholds"])["island_mm2"] == RULES.island_mm2
