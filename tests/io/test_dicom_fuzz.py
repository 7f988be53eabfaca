"""Mutated files: nothing but ``ScarsegError`` may come out, and nothing may hang."""

from __future__ import annotations

import random
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from scarseg.errors import ScarsegError
from scarseg.io.dicom import read_stack, scan
from tests.io.dicom_files import compressed, enhanced, save, save_series, series

PLAIN = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
]
PACKED = [RLELossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless]
LENGTHS = [b"\xff\xff\xff\xff", bytes(4), b"\xff\xff\xff\x7f", b"\xfe\xff\x00\xe0"]
SWAPS = [(b"DS", b"FD"), (b"DS", b"UN"), (b"SQ", b"UN"), (b"IS", b"SQ"), (b"1.5", b"nan")]


def mutated(data: bytes, rng: random.Random, header_share: float) -> bytes:
    """Flip, cut, insert, copy, and write lengths that lie."""
    result = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 5, 20])):
        end = min(len(result), 2200) if rng.random() < header_share else len(result)
        if end < 2:
            break
        at, kind = rng.randrange(end), rng.random()
        if kind < 0.35:
            result[at] = rng.randrange(256)
        elif kind < 0.5:
            result[at] ^= 1 << rng.randrange(8)
        elif kind < 0.6:
            del result[at : at + rng.choice([1, 2, 4, 8, 100])]
        elif kind < 0.7:
            result[at:at] = rng.randbytes(rng.choice([1, 2, 4, 8]))
        elif kind < 0.78:
            del result[rng.randrange(len(result)) :]
        elif kind < 0.9:
            result[at : at + 4] = rng.choice(LENGTHS)
        elif kind < 0.96:
            start, n = rng.randrange(len(result)), rng.randrange(1, 64)
            result[at : at + n] = result[start : start + n]
        else:
            result = bytearray(bytes(result).replace(*rng.choice(SWAPS)))
    return bytes(result)


def look(path: Path) -> str:
    """Scan and read; say what came out."""
    try:
        report = scan([path])
        for summary in report.stacks:
            stack = read_stack(summary, slice_thickness_mm=7.0)
            assert np.isfinite(stack.pixels).all()
            assert all(0.01 <= v <= 100 for v in stack.pixel_spacing_mm)
    except ScarsegError as error:
        return error.code
    return "read" if report.stacks else "refused" if report.refused else "skipped"


def seeds(tmp_path: Path, syntaxes: list[str]) -> list[bytes]:
    result = []
    for syntax in syntaxes:
        packed = syntax in PACKED
        one = compressed(series()[2], syntax) if packed else series()[2]
        many = enhanced(series(), syntax if packed else None, shared=packed)
        for ds in (one, many):
            result.append(save(ds, tmp_path / "seed", syntax).read_bytes())
    return result


@pytest.mark.parametrize("syntax", PLAIN)
def test_mutated_files_among_good_ones(tmp_path: Path, syntax: str) -> None:
    rng = random.Random(f"plain {syntax}")
    originals = seeds(tmp_path, [syntax])
    folder = tmp_path / "study"
    save_series(folder, series(skip=[2]))
    outcomes = set()
    for _ in range(120):
        (folder / "mutant").write_bytes(mutated(rng.choice(originals), rng, 0.8))
        outcomes.add(look(folder if rng.random() < 0.5 else folder / "mutant"))
    assert "read" in outcomes
    assert outcomes & {"refused", "skipped"}


@pytest.mark.parametrize("syntax", PACKED)
def test_mutated_compressed_files(tmp_path: Path, syntax: str) -> None:
    rng = random.Random(f"packed {syntax}")
    originals = seeds(tmp_path, [syntax])
    outcomes = set()
    for _ in range(40):
        (tmp_path / "mutant").write_bytes(mutated(rng.choice(originals), rng, 0.3))
        outcomes.add(look(tmp_path / "mutant"))
    assert outcomes & {"read", "E_DECODE"}


def test_mutated_zips(tmp_path: Path) -> None:
    rng = random.Random("zip")
    path = tmp_path / "good.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for file in save_series(tmp_path / "a", series(3)):
            target.write(file, file.name)
    data = path.read_bytes()
    outcomes = set()
    for _ in range(150):
        (tmp_path / "mutant").write_bytes(mutated(data, rng, 0.3))
        outcomes.add(look(tmp_path / "mutant"))
    assert {"read", "refused"} <= outcomes
