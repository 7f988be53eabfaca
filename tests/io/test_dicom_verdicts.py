"""Every row of the verdict table: what bad input gets."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, RLELossless

from scarseg.errors import GeometryError
from scarseg.io.dicom import elements, parser, read_stack, scan
from scarseg.io.dicom import series as dicom_series_module
from scarseg.io.dicom.types import LoadReport, StackSummary
from tests.io.dicom_files import (
    COLUMNS,
    N_SLICES,
    NORMAL,
    ORIENTATION,
    ROWS,
    SERIES,
    SPACING,
    THICKNESS,
    compressed,
    decimals,
    enhanced,
    put_pixels,
    put_raw,
    save,
    save_series,
    series,
    stored_pixels,
)


def scan_raw(folder: Path, keyword: str, value: bytes | None, which: list[int]) -> LoadReport:
    datasets = series()
    for k in which:
        if value is None:
            del datasets[k][keyword]
        else:
            put_raw(datasets[k], keyword, value)
    save_series(folder, datasets)
    return scan([folder])


def refused_code(report: LoadReport) -> str:
    assert report.stacks == ()
    assert len(report.refused) == 1
    assert report.refused[0].series_uid == SERIES
    return report.refused[0].code


def only(report: LoadReport) -> StackSummary:
    assert (report.refused, len(report.stacks)) == ((), 1)
    return report.stacks[0]


def codes(summary: StackSummary) -> list[str]:
    return [warning.code for warning in summary.warnings]


BAD_SPACINGS = [
    *(None, b"", b"0\\1.25", b"-1.5\\1.25", b"inf\\1.25", b"nan\\nan", b"1e400\\1.25"),
    *(b"1.5 mm\\1.25", b"abc", b"1,5\\1,25", b"1.5", b"1.5\\1.25\\3", b"1.5\\", b"1_0\\1"),
    *(b"0x1\\1", b"1e30\\1e30", b"1e-30\\1", "１.５\\1".encode()),
]


@pytest.mark.parametrize("value", BAD_SPACINGS)
@pytest.mark.parametrize("which", [list(range(N_SLICES)), [2]])
def test_bad_pixel_spacing(tmp_path: Path, value: bytes | None, which: list[int]) -> None:
    report = scan_raw(tmp_path, "PixelSpacing", value, which)
    assert refused_code(report) == "E_SPACING"
    shown = "missing" if value is None else value.decode("latin-1").strip()
    assert shown in report.refused[0].message
    assert report.refused[0].path.endswith(f"IM{which[0]:04d}.dcm")


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        *(("ImagePositionPatient", v) for v in (None, b"", b"1\\2", b"nan\\0\\0", b"1\\2\\3\\4")),
        *(("ImagePositionPatient", v) for v in (b"a\\b\\c", b"1e9\\0\\0", b"1;2;3")),
        *(
            ("ImageOrientationPatient", v)
            for v in (None, b"", b"1\\0\\0\\0\\1", b"1\\0\\0\\1\\0\\0")
        ),
        ("ImageOrientationPatient", b"1\\0\\0\\0\\0.9\\0"),
        ("ImageOrientationPatient", b"1\\0\\0\\0.05\\1\\0"),
        ("ImageOrientationPatient", b"nan\\0\\0\\0\\1\\0"),
        ("ImageOrientationPatient", b"0\\0\\0\\0\\0\\0"),
    ],
)
@pytest.mark.parametrize("which", [list(range(N_SLICES)), [N_SLICES - 1]])
def test_bad_position_or_orientation(
    tmp_path: Path, keyword: str, value: bytes | None, which: list[int]
) -> None:
    report = scan_raw(tmp_path, keyword, value, which)
    assert refused_code(report) == "E_GEOMETRY"
    assert keyword in report.refused[0].message


@pytest.mark.parametrize("value", [None, b"", b"0", b"-8", b"8 mm", b"8\\8", b"nan"])
def test_missing_thickness_is_asked_for(tmp_path: Path, value: bytes | None) -> None:
    summary = only(scan_raw(tmp_path, "SliceThickness", value, [0, 1, 2, 3, 4, 5]))
    assert summary.slice_thickness_mm is None
    assert "W_THICKNESS" in codes(summary)
    with pytest.raises(GeometryError) as refused:
        read_stack(summary)
    assert refused.value.code == "E_THICKNESS"
    with pytest.raises(GeometryError):
        read_stack(summary, slice_thickness_mm=-1.0)
    stack = read_stack(summary, slice_thickness_mm=7.5)
    assert stack.slice_thickness_mm == 7.5
    assert stack.thickness_from_user
    assert [w.code for w in stack.warnings] == ["W_GAP"]


def test_thickness_missing_on_one_slice_is_asked_for(tmp_path: Path) -> None:
    assert only(scan_raw(tmp_path, "SliceThickness", None, [3])).slice_thickness_mm is None


def test_given_thickness_does_not_override_the_header(tmp_path: Path) -> None:
    save_series(tmp_path, series())
    stack = read_stack(scan([tmp_path]).stacks[0], slice_thickness_mm=3.0)
    assert stack.slice_thickness_mm == THICKNESS
    assert not stack.thickness_from_user


def test_identical_file_twice_is_dropped(tmp_path: Path) -> None:
    paths = save_series(tmp_path, series())
    (tmp_path / "copy.dcm").write_bytes(paths[2].read_bytes())
    report = scan([tmp_path])
    summary = only(report)
    assert summary.n_slices == N_SLICES
    assert summary.slice_spacing_mm == pytest.approx(SPACING, abs=1e-6)
    assert summary.complete
    assert any("twice" in note for note in report.notes)


def _stamped(ds: Dataset) -> None:
    ds.add_new(0x00990010, "LO", "ARCHIVE")
    ds.add_new(0x00991001, "LO", "received today")
    ds.RetrieveAETitle, ds.InstanceCreationDate = "PACS2", "20250102"


def _retitled(ds: Dataset) -> None:
    ds.StationName, ds.ProtocolName = "MR2", "another export"


@pytest.mark.parametrize("change", [_stamped, _retitled])
@pytest.mark.parametrize("packed", [False, True])
def test_image_received_twice_is_one_image(
    tmp_path: Path, change: Callable[[Dataset], None], packed: bool
) -> None:
    save_series(tmp_path / "a", series())
    again = series()
    for ds in again:
        change(ds)
    syntax = RLELossless if packed else ExplicitVRLittleEndian
    save_series(tmp_path / "b", [compressed(d, syntax) if packed else d for d in again], syntax)
    report = scan([tmp_path])
    summary = only(report)
    assert (summary.n_slices, summary.complete) == (N_SLICES, True)
    assert report.notes == (f"{N_SLICES} images were received twice; dropped.",)


def _moved(ds: Dataset) -> None:
    ds.ImagePositionPatient = decimals([1, 2, 3])


def _other_pixels(ds: Dataset) -> None:
    put_pixels(ds, stored_pixels(88))


def _rescaled(ds: Dataset) -> None:
    ds.RescaleSlope, ds.RescaleIntercept = "2", "0"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (_moved, "geometry or acquisition"),
        (_other_pixels, "pixels"),
        (_rescaled, "geometry or acquisition"),
    ],
)
def test_same_uid_with_other_content_is_refused(
    tmp_path: Path, change: Callable[[Dataset], None], what: str
) -> None:
    save_series(tmp_path, series())
    changed = series()[2]
    change(changed)
    save(changed, tmp_path / "other.dcm")
    report = scan([tmp_path])
    assert refused_code(report) == "E_DUPLICATE"
    assert f"different contents ({what})" in report.refused[0].message


@pytest.mark.parametrize("skip", [1, 2, 3, 4])
def test_missing_slice_is_noticed(tmp_path: Path, skip: int) -> None:
    save_series(tmp_path, series(skip=[skip]))
    summary = only(scan([tmp_path]))
    assert "W_GAP_IRREGULAR" in codes(summary)
    assert "1 slice may be missing" in next(
        w.message for w in summary.warnings if w.code == "W_GAP_IRREGULAR"
    )
    assert not summary.complete
    assert not read_stack(summary).complete


def test_missing_slice_is_noticed_among_three(tmp_path: Path) -> None:
    save_series(tmp_path, series(4, skip=[2]))
    summary = only(scan([tmp_path]))
    assert "W_GAP_IRREGULAR" in codes(summary)
    assert not summary.complete


def test_irregular_spacing_is_noticed(tmp_path: Path) -> None:
    datasets = series()
    position = np.array([float(v) for v in datasets[3].ImagePositionPatient])
    datasets[3].ImagePositionPatient = decimals(position + 0.6 * NORMAL)
    save_series(tmp_path, datasets)
    summary = only(scan([tmp_path]))
    assert "W_GAP_IRREGULAR" in codes(summary)
    assert not summary.complete


@pytest.mark.parametrize(
    ("thickness", "code"),
    [(SPACING, None), (8.92, None), (8.9, "W_GAP"), (9.1, "W_OVERLAP"), (4.0, "W_GAP")],
)
def test_spacing_against_thickness(tmp_path: Path, thickness: float, code: str | None) -> None:
    datasets = series()
    for ds in datasets:
        ds.SliceThickness = str(thickness)
    save_series(tmp_path, datasets)
    summary = only(scan([tmp_path]))
    assert codes(summary) == ([code] if code else [])
    assert summary.complete


def test_tilted_stack_is_measured_along_its_normal(tmp_path: Path) -> None:
    datasets = series()
    for k, ds in enumerate(datasets):
        position = np.array([float(v) for v in ds.ImagePositionPatient])
        ds.ImagePositionPatient = decimals(position + 2.0 * k * ORIENTATION[3:])
    save_series(tmp_path, datasets)
    summary = only(scan([tmp_path]))
    assert "W_TILT" in codes(summary)
    assert summary.slice_spacing_mm == pytest.approx(SPACING, abs=1e-5)
    assert summary.complete


def _cut(path: Path, data: bytes) -> bytes:
    return data[:-700]


def _cut_in_header(path: Path, data: bytes) -> bytes:
    return data[:900]


def _without_pixels(path: Path, data: bytes) -> bytes:
    return data[: data.index(b"\xe0\x7f\x10\x00")]


@pytest.mark.parametrize("damage", [_cut, _cut_in_header, _without_pixels])
@pytest.mark.parametrize("k", [2, N_SLICES - 1])
def test_damaged_slice_is_left_out_and_named(
    tmp_path: Path, damage: Callable[[Path, bytes], bytes], k: int
) -> None:
    paths = save_series(tmp_path, series())
    paths[k].write_bytes(damage(paths[k], paths[k].read_bytes()))
    summary = only(scan([tmp_path]))
    warning = next(w for w in summary.warnings if w.code == "W_SLICE_DAMAGED")
    assert paths[k].name in warning.message
    assert summary.n_slices == N_SLICES - 1
    assert not summary.complete
    stack = read_stack(summary)
    assert stack.n_slices == N_SLICES - 1
    assert not stack.complete
    np.testing.assert_array_equal(stack.pixels[0], stored_pixels(0))
    assert ("W_GAP_IRREGULAR" in codes(summary)) == (k == 2)


def test_all_slices_damaged_is_refused(tmp_path: Path) -> None:
    for path in save_series(tmp_path, series()):
        path.write_bytes(path.read_bytes()[:-700])
    assert refused_code(scan([tmp_path])) == "E_DECODE"


def test_file_cut_before_it_says_its_series_is_refused_by_name(tmp_path: Path) -> None:
    paths = save_series(tmp_path, series())
    data = paths[0].read_bytes()
    paths[0].write_bytes(data[: data.index(b"\x10\x00\x10\x00PN")])
    report = scan([tmp_path])
    assert [r.code for r in report.refused] == ["E_TRUNCATED"]
    assert report.refused[0].path == str(paths[0])


def nested(depth: int, undefined: bool) -> bytes:
    """Return a ReferencedImageSequence of that depth, explicit little endian."""
    inner = b"\x08\x00\x00\x01SH\x02\x00x "
    for _ in range(depth):
        if undefined:
            item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + inner + b"\xfe\xff\x0d\xe0" + bytes(4)
            body = b"\xff\xff\xff\xff" + item + b"\xfe\xff\xdd\xe0" + bytes(4)
        else:
            item = b"\xfe\xff\x00\xe0" + struct.pack("<L", len(inner)) + inner
            body = struct.pack("<L", len(item)) + item
        inner = b"\x08\x00\x40\x11SQ\0\0" + body
    return inner


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize(("depth", "refused"), [(63, False), (64, True), (900, True)])
def test_deep_nesting_is_refused(
    tmp_path: Path, undefined: bool, depth: int, refused: bool
) -> None:
    path = save_series(tmp_path, series())[0]
    data = path.read_bytes()
    at = data.index(b"\x10\x00\x10\x00PN")
    path.write_bytes(data[:at] + nested(depth, undefined) + data[at:])
    report = scan([tmp_path])
    assert [r.code for r in report.refused] == (["E_LIMIT"] if refused else [])
    assert report.stacks[0].n_slices == N_SLICES - refused


@pytest.mark.parametrize("keyword", ["Rows", "Columns"])
def test_more_than_4096_rows_or_columns_are_refused(tmp_path: Path, keyword: str) -> None:
    datasets = series()
    for ds in datasets:
        setattr(ds, keyword, 4097)
    save_series(tmp_path, datasets)
    assert refused_code(scan([tmp_path])) == "E_LIMIT"


def test_more_than_4096_frames_are_refused(tmp_path: Path) -> None:
    ds = enhanced(series())
    ds.NumberOfFrames = 4097
    save(ds, tmp_path / "many.dcm")
    assert refused_code(scan([tmp_path])) == "E_LIMIT"


def test_frames_without_their_functional_groups_are_refused(tmp_path: Path) -> None:
    ds = enhanced(series())
    ds.NumberOfFrames = N_SLICES + 1
    save(ds, tmp_path / "many.dcm")
    assert refused_code(scan([tmp_path])) == "E_GEOMETRY"


def test_files_over_4_gb_are_refused_unread(tmp_path: Path) -> None:
    path = save_series(tmp_path, series(1))[0]
    with path.open("r+b") as stream:
        stream.truncate(4 * 2**30 + 1)  # sparse: takes no disk
    with (tmp_path / "movie.bin").open("wb") as stream:
        stream.truncate(4 * 2**30 + 1)
    report = scan([tmp_path])
    assert [r.code for r in report.refused] == ["E_LIMIT"]
    assert report.skipped == 1


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("RescaleSlope", b"0"),
        ("RescaleSlope", b"x"),
        ("RescaleIntercept", b"1,5"),
        ("RescaleSlope", b"inf"),
        ("RescaleIntercept", b"nan"),
    ],
)
def test_bad_rescale_is_refused(tmp_path: Path, keyword: str, value: bytes) -> None:
    assert refused_code(scan_raw(tmp_path, keyword, value, [1])) == "E_RESCALE"


@pytest.mark.parametrize("keyword", ["SeriesInstanceUID", "StudyInstanceUID"])
@pytest.mark.parametrize("value", [None, b"", b"../../etc/passwd", b"1 2"])
def test_images_that_do_not_say_whose_they_are(
    tmp_path: Path, keyword: str, value: bytes | None
) -> None:
    report = scan_raw(tmp_path, keyword, value, [0])
    assert [r.code for r in report.refused] == ["E_HEADER"]
    assert report.stacks[0].n_slices == N_SLICES - 1


def test_stack_over_2_gb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom_series_module, "MAX_STACK_BYTES", N_SLICES * ROWS * COLUMNS * 4 - 1)
    save_series(tmp_path, series())
    assert refused_code(scan([tmp_path])) == "E_LIMIT"


def test_deflated_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "MAX_INFLATED_BYTES", 2_000_000)
    ds = series(1)[0]
    ds.add_new(0x00091001, "OB", bytes(5_000_000))
    path = save(ds, tmp_path / "bomb", DeflatedExplicitVRLittleEndian)
    assert path.stat().st_size < 20_000
    assert [r.code for r in scan([tmp_path]).refused] == ["E_LIMIT"]


def test_header_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elements, "MAX_ELEMENTS", 10)
    save_series(tmp_path, series(1))
    assert [r.code for r in scan([tmp_path]).refused] == ["E_LIMIT"]


def test_one_uid_in_two_series_refuses_both(tmp_path: Path) -> None:
    save_series(tmp_path / "a", series())
    for k, ds in enumerate(series()):
        ds.SeriesInstanceUID = "1.2.99"
        if k:
            ds.SOPInstanceUID = f"1.2.99.{k}"
        save(ds, tmp_path / "b" / f"{k}")
    report = scan([tmp_path])
    assert report.stacks == ()
    assert [(r.code, r.series_uid) for r in report.refused] == [
        ("E_DUPLICATE", SERIES),
        ("E_DUPLICATE", "1.2.99"),
    ]


def test_lossy_compression_is_said(tmp_path: Path) -> None:
    datasets = series()
    for ds in datasets:
        ds.LossyImageCompression = "01"
    save_series(tmp_path, datasets)
    assert "W_LOSSY" in codes(only(scan([tmp_path])))


def test_colour_images_are_skipped(tmp_path: Path) -> None:
    datasets = series()
    datasets[1].PhotometricInterpretation = "RGB"
    save_series(tmp_path, datasets)
    report = scan([tmp_path])
    assert report.skipped == 1
    assert any("colour" in note for note in report.notes)
