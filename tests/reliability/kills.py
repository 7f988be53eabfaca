"""Kill a reading at a random moment and compare what is on the disk with what was shown."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from scarseg.case.stack import Stack
from scarseg.errors import StoreError
from scarseg.io.casefile import store
from scarseg.io.dicom import read_stack, scan
from tests.reliability.children import clean_environment
from tests.reliability.killed_reader import digest

AMID_S = 0.012
"""Half of the kills come within this time of a save that has begun."""


@dataclass
class Tally:
    """What many kills came to; ``faults`` in words."""

    kills: int = 0
    changes: int = 0
    shown_saved: int = 0
    lost: int = 0
    unreadable: int = 0
    dead_locks: int = 0
    taken_over: int = 0
    most_unsaved: int = 0
    with_temporaries: int = 0
    insertions: int = 0
    remote_regions: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


@dataclass
class Told:
    """What a killed program said of one stack: fingerprints by number, the last one shown saved.

    ``seconds`` of the stopwatch when the last save that is shown as done had begun.
    """

    states: list[str]
    shown: int = 0
    n_shown: int = 0
    seconds: float = 0.0
    seconds_saving: float = 0.0


class Killer:
    """Start a scripted reader on a folder of studies again and again, and kill it each time."""

    def __init__(self, studies: Path, home: Path, seed: int, models: str = "fakes") -> None:
        self.studies, self.home, self.models = studies, home, models
        self.chance = random.Random(seed)
        stacks = [read_stack(each) for each in scan([studies]).stacks]
        self.stacks: dict[str, Stack] = {each.stack_id: each for each in stacks}
        self.folder = home / "scarseg" / "cases"
        self.on_disk: dict[str, str] = {}
        self._dead: set[str] = set()
        self.tally = Tally()

    def kill_once(self, longest_s: float) -> None:
        """Run the reader for a random while, kill it, and check what is left."""
        locks = self.folder.glob("*.lock") if self.folder.is_dir() else ()
        self._dead = {each.name.removesuffix(".scarseg.lock") for each in locks}
        lines = self._read_and_kill(self.chance.uniform(0, longest_s))
        self.tally.kills += 1
        told: dict[str, Told] = {}
        for line in lines:
            self._take(line, told)
        self.tally.with_temporaries += bool(self.temporaries())
        for name, each in told.items():
            self._compare(name, each)

    def _read_and_kill(self, seconds: float) -> list[list[str]]:
        arguments = [str(self.studies), str(self.chance.randrange(10**6)), self.models]
        program = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.killed_reader", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=clean_environment(self.home),
        )
        with program:
            assert program.stdout is not None and program.stderr is not None
            try:
                told = program.stdout.readline()
                if self.chance.random() < 0.5:
                    n, seconds = self.chance.randint(1, 4), self.chance.uniform(0, AMID_S)
                    while n and (line := program.stdout.readline()):
                        told += line
                        n -= line.startswith(b"saving")
                time.sleep(seconds)
            finally:  # whoever stops this leaves no reader behind
                program.send_signal(signal.SIGKILL)
            rest, said = program.stdout.read(), program.stderr.read()
        if not told.startswith(b"opened"):
            self.tally.faults.append(f"it did not start: {said[-500:]!r}")
        if b"Traceback" in said or b"Error" in said:
            self.tally.faults.append(f"it stumbled: {said[-1500:].decode(errors='replace')}")
        whole = told + rest[: rest.rfind(b"\n") + 1]
        return [line.split() for line in whole.decode().splitlines()]

    def _take(self, line: list[str], told: dict[str, Told]) -> None:
        kind, name, *values = line
        if kind == "used":
            self.tally.insertions += name == "insertion"
            self.tally.remote_regions += name == "remote"
        elif kind == "opened":
            self.tally.dead_locks += name in self._dead
            self.tally.taken_over += name in self._dead and values[0] == "writable"
            self._dead.discard(name)
            if values[0] != "writable":
                self.tally.faults.append(f"{name}: a dead program's lock was not taken over")
            if name not in told and self.on_disk.get(name, values[1]) != values[1]:
                self.tally.faults.append(f"{name}: opened otherwise than it was on the disk")
            opened = told.setdefault(name, Told([values[1]]))
            opened.seconds = opened.seconds_saving = float(values[2])
        elif kind == "changed":
            self.tally.changes += 1
            told[name].states.append(values[1])
        elif kind == "saving":
            told[name].seconds_saving = float(values[0])
        elif kind == "saved":
            told[name].shown = int(values[0])
            told[name].n_shown += 1
            told[name].seconds = told[name].seconds_saving

    def _compare(self, name: str, told: Told) -> None:
        self.tally.shown_saved += told.n_shown
        path = store.case_path(self.folder, self.stacks[name])
        if not store.has_case(path):
            self._lost(name, told, "there is no case file", told.n_shown)
            return
        try:
            saved = store.read_case(path, self.stacks[name])
        except StoreError as error:
            self.tally.unreadable += 1
            self.tally.faults.append(f"{name}: {error}")
            return
        if saved.notes:
            self.tally.unreadable += 1
            self.tally.faults.append(f"{name}: {saved.notes}")
        self.on_disk[name] = digest(saved.case)
        self.tally.seconds = max(self.tally.seconds, saved.case.seconds)
        if saved.case.seconds < told.seconds:
            self.tally.lost += 1
            self.tally.faults.append(
                f"{name}: {told.seconds} s were shown as saved, {saved.case.seconds} s are there"
            )
        places = [n for n, each in enumerate(told.states) if each == self.on_disk[name]]
        if not places or places[-1] < told.shown:
            self._lost(name, told, f"on the disk is change {places}", 1)
        else:
            unsaved = len(told.states) - 1 - places[-1]
            self.tally.most_unsaved = max(self.tally.most_unsaved, unsaved)

    def _lost(self, name: str, told: Told, found: str, n: int) -> None:
        self.tally.lost += n
        if n:
            self.tally.faults.append(f"{name}: shown as saved was change {told.shown}, {found}")

    def temporaries(self) -> list[Path]:
        """Return the temporary files that lie about now."""
        return sorted(self.home.rglob("*.tmp"))
