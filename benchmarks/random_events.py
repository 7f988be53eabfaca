"""Do random things at the real window and print what went wrong and what was left behind."""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scarseg.gui import app
from tests.fakes import fake_models
from tests.reliability.random_reader import RandomReader, count_objects

WARMING_CYCLES = 20


def resident_mb() -> float:
    """Return the memory in use, after garbage went and free pages were given back, in MiB."""
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--models", choices=("fakes", "real"), default="real")
    parser.add_argument("--check", type=int, default=100, help="events between two checks")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scarseg-") as name:
        models = fake_models if options.models == "fakes" else app.load_models
        reader = RandomReader(Path(name), options.seed, models)
        begin, n_told = time.monotonic(), 0
        for n in range(1, options.events + 1):
            reader.act()
            for problem in reader.problems[n_told:]:
                print(f"event {n}: {problem}", flush=True)
            n_told = len(reader.problems)
            if n % options.check == 0:
                reader.check()
            if n % 1000 == 0:
                print(
                    f"{n} events, {time.monotonic() - begin:.0f} s, {resident_mb():.0f} MiB,"
                    f" {len(reader.problems)} problems", flush=True,
                )  # fmt: skip
        events_s, done = time.monotonic() - begin, dict(reader.done)
        for _ in range(min(WARMING_CYCLES, options.cycles)):
            reader.cycle()
        before, memory = count_objects(), resident_mb()
        begin = time.monotonic()
        for _ in range(options.cycles):
            reader.cycle()
        after, grown = count_objects(), resident_mb() - memory
        cycles_s = time.monotonic() - begin
        reader.finish()
    print(f"seed {options.seed}; {options.events} events in {events_s:.0f} s: {done}")
    print(f"{options.cycles} cycles in {cycles_s:.0f} s: memory {grown:+.1f} MiB,")
    print(f"  widgets {before[0]} -> {after[0]}, QObjects {before[1]} -> {after[1]}")
    print(f"problems: {len(reader.problems)}")
    kinds: dict[str, list[str]] = {}
    for each in reader.problems:
        kinds.setdefault(each.split("\n   after")[0][-300:], []).append(each)
    for alike in kinds.values():
        print(f"--- {len(alike)} times:\n{alike[0]}")
    raise SystemExit(bool(reader.problems))


if __name__ == "__main__":
    main()
