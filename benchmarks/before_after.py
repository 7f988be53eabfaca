"""Compare the tables and masks of this program with those of an older checkout.

    python benchmarks/before_after.py ../older-checkout FOLDER --way measure [--part 1/5]
    python benchmarks/before_after.py ../older-checkout FOLDER --way batch --seeds 0-4

``measure``: the reference masks of EMIDEC over their stacks, written as DICOM. ``batch``: simulated
studies, or with ``--emidec`` the stacks of EMIDEC, both programs with the weights given and
``--methods all --masks --sr --report --xlsx``. Rules of a proposal changed on purpose with
scarseg-compact-3; the newer program runs with them as they were, so that what is left is a
difference of the code. Every column that came or went, every value and every voxel that differs
is counted and printed with its first example.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RULES_BEFORE = {
    "automatic_logit": 0.0,
    "given_wall_logit": 0.0,
    "previous_with_points": False,
    "endocardium_offset_mm": 0.0,
    "pool_reach_mm": 0.0,
    "click_radius_mm": 0.0,
    "local_clicks": False,
    "gate_evidence_mm2": 0.0,
}
_AS_BEFORE = "BENCHMARK_RULES_BEFORE"
_KEYS = ("series_uid", "part", "sop_instance_uid", "frame", "method", "segment")
Rows = dict[tuple[str, ...], dict[str, str]]

if os.environ.get(_AS_BEFORE):
    # Here and not in main(): the processes that measure import this file, and no more of it.
    from scarseg.segmentation.proposal import RULES

    for _name, _value in RULES_BEFORE.items():
        object.__setattr__(RULES, _name, _value)


def run(program: Path, words: Sequence[str]) -> None:
    """Run a command of a checkout; the newer one with the rules of before."""
    newer = program == ROOT
    command = (
        [sys.executable, __file__, "--command"] if newer else [sys.executable, "-m", "scarseg"]
    )
    environment = {**os.environ, "PYTHONPATH": str(program), **({_AS_BEFORE: "1"} if newer else {})}
    done = subprocess.run(
        [*command, *words],
        cwd=program,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 2):
        raise SystemExit(f"{program}: {done.stderr[-2000:]}")


def read_rows(path: Path) -> tuple[tuple[str, ...], Rows]:
    """Read a table: its columns, and its rows by those columns that name them."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        columns = tuple(reader.fieldnames or ())
        keys = [name for name in _KEYS if name in columns]
        rows = {tuple(row[name] for name in keys): row for row in reader}
    return columns, rows


def compare_tables(before: Path, after: Path) -> Iterator[str]:
    """Yield what differs between two tables."""
    old_columns, old = read_rows(before)
    new_columns, new = read_rows(after)
    if gone := [name for name in old_columns if name not in new_columns]:
        yield f"columns gone: {', '.join(gone)}"
    if came := [name for name in new_columns if name not in old_columns]:
        yield f"columns added: {', '.join(came)}"
    shared = [name for name in old_columns if name in new_columns]
    if shared != [name for name in new_columns if name in old_columns]:
        yield "columns in another order"
    if list(old) != list(new):
        yield f"rows {len(old)} -> {len(new)}, {len(set(old) & set(new))} of them the same"
    both = [key for key in old if key in new]
    for name in shared:
        pairs = [(old[key][name], new[key][name]) for key in both]
        if differs := [pair for pair in pairs if pair[0] != pair[1]]:
            example = max(Counter(differs).items(), key=lambda one: one[1])[0]
            largest = _largest_change(differs)
            yield (
                f"{name}: {len(differs)} of {len(both)} values, for example"
                f" {example[0]!r} -> {example[1]!r}{largest}"
            )


def _largest_change(pairs: Sequence[tuple[str, str]]) -> str:
    try:
        change = max(abs(float(a) - float(b)) for a, b in pairs if a and b)
    except ValueError:
        return ""
    return f"; by at most {change:.3g}"


def compare_masks(before: Path, after: Path) -> Iterator[str]:
    """Yield which label maps of two folders differ, and in which labels."""
    import nibabel as nib
    import numpy as np

    old, new = ({path.name: path for path in sorted(one.glob("*.nii*"))} for one in (before, after))
    if set(old) != set(new):
        yield f"files: {len(old)} -> {len(new)}"
    same_bytes, changes, infarct = 0, Counter[tuple[int, int]](), 0
    for name in sorted(set(old) & set(new)):
        same_bytes += old[name].read_bytes() == new[name].read_bytes()
        a, b = (np.asanyarray(nib.load(one[name]).dataobj) for one in (old, new))
        if a.shape != b.shape:
            yield f"{name}: shape {a.shape} -> {b.shape}"
            continue
        values, counts = np.unique(np.stack([a, b])[:, a != b], axis=1, return_counts=True)
        changes.update(
            {(int(v[0]), int(v[1])): int(n) for v, n in zip(values.T, counts, strict=True)}
        )
        infarct += int(((a >= 3) != (b >= 3)).sum())
    yield f"label maps with the same bytes: {same_bytes} of {len(set(old) & set(new))}"
    yield f"voxels by label before and after: {dict(changes)}; scar and MVO taken as one: {infarct}"


def compare_reports(before: Path, after: Path) -> Iterator[str]:
    """Yield which numbers of structured reports differ, by the meaning of their concept."""
    import pydicom

    def numbers(path: Path) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []

        def visit(item: pydicom.Dataset) -> None:
            if item.get("ValueType") == "NUM" and item.get("MeasuredValueSequence"):
                meaning = str(item.ConceptNameCodeSequence[0].CodeMeaning)
                found.append((meaning, str(item.MeasuredValueSequence[0].NumericValue)))
            for child in item.get("ContentSequence", ()):
                visit(child)

        visit(pydicom.dcmread(path))
        return found

    old, new = ({p.name: p for p in sorted(one.glob("*sr*.dcm"))} for one in (before, after))
    yield f"structured reports: {len(old)} -> {len(new)}"
    gone, came = Counter[str](), Counter[str]()
    for name in sorted(set(old) & set(new)):
        a, b = Counter(numbers(old[name])), Counter(numbers(new[name]))
        gone.update(meaning for meaning, _ in (a - b).elements())
        came.update(meaning for meaning, _ in (b - a).elements())
    yield f"numbers only before: {dict(gone)}; only after: {dict(came)}"


def compare_folders(before: Path, after: Path) -> None:
    """Print what differs between two outputs."""
    for path in sorted({one.name for folder in (before, after) for one in folder.glob("*.csv")}):
        if (before / path).exists() and (after / path).exists():
            same = (before / path).read_bytes() == (after / path).read_bytes()
            print(f"{path}: {'the same bytes' if same else 'other bytes'}")
            for line in compare_tables(before / path, after / path):
                print(f"  {line}")
        else:
            print(f"{path}: only {'before' if (before / path).exists() else 'after'}")
    if (before / "masks").is_dir():
        for line in (
            *compare_masks(before / "masks", after / "masks"),
            *compare_reports(before / "masks", after / "masks"),
        ):
            print(line)
    for kind in ("*.xlsx", "reports/*.pdf"):
        print(f"{kind}: {len(list(before.glob(kind)))} -> {len(list(after.glob(kind)))}")


def write_emidec(folder: Path, names: Sequence[str]) -> None:
    """Write stacks of EMIDEC as DICOM, and their reference masks beside."""
    from scarseg.io.masks.nifti import write_labels
    from tests.emidec import wrap_emidec

    (folder / "references").mkdir(parents=True, exist_ok=True)
    for name in names:
        case = wrap_emidec(name, folder / "dicom")
        write_labels(folder / "references" / f"{name}.nii.gz", case.truth, case.stack)


def parts_of(text: str) -> tuple[int, int]:
    """Return the two numbers of "2/5" or "0-4"."""
    first, second = text.replace("/", "-").split("-")
    return int(first), int(second)


def main() -> int:
    """Write the inputs, run both programs, print the differences."""
    if sys.argv[1:2] == ["--command"]:
        from scarseg.cli import main as command

        return command(sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("old", type=Path, help="checkout to compare with")
    parser.add_argument("folder", type=Path, help="empty folder for inputs and outputs")
    parser.add_argument("--way", choices=("measure", "batch"), required=True)
    parser.add_argument("--emidec", action="store_true", help="batch on EMIDEC, not simulated")
    parser.add_argument(
        "--part", type=parts_of, default=(1, 1), help="n/of of the stacks of EMIDEC"
    )
    parser.add_argument("--seeds", type=parts_of, default=(0, 19), help="of the simulated studies")
    parser.add_argument("--segmenter", default="scarseg-compact-2")
    parser.add_argument("--detector", default="scarseg-detector-1")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from scarseg.simulate.studies import write_study
    from tests.emidec import case_names

    folder: Path = options.folder.resolve()
    images = folder / "dicom"
    if options.way == "measure" or options.emidec:
        number, of = options.part
        names = case_names()[number - 1 :: of]
        write_emidec(folder, names)
        print(f"{len(names)} stacks of EMIDEC")
    else:
        first, last = options.seeds
        for seed in range(first, last + 1):
            write_study(images / f"study{seed}", seed)
        print(f"{last - first + 1} simulated studies")
    words: Mapping[str, list[str]] = {
        "measure": ["measure", str(folder / "references"), "--dicom", str(images)],
        "batch": ["batch", str(images)],
    }
    for name, program in (("before", options.old.resolve()), ("after", ROOT)):
        output = folder / name
        output.mkdir()
        more = ["--methods", "all", "--report", str(output / "reports"), "--xlsx"]
        if options.way == "batch":
            more += ["--masks", str(output / "masks"), "--sr", "--segmenter", options.segmenter]
            more += ["--detector", options.detector]
        run(program, [*words[options.way], "-o", str(output / "scar.csv"), *more])
    compare_folders(folder / "before", folder / "after")
    return 0


if __name__ == "__main__":
    sys.exit(main())
