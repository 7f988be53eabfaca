"""Kill the real window at random moments of a scripted reading and print what was lost."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests import cohorts
from tests.reliability.kills import Killer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest", type=float, default=4.0, help="most seconds to the kill")
    parser.add_argument("--models", choices=("fakes", "real"), default="real")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scarseg-") as name:
        folder = Path(name)
        killer = Killer(
            cohorts.write(folder / "studies", 1, 2), folder / "home", options.seed, options.models
        )
        # A run that is cut short prints what it did until then.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with contextlib.suppress(KeyboardInterrupt):
            for _ in range(options.times):
                killer.kill_once(options.longest)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        tally = killer.tally
        left = killer.temporaries()
    print(f"kills                                   {tally.kills}")
    print(f"changes made                            {tally.changes}")
    print(f"times a change was shown as saved       {tally.shown_saved}")
    print(f"of those not on the disk afterwards     {tally.lost}")
    print(f"insertion points set or taken back      {tally.insertions}")
    print(f"remote regions drawn                    {tally.remote_regions}")
    print(f"longest reading time on the disk        {tally.seconds:.0f} s")
    print(f"unreadable files                        {tally.unreadable}")
    print(f"locks of the dead found, taken over     {tally.dead_locks}, {tally.taken_over}")
    print(f"kills amid a write (a temporary left)   {tally.with_temporaries}")
    print(f"temporaries left in the end             {len(left)} (of the last kill only)")
    print(f"most changes not yet saved at a kill    {tally.most_unsaved}")
    for fault in tally.faults:
        print(f"FAULT {fault}")
    raise SystemExit(bool(tally.faults))


if __name__ == "__main__":
    main()
