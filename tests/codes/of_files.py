"""Codes of everything but images: options, outputs, masks, tables, prompts, cases and models."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import torch
from safetensors.torch import save_file

import scarseg
from scarseg.agreement.mask_files import MaskFiles, compare_files
from scarseg.case.case import Case
from scarseg.case.labels import Label
from scarseg.case.stack import LgeSequence
from scarseg.errors import Cancelled
from scarseg.evaluation.calibrate import require_enough
from scarseg.evaluation.patients import choose_patients, shifted_case
from scarseg.gui.display import missing_library_error
from scarseg.gui.panels.thresholds.masks import REASONS as METHOD_REASONS
from scarseg.gui.session import export as gui_export
from scarseg.gui.session.rereading import _stack as images_of
from scarseg.gui.session.studies.study import Entry
from scarseg.io import dicom
from scarseg.io.casefile import file_format, rereading, store
from scarseg.io.casefile.lock import CaseLock
from scarseg.io.files import check_name, write_file
from scarseg.io.masks.nifti import LPS_TO_RAS, read_image, write_labels
from scarseg.io.masks.read import read_mask
from scarseg.models.detector import load_detector, to_detections
from scarseg.models.segmenter import choose_device
from scarseg.quant.mass import measure
from scarseg.quant.method_comparison import compare_methods
from scarseg.quant.method_tables import method_rows
from scarseg.quant.segments import InsertionPoint, insertion_angles
from scarseg.quant.thresholds import ThresholdMethod, threshold_scar
from scarseg.report.text import _MEANINGS
from scarseg.segmentation import pipeline
from scarseg.training import runs
from scarseg.training.loop import _not_a_number
from tests.calibrations import write_calibration, write_for_shipped
from tests.codes.makers import Bench, Said, provokes, raised
from tests.cohorts import patient, write
from tests.conftest import make_phantom_stack, phantom_labels
from tests.evaluation.phantoms import phantom_case
from tests.fakes import fake_models
from tests.io.exports import VARIANTS, make_export, write_segmentation

STACK = make_phantom_stack()
ROOT = Path(scarseg.__file__).parent.parent


def case_of(stack: Any = STACK) -> Case:
    case = Case.new(stack)
    case.labels[:] = phantom_labels()
    return case


# options and the program


@provokes("E_USAGE", "--mask-format needs a folder: give --masks DIR")
def format_without_folder(bench: Bench) -> Said:
    return bench.batch(write(bench.folder / "in", 1), "--mask-format", "seg")


@provokes("E_USAGE", "--frobnicate")
def unknown_option(bench: Bench) -> Said:
    return bench.run("inspect", "--frobnicate", bench.folder)


@provokes("E_CANCELLED", "was cancelled")
def cancelled(bench: Bench) -> Said:
    def cancel() -> None:
        raise Cancelled

    return raised(cancel)


@provokes("E_NO_DISPLAY", "There is no display for a window")
def no_display(bench: Bench) -> Said:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        bench.monkeypatch.delenv(name, raising=False)
    return bench.run("gui")


@provokes("E_QT_LIBRARY", r"libxcb-cursor\.so\.0 .*apt install libxcb-cursor0")
def no_library(bench: Bench) -> Said:
    error = missing_library_error("libxcb-cursor.so.0")
    return [(error.code, error.message)]


@provokes("E_INTERNAL", "A bug in the program|^$")
@provokes("E_MEMORY", "did not fit into memory|^$")
def faults_of_the_program(bench: Bench) -> Said:
    errors = iter((ZeroDivisionError(), MemoryError()))

    def read(*_: object, **__: object) -> None:
        raise next(errors)

    bench.monkeypatch.setattr(dicom, "read_stack", read)
    return bench.batch(write(bench.folder / "in", 1, 2), "--identify")


DYING = """
import os, signal, sys
import scarseg.models
from tests.fakes import FakeDetector, FakeSegmenter
from scarseg.models import Models
class Dying(FakeSegmenter):
    def embed(self, *rest):
        os.kill(os.getpid(), signal.SIGKILL)
def load(*rest, **named):
    return Models(Dying(), FakeDetector())
scarseg.models.load = load
from scarseg import cli
if __name__ == "__main__":
    sys.exit(cli.main(sys.argv[1:]))
"""


@provokes("E_CRASH", "process .*died|died")
def dead_worker(bench: Bench) -> Said:
    script = bench.folder / "run.py"
    script.write_text(DYING)
    words = [write(bench.folder / "in", 1, 2), "--jobs", "2", "-o", bench.folder / "scar.csv"]
    command = [sys.executable, str(script), "batch", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, env=environment, check=False, capture_output=True)
    return bench.run("inspect", bench.folder / "in")  # its table is there to be read


# outputs


@provokes("E_EXISTS", r"scar\.csv exists already; give --force")
def existing_output(bench: Bench) -> Said:
    (bench.folder / "scar.csv").write_text("warnings,error_code,error_message\n")
    return bench.batch(write(bench.folder / "in", 1))


@provokes("E_OUTPUT_NAME", "is 304 bytes long; 207 are possible")
def long_name(bench: Bench) -> Said:
    return raised(lambda: check_name(bench.folder / ("x" * 300 + ".csv")))


@provokes("E_WRITE", "file.* cannot be written|Nothing can be written")
def file_for_a_folder(bench: Bench) -> Said:
    (bench.folder / "file").touch()
    return raised(lambda: write_file(bench.folder / "file" / "out.csv", b""))


# calibrations


@provokes("E_CALIBRATION", "was changed after it was written: its sha256 is another")
def changed_calibration(bench: Bench) -> Said:
    path = write_for_shipped(bench.folder / "site.json")
    path.write_text(path.read_text().replace('"n_cases": 12', '"n_cases": 13'))
    data = write(bench.folder / "in", 1)
    return bench.batch(data, "--calibration", path)


@provokes("E_CALIBRATION_WEIGHTS", "was learned with the segmenter 111111111111, not with ")
def calibration_of_other_weights(bench: Bench) -> Said:
    path = write_calibration(bench.folder / "site.json")
    return bench.batch(write(bench.folder / "in", 1), "--calibration", path)


@provokes("E_CALIBRATION_CASES", "There are 1 patients whose scar was read; .*at least 10")
def too_few_to_calibrate(bench: Bench) -> Said:
    return raised(lambda: require_enough([phantom_case()]))


# masks


@provokes("E_MASK", "neither DICOM nor NIfTI")
def no_mask(bench: Bench) -> Said:
    path = bench.folder / "m.nii"
    path.write_bytes(b"no")
    return raised(lambda: read_mask(path, STACK))


@provokes("E_MASK", r"values that stand for nothing: \[7\]")
def strange_value(bench: Bench) -> Said:
    labels = np.ascontiguousarray(phantom_labels().transpose(2, 1, 0))
    labels[0, 0, 0] = 7
    nib.save(nib.Nifti1Image(labels, LPS_TO_RAS @ STACK.affine), bench.folder / "m.nii")
    return raised(lambda: read_mask(bench.folder / "m.nii", STACK))


@provokes("E_NIFTI", r"m\.nii has 2 axes, not 3")
def flat_image(bench: Bench) -> Said:
    path = bench.folder / "m.nii"
    nib.save(nib.Nifti1Image(np.zeros((3, 3), np.uint8), np.eye(4)), path)
    return raised(lambda: read_image(path))


def moved_mask(bench: Bench, name: str, shift_mm: float) -> Path:
    stack = patient(1)
    origins = tuple((x + shift_mm, y, z) for x, y, z in stack.origins_mm)
    path = bench.folder / "m" / name
    path.parent.mkdir(exist_ok=True)
    write_labels(path, phantom_labels(), replace(stack, origins_mm=origins))
    return path


def measured(bench: Bench, *words: object, patients: tuple[int, ...] = (1,)) -> Said:
    data = write(bench.folder / "in", *patients)
    output = ("-o", bench.folder / "scar.csv", "--identify")
    return bench.run("measure", *words, "--dicom", data, *output)


@provokes("E_MASK_GEOMETRY", "its pixels lie between those of the stack")
def shifted_mask(bench: Bench) -> Said:
    return measured(bench, moved_mask(bench, "1.2.1.1.nii.gz", 0.6))


@provokes("E_MASK_UNMATCHED", "fits none of the 2 stacks")
def mask_of_nobody(bench: Bench) -> Said:
    return measured(bench, moved_mask(bench, "other.nii.gz", 300.0), patients=(1, 2))


@provokes("E_MASK_AMBIGUOUS", r"Several masks belong to series 1\.2\.1\.1")
def two_masks(bench: Bench) -> Said:
    moved_mask(bench, "1.2.1.1.nii.gz", 0.0)
    other = bench.folder / "n" / "1.2.1.1.nii.gz"
    other.parent.mkdir()
    other.write_bytes((bench.folder / "m" / other.name).read_bytes())
    return measured(bench, bench.folder / "m", bench.folder / "n")


@provokes("E_MASK_GRID", "not on one grid: .*pixels lie between")
def masks_on_two_grids(bench: Bench) -> Said:
    a = moved_mask(bench, "a.nii.gz", 0.0)
    b = moved_mask(bench, "b.nii.gz", 0.6)
    return raised(lambda: compare_files(MaskFiles("p", a, b)))


@provokes("E_MASK_SEGMENTS", "no segment that is known: thing.*--values")
def nameless_segments(bench: Bench) -> Said:
    export = make_export(VARIANTS[0], bench.folder / "images")
    path = bench.folder / "s.dcm"
    dataset = write_segmentation(path, export.case, export.summary)
    for segment in dataset.SegmentSequence:
        segment.SegmentLabel = "thing"
        segment.SegmentedPropertyTypeCodeSequence[0].CodeMeaning = "thing"
        segment.SegmentedPropertyTypeCodeSequence[0].CodeValue = "1"
    dataset.save_as(path)
    return raised(lambda: read_mask(path, export.case.stack))


@provokes("E_MASK_STUDY", "made on images of another study")
def segments_of_another_study(bench: Bench) -> Said:
    export = make_export(VARIANTS[0], bench.folder / "images")
    path = bench.folder / "s.dcm"
    dataset = write_segmentation(path, export.case, export.summary)
    dataset.StudyInstanceUID = "1.2.3.999"
    dataset.save_as(path)
    stack = export.case.stack
    sources = tuple(replace(one, sop_instance_uid=f"9.{k}") for k, one in enumerate(stack.sources))
    return raised(lambda: read_mask(path, replace(stack, sources=sources)))


@provokes("W_MASK_PARTIAL", "the mask covers 3 of 5 slices")
def mask_of_three_slices(bench: Bench) -> Said:
    affine = LPS_TO_RAS @ patient(1).affine
    data = np.ascontiguousarray(phantom_labels()[:3].transpose(2, 1, 0))
    (bench.folder / "m").mkdir()
    image = nib.Nifti1Image(data, affine)
    image.set_sform(affine, code="scanner")
    nib.save(image, bench.folder / "m" / "1.2.1.1.nii")
    return measured(bench, bench.folder / "m")


@provokes("W_MASK_VALUES", "the mask holds blood pool alone")
def mask_of_ones(bench: Bench) -> Said:
    path = bench.folder / "m" / "1.2.1.1.nii.gz"
    path.parent.mkdir()
    write_labels(path, (phantom_labels() > 1).astype(np.uint8), patient(1))
    return measured(bench, path)


@provokes("W_MASK_IGNORED", "segments of other tissues were left out")
def segments_of_another_tissue(bench: Bench) -> Said:
    data = write(bench.folder / "in", 1)
    out = bench.folder / "m"
    bench.run("batch", data, "-o", out / "first.csv", "--masks", out, "--mask-format", "seg")
    [path] = out.glob("*.dcm")
    dataset = pydicom.dcmread(path)
    segment = dataset.SegmentSequence[0]
    segment.SegmentLabel = "right atrium"
    segment.SegmentedPropertyTypeCodeSequence[0].CodeMeaning = "right atrium"
    dataset.save_as(path)
    output = ("-o", bench.folder / "scar.csv", "--identify")
    return bench.run("measure", path, "--dicom", data, *output)


# tables and prompts


def agreed(bench: Bench, text: str) -> Said:
    (bench.folder / "a.csv").write_text("series_uid,scar_mass_g\n1.2.1,3\n1.2.2,4\n")
    (bench.folder / "b.csv").write_text(text)
    return bench.run("agree", bench.folder / "a.csv", bench.folder / "b.csv")


@provokes("E_TABLE", r"b\.csv has no column scar_mass_g")
def table_without_grams(bench: Bench) -> Said:
    return agreed(bench, "series_uid,mass\n1.2.1,1\n")


@provokes("E_PAIRS", r"No row of a\.csv has a partner with a value in b\.csv")
def tables_of_others(bench: Bench) -> Said:
    return agreed(bench, "series_uid,scar_mass_g\n9.9,1\n")


@provokes("E_PROMPTS", "a file of labelme; .*sop_instance_uid")
def prompts_of_labelme(bench: Bench) -> Said:
    path = bench.folder / "p.json"
    path.write_text(json.dumps({"version": "5", "shapes": [], "imagePath": "a.png"}))
    return bench.batch(write(bench.folder / "in", 1), "--prompts", path)


@provokes("W_PROMPTS_UNUSED", r"holds slice 9\.9\.9")
@provokes("W_NO_PROMPTS", "none of the prompts names one of its slices")
def prompts_of_another_series(bench: Bench) -> Said:
    entry = {"sop_instance_uid": "9.9.9", "boxes": [[1, 1, 9, 9]]}
    path = bench.folder / "p.json"
    path.write_text(json.dumps({"version": 1, "slices": [entry]}))
    return bench.batch(write(bench.folder / "in", 1), "--prompts", path)


@provokes("E_DENSITY", r"must be positive, not -1\.0")
def density_below_zero(bench: Bench) -> Said:
    case = case_of()
    statuses = [reading.status for reading in case.readings]
    return raised(lambda: measure(case.labels, STACK, statuses, density_g_per_ml=-1.0))


# numbers


@provokes("E_INSERTION", "Slice 1 has an insertion point but no wall")
def insertion_without_wall(bench: Bench) -> Said:
    return raised(
        lambda: insertion_angles(phantom_labels() * 0, STACK, [InsertionPoint(0, 10, 10)])
    )


@provokes("E_THRESHOLD", "A manual threshold is a number")
def threshold_that_is_none(bench: Bench) -> Said:
    wall = phantom_labels() >= Label.MYOCARDIUM
    nan = float("nan")
    return raised(
        lambda: threshold_scar(
            ThresholdMethod.MANUAL, STACK.pixels, wall, STACK.pixel_spacing_mm, manual=nan
        )
    )


def with_meanings(codes: Iterable[str]) -> Said:
    """Return codes that stand in tables alone with what window or report say of them."""
    return [(code, METHOD_REASONS.get(code) or _MEANINGS[code]) for code in codes]


def method_warnings(stack: Any, labels: Any, *methods: str) -> Said:
    rows = method_rows(compare_methods(stack, labels, methods), stack)
    return with_meanings(code for row in rows for code in str(row["warnings"] or "").split())


@provokes("W_NO_WALL", "No wall")
def methods_without_wall(bench: Bench) -> Said:
    return method_warnings(STACK, phantom_labels() * 0, "sd5")


@provokes("W_NO_REMOTE", "no remote wall in this stack")
def methods_without_remote(bench: Bench) -> Said:
    labels = np.zeros_like(phantom_labels())
    labels[:, 30, 30:33] = Label.MYOCARDIUM
    return method_warnings(STACK, labels, "sd5")


@provokes("W_METHOD_REGION", "segmented or boxed scar: there is none")
def methods_without_scar(bench: Bench) -> Said:
    labels = phantom_labels()
    labels[labels == Label.SCAR] = Label.MYOCARDIUM
    return method_warnings(STACK, labels, "fwhm_max")


@provokes("W_METHOD_PSIR", "Not for PSIR: half of a signed maximum")
def half_of_a_signed_maximum(bench: Bench) -> Said:
    psir = replace(STACK, pixels=STACK.pixels - 120, sequence=LgeSequence.PSIR)
    return method_warnings(psir, phantom_labels(), "fwhm_max")


@provokes("W_THRESHOLD_BELOW_REMOTE", "threshold is not above remote wall")
def dark_scar(bench: Bench) -> Said:
    labels = phantom_labels()
    pixels = np.where(labels == Label.SCAR, 60.0, STACK.pixels).astype(np.float32)
    pixels[labels == Label.MYOCARDIUM] = 100.0
    return method_warnings(replace(STACK, pixels=pixels), labels, "fwhm_max")


@provokes("W_CONVENTION", "two masses differ by over 1 %")
def slices_of_8_mm_10_mm_apart(bench: Bench) -> Said:
    return with_meanings(pipeline.measure(case_of()).warnings)


@provokes("W_SINGLE_SLICE", "a single slice")
def one_slice(bench: Bench) -> Said:
    one = replace(
        STACK, pixels=STACK.pixels[:1], origins_mm=STACK.origins_mm[:1], sources=STACK.sources[:1]
    )
    return with_meanings(pipeline.measure(Case.new(one)).warnings)


# cases


@provokes("E_CASE_MISSING", r"no saved case at .*a\.scarseg")
def no_case(bench: Bench) -> Said:
    return raised(lambda: store.load_case(bench.folder / "a.scarseg", STACK))


@provokes("E_CASE_DAMAGED", "do not match their checksum")
def damaged_case(bench: Bench) -> Said:
    path = bench.folder / "a.scarseg"
    store.save_case(case_of(), path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    return raised(lambda: store.load_case(path, STACK))


@provokes("E_CASE_NEWER", "later|newer|update")
def case_of_a_later_version(bench: Bench) -> Said:
    path = bench.folder / "a.scarseg"
    data = struct.pack("<16sI", file_format.MAGIC, 99) + b"whatever comes"
    path.write_bytes(data + hashlib.sha256(data).digest())
    return raised(lambda: store.load_case(path, STACK))


@provokes("E_CASE_OTHER_STACK", "made on other images .*series_uid")
def case_of_other_images(bench: Bench) -> Said:
    path = bench.folder / "a.scarseg"
    store.save_case(case_of(), path)
    return raised(lambda: store.load_case(path, replace(STACK, series_uid="9.9")))


@provokes("E_CASE_LOCKED", f"process {os.getpid()}")
def case_in_use(bench: Bench) -> Said:
    path = bench.folder / "a.scarseg"
    with CaseLock().acquire(path):
        return raised(lambda: CaseLock().acquire(path))


@provokes("E_CASE_WRITE", "cannot be locked in .*file: File exists")
def case_that_cannot_be_written(bench: Bench) -> Said:
    (bench.folder / "file").touch()
    return raised(lambda: CaseLock().acquire(bench.folder / "file" / "a.scarseg"))


@provokes("E_REREADING", "The re-reading R is damaged")
def damaged_rereading(bench: Bench) -> Said:
    folder = bench.folder / "R"
    folder.mkdir()
    (folder / rereading.INDEX).write_text("[" * 100_000)
    return raised(lambda: rereading.read_rereading(folder))


@provokes("E_IMAGES", "not at hand")
def rereading_without_images(bench: Bench) -> Said:
    [covered] = rereading.shuffle_with_codes([_first()], 3)
    return raised(lambda: images_of({}, covered))


def _first() -> rereading.FirstReading:
    return rereading.FirstReading("1.2", "1.2.3", "", 5, "", "", None, "AB")


def exported(bench: Bench, *entries: Entry) -> Said:
    formats = frozenset({gui_export.ExportFormat.SEG})
    request = gui_export.ExportRequest(bench.folder, formats)
    now = case_of() if entries else None
    return raised(lambda: gui_export.export_formats(request, entries, bench.folder, now, False))


@provokes("E_NO_READING", "Nothing of this list is read yet")
def nothing_read(bench: Bench) -> Said:
    return exported(bench)


@provokes("E_NO_FILES", "need images that are in files")
def reading_of_a_stack_in_memory(bench: Bench) -> Said:
    return exported(bench, Entry(STACK))


# models and training


@provokes("E_WEIGHTS_MISSING", "missing")
def no_list_of_weights(bench: Bench) -> Said:
    from scarseg.models.weights import list_weights

    return raised(lambda: list_weights(bench.folder))


@provokes("E_WEIGHTS_DAMAGED", "cannot be read")
def damaged_weights(bench: Bench) -> Said:
    path = bench.folder / "d.safetensors"
    path.write_bytes(b"no weights at all")
    return raised(lambda: load_detector(path))


@provokes("E_WEIGHTS_UNKNOWN", "d.pt is a PyTorch file")
def weights_of_pytorch(bench: Bench) -> Said:
    path = bench.folder / "d.pt"
    torch.save({"model": torch.zeros(2)}, path)
    return raised(lambda: load_detector(path))


@provokes("E_WEIGHTS_UNKNOWN", "format 'other'")
def weights_of_another_kind(bench: Bench) -> Said:
    path = bench.folder / "d.safetensors"
    save_file({"a": torch.zeros(1)}, path, {"format": "other"})
    return raised(lambda: load_detector(path))


@provokes("W_UNVERIFIED_WEIGHTS", "weights that are not in the manifest")
def unverified_weights(bench: Bench) -> Said:
    case = case_of()
    case.detector = replace(fake_models().detector.identity, verified=False)
    row = pipeline.measured_record(case).row
    return with_meanings(str(row["warnings"]).split())


@provokes("E_DEVICE", "This machine has no device abacus")
def no_such_device(bench: Bench) -> Said:
    return raised(lambda: choose_device("abacus"))


@provokes("E_MODEL_OUTPUT", "values that are not numbers")
def boxes_of_no_number(bench: Bench) -> Said:
    rows = torch.full((1, 6), float("nan"))
    return raised(lambda: to_detections(rows, None, (10, 10)))  # type: ignore[arg-type]


@provokes("E_TRAINING", "not a number in 5 steps in a row")
def loss_of_no_number(bench: Bench) -> Said:
    error = _not_a_number(5)
    return [(error.code, error.message)]


@provokes("E_RUN_LOCKED", "Another program is training in")
def two_trainings(bench: Bench) -> Said:
    with runs.lock_folder(bench.folder):
        return raised(lambda: runs.lock_folder(bench.folder).__enter__())


@provokes("E_RUN_OTHER", "rate.*0.1.*0.2|0.2.*0.1")
def another_recipe(bench: Bench) -> Said:
    runs.write_recipe(bench.folder, {"kind": "segmenter", "rate": 0.1})
    now = {"kind": "segmenter", "rate": 0.2}
    return raised(lambda: runs.require_same_recipe(bench.folder, now))


@provokes("E_PATIENTS", "The data hold no patient nobody")
def unknown_patient(bench: Bench) -> Said:
    return raised(lambda: choose_patients([phantom_case("A")], "nobody"))


@provokes("E_REFERENCE", "A has no reference: its labels are empty")
def patient_without_reference(bench: Bench) -> Said:
    case = phantom_case("A")
    empty = replace(case, labels=case.labels * 0)
    return raised(lambda: shifted_case(empty, np.random.default_rng(0)))
