"""Decode compressed frames in a process of their own, so that its death is one slice's error.

The parent starts this module as a program when the first compressed frame is met, and keeps it.
Both sides exchange length-prefixed JSON and bytes over pipes; the child ends when its input closes,
and so never outlives the program. ``-P`` keeps it from importing anything that lies
in the working folder.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import struct
import subprocess
import sys
import threading
import warnings
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from scarseg.io.dicom.pixel_data import codestream

TIME_LIMIT_S = 60.0
MEMORY_LIMIT_BYTES = 6 * 2**30
CHILD_COMMAND: tuple[str, ...] = ("-P", "-m", "scarseg.io.dicom.pixel_data.decoder")
RLE = "1.2.840.10008.1.2.5"
_LENGTH = struct.Struct("<Q")


class DecodeError(Exception):
    """A frame could not be decoded; the message says why."""


@dataclass(frozen=True)
class FrameCode:
    """Properties of a compressed frame that its decoder needs."""

    transfer_syntax: str
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    signed: bool


class Decoder:
    """The parent's end of the decoding process."""

    def __init__(self, time_limit_s: float = TIME_LIMIT_S) -> None:
        self._time_limit_s = time_limit_s
        self._child: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def decode(self, frame: bytes, code: FrameCode) -> npt.NDArray[np.generic]:
        """Decode one compressed frame to integers (row, column) as stored.

        Raises:
            DecodeError: the frame is damaged, or its decoding took the process down.
        """
        with self._lock:
            child = self._running()
            timer = threading.Timer(self._time_limit_s, child.kill)
            timer.daemon = True
            timer.start()
            try:
                answer, data = self._ask(child, frame, code)
            except (OSError, EOFError, ValueError) as error:
                self._stop()
                raise DecodeError("the decoder died on it or took too long") from error
            finally:
                timer.cancel()
        if "error" in answer:
            raise DecodeError(str(answer["error"]))
        dtype = np.dtype(str(answer["dtype"]))
        if len(data) != code.rows * code.columns * dtype.itemsize:
            raise DecodeError(f"it decodes to {len(data)} bytes")
        return np.frombuffer(data, dtype=dtype).reshape(code.rows, code.columns)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._owner != os.getpid() or self._child.poll() is not None:
            self._stop()
            self._child = _start_child()
            self._owner = os.getpid()
        return self._child

    @staticmethod
    def _ask(
        child: subprocess.Popen[bytes], frame: bytes, code: FrameCode
    ) -> tuple[dict[str, Any], bytes]:
        assert child.stdin is not None and child.stdout is not None
        _send(child.stdin, asdict(code), frame)
        return _receive(child.stdout)

    def _stop(self) -> None:
        child, self._child = self._child, None
        if child is None or self._owner != os.getpid():
            return
        child.kill()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        child.wait()

    def close(self) -> None:
        """End the decoding process."""
        with self._lock:
            self._stop()


def _start_child() -> subprocess.Popen[bytes]:
    package_root = str(Path(__file__).resolve().parents[4])
    environment = dict(os.environ, OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    known = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = os.pathsep.join([package_root, known] if known else [package_root])
    try:
        return subprocess.Popen(
            [sys.executable, *CHILD_COMMAND],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
    except OSError as error:
        raise DecodeError(f"the decoder cannot be started: {error}") from error


def _send(pipe: Any, head: dict[str, Any], data: bytes) -> None:
    text = json.dumps(head).encode()
    pipe.write(_LENGTH.pack(len(text)) + text + _LENGTH.pack(len(data)))
    pipe.write(data)
    pipe.flush()


def _receive(pipe: Any) -> tuple[dict[str, Any], bytes]:
    head = json.loads(_read_exactly(pipe, _LENGTH.unpack(_read_exactly(pipe, 8))[0]))
    return head, _read_exactly(pipe, _LENGTH.unpack(_read_exactly(pipe, 8))[0])


def _read_exactly(pipe: BinaryIO, n: int) -> bytes:
    data = pipe.read(n)
    if len(data) < n:
        raise EOFError
    return data


_DECODER = Decoder()
atexit.register(_DECODER.close)


def decode_frame(frame: bytes, code: FrameCode) -> npt.NDArray[np.generic]:
    """Decode one compressed frame in the shared decoding process; see ``Decoder.decode``."""
    return _DECODER.decode(frame, code)


# ---- the child's side -----------------------------------------------------------------------

_FAULTS = (
    *(ValueError, RuntimeError, TypeError, AttributeError, LookupError, ArithmeticError),
    *(OSError, MemoryError, AssertionError, struct.error, ImportError),
)


def decode_here(frame: bytes, code: FrameCode) -> npt.NDArray[np.generic]:
    """Decode one frame in this process, each syntax by its named decoder.

    RLE by pydicom, JPEG by pylibjpeg-libjpeg, JPEG-LS by pyjpegls, JPEG 2000 by
    pylibjpeg-openjpeg. A code stream cut short is refused: decoders fill the rest with anything.
    """
    if code.transfer_syntax == RLE:
        return _rle(frame, code)
    frame = codestream.trimmed(frame)
    if code.transfer_syntax in codestream.JPEG:
        return _jpeg(frame, code)
    if code.transfer_syntax in codestream.JPEG_LS:
        return _jpeg_ls(frame, code)
    if code.transfer_syntax in codestream.JPEG_2000:
        return _jpeg_2000(frame, code)
    raise ValueError(f"no decoder for {code.transfer_syntax}")


def _rle(frame: bytes, code: FrameCode) -> npt.NDArray[np.generic]:
    from pydicom.encaps import encapsulate
    from pydicom.pixels.decoders.base import RLELosslessDecoder
    from pydicom.uid import RLELossless

    options: dict[str, Any] = {
        "transfer_syntax_uid": RLELossless,
        "rows": code.rows,
        "columns": code.columns,
        "number_of_frames": 1,
        "samples_per_pixel": 1,
        "bits_allocated": code.bits_allocated,
        "bits_stored": code.bits_stored,
        "pixel_representation": int(code.signed),
        "photometric_interpretation": "MONOCHROME2",
        "pixel_keyword": "PixelData",
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        array, _ = RLELosslessDecoder.as_array(
            encapsulate([frame]), raw=True, decoding_plugin="pydicom", **options
        )
    for warning in caught:
        # One byte of padding is usual; more means that a count was damaged.
        length = re.search(r"RLE segment .* (\d+) vs\. (\d+) bytes", str(warning.message))
        if length and int(length[1]) > int(length[2]) + 1:
            raise ValueError(f"an RLE segment decodes to {length[1]} bytes, not {length[2]}")
    return np.asarray(array)


def _check_size(rows: int, columns: int, code: FrameCode) -> None:
    if (rows, columns) != (code.rows, code.columns):
        raise ValueError(f"it holds {rows} x {columns} pixels, not {code.rows} x {code.columns}")


def _jpeg(frame: bytes, code: FrameCode) -> npt.NDArray[np.generic]:
    libjpeg: Any = import_module("libjpeg")
    facts = libjpeg.get_parameters(frame)
    _check_size(facts["rows"], facts["columns"], code)
    data = libjpeg.decode_pixel_data(frame, version=2)
    array = np.frombuffer(data, "<u1" if facts["precision"] <= 8 else "<u2")
    codestream.check_lossless_jpeg(frame, array)
    return array


def _jpeg_ls(frame: bytes, code: FrameCode) -> npt.NDArray[np.generic]:
    jpeg_ls: Any = import_module("jpeg_ls")
    # Some encoders put zeros before the end-of-image marker, which the decoder refuses.
    while True:
        try:
            data, facts = jpeg_ls.decode_pixel_data(frame)
            break
        except (ValueError, RuntimeError):
            if frame[-3:-2] != b"\0":
                raise
            frame = frame[:-3] + codestream.END_OF_IMAGE
    _check_size(facts["height"], facts["width"], code)
    return np.frombuffer(data, "<u1" if facts["bits_per_sample"] <= 8 else "<u2")


def _jpeg_2000(frame: bytes, code: FrameCode) -> npt.NDArray[np.generic]:
    openjpeg: Any = import_module("openjpeg")
    codestream.check_jpeg_2000(frame)
    facts = openjpeg.get_parameters(frame)
    _check_size(facts["rows"], facts["columns"], code)
    return np.asarray(openjpeg.decode(frame))


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _serve() -> None:
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a decoder prints must not land in the answers
    while True:
        try:
            head, frame = _receive(source)
        except EOFError:
            return
        try:
            array = decode_here(frame, FrameCode(**head))
            dtype = array.dtype.newbyteorder("<").str.replace("|", "<")
            data = array.astype(dtype, copy=False).tobytes()
            answer: dict[str, Any] = {"dtype": dtype}
        except _FAULTS as error:
            answer, data = {"error": str(error).strip() or type(error).__name__}, b""
        _send(sink, answer, data)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    _limit_memory()
    _serve()
