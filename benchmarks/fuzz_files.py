"""Mutate case files, masks, tables, prompts and weights; nothing may be read to something else.

    python benchmarks/fuzz_files.py --n 5000

Checksums are sealed again, so that a mutant gets as far as its content. A mutant may be read as
an independent reader reads it (nibabel, pydicom, the csv and json modules, safetensors), or be
refused by a ``ScarsegError``. Anything else is a finding.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import logging
import random
import struct
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from pydicom import dcmread
from safetensors.torch import load as load_tensors

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scarseg.case.labels import Label, LabelArray
from scarseg.case.stack import Stack
from scarseg.errors import ScarsegError
from scarseg.io.casefile import file_format, store
from scarseg.io.masks.nifti import write_labels
from scarseg.io.masks.read import read_mask
from scarseg.io.prompts_json import read_prompts, write_prompts
from scarseg.io.tables.csv_reader import read_csv
from scarseg.io.tables.table import render_csv
from scarseg.models.detector import DetectorSettings, read_weights, save_weights
from scarseg.models.detector_network import build_network
from tests.conftest import make_phantom_stack, phantom_labels
from tests.io.casefile.test_store import example_case
from tests.io.exports import VARIANTS, make_export, write_segmentation
from tests.io.test_dicom_fuzz import mutated

_WORDS = (b"NaN", b"1e999", b"-1", b"null", b"[]", b"{}", b'""', b"\xff", b",", b";", b'"', b"\n")
_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 3, 5, 2**31, 2**70, 0.5, -0.25, 1e300, "", "accepted", "NaN"),
    *([], {}, [[]], [0, 0, 1, 1], "\ud800", "1.2.3.4.1"),
)
STACK = make_phantom_stack()
TRUTH = phantom_labels()
ROWS = [
    {"series_uid": f"1.2.{k}", "scar_mass_g": 1.5 * k, "note": text}
    for k, text in enumerate(("plain", "with, comma", "=1+1", 'a "quoted" word', "Müller"))
]


@dataclass(frozen=True)
class Finding:
    """A mutant that was read to something else than it holds."""

    kind: str
    number: int
    what: str


@dataclass(frozen=True)
class Target:
    """One kind of file: its good bytes, how it is mutated, and how the result is checked.

    ``check`` returns what is wrong with what was read, "" where nothing is.
    """

    good: bytes
    mutate: Callable[[bytes, random.Random], bytes]
    check: Callable[[Path, bytes], str]
    name: str


def any_bytes(data: bytes, rng: random.Random) -> bytes:
    return mutated(data, rng, 0.6)


def text_bytes(data: bytes, rng: random.Random) -> bytes:
    """Mutate a text: also by what stands elsewhere in it, and by numbers that are none."""
    if rng.random() < 0.5:
        return mutated(data, rng, 1.0)
    result = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(result))
        result[at : at + rng.choice((0, 1, 3, 9))] = rng.choice(_WORDS)
    return bytes(result)


def json_values(data: bytes, rng: random.Random) -> bytes:
    """Replace, drop or repeat values of a JSON document, which stays JSON."""
    document = json.loads(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        holder, key = _some_place(document, rng)
        if holder is None:
            break
        what = rng.random()
        if what < 0.7:
            holder[key] = deepcopy(rng.choice(_VALUES))
        elif what < 0.85:
            del holder[key]
        elif isinstance(holder, list):
            holder.append(deepcopy(holder[key]))
    return json.dumps(document).encode()


def _some_place(document: Any, rng: random.Random) -> tuple[Any, Any]:
    """Return a holder and a key or index in it, at any depth; (None, None) where there is none."""
    holder, key = None, None
    while isinstance(document, dict | list) and document:
        keys = sorted(document) if isinstance(document, dict) else range(len(document))
        holder, key = document, rng.choice(keys)
        document = document[key]
        if rng.random() < 0.3:
            break
    return holder, key


def any_text(data: bytes, rng: random.Random) -> bytes:
    return json_values(data, rng) if rng.random() < 0.7 else text_bytes(data, rng)


# case files


def sealed_case(data: bytes, rng: random.Random) -> bytes:
    """Mutate one record of a case file, packed ones unpacked, and seal all again."""
    records = dict(file_format.parse_case(data).records)
    name = rng.choice(sorted(records))
    content = records[name]
    if name == "case":
        content = any_text(content, rng)
    elif rng.random() < 0.7:
        try:
            content = zlib.compress(mutated(zlib.decompress(content), rng, 0.5))
        except zlib.error:
            content = text_bytes(content, rng)
    else:
        content = mutated(content, rng, 0.5)
    records[name] = content
    return file_format.seal(records)


def check_case(path: Path, data: bytes) -> str:
    """A case that is loaded is whole: it can be saved and is then loaded alike."""
    case = store.read_case(path, STACK).case
    if case.labels.shape != STACK.pixels.shape or case.labels.max() > max(Label):
        return "labels of another shape or value"
    if len(case.readings) != STACK.n_slices or not np.isfinite(case.seconds) or case.seconds < 0:
        return f"{len(case.readings)} readings, {case.seconds} s"
    records = file_format.parse_case(data).records
    plain = np.frombuffer(zlib.decompress(records["labels"]), np.uint8)
    if not np.array_equal(plain, case.labels.ravel()):
        return "labels differ from those of the record"
    again = file_format.build_case(
        file_format.parse_case(file_format.encode_case(case)), STACK, with_steps=False
    )
    if not np.array_equal(again.labels, case.labels) or again.readings != case.readings:
        return "another case when it is saved and loaded"
    return ""


# masks


def check_nifti(path: Path, data: bytes) -> str:
    labels = read_mask(path, STACK).labels
    image = nib.Nifti1Image.from_bytes(data)
    values = np.asarray(image.dataobj)
    where = np.argwhere(values > 0)
    places = where @ image.affine[:3, :3].T + image.affine[:3, 3]
    inverse = np.linalg.inv(STACK.affine)
    voxels = (places * [-1, -1, 1]) @ inverse[:3, :3].T + inverse[:3, 3]
    expected = np.zeros_like(labels)
    column, row, k = np.rint(voxels).astype(int).T
    expected[k, row, column] = values[tuple(where.T)]
    return "" if np.array_equal(labels, expected) else "labels differ from nibabel's"


def segmentation_check(
    stack: Stack, truth: LabelArray, good: bytes
) -> Callable[[Path, bytes], str]:
    original = np.asarray(dcmread(io.BytesIO(good)).pixel_array)

    def check(path: Path, data: bytes) -> str:
        labels = read_mask(path, stack).labels
        dataset = dcmread(path)
        frames = np.asarray(dataset.pixel_array)
        if np.count_nonzero(labels) > np.count_nonzero(frames):
            return "more voxels than pydicom finds"
        positions = [
            [float(value) for value in one.PlanePositionSequence[0].ImagePositionPatient]
            for one in dataset.PerFrameFunctionalGroupsSequence
        ]
        normal = np.asarray(stack.normal)
        for k, count in enumerate(np.count_nonzero(labels, axis=(1, 2))):
            z = stack.slice_positions_mm[k] + normal @ np.asarray(stack.origins_mm[0])
            here = [n for n, at in enumerate(positions) if abs(normal @ np.asarray(at) - z) < 1]
            most = sum(np.count_nonzero(frames[n]) for n in here)
            if count > most:
                return f"{count} voxels on slice {k + 1}, pydicom finds {most}"
        same = frames.shape == original.shape and np.array_equal(frames, original)
        if same and (labels > 0).any() and np.count_nonzero(labels) > np.count_nonzero(truth):
            return "more labels than were written"
        return ""

    return check


# tables and prompts


def check_table(path: Path, data: bytes) -> str:
    table = read_csv(path)
    text = data.decode("utf-8-sig", errors="strict") if _is_utf8(data) else None
    if text is None or text.startswith("sep=") or ";" in text or "\t" in text or "\0" in text:
        return ""
    rows = [row for row in csv.reader(io.StringIO(text, newline="")) if any(row)]
    if tuple(rows[0]) != tuple(table.columns):
        return ""  # a header that was mutated: cells are trimmed
    cells = [
        {name: cell.removeprefix("'") for name, cell in zip(rows[0], row, strict=False)}
        for row in rows[1:]
    ]
    names = [name for name in rows[0] if name]  # a column without a name cannot be asked for
    mine = [{name: row.get(name, "") for name in names} for row in table.rows]
    theirs = [{name: row.get(name, "") for name in names} for row in cells]
    stripped = [[{k: v.strip() for k, v in r.items()} for r in each] for each in (mine, theirs)]
    return "" if stripped[0] == stripped[1] else "cells differ from the csv module's"


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def check_prompts(path: Path, data: bytes) -> str:
    found = read_prompts(path).slices
    entries = json.loads(data)["slices"]
    if len(entries) != len(found):
        return f"{len(found)} slices, the json module finds {len(entries)}"
    for entry, ((uid, frame), prompts) in zip(entries, found.items(), strict=True):
        boxes = [[b.column0, b.row0, b.column1, b.row1] for b in prompts.boxes]
        if (uid, frame) != (entry["sop_instance_uid"], entry.get("frame")):
            return "another slice"
        if boxes != entry.get("boxes", []) or not np.isfinite(np.array(boxes).ravel()).all():
            return f"boxes {boxes}, the json module finds {entry.get('boxes')}"
        if len(prompts.points) != len(entry.get("points", [])):
            return "other points"
    return ""


# weights


def mutated_weights(data: bytes, rng: random.Random) -> bytes:
    """Mutate the header, with its length set right again, or the tensors."""
    n = struct.unpack("<Q", data[:8])[0]
    if rng.random() < 0.6:
        header = text_bytes(data[8 : 8 + n], rng)
        return struct.pack("<Q", len(header)) + header + data[8 + n :]
    return mutated(data, rng, 0.2)


def check_weights(path: Path, data: bytes) -> str:
    state, settings = read_weights(path)
    theirs = load_tensors(data)
    if set(state) != set(theirs):
        return "other tensors than safetensors finds"
    if any(
        not np.array_equal(state[k].numpy(), v.float().numpy(), equal_nan=True)
        for k, v in theirs.items()
    ):
        return "other values than safetensors finds"
    return "" if isinstance(settings, DetectorSettings) else "no settings"


def targets(folder: Path) -> list[Target]:
    """Write one good file of every kind and return what is done with it."""
    case = example_case()
    write_labels(folder / "m.nii", TRUTH, STACK)
    export = make_export(VARIANTS[0], folder / "images")
    write_segmentation(folder / "s.dcm", export.case, export.summary)
    segmentation = (folder / "s.dcm").read_bytes()
    write_prompts(folder / "p.json", case)
    network = {k: v for k, v in build_network().state_dict().items() if v.numel() < 200}
    save_weights(folder / "d.safetensors", network, DetectorSettings())
    nifti = (folder / "m.nii").read_bytes()
    return [
        Target(file_format.encode_case(case), sealed_case, check_case, "case.scarseg"),
        Target(nifti, _nifti_bytes, check_nifti, "mask.nii"),
        Target(
            segmentation,
            any_bytes,
            segmentation_check(export.case.stack, export.case.labels, segmentation),
            "mask.dcm",
        ),
        Target(render_csv(tuple(ROWS[0]), ROWS), text_bytes, check_table, "table.csv"),
        Target((folder / "p.json").read_bytes(), any_text, check_prompts, "prompts.json"),
        Target(
            (folder / "d.safetensors").read_bytes(),
            mutated_weights,
            check_weights,
            "weights.safetensors",
        ),
    ]


def _nifti_bytes(data: bytes, rng: random.Random) -> bytes:
    """Mutate the header of 352 bytes more often than the voxels."""
    if rng.random() < 0.7:
        return mutated(data[:352], rng, 1.0)[:352].ljust(352, b"\0") + data[352:]
    return mutated(data, rng, 0.1)


def check(
    target: Target, path: Path, data: bytes, number: int, outcomes: Counter[str]
) -> Iterator[Finding]:
    """Read one mutant; yield what is wrong with what came out."""
    kind = target.name.split(".")[-1]
    try:
        wrong = target.check(path, data)
        outcomes[f"{kind} read"] += 1
    except ScarsegError as error:
        outcomes[f"{kind} {error.code}"] += 1
        return
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        wrong = f"{type(error).__name__}: {error}"
    if wrong:
        yield Finding(kind, number, wrong[:300])


def run(n: int, seed: int, keep: Path | None = None) -> tuple[list[Finding], Counter[str]]:
    """Check ``n`` mutants, the kinds by turns; files of findings are kept in ``keep``."""
    outcomes: Counter[str] = Counter()
    findings: list[Finding] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        every = targets(folder)
        for target in every:  # undisturbed, nothing may be found
            path = folder / target.name
            path.write_bytes(target.good)
            findings += check(target, path, target.good, -1, Counter())
        for number in range(n):
            target = every[number % len(every)]
            # One generator each: times within one file move no mutant of another.
            data = target.mutate(target.good, random.Random(f"{seed} {number}"))
            path = folder / target.name
            path.write_bytes(data)
            found = list(check(target, path, data, number, outcomes))
            if found and keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{seed}_{number}_{target.name}").write_bytes(data)
            findings += found
    return findings, outcomes


def main() -> int:
    """Run the fuzz and print what was found."""
    logging.disable(logging.CRITICAL)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the files of findings")
    options = parser.parse_args()
    findings, outcomes = run(options.n, options.seed, options.keep)
    for finding in findings:
        print(f"{finding.kind} mutant {finding.number}: {finding.what}")
    print(", ".join(f"{name} {n}" for name, n in sorted(outcomes.items())))
    print(f"{options.n} mutants, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
