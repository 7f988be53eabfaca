"""Pixels: the same image gives the same array, in whatever form it is stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
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

from scarseg.case.stack import LgeSequence, Stack
from scarseg.errors import InputError
from scarseg.io.dicom import read_stack, scan
from scarseg.io.dicom.pixel_data import decoder as pixel_data_decoder
from scarseg.io.dicom.pixel_data.decoder import DecodeError, Decoder, FrameCode
from tests.io.dicom_files import (
    COLUMNS,
    N_SLICES,
    ROWS,
    compressed,
    encode,
    enhanced,
    put_pixels,
    save,
    save_series,
    series,
    stored_pixels,
)

NATIVE = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
]
COMPRESSED = [RLELossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless]
EXPECTED = np.stack([stored_pixels(k) for k in range(N_SLICES)]).astype(np.float32)


def read(folder: Path) -> Stack:
    report = scan([folder])
    assert (report.refused, len(report.stacks)) == ((), 1)
    return read_stack(report.stacks[0])


@pytest.mark.parametrize("syntax", [*NATIVE, *COMPRESSED])
@pytest.mark.parametrize("is_enhanced", [False, True])
def test_every_syntax_gives_the_same_array(tmp_path: Path, syntax: str, is_enhanced: bool) -> None:
    packed = syntax in COMPRESSED
    if is_enhanced:
        save(enhanced(series(), syntax if packed else None), tmp_path / "one", syntax)
    else:
        save_series(tmp_path, [compressed(d, syntax) if packed else d for d in series()], syntax)
    stack = read(tmp_path)
    np.testing.assert_array_equal(stack.pixels, EXPECTED)
    assert stack.complete
    assert [s.frame for s in stack.sources] == (
        list(range(1, N_SLICES + 1)) if is_enhanced else [None] * N_SLICES
    )


@pytest.mark.parametrize("shared", [True, False])
def test_enhanced_frames_are_ordered_by_position(tmp_path: Path, shared: bool) -> None:
    datasets = series()
    order = [3, 0, 5, 1, 4, 2]
    save(enhanced([datasets[k] for k in order], shared=shared), tmp_path / "one")
    stack = read(tmp_path)
    np.testing.assert_array_equal(stack.pixels, EXPECTED)
    assert [s.frame for s in stack.sources] == [order.index(k) + 1 for k in range(N_SLICES)]
    assert len({s.sop_instance_uid for s in stack.sources}) == 1


def test_enhanced_rescale_is_per_frame(tmp_path: Path) -> None:
    datasets = series()
    for k, ds in enumerate(datasets):
        ds.RescaleSlope, ds.RescaleIntercept = str(1 + k), str(10 * k)
    save(enhanced(datasets), tmp_path / "one")
    scale = np.arange(1, N_SLICES + 1, dtype=np.float32)[:, None, None]
    np.testing.assert_allclose(read(tmp_path).pixels, EXPECTED * scale + 10 * (scale - 1))


def test_rescale_is_per_slice_and_signed(tmp_path: Path) -> None:
    datasets = series()
    for k, ds in enumerate(datasets):
        ds.RescaleSlope, ds.RescaleIntercept = (
            f"{0.25 + 0.5 * k}",
            f"{-2048 * (0.25 + 0.5 * k) - k}",
        )
    save_series(tmp_path, datasets)
    stack = read(tmp_path)
    k = np.arange(N_SLICES, dtype=np.float32)[:, None, None]
    np.testing.assert_allclose(stack.pixels, (EXPECTED - 2048) * (0.25 + 0.5 * k) - k, atol=1e-3)
    assert stack.pixels.dtype == np.float32
    assert stack.sequence is LgeSequence.PSIR


def scaled(slope: str = "1") -> list[Dataset]:
    """Return a series in which every slice has a rescale slope."""
    datasets = series()
    for ds in datasets:
        ds.RescaleIntercept, ds.RescaleSlope = "0", slope
    return datasets


def intensity_texts(folder: Path) -> list[str]:
    return [w.message for w in read(folder).warnings if w.code == "W_INTENSITY"]


@pytest.mark.parametrize("k", [0, 3, N_SLICES - 1])
def test_blank_slice_is_named(tmp_path: Path, k: int) -> None:
    datasets = scaled()
    put_pixels(datasets[k], np.full((ROWS, COLUMNS), 1234, np.uint16))
    paths = save_series(tmp_path, datasets)
    text = f"{paths[k].name} holds the value 1234 alone: scar there is in doubt."
    assert intensity_texts(tmp_path) == [text]


@pytest.mark.parametrize("k", [0, 3, N_SLICES - 1])
@pytest.mark.parametrize("slope", [0.001, 1000])
def test_slice_of_another_scale_is_named(tmp_path: Path, slope: float, k: int) -> None:
    datasets = scaled()
    datasets[k].RescaleSlope = str(slope)
    paths = save_series(tmp_path, datasets)
    extents = [int(np.ptp(stored_pixels(j))) * (slope if j == k else 1) for j in range(N_SLICES)]
    text = f"{paths[k].name} spans {extents[k]:.3g}, others {np.median(extents):.3g}"
    assert intensity_texts(tmp_path) == [f"{text}: scar there is in doubt."]


@pytest.mark.parametrize("k", [0, 3, N_SLICES - 1])
@pytest.mark.parametrize("one", ["MONOCHROME1", "MONOCHROME2"])
def test_slice_inverted_unlike_the_others_is_named(tmp_path: Path, one: str, k: int) -> None:
    datasets = series()
    for j, ds in enumerate(datasets):
        other = "MONOCHROME2" if one == "MONOCHROME1" else "MONOCHROME1"
        ds.PhotometricInterpretation = one if j == k else other
    paths = save_series(tmp_path, datasets)
    said = "is MONOCHROME1 and others are not"
    if one == "MONOCHROME2":
        said = "is not MONOCHROME1 and others are"
    assert intensity_texts(tmp_path) == [f"{paths[k].name} {said}: scar there is in doubt."]


@pytest.mark.parametrize("slope", ["0.1", "1", "9.5"])
def test_slices_of_scales_that_scanners_use_are_not_named(tmp_path: Path, slope: str) -> None:
    datasets = scaled()
    datasets[2].RescaleSlope = slope
    save_series(tmp_path, datasets)
    assert intensity_texts(tmp_path) == []


@pytest.mark.parametrize("signed", [False, True])
def test_monochrome1_is_inverted_once(tmp_path: Path, signed: bool) -> None:
    plain, inverted = series(), series()
    for k, (a, b) in enumerate(zip(plain, inverted, strict=True)):
        values = stored_pixels(k).astype(np.int16) - (2048 if signed else 0)
        flipped = (-1 if signed else 4095) - values
        dtype = np.int16 if signed else np.uint16
        put_pixels(a, values.astype(dtype))
        put_pixels(b, flipped.astype(dtype))
        b.PhotometricInterpretation = "MONOCHROME1"
        for ds in (a, b):
            ds.RescaleSlope, ds.RescaleIntercept = "2", "5"
    save_series(tmp_path / "plain", plain)
    save_series(tmp_path / "inverted", inverted)
    np.testing.assert_array_equal(
        read(tmp_path / "plain").pixels, read(tmp_path / "inverted").pixels
    )


def test_bits_beyond_the_stored_ones_are_masked(tmp_path: Path) -> None:
    datasets = series()
    for k, ds in enumerate(datasets):
        put_pixels(ds, stored_pixels(k) | np.uint16(0xA000))
    save_series(tmp_path, datasets)
    np.testing.assert_array_equal(read(tmp_path).pixels, EXPECTED)


def test_signed_values_of_12_bits_keep_their_sign(tmp_path: Path) -> None:
    datasets = series()
    for k, ds in enumerate(datasets):
        values = stored_pixels(k).astype(np.int16) - 2048
        put_pixels(ds, (values & 0x0FFF).astype(np.int16))  # sign bit 11, upper bits clear
        ds.PixelRepresentation = 1
    save_series(tmp_path, datasets)
    stack = read(tmp_path)
    np.testing.assert_array_equal(stack.pixels, EXPECTED - 2048)
    assert stack.sequence is LgeSequence.PSIR
    assert "W_SIGNED" in [w.code for w in stack.warnings]


def test_high_bit_above_the_stored_bits_is_shifted_out(tmp_path: Path) -> None:
    datasets = series()
    for k, ds in enumerate(datasets):
        put_pixels(ds, stored_pixels(k) << np.uint16(4))
        ds.HighBit = 15
    save_series(tmp_path, datasets)
    np.testing.assert_array_equal(read(tmp_path).pixels, EXPECTED)


def test_eight_bit_pixels(tmp_path: Path) -> None:
    datasets = series()
    for k, ds in enumerate(datasets):
        put_pixels(ds, (stored_pixels(k) >> 4).astype(np.uint8), bits_stored=8)
        ds.BitsAllocated = 8
    save_series(tmp_path, datasets)
    np.testing.assert_array_equal(read(tmp_path).pixels, EXPECTED // 16)


def _spoiled(ds: Dataset, syntax: str, how: str) -> Dataset:
    result = compressed(ds, syntax)
    data = result.PixelData
    if how == "cut":
        result.PixelData = data[: len(data) // 2]
    elif how == "noise":
        noise = np.random.default_rng(0).bytes(len(data) - 40)
        result.PixelData = data[:20] + noise + data[-20:]
    else:
        other = compressed(ds, RLELossless if syntax != RLELossless else JPEGLSLossless)
        result.PixelData = other.PixelData
    result["PixelData"].VR = "OB"
    result["PixelData"].is_undefined_length = True
    return result


@pytest.mark.parametrize("syntax", COMPRESSED)
@pytest.mark.parametrize("how", ["cut", "noise", "other"])
def test_failed_decode_is_one_slices_error(tmp_path: Path, syntax: str, how: str) -> None:
    datasets = [compressed(ds, syntax) for ds in series()]
    datasets[4] = _spoiled(series()[4], syntax, how)
    paths = save_series(tmp_path, datasets, syntax)
    stack = read(tmp_path)
    good = [0, 1, 2, 3, 5]
    if stack.n_slices == N_SLICES:
        # noise may still decode to an image of the right size: nothing can tell it is wrong
        assert (how, syntax) == ("noise", JPEG2000Lossless)
        stack_pixels = stack.pixels[good]
    else:
        stack_pixels = stack.pixels
        warning = next(w for w in stack.warnings if w.code == "W_SLICE_DAMAGED")
        assert paths[4].name in warning.message
        assert not stack.complete
    np.testing.assert_array_equal(stack_pixels, EXPECTED[good])


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, *COMPRESSED])
def test_cut_multi_frame_file_keeps_its_whole_frames(tmp_path: Path, syntax: str) -> None:
    packed = syntax in COMPRESSED
    path = save(enhanced(series(), syntax if packed else None), tmp_path / "one", syntax)
    data = path.read_bytes()
    start = data.index(b"\xe0\x7f\x10\x00")
    path.write_bytes(data[: start + (len(data) - start) // 2])
    stack = read(tmp_path)
    assert 1 <= stack.n_slices <= 3
    np.testing.assert_array_equal(stack.pixels, EXPECTED[: stack.n_slices])
    assert not stack.complete
    [warning] = [w for w in stack.warnings if w.code == "W_SLICE_DAMAGED"]
    assert "one frame 6" in warning.message


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless])
def test_code_stream_cut_short_is_refused(syntax: str) -> None:
    frame = encode(stored_pixels(0), syntax)
    np.testing.assert_array_equal(
        pixel_data_decoder.decode_frame(frame, _code(syntax)), stored_pixels(0)
    )
    for keep in (len(frame) - 3, len(frame) // 2):
        with pytest.raises(DecodeError):
            pixel_data_decoder.decode_frame(frame[:keep], _code(syntax))


def test_nothing_decodable_is_refused(tmp_path: Path) -> None:
    datasets = [_spoiled(ds, JPEGLSLossless, "other") for ds in series()]
    save_series(tmp_path, datasets, JPEGLSLossless)
    summary = scan([tmp_path]).stacks[0]
    with pytest.raises(InputError) as refused:
        read_stack(summary)
    assert refused.value.code == "E_DECODE"


def test_unknown_syntax_is_refused(tmp_path: Path) -> None:
    for path in save_series(tmp_path, series()):
        data = path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.9.9\0", 1)
        path.write_bytes(data)
    assert [r.code for r in scan([tmp_path]).refused] == ["E_DECODE"]


def _code(syntax: str = JPEGLSLossless) -> FrameCode:
    return FrameCode(syntax, ROWS, COLUMNS, 16, 12, False)


def test_death_of_the_decoder_is_an_error_and_the_next_frame_decodes() -> None:
    decoder = Decoder()
    frame = encode(stored_pixels(0), JPEGLSLossless)
    try:
        np.testing.assert_array_equal(decoder.decode(frame, _code()), stored_pixels(0))
        child = decoder._child
        assert child is not None
        child.kill()
        child.wait()
        np.testing.assert_array_equal(decoder.decode(frame, _code()), stored_pixels(0))
    finally:
        decoder.close()


def test_decoder_that_hangs_or_dies_on_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = Decoder(time_limit_s=0.5)
    monkeypatch.setattr(pixel_data_decoder, "CHILD_COMMAND", ("-c", "import time; time.sleep(60)"))
    try:
        with pytest.raises(DecodeError):
            decoder.decode(b"x", _code())
        monkeypatch.setattr(pixel_data_decoder, "CHILD_COMMAND", ("-c", "import os; os.abort()"))
        with pytest.raises(DecodeError):
            decoder.decode(b"x" * 10_000_000, _code())
        monkeypatch.undo()
        frame = encode(stored_pixels(0), JPEGLSLossless)
        decoder._time_limit_s = 60
        np.testing.assert_array_equal(decoder.decode(frame, _code()), stored_pixels(0))
    finally:
        decoder.close()
    assert decoder._child is None


def test_frame_that_kills_its_decoder_is_one_slices_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = [compressed(ds, JPEGLSLossless) for ds in series()]
    paths = save_series(tmp_path, datasets, JPEGLSLossless)
    deadly = encode(stored_pixels(2), JPEGLSLossless)[:200]
    script = (
        "import os, scarseg.io.dicom.pixel_data.decoder as d\n"
        "real = d.decode_here\n"
        f"d.decode_here = lambda f, c: os.abort() if f[:200] == {deadly!r} else real(f, c)\n"
        "d._serve()\n"
    )
    decoder = Decoder()
    monkeypatch.setattr(pixel_data_decoder, "_DECODER", decoder)
    monkeypatch.setattr(pixel_data_decoder, "CHILD_COMMAND", ("-P", "-c", script))
    try:
        stack = read(tmp_path)
    finally:
        decoder.close()
    np.testing.assert_array_equal(stack.pixels, EXPECTED[[0, 1, 3, 4, 5]])
    assert not stack.complete
    [warning] = [w for w in stack.warnings if w.code == "W_SLICE_DAMAGED"]
    assert paths[2].name in warning.message


def test_image_of_another_size_is_refused_by_the_decoder() -> None:
    for syntax in (JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless):
        frame = encode(stored_pixels(0)[:-1], syntax)
        with pytest.raises(DecodeError):
            pixel_data_decoder.decode_frame(frame, _code(syntax))


def test_nothing_in_the_working_folder_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = tmp_path / "canary"
    for name in ("numpy", "jpeg_ls", "json", "scarseg"):
        (tmp_path / f"{name}.py").write_text(f"open({str(canary)!r}, 'w').close()")
    monkeypatch.chdir(tmp_path)
    decoder = Decoder()
    try:
        frame = encode(stored_pixels(0), JPEGLSLossless)
        np.testing.assert_array_equal(decoder.decode(frame, _code()), stored_pixels(0))
    finally:
        decoder.close()
    assert not canary.exists()
