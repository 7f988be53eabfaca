"""No change of a single byte goes unnoticed, and none brings the program down."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scarseg.errors import StoreError
from scarseg.io.casefile import file_format, store
from tests.io.casefile.saving_child import is_whole, numbered_case, small_stack

STACK = small_stack()
DATA = file_format.encode_case(numbered_case(STACK, 1))


def is_noticed(data: bytes) -> bool:
    try:
        file_format.parse_case(data)
    except file_format.DamagedCaseError:
        return True
    return False


def test_the_file_itself_is_good():
    assert not is_noticed(DATA)
    assert is_whole(file_format.build_case(file_format.parse_case(DATA), STACK))


def test_every_flipped_bit_is_noticed():
    data = bytearray(DATA)
    for position in range(len(data)):
        # every bit of head, table and digest; one bit of each other byte
        edge = position < 400 or position >= len(data) - 32
        for bit in range(8) if edge else (position % 8,):
            data[position] ^= 1 << bit
            assert is_noticed(bytes(data)), (position, bit)
            data[position] ^= 1 << bit


def test_every_cut_is_noticed():
    for length in range(len(DATA)):
        assert is_noticed(DATA[:length]), length
    for start in range(1, len(DATA), 7):
        assert is_noticed(DATA[start:]), start


def test_inserted_deleted_and_swapped_bytes_are_noticed():
    rng = np.random.default_rng(0)
    for _ in range(2000):
        a, b = sorted(int(v) for v in rng.integers(0, len(DATA), 2))
        piece = rng.bytes(int(rng.integers(1, 64)))
        assert is_noticed(DATA[:a] + piece + DATA[a:])
        if DATA[:a] + DATA[b:] != DATA:
            assert is_noticed(DATA[:a] + DATA[b:])
        overwritten = DATA[:a] + piece + DATA[a + len(piece) :]
        assert is_noticed(overwritten) or overwritten == DATA
    assert is_noticed(DATA + DATA)
    assert is_noticed(bytes(len(DATA)))


def test_damaged_files_are_refused_or_the_generation_before_is_given(tmp_path: Path):
    path = tmp_path / "case.scarseg"
    previous = path.with_name(path.name + ".1")
    previous.write_bytes(file_format.encode_case(numbered_case(STACK, 7)))
    rng = np.random.default_rng(1)
    for _ in range(200):
        data = bytearray(DATA)
        for position in rng.integers(0, len(data), int(rng.integers(1, 5))):
            data[position] ^= int(rng.integers(1, 256))
        path.write_bytes(data[: int(rng.integers(0, len(data) + 1))])
        found = store.read_case(path, STACK)
        assert found.case.interactions == 7
        assert found.notes
        assert is_whole(found.case)
    previous.unlink()
    with pytest.raises(StoreError, match="E_CASE_DAMAGED"):
        store.load_case(path, STACK)
