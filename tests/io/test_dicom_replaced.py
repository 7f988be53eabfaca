"""Files that are replaced, touched or taken away between the scan and the reading."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from scarseg.errors import InputError
from scarseg.io.dicom import read_stack, scan
from scarseg.io.dicom.sources import checksums
from scarseg.io.dicom.types import LoadReport, StackSummary
from tests.io.dicom_files import (
    N_SLICES,
    SERIES,
    enhanced,
    save,
    save_series,
    series,
    slice_dataset,
)
from tests.io.test_dicom_archive import zipped


def only(report: LoadReport) -> StackSummary:
    assert (report.refused, len(report.stacks)) == ((), 1)
    return report.stacks[0]


def _bytes(paths: Sequence[Path]) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in paths}


def _cut_again(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _replaced_by_another_slice(path: Path) -> None:
    other = slice_dataset(4)
    other.SOPInstanceUID = f"{SERIES}.2"
    data = save(other, path.parent / "other").read_bytes()
    assert len(data) == len(path.read_bytes())
    path.write_bytes(data)


def _replaced_by_another_image(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data.replace(f"{SERIES}.2".encode(), f"{SERIES}.8".encode()))


def _one_pixel_rewritten(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-101] ^= 1
    path.write_bytes(data)


def _all_pixels_replaced_by_a_new_file(path: Path) -> None:
    data = path.read_bytes()
    other = path.with_name("arriving")
    other.write_bytes(data[:-2000] + data[-1000:] + data[-2000:-1000])
    other.replace(path)


@pytest.mark.parametrize("kept_time", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        _cut_again,
        _replaced_by_another_slice,
        _replaced_by_another_image,
        _one_pixel_rewritten,
        _all_pixels_replaced_by_a_new_file,
    ],
)
def test_file_replaced_after_the_scan_is_never_read(
    tmp_path: Path, change: Callable[[Path], None], kept_time: bool
) -> None:
    paths = save_series(tmp_path, series())
    summary = only(scan([tmp_path]))
    status = paths[1].stat()
    change(paths[1])
    if kept_time:
        os.utime(paths[1], ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(InputError, match=r"IM0001\.dcm is not the file that was listed") as refused:
        read_stack(summary)
    assert refused.value.code == "E_SOURCE_CHANGED"


def test_pixels_replaced_in_a_multi_frame_file_or_a_zip_are_never_read(tmp_path: Path) -> None:
    save(enhanced(series()), tmp_path / "frames" / "all")
    folder = save_series(tmp_path / "slices", series())
    for name, paths in (("frames", [tmp_path / "frames" / "all"]), ("zip", folder)):
        given = tmp_path / name if name == "frames" else zipped(tmp_path / "all.zip", _bytes(paths))
        summary = only(scan([given]))
        status = given.stat()
        _one_pixel_rewritten(paths[0])
        if name == "zip":
            zipped(given, _bytes(paths))
        os.utime(given, ns=(status.st_atime_ns, status.st_mtime_ns))
        with pytest.raises(InputError) as refused:
            read_stack(summary)
        assert refused.value.code == "E_SOURCE_CHANGED", name


def _touched(path: Path) -> None:
    os.utime(path, ns=(1, 2))


def _copied_back(path: Path) -> None:
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)


def _seen_elsewhere(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to(path.with_name("moved"))


@pytest.mark.parametrize("change", [_touched, _copied_back, _seen_elsewhere])
def test_file_that_holds_the_same_bytes_is_read(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    paths = save_series(tmp_path, series())
    summary = only(scan([tmp_path]))
    before = read_stack(summary)
    change(paths[1])
    after = read_stack(summary)
    np.testing.assert_array_equal(before.pixels, after.pixels)
    assert before.sources == after.sources


def test_large_file_written_to_after_the_scan_is_never_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checksums, "WHOLE_BYTES", 1000)
    monkeypatch.setattr(checksums, "_BLOCK_BYTES", 10)
    paths = save_series(tmp_path, series())
    summary = only(scan([tmp_path]))
    sha256 = hashlib.sha256(paths[1].read_bytes()).hexdigest()
    assert read_stack(summary).sources[1].sha256 == sha256
    _one_pixel_rewritten(paths[1])
    with pytest.raises(InputError) as refused:
        read_stack(summary)
    assert refused.value.code == "E_SOURCE_CHANGED"


def test_file_that_is_gone_after_the_scan_is_a_damaged_slice(tmp_path: Path) -> None:
    paths = save_series(tmp_path, series())
    summary = only(scan([tmp_path]))
    paths[1].unlink()
    paths[2].unlink()
    stack = read_stack(summary)
    assert stack.n_slices == N_SLICES - 2
    assert not stack.complete
    assert "W_SLICE_DAMAGED" in [w.code for w in stack.warnings]
    for path in paths:
        path.unlink(missing_ok=True)
    with pytest.raises(InputError) as refused:
        read_stack(summary)
    assert refused.value.code == "E_DECODE"
