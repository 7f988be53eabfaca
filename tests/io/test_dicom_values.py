"""Decimal and integer strings: read exactly, or not at all."""

from __future__ import annotations

import math
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from scarseg.io.dicom.elements import Elements
from scarseg.io.dicom.values import number, numbers, text, uid, whole

TAG = 0x00280030


def elements(raw: bytes, vr: bytes = b"DS", charset: bytes = b"") -> Elements:
    return Elements({TAG: (vr, raw), 0x00080005: (b"CS", charset)})


@given(st.lists(st.decimals(-10000, 10000, places=5), min_size=1, max_size=6))
def test_valid_decimal_strings_are_read_exactly(values: list[Decimal]) -> None:
    raw = "\\".join(str(value) for value in values)
    padded = f" {raw} ".encode()
    assert numbers(elements(padded), TAG) == tuple(float(value) for value in values)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_finite_float_text_is_read_exactly(value: float) -> None:
    assert number(elements(repr(value).encode()), TAG) == value


@given(st.binary(max_size=40), st.sampled_from([b"DS", b"IS", b"", b"UN", b"LO", b"US", b"FD"]))
def test_any_bytes_give_finite_numbers_or_nothing(raw: bytes, vr: bytes) -> None:
    parsed = numbers(elements(raw, vr), TAG)
    assert parsed is None or (parsed and all(math.isfinite(value) for value in parsed))


@given(st.text(max_size=20))
def test_text_with_anything_but_a_number_is_no_number(value: str) -> None:
    raw = value.encode()
    parsed = numbers(elements(raw), TAG)
    if parsed is not None:
        parts = [part.strip("\0 ") for part in value.split("\\")]
        assert all(part.isascii() and not set(part) - set("+-.eE0123456789") for part in parts)
        assert [float(part) for part in parts] == list(parsed)


@given(st.integers(-(10**12), 10**12))
def test_integer_strings(value: int) -> None:
    assert whole(elements(str(value).encode(), b"IS"), TAG) == value


@given(st.binary(max_size=60), st.binary(max_size=30))
def test_text_never_crashes_and_is_printable(raw: bytes, charset: bytes) -> None:
    shown = text(elements(raw, b"PN", charset), TAG)
    assert not any(ord(character) < 32 for character in shown)


@given(st.binary(max_size=80))
def test_uids_are_safe_in_file_names(raw: bytes) -> None:
    value = uid(elements(raw, b"UI"), TAG)
    assert len(value) <= 64
    assert not set(value) & set("/\\: \0")
    assert not value.startswith(".")
