"""Work for the workers of a cluster; they import this module alone."""

from __future__ import annotations

import os
import signal
import time

from scarseg.errors import WeightsError
from scarseg.models import Models


def slow_fakes() -> Models:
    from tests.fakes import load_fakes

    time.sleep(0.2)
    return load_fakes()


def square(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


def die_on(number: int, deadly: int) -> int:
    time.sleep(0.05)
    if number == deadly:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def refuse(number: int) -> int:
    raise WeightsError("E_WEIGHTS_MISSING", "There are no weights.", "some/path")
