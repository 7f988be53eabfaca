"""The smallest inputs that provoke each code, and what is said of them.

A maker gets a :class:`Bench` and returns pairs of code and sentence. ``says`` is a regular
expression that the sentence must match: the raw value of the input, or what is there and what is
needed, as the maker wrote it.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from scarseg import cli
from scarseg.errors import ScarsegError
from scarseg.io.dicom import read_stack, scan
from tests.cohorts import rows_of
from tests.fakes import load_fakes
from tests.io.dicom_files import save_series

Said = list[tuple[str, str]]
_SENTENCE = re.compile(r"^(?:.*?\s)?([EW]_[A-Z_]+): (.*)$")


@dataclass
class Bench:
    """Where a maker works: an empty folder, and the fixtures of pytest."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def loaded(self, datasets: Iterable[Dataset] = (), *inputs: Path) -> Said:
        """Write a series, scan and read it; return refusals, warnings and the error."""
        series = list(datasets)
        if series:
            save_series(self.folder / "in", series)
        return loaded(*(inputs or (self.folder / "in",)))

    def run(self, *words: object) -> Said:
        """Run a command with fake models; return what stderr and the table say."""
        self.monkeypatch.setattr("scarseg.models.load", load_fakes)
        self.capsys.readouterr()
        with contextlib.suppress(SystemExit):
            cli.main([str(word) for word in words])
        lines = self.capsys.readouterr().err.splitlines()
        said = [(found[1], found[2]) for line in lines if (found := _SENTENCE.match(line))]
        table = self.folder / "scar.csv"
        for row in rows_of(table) if table.exists() else ():
            said += [(code, "") for code in row["warnings"].split()]
            said.append((row["error_code"], row["error_message"]))
        return said

    def batch(self, *words: object) -> Said:
        return self.run("batch", *words, "-o", self.folder / "scar.csv")


Maker = Callable[[Bench], Said]
MAKERS: list[tuple[str, str, Maker]] = []


def provokes(code: str, says: str = "") -> Callable[[Maker], Maker]:
    """Enter a maker into the table."""

    def enter(maker: Maker) -> Maker:
        MAKERS.append((code, says, maker))
        return maker

    return enter


def loaded(*inputs: Path) -> Said:
    said: Said = []
    try:
        report = scan(inputs)
        said += [(one.code, one.message) for one in report.refused]
        for summary in report.stacks:
            said += [(one.code, one.message) for one in summary.warnings]
            said += [(one.code, one.message) for one in read_stack(summary).warnings]
    except ScarsegError as error:
        said.append((error.code, error.message))
    return said


def raised(work: Callable[[], object]) -> Said:
    """Return code and sentence of the error that the work raises."""
    try:
        work()
    except ScarsegError as error:
        return [(error.code, error.message)]
    return []


def changed(datasets: Sequence[Dataset], k: int | None = None, **values: object) -> list[Dataset]:
    """Return a series with elements of slice ``k``, or of every slice, set; None deletes one."""
    for n, ds in enumerate(datasets):
        for keyword, value in values.items() if k in (None, n) else ():
            if value is None:
                del ds[keyword]
            else:
                setattr(ds, keyword, value)
    return list(datasets)
