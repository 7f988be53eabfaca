"""The plan of a re-reading: order, codes, what is kept and what is refused."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from scarseg.case.case import Case
from scarseg.case.history import SliceReading, SliceStatus
from scarseg.case.stack import Stack
from scarseg.errors import StoreError
from scarseg.io import atomic
from scarseg.io.casefile import library, rereading, store
from scarseg.io.casefile.rereading import FirstReading

FIRSTS = [FirstReading(f"1.2.{k}", f"1.2.{k}.1", "", 5, "ab", "cd", reader="CD") for k in range(12)]


def started(folder: Path, seed: int | None = 7, reader: str = "AB") -> rereading.Rereading:
    return rereading.start_rereading(folder, FIRSTS, reader, 2, seed=seed)


def test_the_order_is_random_and_the_seed_gives_it_again(tmp_path: Path) -> None:
    one, same = started(tmp_path), started(tmp_path)
    assert one.cases == same.cases and one.code != same.code
    assert one.cases == rereading.shuffle_with_codes(reversed(FIRSTS), 7), (
        "whatever order they come"
    )
    orders = {tuple(c.first.stack_id for c in started(tmp_path, k).cases) for k in range(20)}
    assert len(orders) == 20
    places = [started(tmp_path, k).cases[0].first.stack_id for k in range(60)]
    assert len(set(places)) > 8, "every stack comes first now and then"
    assert started(tmp_path, None).seed != started(tmp_path, None).seed


@pytest.mark.parametrize("n", [1, 400, 1500])
def test_every_stack_has_a_code_of_its_own(n: int) -> None:
    firsts = [replace(FIRSTS[0], series_uid=f"1.2.{k}") for k in range(n)]
    cases = rereading.shuffle_with_codes(firsts, 3)
    codes = {each.code for each in cases}
    assert len(codes) == n == len({each.first.stack_id for each in cases})
    assert {len(code) for code in codes} == {4 if n <= 1000 else 6}


def test_what_was_planned_is_read_again_and_ends(tmp_path: Path) -> None:
    made = started(tmp_path)
    assert rereading.find_rereadings(tmp_path) == ([made], [])
    assert made.name == "read 2, reader AB"
    done = rereading.finish_rereading(made)
    assert rereading.read_rereading(made.folder) == done and done.finished_at_utc
    assert (made.folder.stat().st_mode & 0o777) == 0o700
    assert ((made.folder / rereading.INDEX).stat().st_mode & 0o777) == 0o600
    name = made.case_path(made.cases[0].code).name
    assert "AB" not in name.split(".")[0].split("-") and "1.2" not in name


def test_a_damaged_index_is_noticed_and_passed_over(tmp_path: Path) -> None:
    made, chance = started(tmp_path), random.Random(1)
    path = made.folder / rereading.INDEX
    whole = path.read_bytes()
    for _ in range(300):
        at = chance.randrange(len(whole))
        cut = whole[:at] + bytes([chance.randrange(256)]) + whole[at + chance.randint(0, 3) :]
        path.write_bytes(cut)
        try:
            assert rereading.read_rereading(made.folder) == made
        except StoreError as error:
            assert error.code == "E_REREADING"
    path.write_bytes(b"[" * 100_000)
    found, notes = rereading.find_rereadings(tmp_path)
    assert found == [] and made.code in notes[0]


@pytest.mark.parametrize(
    "bad",
    [{"code": "../../x"}, {"code": "A7"}, {"reader": "Jane Doe"}, {"read_number": 0}, {"x": 1}],
)
def test_an_index_that_this_program_does_not_write_is_refused(tmp_path: Path, bad: dict) -> None:
    made = started(tmp_path)
    path = made.folder / rereading.INDEX
    whole = json.loads(path.read_bytes())
    content = whole["rereading"]
    content["cases"][0].update(bad) if "code" in bad else content.update(bad)
    whole["sha256"] = rereading._digest(content)
    path.write_text(json.dumps(whole))
    with pytest.raises(StoreError, match="E_REREADING"):
        rereading.read_rereading(made.folder)
    path.write_text(json.dumps({**whole, "schema": 9}))
    with pytest.raises(StoreError, match="later"):
        rereading.read_rereading(made.folder)


def test_a_disk_that_refuses_leaves_the_plan_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = started(tmp_path)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic, "flush_folder", lambda *_: None)
    monkeypatch.setattr(atomic, "_write", refuse)
    with pytest.raises(StoreError, match="E_CASE_WRITE"):
        rereading.finish_rereading(made)
    assert rereading.find_rereadings(tmp_path)[0] == [made]


@pytest.mark.parametrize("name", ["", "Jane Doe", "a/b", "..", "AB+CD", "ABCDEFGHIJ", "Ä"])
def test_a_name_is_no_initials(tmp_path: Path, name: str) -> None:
    assert not rereading.is_reader_code(name)
    with pytest.raises(ValueError, match="initials"):
        started(tmp_path, reader=name)


def test_reads_are_counted_by_reader(tmp_path: Path) -> None:
    number = rereading.next_read_number
    assert number("CD", FIRSTS, []) == 2
    assert number("AB", FIRSTS, []) == 1
    assert number("AB", [replace(FIRSTS[0], reader="")], []) == 2
    again = rereading.start_rereading(tmp_path, FIRSTS[:3], "CD", 2)
    assert number("CD", FIRSTS[:1], [again]) == 3
    assert number("CD", FIRSTS[5:], [again]) == 2
    assert number("CD", [replace(FIRSTS[9], reader="AB+CD")], []) == 2


def test_only_what_is_read_to_its_end_can_be_read_again(
    tmp_path: Path, phantom_stack: Stack
) -> None:
    case = Case.new(phantom_stack)
    path = rereading.first_reading_path(tmp_path, phantom_stack)
    assert rereading.read_first_reading(path) is None
    store.save_case(case, path)
    assert rereading.read_first_reading(path) is None
    case.readings = [SliceReading(status=SliceStatus.NO_SCAR)] * phantom_stack.n_slices
    case.reader = "CD"
    store.save_case(case, path)
    first = rereading.read_first_reading(path)
    assert first is not None
    assert (first.stack_id, first.reader) == (phantom_stack.stack_id, "CD")
    case.labels[2, 3, 4] = 3
    store.save_case(case, path)
    assert rereading.read_first_reading(path) != first


def test_a_folder_of_case_files_gives_first_readings_only(
    tmp_path: Path, phantom_stack: Stack
) -> None:
    made = started(tmp_path)
    first = rereading.first_reading_path(tmp_path, phantom_stack)
    for path in (first, made.case_path(made.cases[0].code)):
        store.save_case(Case.new(phantom_stack), path)
    assert [each.path for each in library.find_case_files([tmp_path]).cases] == [first]
