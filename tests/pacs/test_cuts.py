"""Random cuts while fetching and receiving: nothing partial is shown, the next try completes.

``python -m tests.pacs.test_cuts 1000`` runs as many as it is told and prints what it counted.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from pynetdicom import AE

from scarseg.errors import PacsError
from scarseg.pacs import connect
from scarseg.pacs.addresses import parse_address
from scarseg.pacs.fetching import fetch_study
from scarseg.pacs.receiving import Receiver, ReceiveSettings
from scarseg.simulate.write_dicom import write_series
from tests.cohorts import patient
from tests.pacs.broken import Broken, random_fault
from tests.pacs.orthanc import free_port

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
N_IMAGES = 5
SETTLE_S = 0.05
Counts = Counter[str]


def count_folder(folder: Path, counts: Counts, whole: bool) -> None:
    """Count what is shown of a series that must be whole, or must not be shown."""
    shown = [path for path in folder.iterdir() if not path.name.startswith(".")]
    for path in shown:
        if len(list(path.iterdir())) != N_IMAGES:
            counts["partial series shown"] += 1
    if whole:
        counts["completed on the next try"] += bool(shown)
        left = [path for path in folder.iterdir() if path.name.startswith(".1")]
        counts["hidden folders left behind"] += len(left)


def fetch_cut(archive: Broken, folder: Path, source: random.Random, counts: Counts) -> None:
    """Fetch with faults in both tries, then once more without."""
    way = source.choice(("get", "move"))
    server = replace(
        parse_address(archive.address),
        retrieve=way,
        storage_port=archive.storage_port,
        timeout_s=1.0,
    )
    stalls = source.random() < 0.1  # each takes a second
    archive.faults = [random_fault(source, N_IMAGES, stalls) for _ in range(2)]
    kinds = "+".join(one.kind for one in archive.faults)
    try:
        found = fetch_study(connect(server), "1.2.1", [], folder)
        counts["whole in spite of the cuts"] += not found.failed
        counts["incomplete, said so"] += bool(found.failed)
    except PacsError as error:
        counts[f"{error.code} ({kinds})"] += 1
    count_folder(folder, counts, whole=False)
    archive.faults = []
    patient_server = replace(server, timeout_s=30.0)  # a busy machine is no fault of the archive
    fetch_study(connect(patient_server), "1.2.1", [], folder)
    count_folder(folder, counts, whole=True)


def association(port: int) -> Any:
    entity = AE("SCANNER")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 5
    entity.add_requested_context(MRImageStorage, ExplicitVRLittleEndian)
    return entity.associate("127.0.0.1", port, ae_title="SCARSEG")


def receive_cut(files: Sequence[Path], folder: Path, source: random.Random, counts: Counts) -> None:
    """Send some images and cut the association; then send all."""
    port = free_port()
    receiver = Receiver(
        ReceiveSettings(folder, port=port, settle_s=SETTLE_S), lambda _: None, lambda _: None
    )
    receiver.start()
    try:
        opened = association(port)
        for path in source.sample(list(files), source.randrange(1, N_IMAGES)):
            opened.send_c_store(dcmread(path))
        opened.abort()
        time.sleep(3 * SETTLE_S)
        count_folder(folder, counts, whole=False)
        opened = association(port)
        for path in files:
            opened.send_c_store(dcmread(path))
        opened.release()
        end = time.monotonic() + 10
        while receiver.n_arriving and time.monotonic() < end:
            time.sleep(0.02)
    finally:
        receiver.stop()
    count_folder(folder, counts, whole=True)


def run(n: int, seed: int, folder: Path) -> Counts:
    source, counts = random.Random(seed), Counts()
    files = write_series(folder / "images", patient(1))
    with Broken(files) as archive:
        for k in range(n):
            out = folder / f"out-{k}"
            out.mkdir()
            if source.random() < 0.7:
                fetch_cut(archive, out, source, counts)
            else:
                receive_cut(files, out, source, counts)
            counts["cuts"] += 1
            if k % 50 == 49:
                sys.stderr.write(f"{dict(counts)}\n")
    return counts


def test_random_cuts_show_nothing_partial_and_leave_nothing_behind(tmp_path: Path) -> None:
    counts = run(12, 1, tmp_path)
    assert counts["partial series shown"] == 0, counts
    assert counts["hidden folders left behind"] == 0, counts
    assert counts["completed on the next try"] == counts["cuts"] == 12, counts


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as scratch:
        began = time.monotonic()
        result = run(wanted, 14, Path(scratch))
        for name in ("cuts", "partial series shown", "hidden folders left behind"):
            sys.stdout.write(f"{name}: {result.pop(name, 0)}\n")
        for name, number in sorted(result.items()):
            sys.stdout.write(f"{name}: {number}\n")
        sys.stdout.write(f"{time.monotonic() - began:.0f} s\n")
