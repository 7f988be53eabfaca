"""Files of version 0.1.0 open as before: case files, prompts files, label map and tables.

``tests/fixtures/version_0_1_0`` was made by that version on simulated studies, and
``expected.json`` holds what it read from each file.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scarseg.case.case import Case
from scarseg.case.labels import Label, LabelArray
from scarseg.case.measurements import MassConvention
from scarseg.case.prompts import Box, SlicePrompts
from scarseg.case.stack import Stack
from scarseg.io import dicom
from scarseg.io.casefile import store
from scarseg.io.masks.nifti import read_label_map
from scarseg.io.masks.read import read_mask
from scarseg.io.prompts_json import read_prompts
from scarseg.io.tables.columns import COLUMNS
from scarseg.io.tables.csv_reader import read_csv
from scarseg.segmentation import pipeline

FOLDER = Path(__file__).parents[1] / "fixtures" / "version_0_1_0"
EXPECTED: dict[str, Any] = json.loads((FOLDER / "expected.json").read_text())
CASES = {"case": "study", "hand": "frames"}


def stack_in(folder: str) -> Stack:
    [summary] = dicom.scan([FOLDER / folder]).stacks
    return dicom.read_stack(summary, None)


@pytest.fixture(scope="module")
def stacks() -> dict[str, Stack]:
    return {folder: stack_in(folder) for folder in CASES.values()}


def digest(labels: LabelArray | None) -> str | None:
    if labels is None:
        return None
    return hashlib.sha256(np.ascontiguousarray(labels, dtype=np.uint8).data).hexdigest()


def described_box(box: Box | None) -> dict[str, object] | None:
    if box is None:
        return None
    corners = [box.column0, box.row0, box.column1, box.row1]
    return {"corners": corners, "origin": str(box.origin), "score": box.score}


def described(prompts: SlicePrompts) -> dict[str, object]:
    return {
        "boxes": [described_box(box) for box in prompts.boxes],
        "points": [
            {"at": [p.column, p.row], "positive": p.positive, "structure": p.structure.name.lower()}
            for p in prompts.points
        ],
        "lv_box": described_box(prompts.lv_box),
        "pool_box": described_box(prompts.pool_box),
        "no_scar": prompts.no_scar,
    }


def described_slices(case: Case) -> list[dict[str, object]]:
    return [
        {
            "status": str(reading.status),
            "edited": reading.edited,
            "reason": reading.reason,
            "prompts": described(reading.prompts),
            "labels_sha256": digest(labels),
        }
        for reading, labels in zip(case.readings, case.labels, strict=True)
    ]


@pytest.mark.parametrize("name", CASES)
def test_case_files_hold_the_same_reading(name: str, stacks: dict[str, Stack]) -> None:
    expected, stack = EXPECTED[name], stacks[CASES[name]]
    path = FOLDER / name / expected["file"]
    saved = store.read_case(path, stack)
    case = saved.case
    assert store.case_path(path.parent, stack) == path
    assert (saved.saved_at_utc, saved.software_version, saved.notes) == (
        expected["saved_at_utc"],
        expected["software_version"],
        (),
    )
    assert digest(case.labels) == expected["labels_sha256"]
    assert digest(case.labels_under_scar) == expected["grounds_sha256"]
    names = ("status", "edited", "reason", "prompts", "labels_sha256")
    wanted = [{key: one[key] for key in names} for one in expected["slices"]]
    assert described_slices(case) == wanted
    for key in ("reader", "read_number", "interactions", "slice_interactions", "slice_seconds"):
        assert getattr(case, key) == expected[key], key
    assert case.seconds == expected["seconds"]
    assert str(case.status) == expected["case_status"]
    assert asdict(case.segmenter) == expected["segmenter"]
    assert asdict(case.detector) == expected["detector"]
    assert case.insertion is not None and asdict(case.insertion) == expected["insertion"]


@pytest.mark.parametrize("name", CASES)
def test_steps_of_case_files_lead_to_the_same_reading(name: str, stacks: dict[str, Stack]) -> None:
    expected = EXPECTED[name]
    path = FOLDER / name / expected["file"]
    case = store.load_case(path, stacks[CASES[name]])
    steps = [[str(step.cause), step.slice_index, step.name] for step in case.record.steps]
    assert (len(steps), case.record.n_forgotten) == (expected["n_steps"], expected["n_forgotten"])
    assert steps == expected["steps"]
    labels, readings = case.record.final_state()
    assert digest(labels) == expected["labels_sha256"]
    assert readings == case.readings


@pytest.mark.parametrize("name", CASES)
def test_case_files_give_the_same_grams(name: str, stacks: dict[str, Stack]) -> None:
    expected = EXPECTED[name]
    case = store.load_case(FOLDER / name / expected["file"], stacks[CASES[name]])
    grams = {str(one): pipeline.measure(case, one).scar_mass_g for one in MassConvention}
    assert grams == expected["scar_mass_g"]


@pytest.mark.parametrize("name", CASES)
def test_how_far_a_case_is_read_is_known_without_its_images(name: str) -> None:
    progress = store.read_progress(FOLDER / name / EXPECTED[name]["file"])
    assert progress is not None
    found = {
        "slices": progress.n_slices,
        "read": progress.n_read,
        "proposed": progress.n_proposed,
    }
    assert found == EXPECTED[name]["glance"]


@pytest.mark.parametrize("name", CASES)
def test_a_case_saved_again_keeps_its_bytes(
    name: str, stacks: dict[str, Stack], tmp_path: Path
) -> None:
    """Records of labels and steps are those of the old program; the document gets a new time."""
    from scarseg.io.casefile.file_format import parse_case

    stack, old = stacks[CASES[name]], FOLDER / name / EXPECTED[name]["file"]
    path = tmp_path / old.name
    shutil.copy(old, path)
    store.save_case(store.load_case(path, stack), path)
    before, after = parse_case(old.read_bytes()), parse_case(path.read_bytes())
    for record in ("labels", "steps", "grounds"):
        assert after.records.get(record) == before.records.get(record), record
    first, second = (json.loads(one.records["case"]) for one in (before, after))
    for document in (first, second):
        del document["saved_at_utc"], document["software"]
    assert list(first.items()) == list(second.items())


@pytest.mark.parametrize("name, folder", [("prompts", "study"), ("frames_prompts", "frames")])
def test_prompts_files_ask_the_same(name: str, folder: str, stacks: dict[str, Stack]) -> None:
    expected = EXPECTED[name]
    found = read_prompts(FOLDER / expected["file"])
    entries = [
        {"sop_instance_uid": uid, "frame": frame, **described(prompts)}
        for (uid, frame), prompts in found.slices.items()
    ]
    assert entries == expected["entries"]
    assert found.sha256 == expected["sha256"]
    assert sorted(found.for_stack(stacks[folder])) == expected["by_slice"]


def test_label_map_holds_the_same_labels(stacks: dict[str, Stack]) -> None:
    expected = EXPECTED["mask"]
    found = read_label_map(FOLDER / expected["file"])
    assert digest(found.labels) == expected["labels_sha256"]
    assert list(found.spacing_mm) == expected["spacing_mm"]
    assert found.affine.tolist() == expected["affine_ras"]
    voxels = {one.name.lower(): int((found.labels == one).sum()) for one in Label if one}
    assert voxels == expected["voxels"]
    placed = read_mask(FOLDER / expected["file"], stacks["study"])
    assert digest(placed.labels) == expected["labels_sha256"]


def test_tables_are_read_with_every_column() -> None:
    table = read_csv(FOLDER / "tables" / "scar.csv")
    expected = EXPECTED["table"]
    assert list(table.columns) == expected["columns"]
    for name in ("status", "scar_mass_g", "method"):
        assert [row[name] for row in table.rows] == expected[name]
    with (FOLDER / "tables" / "scar_methods.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [dict(row) for row in read_csv(FOLDER / "tables" / "scar_methods.csv").rows] == rows


def test_columns_of_the_old_table_keep_their_names_and_order() -> None:
    old = [name for name in COLUMNS if name in EXPECTED["table"]["columns"]]
    assert old == EXPECTED["table"]["columns"]
