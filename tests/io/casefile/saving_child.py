"""A program of its own that saves and locks cases, to be killed or starved by the tests.

``python -m tests.io.casefile.saving_child COMMAND PATH [NUMBER]``. It imports neither pytest
nor models.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import time
from pathlib import Path

import numpy as np

from scarseg.case.case import Case
from scarseg.case.history import Cause, Step
from scarseg.case.stack import SliceSource, Stack
from scarseg.errors import StoreError
from scarseg.io.casefile import lock as casefile_lock
from scarseg.io.casefile import store


def small_stack() -> Stack:
    return Stack(
        pixels=np.arange(3 * 40 * 40, dtype=np.float32).reshape(3, 40, 40),
        pixel_spacing_mm=(1.5, 1.25),
        slice_thickness_mm=8.0,
        orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
        origins_mm=((0.0, 0.0, 0.0), (0.0, 0.0, 10.0), (0.0, 0.0, 20.0)),
        sources=tuple(SliceSource(f"1.2.3.{k}") for k in range(3)),
        series_uid="1.2.3",
        study_uid="1.2",
    )


def numbered_case(stack: Stack, number: int) -> Case:
    """Make a case all of whose content follows from ``number`` (incompressible labels)."""
    case = Case.new(stack)
    labels = np.random.default_rng(number).integers(0, 5, stack.pixels.shape, np.uint8)
    case.labels[:] = labels
    case.interactions = number
    case.record.add(Step(number, Cause.READER, f"Step {number}", number % 3))
    return case


def is_whole(case: Case) -> bool:
    """Return whether every part of a case belongs to the same number."""
    expected = numbered_case(case.stack, case.interactions)
    return bool((case.labels == expected.labels).all()) and case.history == expected.history


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def save_for_ever(path: Path, first: int) -> None:
    """Save one number after another; each is acknowledged once it is on disk."""
    stack = small_stack()
    for number in itertools.count(first):
        store.save_case(numbered_case(stack, number), path)
        say(str(number))


def save_once(path: Path, number: int) -> None:
    try:
        store.save_case(numbered_case(small_stack(), number), path)
    except StoreError as error:
        say(error.code)
    else:
        say("saved")


def save_without_rights(path: Path, number: int) -> None:
    if os.geteuid() == 0:
        os.seteuid(65534)
    save_once(path, number)


def save_with_little_room(path: Path, number: int) -> None:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    save_once(path, number)


def lock_and_stay(path: Path, _: int) -> None:
    """Wait for a line, try to lock, say how it went, hold until killed or told to end."""
    say("ready")
    sys.stdin.readline()
    lock = casefile_lock.CaseLock()
    try:
        lock.acquire(path)
    except StoreError as error:
        say(error.code)
    else:
        say("held")
    sys.stdin.readline()
    lock.release()


def lock_and_release(path: Path, rounds: int) -> None:
    """Alternate; print how often the lock was held, and ``twice`` if ever by two at once."""
    say("ready")
    sys.stdin.readline()
    marker = path.with_name("inside")
    held = 0
    while held < rounds:
        with contextlib.suppress(StoreError), casefile_lock.CaseLock().acquire(path):
            try:
                os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                say("twice")
                return
            time.sleep(0.001)
            marker.unlink()
            held += 1
        time.sleep(0.001)
    say(str(held))


COMMANDS = {
    "save-for-ever": save_for_ever,
    "save-without-rights": save_without_rights,
    "save-with-little-room": save_with_little_room,
    "lock-and-stay": lock_and_stay,
    "lock-and-release": lock_and_release,
}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
