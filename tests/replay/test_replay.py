"""``scarseg replay``: what it says where a reading cannot be made again just as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scarseg import __version__, cli
from scarseg.case.case import Case, ModelIdentity
from scarseg.case.history import Cause, ModelRun, ReadingRecord
from scarseg.case.labels import Label, Patch, infarct_mask, without_infarct
from scarseg.case.prompts import Box, SlicePrompts
from scarseg.case.stack import Stack
from scarseg.io import dicom
from scarseg.io.casefile import file_format, last_position, store
from scarseg.io.masks.nifti import read_labels
from scarseg.models import Models
from scarseg.models.weights import WeightsEntry
from scarseg.replay.model_runs import ReplayWeights
from scarseg.replay.replay import replay_case
from scarseg.replay.result import ReplayResult
from scarseg.segmentation import gate, pipeline
from scarseg.segmentation.proposal import RULES
from scarseg.simulate.write_dicom import write_series
from tests.cohorts import patient, rows_of, spoil, tree, write
from tests.fakes import FakeDetector, FakeSegmenter, fake_models, load_fakes

ASKED = Box(40.0, 15.0, 50.0, 32.0)


class Greedy(FakeSegmenter):
    """Other weights: takes one row more for scar than it should."""

    identity = ModelIdentity("greedy", "2" * 64, False)

    def predict(self, embedding, prompts, previous=None, quick=False):
        logits = super().predict(embedding, prompts, previous, quick)
        scar = logits.scar.copy()
        scar[:-1] = np.maximum(scar[:-1], logits.scar[1:])
        return replace(logits, scar=scar)


def load_greedy(segmenter: object = None, detector: object = None, device: str = "auto") -> Models:
    return Models(Greedy(), FakeDetector())


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("scarseg.models.load", load_fakes)
    monkeypatch.setenv("SCARSEG_HOME", str(tmp_path / "home"))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write(tmp_path / "images", 1)


def stack_in(folder: Path) -> Stack:
    [summary] = dicom.scan([folder]).stacks
    return dicom.read_stack(summary)


def read_case(stack: Stack) -> Case:
    """Read the phantom: proposed, a box on slice 3, a stroke on slice 2."""
    models, case = fake_models(), Case.new(stack)
    case.segmenter, case.detector = models.segmenter.identity, models.detector.identity
    case.labels_under_scar = case.labels.copy()
    proposals = dict(pipeline.propose_stack(stack, models))
    for k, proposal in proposals.items():
        case.record_model_run(k, None, proposal.embedding.lv_box, fresh=True)
        change = pipeline.proposal_change(case, k, proposal)
        case.apply(change, Cause.PROPOSAL, without_infarct(proposal.labels))
    prompts = SlicePrompts(boxes=(ASKED,), lv_box=case.readings[2].prompts.lv_box)
    case.apply(case.change("add box", 2, replace(case.readings[2], prompts=prompts)))
    labels, _ = pipeline.segment(
        models, proposals[2].embedding, prompts, case.labels[2].copy(), proposals[2].logits
    )
    answer = case.change("segment", 2, replace(case.readings[2], edited=True), labels)
    case.apply(answer, Cause.ANSWER, without_infarct(labels))
    drawn = case.labels[1].copy()
    drawn[5:8, 5:8] = Label.SCAR
    case.apply(case.change("paint", 1, replace(case.readings[1], edited=True), drawn))
    return case


def rows_of_case(path: Path, images: Path, folder: Path) -> list[dict[str, str]]:
    records = [pipeline.measured_record(store.load_case(path, stack_in(images)))]
    return rows_of(pipeline.export_table(folder / "as_saved.csv", records).table)


@pytest.fixture
def saved(images: Path, tmp_path: Path) -> Path:
    case = read_case(stack_in(images))
    assert (case.labels[2] == Label.SCAR).sum() != (case.proposed[2].n_infarct_voxels)
    path = tmp_path / "cases" / "one.scarseg"
    store.save_case(case, path)
    return path


@pytest.fixture
def replay(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def call(*words: object) -> tuple[int, str]:
        status = cli.main(["replay", *map(str, words)])
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    return call


def remade(case: Case) -> ReplayResult:
    return replay_case(case, ReplayWeights())


def test_identical_leaves_mask_and_row_and_says_the_grams(replay, saved, images, tmp_path):
    before = tree(images), tree(saved.parent)
    status, said = replay(saved, "--dicom", images, "-o", tmp_path / "out")
    assert status == 0
    grams = rows_of(tmp_path / "out" / "scar.csv")[0]["scar_mass_g"]
    assert (
        f"one.scarseg: identical: 13 steps, 6 answers of the models, {float(grams):.2f} g" in said
    )
    assert before == (tree(images), tree(saved.parent))
    told = json.loads((tmp_path / "out" / "scar.json").read_text())
    assert told["settings"]["replayed"] is True
    status, said = replay(saved, "--dicom", images, "-o", tmp_path / "out")
    assert status == 1 and "E_EXISTS" in said
    assert replay(saved, "--dicom", images, "-o", tmp_path / "out", "--force")[0] == 0


def test_a_drawn_remote_region_is_written_again(replay, images, tmp_path):
    case = read_case(stack_in(images))
    region = case.labels[0] == Label.MYOCARDIUM
    case.remote_regions = {0: Patch.of(region.astype(np.uint8))}
    path = tmp_path / "cases" / "one.scarseg"
    store.save_case(case, path)
    status, said = replay(path, "--dicom", images, "-o", tmp_path / "out")
    assert status == 0, said
    found = read_labels(tmp_path / "out" / f"{case.stack.stack_id}.remote.nii.gz")
    assert np.array_equal(found[0] > 0, region)
    assert not found[1:].any()
    [told] = json.loads((tmp_path / "out" / "scar.json").read_text())["stacks"]
    assert told["remote_drawn_slices"] == [0]


def test_other_weights_differ_slice_by_slice_and_are_named(
    replay, saved, images, tmp_path, monkeypatch
):
    monkeypatch.setattr("scarseg.models.load", load_greedy)
    status, said = replay(saved, "--dicom", images, "-o", tmp_path / "out")
    assert status == 2
    assert "one.scarseg: differs" in said
    lines = said.splitlines()
    assert any(
        "step 12, slice 3 (segment): " in line and "Dice of scar 0." in line for line in lines
    )
    assert any(line.startswith("  slice 3 in the end: ") for line in lines)
    assert not any(line.startswith("  slice 1 ") for line in lines)
    assert "other weights: the segmenter was 111111111111, here it is 222222222222" in said
    assert "the detector" not in said
    assert "scar_mass_thickness_g: " in said
    [row] = rows_of(tmp_path / "out" / "scar.csv")
    assert row["segmenter_sha256"] == "2" * 64
    [first] = rows_of_case(saved, images, tmp_path)
    assert float(row["scar_mass_proposed_g"]) > float(first["scar_mass_proposed_g"])


def test_the_recorded_weights_are_taken_where_the_manifest_has_them(monkeypatch):
    """Also where others are the default by now; a file that is given goes before both."""
    asked: list[tuple[object, ...]] = []
    entries = [
        WeightsEntry("older", "segmenter", "o", "a" * 64, "", ""),
        WeightsEntry("newer", "segmenter", "n", "b" * 64, "", "", default=True),
        WeightsEntry("finder", "detector", "f", "c" * 64, "", "", default=True),
    ]
    monkeypatch.setattr("scarseg.models.weights.list_weights", lambda: tuple(entries))
    monkeypatch.setattr("scarseg.models.load", lambda *words: asked.append(words) or load_fakes())
    source = ReplayWeights()
    for _ in range(2):
        source.models_of(ModelRun("a" * 64, "c" * 64, None, None))
    source.models_of(ModelRun("a" * 64, "", None, None))
    source.models_of(ModelRun("d" * 64, "c" * 64, None, None))
    ReplayWeights("mine.safetensors").models_of(ModelRun("a" * 64, "c" * 64, None, None))
    assert asked == [
        ("older", "finder", "auto"),
        ("older", "none", "auto"),
        (None, "finder", "auto"),
        ("mine.safetensors", "finder", "auto"),
    ]


def test_last_digits_of_a_box_are_no_difference_and_embed_as_recorded(images):
    case = read_case(stack_in(images))
    for n, step in enumerate(case.record.steps):
        if step.model_run is not None and step.model_run.lv_box is not None:
            box = replace(step.model_run.lv_box, row0=step.model_run.lv_box.row0 + 1e-6)
            case.record.steps[n] = replace(step, model_run=replace(step.model_run, lv_box=box))
    again = remade(case)
    assert again.identical
    assert again.embeddings[2].lv_box == case.record.steps[4].model_run.lv_box
    moved = replace(box, row0=box.row0 - 1)
    n = max(n for n, step in enumerate(case.record.steps) if step.model_run is not None)
    step = case.record.steps[n]
    case.record.steps[n] = replace(step, model_run=replace(step.model_run, lv_box=moved))
    [difference] = remade(case).findings.differences
    assert difference.also == "another ventricle box" and difference.n_voxels == 0


def test_what_a_hand_drew_is_drawn_on_other_answers_too(images, monkeypatch):
    case = read_case(stack_in(images))
    monkeypatch.setattr("scarseg.models.load", load_greedy)
    again = remade(case)
    assert (again.labels[1, 5:8, 5:8] == Label.SCAR).all()
    [where] = [one for one in again.differing if one[0] == 2]
    assert where[1] == np.count_nonzero(again.labels[2] != case.labels[2]) > 0


def test_undoing_brings_back_what_was_made_again(images, monkeypatch):
    """Also where that is not what was recorded: undo leads back to the other answer."""
    case = read_case(stack_in(images))
    stroke = case.labels[2].copy()
    stroke[:10] = Label.SCAR
    change = case.change("paint", 2, labels=stroke)
    case.apply(change)
    case.apply(change.inverse(), Cause.UNDO)
    assert remade(case).identical
    monkeypatch.setattr("scarseg.models.load", load_greedy)
    again = remade(case).labels[2]
    assert not (again[:10] == Label.SCAR).any()
    assert (again == Label.SCAR).sum() > (case.labels[2] == Label.SCAR).sum()


def test_another_version_is_named_where_something_differs(replay, saved, images, monkeypatch):
    monkeypatch.setattr("scarseg.__version__", "99.0")
    status, said = replay(saved, "--dicom", images)
    assert status == 0 and "identical" in said and "99.0" not in said
    monkeypatch.setattr("scarseg.models.load", load_greedy)
    status, said = replay(saved, "--dicom", images)
    assert status == 2 and "another version: scarseg" in said and "this is 99.0" in said


def test_a_record_that_does_not_lead_to_the_labels_is_found(images):
    case = read_case(stack_in(images))
    case.labels[4, 2, 2] = Label.SCAR
    again = remade(case)
    assert not again.findings.edits_hold and not again.identical
    assert [one[:2] for one in again.differing] == [(4, 1)]


def test_an_answer_that_the_models_never_gave_is_found(images):
    case = read_case(stack_in(images))
    forged = case.labels[3].copy()
    forged[2, 2:4] = Label.SCAR
    case.apply(case.change("segment", 3, labels=forged), Cause.ANSWER, without_infarct(forged))
    [difference] = remade(case).findings.differences
    assert (difference.slice_index, difference.name, difference.follows) == (3, "segment", False)
    assert difference.n_voxels > 0


def test_what_lies_before_the_record_is_said_not_to_be_checked(replay, images, tmp_path):
    case = read_case(stack_in(images))
    older = replace(case, record=ReadingRecord.starting_from(case.labels, case.readings))
    path = tmp_path / "older.scarseg"
    store.save_case(older, path)
    status, said = replay(path, "--dicom", images)
    assert status == 2
    assert "not all of it can be checked; the rest is identical" in said
    assert "slice 3 (what stood before): not checked: the record begins later" in said


def test_a_case_file_of_format_1_is_said_not_to_be_checked(replay, images, tmp_path, monkeypatch):
    monkeypatch.setattr(file_format, "encode_steps", lambda record: b"")
    case = read_case(stack_in(images))
    data = file_format.encode_case(case)
    content = file_format.parse_case(data)
    monkeypatch.undo()
    del content.records["steps"]
    assert file_format.build_case(content, case.stack).record.start is not None
    again = remade(file_format.build_case(content, case.stack))
    assert again.same_mask and again.findings.edits_hold and not again.identical


def test_looks_of_an_earlier_build_are_read(images):
    """They say neither which version looked nor whether a sitting began."""
    case = read_case(stack_in(images))
    content = file_format.parse_case(file_format.encode_case(case))
    lines = [json.loads(line) for line in content.records["steps"].split(b"\n")]
    for line in lines:
        if "look" in line:
            assert line["look"].pop("fresh") is True
            assert line["look"].pop("software") == __version__
    content.records["steps"] = b"\n".join(json.dumps(line).encode() for line in lines)
    assert remade(file_format.build_case(content, case.stack)).identical


def test_answers_whose_look_was_forgotten_are_said_not_to_be_checked(images):
    case = read_case(stack_in(images))
    while case.record.steps[0].cause is not Cause.READER:
        case.record._merge_oldest()
    found = remade(case).findings
    assert found.edits_hold and not found.differences
    assert "segment" in [one.name for one in found.unchecked]


def test_changed_images_are_refused_by_name(replay, saved, tmp_path):
    other = tmp_path / "other"
    pixels = patient(1).pixels.copy()
    pixels[2, 5, 5] = 99
    write_series(other, replace(patient(1), pixels=pixels))
    status, said = replay(saved, "--dicom", other)
    assert status == 2 and "E_CASE_OTHER_STACK" in said and "pixels_sha256" in said


def test_files_changed_in_their_headers_alone_give_the_same(replay, saved, images, monkeypatch):
    spoil(next(images.iterdir()), "StudyDescription", "another")
    status, said = replay(saved, "--dicom", images)
    assert status == 0, said
    monkeypatch.setattr("scarseg.models.load", load_greedy)
    assert (
        "image files that were changed, though not their pixels"
        in replay(saved, "--dicom", images)[1]
    )


def test_images_elsewhere_are_asked_for_and_the_last_folder_is_known(
    replay, saved, images, tmp_path
):
    status, said = replay(saved)
    assert status == 1 and "E_INPUT_MISSING" in said and "--dicom" in said
    status, said = replay(saved, "--dicom", write(tmp_path / "others", 2))
    assert status == 2 and "E_INPUT_MISSING" in said
    last_position.save_last_folder(store.default_folder(), images, [])
    assert replay(saved)[0] == 0


def test_a_folder_of_cases_and_one_that_is_damaged(replay, saved, images):
    twin = saved.with_name("two.scarseg")
    data = bytearray(saved.read_bytes())
    data[len(data) // 2] ^= 1
    twin.write_bytes(data)
    status, said = replay(saved.parent, "--dicom", images)
    assert status == 2
    assert "one.scarseg: identical" in said and "two.scarseg" in said and "damaged" in said
    status, said = replay(twin, "--dicom", images)
    assert status == 1


def test_no_name_of_a_patient_is_said(replay, saved, images, tmp_path, monkeypatch):
    monkeypatch.setattr("scarseg.models.load", load_greedy)
    _, said = replay(saved, "--dicom", images, "-o", tmp_path / "out")
    assert "CANARY" not in said.replace(str(tmp_path), "")
    assert not any(b"CANARY" in data for data in tree(tmp_path / "out").values())


@pytest.mark.parametrize("load", [fake_models, load_greedy])
def test_scar_withheld_from_a_whole_stack_is_withheld_again(
    load: Callable[[], Models], images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also scar that only other weights propose."""
    strict = replace(RULES, gate_evidence_mm2=1e6)
    case = pipeline.propose_case(stack_in(images), fake_models(), rules=strict)
    assert not infarct_mask(case.labels).any()
    monkeypatch.setattr("scarseg.models.load", lambda *_words: load())
    labels = remade(case).labels
    assert not infarct_mask(labels).any()
    assert load is not fake_models or np.array_equal(labels, case.labels)
    for change in gate.show_changes(case):
        case.apply(change, Cause.GATE)
    labels = remade(case).labels
    assert load is not fake_models or np.array_equal(labels, case.labels)
    assert infarct_mask(labels).any()
