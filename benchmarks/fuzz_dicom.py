"""Mutate DICOM files and compare what is read with pydicom: nothing may differ in silence.

    python benchmarks/fuzz_dicom.py --n 20000

A mutant may be read to the same geometry and pixels as by pydicom, be refused, or come with a
warning that names the slice. It is a finding when geometry or pixels differ without a word, when
pydicom decodes exactly and a reason is printed that is untrue of the file, or when anything but a
``ScarsegError`` comes out.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import dcmread
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

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scarseg.errors import ScarsegError
from scarseg.io.dicom import read_stack, scan
from scarseg.io.dicom.types import Frame
from tests.io.dicom_files import compressed, enhanced, save, series
from tests.io.test_dicom_fuzz import mutated

PLAIN = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
)
PACKED = (RLELossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless)
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Finding:
    """A mutant that was read to something else than it holds."""

    number: int
    what: str


def seed_files(folder: Path) -> list[bytes]:
    """Write one classic and one Enhanced file in every transfer syntax; return their bytes."""
    files = []
    for syntax in (*PLAIN, *PACKED):
        packed = syntax in PACKED
        one = compressed(series()[2], syntax) if packed else series()[2]
        many = enhanced(series(), syntax if packed else None, shared=packed)
        for ds in (one, many):
            files.append(save(ds, folder / "seed", syntax).read_bytes())
    return files


def expected(path: Path, frame: Frame) -> tuple[np.ndarray, tuple[float, ...]] | None:
    """Return pixels and lengths of a frame by pydicom, None where it does not read them exactly."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            ds = dcmread(path, force=True)
            array = np.asarray(ds.pixel_array, dtype=np.float64)
        if frame.number is not None:
            array = array[frame.number - 1] if array.ndim == 3 else array
            group = ds.PerFrameFunctionalGroupsSequence[frame.number - 1]
            shared = ds.SharedFunctionalGroupsSequence[0]
            measures = (group if "PixelMeasuresSequence" in group else shared)[
                "PixelMeasuresSequence"
            ][0]
            transform = group.PixelValueTransformationSequence[0]
            position = group.PlanePositionSequence[0].ImagePositionPatient
        else:
            measures = transform = ds
            position = ds.ImagePositionPatient
        slope = float(transform.get("RescaleSlope", 1) or 1)
        intercept = float(transform.get("RescaleIntercept", 0) or 0)
        if ds.get("PhotometricInterpretation") != "MONOCHROME2" or "PixelPaddingValue" in ds:
            return None
        lengths = (*map(float, measures.PixelSpacing), *map(float, position))
    except Exception:  # noqa: BLE001 - pydicom raises anything on damaged files
        return None
    return array * slope + intercept, lengths


def check(path: Path, number: int, outcomes: Counter[str]) -> Iterator[Finding]:
    """Scan and read one mutant; yield what differs from pydicom without a word."""
    try:
        report = scan([path])
        if not report.stacks:
            outcomes["refused" if report.refused else "skipped"] += 1
        for summary in report.stacks:
            stack = read_stack(summary, slice_thickness_mm=7.0)
            outcomes["read"] += 1
            keys = {(s.sop_instance_uid, s.frame): k for k, s in enumerate(stack.sources)}
            for frame in summary.frames:
                k = keys.get((frame.sop_uid, frame.number))
                known = expected(path, frame)
                if k is None or known is None:
                    continue
                outcomes["compared"] += 1
                pixels, lengths = known
                mine = (*stack.pixel_spacing_mm, *stack.origins_mm[k])
                if not np.allclose(mine, lengths, rtol=TOLERANCE, atol=TOLERANCE):
                    yield Finding(number, f"geometry {mine}, pydicom {lengths}")
                if pixels.shape != stack.pixels[k].shape:
                    yield Finding(number, f"{stack.pixels[k].shape}, pydicom {pixels.shape}")
                elif not np.allclose(stack.pixels[k], pixels, rtol=TOLERANCE, atol=1e-2):
                    worst = float(np.abs(stack.pixels[k] - pixels).max())
                    yield Finding(number, f"pixels differ by up to {worst:g}")
    except ScarsegError as error:
        outcomes[error.code] += 1
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        yield Finding(number, f"{type(error).__name__}: {error}")


def run(n: int, seed: int, keep: Path | None = None) -> tuple[list[Finding], Counter[str]]:
    """Check ``n`` mutants; files of findings are kept in ``keep``."""
    rng = random.Random(seed)
    outcomes: Counter[str] = Counter()
    findings: list[Finding] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        originals = seed_files(folder / "seeds")
        path = folder / "mutant.dcm"
        for number in range(n):
            data = mutated(rng.choice(originals), rng, rng.choice((0.3, 0.8)))
            path.write_bytes(data)
            found = list(check(path, number, outcomes))
            if found and keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{seed}_{number}.dcm").write_bytes(data)
            findings += found
    return findings, outcomes


def main() -> int:
    """Run the fuzz and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the files of findings")
    options = parser.parse_args()
    findings, outcomes = run(options.n, options.seed, options.keep)
    for finding in findings:
        print(f"mutant {finding.number}: {finding.what}")
    print(", ".join(f"{name} {n}" for name, n in outcomes.most_common()))
    print(f"{options.n} mutants, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
