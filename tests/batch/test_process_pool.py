"""Processes side by side: results come as they are done, and a crash costs its own item."""

from __future__ import annotations

import os
import time
from functools import partial

import pytest

from scarseg.batch.process_pool import GRACE_S, Died, run_jobs
from scarseg.errors import WeightsError


def square(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


def die_on(number: int, deadly: frozenset[int]) -> int:
    if number in deadly:
        os._exit(9)
    return number


def refuse(number: int) -> int:
    raise WeightsError("E_WEIGHTS_MISSING", f"There are no weights for {number}.", "some/path")


def sleep_long(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def unpicklable(number: int) -> object:
    return lambda: number


def test_every_item_has_its_result_and_processes_are_used_again() -> None:
    results = dict(run_jobs(square, range(6), 2))
    answers = {item: result[0] for item, result in results.items()}  # type: ignore[index]
    assert answers == {n: n * n for n in range(6)}
    processes = {result[1] for result in results.values()}  # type: ignore[index]
    assert 1 <= len(processes) <= 2
    assert os.getpid() not in processes


def test_a_process_that_dies_costs_its_item_alone() -> None:
    work = partial(die_on, deadly=frozenset({1, 4}))
    results = dict(run_jobs(work, range(6), 2))
    assert results == {0: 0, 1: Died(), 2: 2, 3: 3, 4: Died(), 5: 5}


def test_all_processes_may_die() -> None:
    work = partial(die_on, deadly=frozenset(range(3)))
    assert dict(run_jobs(work, range(3), 2)) == {0: Died(), 1: Died(), 2: Died()}


def test_an_error_of_the_work_is_raised_with_its_code_and_path() -> None:
    with pytest.raises(WeightsError, match="There are no weights") as caught:
        list(run_jobs(refuse, range(3), 2))
    assert (caught.value.code, caught.value.path) == ("E_WEIGHTS_MISSING", "some/path")


def test_a_result_that_cannot_be_sent_is_an_error() -> None:
    with pytest.raises(Exception, match="pickle"):
        list(run_jobs(unpicklable, [1], 1))


def test_closing_ends_processes_that_are_busy() -> None:
    results = run_jobs(sleep_long, [0.0, 300.0, 300.0], 2)
    assert next(results) == (0.0, 0.0)
    begin = time.monotonic()
    results.close()
    assert time.monotonic() - begin < GRACE_S + 3


def test_items_are_taken_as_processes_become_free() -> None:
    taken: list[int] = []

    def items() -> object:
        for number in range(100):
            taken.append(number)
            yield number

    results = run_jobs(square, items(), 2)  # type: ignore[arg-type]
    next(results)
    assert len(taken) <= 3
    results.close()


def test_nothing_to_do() -> None:
    assert list(run_jobs(square, [], 2)) == []
