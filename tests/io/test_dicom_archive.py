"""Zips and DICOMDIRs: the same stacks as the folder, and nothing that cannot be trusted."""

from __future__ import annotations

import io
import stat
import tarfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import MediaStorageDirectoryStorage, RLELossless

from scarseg.io.dicom import read_stack, scan
from scarseg.io.dicom.sources import archives
from tests.io.dicom_files import N_SLICES, compressed, save, save_series, series, stored_pixels


def zipped(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as target:
        for name, data in files.items():
            target.writestr(name, data)
    return path


@pytest.fixture
def good(tmp_path: Path) -> dict[str, bytes]:
    paths = save_series(tmp_path / "source", series())
    return {f"study/{path.name}": path.read_bytes() for path in paths}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zip_gives_the_same_stack_as_the_folder(
    tmp_path: Path, good: dict[str, bytes], method: int
) -> None:
    path = zipped(tmp_path / "study.bin", {**good, "study/notes.txt": b"hello"}, method)
    report = scan([path])
    assert report.skipped == 1
    stack = read_stack(report.stacks[0])
    folder = read_stack(scan([tmp_path / "source"]).stacks[0])
    np.testing.assert_array_equal(stack.pixels, folder.pixels)
    assert stack.sources == folder.sources
    assert sorted(p.name for p in tmp_path.iterdir()) == ["source", "study.bin"]


def test_zip_of_compressed_files(tmp_path: Path) -> None:
    paths = save_series(tmp_path / "a", [compressed(d, RLELossless) for d in series()], RLELossless)
    path = zipped(tmp_path / "a.zip", {p.name: p.read_bytes() for p in paths})
    np.testing.assert_array_equal(read_stack(scan([path]).stacks[0]).pixels[3], stored_pixels(3))


def test_zips_inside_a_folder_are_opened(tmp_path: Path, good: dict[str, bytes]) -> None:
    folder = tmp_path / "patients"
    folder.mkdir()
    zipped(folder / "one.zip", good)
    (folder / "two.zip").write_bytes(b"PK\x03\x04 damaged")
    report = scan([folder])
    assert [s.n_slices for s in report.stacks] == [N_SLICES]
    assert [r.code for r in report.refused] == ["E_ARCHIVE"]


def test_office_documents_in_a_folder_are_skipped(tmp_path: Path) -> None:
    save_series(tmp_path, series())
    zipped(tmp_path / "letter.docx", {"word/document.xml": bytes(3_000_000)})
    report = scan([tmp_path])
    assert (report.refused, report.skipped, len(report.stacks)) == ((), 1, 1)


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "C:\\x", "..\\x", "\\x"])
def test_paths_outside_the_archive_are_refused(
    tmp_path: Path, good: dict[str, bytes], name: str
) -> None:
    path = tmp_path / "bad.zip"
    with zipfile.ZipFile(path, "w") as target:
        for member, data in good.items():
            target.writestr(member, data)
        info = zipfile.ZipInfo("x")
        info.filename = info.orig_filename = name
        target.writestr(info, b"data")
    report = scan([path])
    assert ([r.code for r in report.refused], report.stacks) == (["E_ARCHIVE"], ())
    assert report.refused[0].path == str(path)


def test_links_are_refused(tmp_path: Path, good: dict[str, bytes]) -> None:
    path = zipped(tmp_path / "bad.zip", good)
    with zipfile.ZipFile(path, "a") as target:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        target.writestr(info, "/etc/passwd")
    assert [r.code for r in scan([path]).refused] == ["E_ARCHIVE"]


def test_bomb_among_images_is_refused_by_name(
    tmp_path: Path, good: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "_RATIO_MATTERS_BYTES", 2**20)
    path = zipped(tmp_path / "bomb.zip", {**good, "zeros": bytes(3_000_000)})
    report = scan([path])
    assert [(r.code, r.path) for r in report.refused] == [("E_ARCHIVE", f"{path}!zeros")]
    assert [s.n_slices for s in report.stacks] == [N_SLICES]


def test_zip_that_is_all_bomb_is_refused(
    tmp_path: Path, good: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "_RATIO_OF_ALL_MATTERS_BYTES", 2**20)
    path = zipped(tmp_path / "bomb.zip", {f"z{k}": bytes(3_000_000) for k in range(4)})
    report = scan([path])
    assert ([r.code for r in report.refused], report.stacks) == (["E_ARCHIVE"], ())


def test_blank_page_does_no_harm(tmp_path: Path, good: dict[str, bytes]) -> None:
    path = zipped(tmp_path / "study.zip", {**good, "page": bytes(2_000_000)})
    report = scan([path])
    assert (report.refused, report.skipped) == ((), 1)
    assert [s.n_slices for s in report.stacks] == [N_SLICES]


@pytest.mark.parametrize("depth", [2, 3])
def test_zips_inside_zips_are_opened(tmp_path: Path, good: dict[str, bytes], depth: int) -> None:
    data = zipped(tmp_path / "0.zip", good).read_bytes()
    for level in range(1, depth):
        inner = {"series.zip": data, "readme.txt": b"hello"}
        data = zipped(tmp_path / f"{level}.zip", inner).read_bytes()
    report = scan([tmp_path / f"{depth - 1}.zip"])
    [stack] = report.stacks
    np.testing.assert_array_equal(read_stack(stack).pixels[2], stored_pixels(2))
    assert report.skipped_by_class == {"text": depth - 1}
    assert stack.frames[0].source.name.endswith("series.zip!study/IM0000.dcm")


def test_zips_too_deep_are_refused_by_name(tmp_path: Path, good: dict[str, bytes]) -> None:
    data = zipped(tmp_path / "0.zip", good).read_bytes()
    for level in range(1, 4):
        data = zipped(tmp_path / f"{level}.zip", {"in.zip": data}).read_bytes()
    [refusal] = scan([tmp_path / "3.zip"]).refused
    assert (refusal.code, refusal.path) == (
        "E_ARCHIVE",
        f"{tmp_path / '3.zip'}!in.zip!in.zip!in.zip",
    )


@pytest.mark.parametrize("name", ["../x", "/x"])
def test_inner_zip_with_paths_outside_is_refused(
    tmp_path: Path, good: dict[str, bytes], name: str
) -> None:
    inner = zipped(tmp_path / "inner.zip", {name: b"data"}).read_bytes()
    report = scan([zipped(tmp_path / "outer.zip", {**good, "inner.zip": inner})])
    assert [r.code for r in report.refused] == ["E_ARCHIVE"]
    assert [s.n_slices for s in report.stacks] == [N_SLICES]


@pytest.mark.parametrize("where", ["folder", "zip"])
def test_other_archives_are_refused_and_said(
    tmp_path: Path, good: dict[str, bytes], where: str
) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as target:
        target.add(tmp_path / "source", "source")
    if where == "zip":
        inputs_ = zipped(tmp_path / "a.zip", {**good, "b.tar.gz": packed.getvalue()})
    else:
        inputs_ = tmp_path / "source"
        (inputs_ / "b.tar.gz").write_bytes(packed.getvalue())
    report = scan([inputs_])
    [refusal] = report.refused
    assert refusal.code == "E_ARCHIVE"
    assert "tar.gzip archive; unpack it" in refusal.message
    assert [s.n_slices for s in report.stacks] == [N_SLICES]


def test_linked_folders_are_followed_each_once(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    save_series(archive / "p1", series())
    cohort = tmp_path / "cohort"
    cohort.mkdir()
    (cohort / "p1").symlink_to(archive / "p1")
    (cohort / "again").symlink_to(archive / "p1")
    (archive / "p1" / "loop").symlink_to(cohort)
    (cohort / "gone").symlink_to(tmp_path / "nowhere")
    report = scan([cohort])
    assert [s.n_slices for s in report.stacks] == [N_SLICES]
    assert report.skipped_by_class == {"broken link": 1}


def test_what_is_skipped_is_said_by_class(tmp_path: Path) -> None:
    save_series(tmp_path, series())
    for name, data in {
        "a.pdf": b"%PDF-1.7",
        "b.jpg": b"\xff\xd8\xff\xe0",
        "c.png": b"\x89PNG\r\n",
        "notes": b"hello",
        "x.xml": b"<?xml version='1.0'?>",
        "y.json": b"{}",
        "mask.nii.gz": b"\x1f\x8b\x08",
        "Thumbs.db": b"\xd0\xcf\x11\xe0",
        "empty": b"",
        "film.mp4": b"\0\0\0\x18ftypmp42",
        "noise": b"\1\2\3\4",
        "broken": bytes(128) + b"DICM" + b"\xff" * 50,
    }.items():
        (tmp_path / name).write_bytes(data)
    report = scan([tmp_path])
    assert report.skipped_by_class == {
        "JSON": 1,
        "NIfTI": 1,
        "PDF": 1,
        "XML or HTML": 1,
        "damaged DICOM": 1,
        "empty file": 1,
        "folder settings": 1,
        "picture": 2,
        "text": 1,
        "unknown": 1,
        "video": 1,
    }
    assert report.skipped == 12
    assert report.notes[-1].startswith("Skipped: 2 picture, 1 JSON, ")


def test_more_than_2_gb_inflated_is_refused(
    tmp_path: Path, good: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_INFLATED_BYTES", 10_000)
    assert [r.code for r in scan([zipped(tmp_path / "big.zip", good)]).refused] == ["E_LIMIT"]


def test_encryption_is_refused(tmp_path: Path, good: dict[str, bytes]) -> None:
    path = zipped(tmp_path / "bad.zip", good)
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 8] |= 1
    path.write_bytes(data)
    assert [r.code for r in scan([path]).refused] == ["E_ARCHIVE"]


def test_damaged_member_is_refused_by_name(tmp_path: Path, good: dict[str, bytes]) -> None:
    path = zipped(tmp_path / "bad.zip", good)
    data = bytearray(path.read_bytes())
    start = data.index(b"study/IM0002.dcm") + 40
    data[start : start + 60] = b"\xff" * 60
    path.write_bytes(data)
    report = scan([path])
    assert [r.code for r in report.refused] == ["E_ARCHIVE"]
    assert report.refused[0].path.endswith("bad.zip!study/IM0002.dcm")
    assert [s.n_slices for s in report.stacks] == [N_SLICES - 1]


def test_split_and_merged_folders_give_one_stack(tmp_path: Path) -> None:
    datasets = series()
    save_series(tmp_path / "a", datasets[::2])
    save_series(tmp_path / "b" / "c", datasets[1::2])
    whole = save_series(tmp_path / "whole", datasets)
    merged = read_stack(scan([tmp_path / "b", tmp_path / "a"]).stacks[0])
    expected = read_stack(scan(whole).stacks[0])
    np.testing.assert_array_equal(merged.pixels, expected.pixels)
    assert merged.origins_mm == expected.origins_mm


def dicomdir(folder: Path) -> Path:
    """Write a disc with a DICOMDIR; only what names the files."""
    records = []
    for k, ds in enumerate(series()):
        save(ds, folder / "IMAGES" / f"IM{k:04d}")
        record = Dataset()
        record.OffsetOfTheNextDirectoryRecord = 0
        record.RecordInUseFlag = 0xFFFF
        record.OffsetOfReferencedLowerLevelDirectoryEntity = 0
        record.DirectoryRecordType = "IMAGE"
        record.ReferencedFileID = ["IMAGES", f"IM{k:04d}"]
        records.append(record)
    directory = Dataset()
    directory.SOPClassUID, directory.SOPInstanceUID = MediaStorageDirectoryStorage, "1.2.3"
    directory.FileSetID = "DISC"
    directory.DirectoryRecordSequence = Items(records)
    return save(directory, folder / "DICOMDIR")


def test_dicomdir_gives_the_files_it_names(tmp_path: Path) -> None:
    path = dicomdir(tmp_path / "disc")
    save_series(tmp_path / "disc" / "unnamed", series(2))
    report = scan([path])
    assert [s.n_slices for s in report.stacks] == [N_SLICES]
    assert report.notes == ()
    np.testing.assert_array_equal(read_stack(report.stacks[0]).pixels[5], stored_pixels(5))


def test_dicomdir_in_capitals_finds_files_in_small_letters(tmp_path: Path) -> None:
    path = dicomdir(tmp_path / "disc")
    (tmp_path / "disc" / "IMAGES").rename(tmp_path / "disc" / "images")
    assert [s.n_slices for s in scan([path]).stacks] == [N_SLICES]


def test_folder_with_a_dicomdir_is_read_as_a_folder(tmp_path: Path) -> None:
    dicomdir(tmp_path / "disc")
    report = scan([tmp_path / "disc"])
    assert [s.n_slices for s in report.stacks] == [N_SLICES]
    assert report.refused == ()


def test_files_missing_from_a_dicomdir_are_reported(tmp_path: Path) -> None:
    path = dicomdir(tmp_path / "disc")
    (tmp_path / "disc" / "IMAGES" / "IM0005").unlink()
    report = scan([path])
    assert [r.code for r in report.refused] == ["E_INPUT_MISSING"]
    assert report.stacks[0].n_slices == N_SLICES - 1


def test_dicomdir_pointing_outside_its_folder_is_refused(tmp_path: Path) -> None:
    path = dicomdir(tmp_path / "disc")
    path.write_bytes(path.read_bytes().replace(b"IMAGES\\", b"..\\..\\."))
    assert [r.code for r in scan([path]).refused] == ["E_ARCHIVE"]


def test_two_members_of_one_name_are_refused_unless_they_are_the_same(
    tmp_path: Path, good: dict[str, bytes]
) -> None:
    first, second, *_ = good
    path = zipped(tmp_path / "a.zip", good)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(path, "a") as target:
            target.writestr(first, good[first])
        [summary] = scan([path]).stacks
        assert summary.n_slices == len(good)
        with zipfile.ZipFile(path, "a") as target:
            target.writestr(first, good[second])
    report = scan([path])
    assert report.stacks == ()
    assert [one.code for one in report.refused] == ["E_ARCHIVE"]
    assert f"{first!r} is there twice with different contents" in report.refused[0].message
