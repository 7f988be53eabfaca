"""A batch that is killed leaves no process behind and no table."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scarseg.case.stack import SliceImage
from scarseg.models import Embedding, Models
from tests.cohorts import write
from tests.fakes import FakeDetector, FakeSegmenter

ROOT = Path(__file__).resolve().parents[2]


class Endless(FakeSegmenter):
    """Signal that a worker has begun, and never return."""

    def embed(self, image: SliceImage, lv_box: object) -> Embedding:
        Path(os.environ["PIDS"], str(os.getpid())).touch()
        time.sleep(600)
        raise AssertionError


def load_endless() -> Models:
    return Models(Endless(), FakeDetector())


SCRIPT = """
import sys
from pathlib import Path
from scarseg.batch.models import BatchSettings, measure_jobs
from scarseg.batch.selection import select_stacks
from scarseg.io import dicom
from tests.batch.test_killed_parent import load_endless
if __name__ == "__main__":
    jobs = select_stacks(dicom.scan([Path(sys.argv[1])])).jobs
    measure_jobs(jobs, BatchSettings(), load_endless, 2)
"""


def running(pid: int) -> bool:
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc")
def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    data = write(tmp_path / "in", 1, 2)
    script, pids = tmp_path / "run.py", tmp_path / "pids"
    script.write_text(SCRIPT)
    pids.mkdir()
    environment = {**os.environ, "PIDS": str(pids), "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen([sys.executable, str(script), str(data)], env=environment)
    try:
        until = time.monotonic() + 120
        while len(list(pids.iterdir())) < 2 and time.monotonic() < until:
            assert parent.poll() is None
            time.sleep(0.05)
        workers = [int(path.name) for path in pids.iterdir()]
        assert len(workers) == 2
        assert all(running(pid) for pid in workers)
    finally:
        parent.kill()
        parent.wait()
    until = time.monotonic() + 60
    while any(running(pid) for pid in workers) and time.monotonic() < until:
        time.sleep(0.05)
    left = [pid for pid in workers if running(pid)]
    for pid in left:
        os.kill(pid, 9)
    assert left == []
