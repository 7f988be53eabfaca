"""Whatever a reader does: no exception, no word from Qt, nothing lost, nothing left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PyQt6.QtWidgets import QApplication

from tests.reliability.random_reader import RandomReader, count_objects


@pytest.fixture
def anybody(qapp: QApplication, tmp_path: Path) -> Iterator[RandomReader]:
    reader = RandomReader(tmp_path, seed=5)
    yield reader
    reader.finish()


def test_random_events_break_no_promise(anybody: RandomReader):
    for n in range(1, 301):
        anybody.act()
        if n % 60 == 0:
            anybody.check()
    assert anybody.done["steps"] > 0, "nothing was ever changed"
    assert anybody.problems == []


def test_loading_and_closing_leaves_nothing(anybody: RandomReader):
    anybody.cycle()
    anybody.cycle()
    before = count_objects()
    for _ in range(10):
        anybody.cycle()
    after = count_objects()
    assert anybody.problems == []
    assert after[0] == before[0], "widgets were left behind"
    assert after[1] <= before[1] + 10, "objects were left behind"


def test_the_random_reader_notices_what_goes_wrong(anybody: RandomReader):
    def broken() -> None:
        raise ZeroDivisionError("on purpose")

    anybody.window.actions_by_name["fit"].triggered.connect(broken)
    anybody.window.actions_by_name["keys"].trigger()
    anybody.window.actions_by_name["about"].triggered.connect(broken)
    anybody.window.actions_by_name["about"].trigger()
    assert any("ZeroDivisionError" in each for each in anybody.problems)
