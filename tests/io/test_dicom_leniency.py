"""What other readers read exactly is read here too, or refused with a true reason."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from scarseg.io.dicom import read_stack, scan
from tests.io.dicom_files import (
    N_SLICES,
    enhanced,
    put_pixels,
    save,
    save_series,
    series,
    stored_pixels,
)

EXPECTED = [stored_pixels(k) for k in range(N_SLICES)]


def check_read(folder: Path) -> None:
    report = scan([folder])
    assert report.refused == ()
    [stack] = report.stacks
    assert (stack.n_slices, stack.complete) == (N_SLICES, True)
    np.testing.assert_array_equal(read_stack(stack).pixels, EXPECTED)


def item(explicit: bool, undefined: bool) -> bytes:
    """An item that holds CodeValue, written explicitly or implicitly."""
    head = b"SH" + struct.pack("<H", 2) if explicit else struct.pack("<L", 2)
    content = b"\x08\x00\x00\x01" + head + b"A "
    length = 0xFFFFFFFF if undefined else len(content)
    end = b"\xfe\xff\x0d\xe0" + bytes(4) if undefined else b""
    return b"\xfe\xff\x00\xe0" + struct.pack("<L", length) + content + end


def sequence(vr: bytes, explicit: bool, undefined: bool, tag: bytes) -> bytes:
    body = item(explicit, undefined)
    length = 0xFFFFFFFF if undefined else len(body)
    end = b"\xfe\xff\xdd\xe0" + bytes(4) if undefined else b""
    return tag + vr + b"\0\0" + struct.pack("<L", length) + body + end


@pytest.mark.parametrize("tag", [b"\x08\x00\x40\x11", b"\x09\x00\x01\x10"])
@pytest.mark.parametrize("vr", [b"SQ", b"UN"])
@pytest.mark.parametrize("explicit", [True, False])
@pytest.mark.parametrize("undefined", [True, False])
def test_items_are_read_as_they_are_written(
    tmp_path: Path, tag: bytes, vr: bytes, explicit: bool, undefined: bool
) -> None:
    """Explicit and implicit items under SQ and UN, known and private, of any length."""
    for path in save_series(tmp_path, series()):
        data = path.read_bytes()
        at = data.index(b"\x10\x00\x10\x00PN")
        path.write_bytes(data[:at] + sequence(vr, explicit, undefined, tag) + data[at:])
    check_read(tmp_path)


def test_damage_inside_a_sequence_that_is_not_needed_harms_nothing(tmp_path: Path) -> None:
    broken = b"\x08\x00\x40\x11SQ\0\0" + struct.pack("<L", 12) + b"\xfe\xff\x00\xe0\xff\xff\0\0abcd"
    for path in save_series(tmp_path, series()):
        data = path.read_bytes()
        at = data.index(b"\x10\x00\x10\x00PN")
        path.write_bytes(data[:at] + broken + data[at:])
    check_read(tmp_path)


def test_functional_groups_under_un_are_read(tmp_path: Path) -> None:
    path = save(enhanced(series()), tmp_path / "one")
    data = path.read_bytes()
    for tag in (b"\x00\x52\x29\x92", b"\x00\x52\x30\x92"):
        assert data.count(tag + b"SQ") == 1
        data = data.replace(tag + b"SQ", tag + b"UN")
    path.write_bytes(data)
    check_read(tmp_path)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_file_meta_written_implicitly_is_read(tmp_path: Path, syntax: str) -> None:
    for path in save_series(tmp_path, series(), syntax):
        meta = dcmread(path).file_meta
        elements = b""
        for element in meta:
            if element.tag == 0x00020000:
                continue
            value = (
                element.value if isinstance(element.value, bytes) else str(element.value).encode()
            )
            value += b"\0" * (len(value) % 2)
            elements += struct.pack("<HHL", 2, element.tag.element, len(value)) + value
        data = path.read_bytes()
        length = struct.unpack("<L", data[140:144])[0]
        group = struct.pack("<HHLL", 2, 0, 4, len(elements))
        path.write_bytes(data[:132] + group + elements + data[144 + length :])
    check_read(tmp_path)


@pytest.mark.parametrize("odd", [b"x", b"trailing bytes behind the pixels"])
def test_bytes_behind_the_pixels_are_no_damage(tmp_path: Path, odd: bytes) -> None:
    for path in save_series(tmp_path, series()):
        path.write_bytes(path.read_bytes() + odd)
    check_read(tmp_path)


def refusal(folder: Path, datasets: list[Dataset]) -> tuple[str, str]:
    save_series(folder, datasets)
    report = scan([folder])
    assert report.stacks == ()
    return report.refused[0].code, report.refused[0].message


def test_reasons_name_what_the_file_holds(tmp_path: Path) -> None:
    datasets = series()
    for ds in datasets:
        ds.SamplesPerPixel = 3
    code, message = refusal(tmp_path / "a", datasets)
    assert (code, message.split(" (")[0]) == (
        "E_DECODE",
        "3 samples per pixel: not a grey image.",
    )
    datasets = series()
    for ds in datasets:
        ds.BitsAllocated = 24
    code, message = refusal(tmp_path / "b", datasets)
    assert (code, message.split(" (")[0]) == (
        "E_DECODE",
        "Pixels of 24 allocated bits cannot be read.",
    )
    datasets = series()
    for ds in datasets:
        ds.BitsStored = 17
    code, message = refusal(tmp_path / "c", datasets)
    assert (code, message.split(" (")[0]) == (
        "E_DECODE",
        "17 of 16 allocated bits cannot be stored.",
    )


def test_private_sequence_beside_the_frames_is_read_through(tmp_path: Path) -> None:
    ds = enhanced(series())
    for group in ds.PerFrameFunctionalGroupsSequence:
        inner = Dataset()
        inner.add_new(0x20050010, "LO", "Philips MR Imaging DD 001")
        inner.add_new(0x20051011, "CS", "M")
        group.add_new(0x20050014, "LO", "Philips MR Imaging DD 005")
        group.add_new(0x2005140F, "SQ", Items([inner]))
    save(ds, tmp_path / "one")
    check_read(tmp_path)


def test_eight_bit_big_endian_bytes_are_read(tmp_path: Path) -> None:
    from pydicom.uid import ExplicitVRBigEndian

    datasets = series()
    for k, ds in enumerate(datasets):
        put_pixels(ds, (stored_pixels(k) >> 4).astype(np.uint8), bits_stored=8)
        ds.BitsAllocated = 8
    for k, path in enumerate(save_series(tmp_path, datasets, ExplicitVRBigEndian)):
        data = path.read_bytes()
        pixels = (stored_pixels(k) >> 4).astype(np.uint8).tobytes()
        at = data.index(b"\x7f\xe0\x00\x10OW")
        head = b"\x7f\xe0\x00\x10OB\0\0" + struct.pack(">L", len(pixels))
        path.write_bytes(data[:at] + head + pixels)
    report = scan([tmp_path])
    [stack] = report.stacks
    np.testing.assert_array_equal(read_stack(stack).pixels, [one >> 4 for one in EXPECTED])
