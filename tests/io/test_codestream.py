"""Code streams: their losses, their damage, their end, and which fragments make a frame."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from scarseg.case.stack import Stack
from scarseg.io.dicom import read_stack, scan
from scarseg.io.dicom.pixel_data.codestream import (
    CodestreamError,
    check_jpeg_2000,
    check_lossless_jpeg,
    describe_loss,
    group_fragments,
    trimmed,
)
from scarseg.io.dicom.pixel_data.decoder import FrameCode, decode_here
from tests.io.dicom_files import (
    COLUMNS,
    N_SLICES,
    ROWS,
    compressed,
    encode,
    enhanced,
    jpeg_lossless,
    save,
    save_series,
    series,
    stored_pixels,
)

LOSSLESS = [JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless]


def read(folder: Path) -> Stack:
    [summary] = scan([folder]).stacks
    return read_stack(summary)


def lossy(stack: Stack) -> list[str]:
    return [warning.message for warning in stack.warnings if warning.code == "W_LOSSY"]


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_reversible_streams_are_not_lossy(syntax: str) -> None:
    assert describe_loss(encode(stored_pixels(1), syntax), syntax) == ""


def test_near_lossless_stream_under_a_lossless_syntax_is_lossy(tmp_path: Path) -> None:
    import jpeg_ls

    datasets = []
    for k, ds in enumerate(series()):
        pixels = stored_pixels(k)
        frame = bytes(jpeg_ls.encode_buffer(pixels.tobytes(), ROWS, COLUMNS, 1, 12, 2, 0))
        packed = compressed(ds, JPEGLSLossless)
        packed.PixelData = encapsulate([frame])
        packed["PixelData"].VR, packed["PixelData"].is_undefined_length = "OB", True
        datasets.append(packed)
    save_series(tmp_path, datasets, JPEGLSLossless)
    stack = read(tmp_path)
    assert np.abs(stack.pixels[1] - stored_pixels(1)).max() == 2
    [text] = lossy(stack)
    assert "JPEG-LS with errors of up to 2" in text


@pytest.mark.parametrize(
    ("syntax", "reversible"), [(JPEGLSNearLossless, JPEGLSLossless), (JPEG2000, JPEG2000Lossless)]
)
def test_reversible_stream_under_a_lossy_syntax_is_not_called_lossy(
    tmp_path: Path, syntax: str, reversible: str
) -> None:
    save_series(tmp_path, [compressed(ds, reversible) for ds in series()], syntax)
    [summary] = scan([tmp_path]).stacks
    assert "W_LOSSY" in [warning.code for warning in summary.warnings]
    assert lossy(read_stack(summary)) == []


def test_undamaged_lossless_jpeg_passes_its_check() -> None:
    pixels = stored_pixels(3)
    check_lossless_jpeg(jpeg_lossless(pixels), pixels)


def test_damage_inside_a_lossless_jpeg_is_found() -> None:
    """Four damaged bytes anywhere in the scan change the number of its codes or their sums."""
    pixels = stored_pixels(3)
    stream = jpeg_lossless(pixels)
    start = stream.index(b"\xff\xda") + 10
    rng = random.Random(4)
    code = FrameCode(JPEGLosslessSV1, ROWS, COLUMNS, 16, 12, False)
    silent = 0
    for _ in range(60):
        at = rng.randrange(start, len(stream) - 8)
        damaged = stream[:at] + rng.randbytes(4) + stream[at + 4 :]
        try:
            decoded = decode_here(damaged, code)
        except (ValueError, RuntimeError):
            continue
        silent += not np.array_equal(decoded.reshape(pixels.shape), pixels)
    assert silent <= 2


def test_wrong_pixels_contradict_the_codes() -> None:
    pixels = stored_pixels(3)
    wrong = pixels.copy()
    wrong[5, 5] ^= 1
    with pytest.raises(CodestreamError, match="contradict"):
        check_lossless_jpeg(jpeg_lossless(pixels), wrong)


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_bytes_behind_the_end_of_image_are_no_damage(tmp_path: Path, syntax: str) -> None:
    datasets = []
    for k, ds in enumerate(series()):
        packed = compressed(ds, syntax)
        packed.PixelData = encapsulate([encode(stored_pixels(k), syntax) + b"\x00padding\x01"])
        packed["PixelData"].VR, packed["PixelData"].is_undefined_length = "OB", True
        datasets.append(packed)
    save_series(tmp_path, datasets, syntax)
    np.testing.assert_array_equal(
        read(tmp_path).pixels, [stored_pixels(k) for k in range(N_SLICES)]
    )


@pytest.mark.parametrize("zeros", [1, 3])
def test_zeros_before_the_end_of_a_jpeg_ls_stream_are_no_damage(zeros: int) -> None:
    frame = encode(stored_pixels(2), JPEGLSLossless)
    code = FrameCode(JPEGLSLossless, ROWS, COLUMNS, 16, 12, False)
    padded = frame[:-2] + bytes(zeros) + frame[-2:]
    decoded = decode_here(padded, code).reshape(ROWS, COLUMNS)
    np.testing.assert_array_equal(decoded, stored_pixels(2))


def test_stream_without_an_end_is_refused() -> None:
    with pytest.raises(CodestreamError, match="its code stream has no end"):
        trimmed(b"\xff\xd8\x00\x01")


def test_fragments_are_joined_up_to_an_end_marker() -> None:
    end = b"\xff\xd9"
    assert group_fragments([b"a", b"b" + end, b"c" + end + b"\0", b"d"]) == [
        b"ab" + end,
        b"c" + end + b"\0",
        b"d",
    ]


def in_fragments(n: int, syntax: str, table: bool) -> bytes:
    """Encapsulate every frame in ``n`` fragments, with or without a basic offset table."""
    frames = [encode(stored_pixels(k), syntax) for k in range(N_SLICES)]
    return bytes(encapsulate(frames, fragments_per_frame=n, has_bot=table))


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize("table", [True, False])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_frames_in_several_fragments_are_read(
    tmp_path: Path, syntax: str, table: bool, n: int
) -> None:
    ds = enhanced(series(), syntax)
    ds.PixelData = in_fragments(n, syntax, table)
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    save(ds, tmp_path / "one", syntax)
    np.testing.assert_array_equal(
        read(tmp_path).pixels, [stored_pixels(k) for k in range(N_SLICES)]
    )


def test_offset_table_that_points_into_fragments_is_not_believed(tmp_path: Path) -> None:
    ds = enhanced(series(), JPEGLSLossless)
    data = bytearray(in_fragments(2, JPEGLSLossless, True))
    data[12] += 2  # the second frame's offset
    ds.PixelData = bytes(data)
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    save(ds, tmp_path / "one", JPEGLSLossless)
    np.testing.assert_array_equal(read(tmp_path).pixels[1], stored_pixels(1))


def test_extended_offset_table_decides(tmp_path: Path) -> None:
    ds = enhanced(series(), RLELossless)
    frames = [encode(stored_pixels(k), RLELossless) for k in range(N_SLICES)]
    frames = [frame + b"\0" * (len(frame) % 2) for frame in frames]
    ds.PixelData = encapsulate(frames, has_bot=False)
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    starts = np.cumsum([0, *(8 + len(frame) for frame in frames[:-1])])
    ds.ExtendedOffsetTable = starts.astype("<u8").tobytes()
    ds.ExtendedOffsetTableLengths = np.array([len(f) for f in frames], "<u8").tobytes()
    save(ds, tmp_path / "one", RLELossless)
    np.testing.assert_array_equal(read(tmp_path).pixels[4], stored_pixels(4))


def test_rle_segment_that_decodes_to_too_much_is_damage() -> None:
    frame = bytearray(encode(stored_pixels(2), RLELossless))
    code = FrameCode(RLELossless, ROWS, COLUMNS, 16, 12, False)
    np.testing.assert_array_equal(
        decode_here(bytes(frame), code).reshape(ROWS, COLUMNS), stored_pixels(2)
    )
    second = int.from_bytes(frame[8:12], "little")
    longer = frame[:second] + bytes([0xF0, 7]) + frame[second:]
    longer[8:12] = (second + 2).to_bytes(4, "little")
    with pytest.raises(ValueError, match="an RLE segment decodes to"):
        decode_here(bytes(longer), code)


def test_offset_table_out_of_order_is_not_believed(tmp_path: Path) -> None:
    ds = enhanced(series(), JPEGLSLossless)
    data = bytearray(in_fragments(1, JPEGLSLossless, True))
    data[8 + 16 : 8 + 20] = bytes(4)  # the fifth frame begins where the first does
    ds.PixelData = bytes(data)
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    save(ds, tmp_path / "one", JPEGLSLossless)
    np.testing.assert_array_equal(read(tmp_path).pixels[4], stored_pixels(4))


def test_jpeg_2000_whose_tile_parts_do_not_fill_it_is_damaged() -> None:
    stream = encode(stored_pixels(2), JPEG2000Lossless)
    check_jpeg_2000(stream)
    at = stream.index(b"\xff\x90")
    longer = bytearray(stream)
    longer[at + 9] ^= 1
    for damaged in (bytes(longer), stream[:-40] + stream[-2:], stream[: at - 5] + stream[at:]):
        with pytest.raises(CodestreamError):
            check_jpeg_2000(damaged)
