"""A real cluster on this machine: the same bytes as one process, whatever happens to workers."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from scarseg.batch import cluster as cluster_module
from scarseg.batch import cluster_client, cluster_worker
from scarseg.batch.cluster import run_on_cluster
from scarseg.batch.cluster_client import Cluster
from scarseg.batch.cluster_worker import WeightsFile, describe, receive_weights
from scarseg.batch.journal import open_journal
from scarseg.batch.models import BatchResult, BatchSettings, measure_jobs
from scarseg.batch.process_pool import Died
from scarseg.batch.selection import select_stacks
from scarseg.errors import InputError, WeightsError
from scarseg.evaluation.patient import Protocol
from scarseg.evaluation.prompts import parse_strategies
from scarseg.evaluation.run import Candidate, evaluate_patients
from scarseg.io.dicom import scan
from scarseg.io.tables.export import write_export
from scarseg.models import load_calibrated
from tests.batch.cluster_tasks import die_on, refuse, slow_fakes, square
from tests.calibrations import learned
from tests.cohorts import write
from tests.evaluation.phantoms import healthy_case, phantom_case

distributed = pytest.importorskip("distributed")
pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
    pytest.mark.filterwarnings("default"),
    pytest.mark.timeout(600),
]
ROOT = Path(__file__).resolve().parents[2]


def start(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "scarseg", *words]
    return subprocess.Popen(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Serve a scheduler and two workers by the program's own commands."""
    scheduler = start("scheduler", "--port", "0")
    assert scheduler.stdout is not None
    found = scheduler.stdout.readline().strip()
    assert re.fullmatch(r"tcp://127\.0\.0\.1:\d+", found), scheduler.communicate()[1]
    worker = start("worker", found.removeprefix("tcp://"), "--jobs", "2")
    yield found
    scheduler.send_signal(signal.SIGINT)
    assert scheduler.wait(120) == 130
    assert worker.wait(120) == 0, "workers end with their scheduler"
    for one in (scheduler, worker):
        one.communicate()  # closes the pipes


def batch(data: Path, out: Path, cluster: Cluster | None, kill: str = "") -> BatchResult:
    """Measure a folder with everything that leaves files; kill a worker on the way."""
    jobs = select_stacks(scan([data])).jobs
    settings = BatchSettings(masks=out / "masks", cases=out / "cases")
    killed: list[int] = []

    def progress(fraction: float, _text: str) -> None:
        if kill and fraction > 0 and not killed:
            with distributed.Client(kill, set_as_default=False) as client:
                killed.extend(client.run(os.getpid).values())
            os.kill(killed[0], signal.SIGKILL)

    with open_journal(out / "scar.csv", settings, jobs, {}, resume=False, force=False) as journal:
        result = measure_jobs(jobs, settings, slow_fakes, 1, progress, journal, cluster)
        records = [one.record for one in result.results]
        write_export(out / "scar.csv", records, {})
        journal.remove()
    assert bool(killed) is bool(kill)
    return result


def files_of(out: Path) -> dict[str, str]:
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.suffix != ".scarseg"
    }


def test_cluster_leaves_the_same_bytes_as_one_process_and_a_killed_worker_costs_nothing(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "in", *range(1, 6))
    monkeypatch.chdir(tmp_path)  # workers resolve relative paths as the client does
    alone = batch(Path("in"), tmp_path / "a", None)
    shared = batch(Path("in"), tmp_path / "b", Cluster(address, "cpu"))
    killed = batch(Path("in"), tmp_path / "c", Cluster(address, "cpu"), kill=address)
    assert len(alone.results) == len(shared.results) == len(killed.results) == 5
    assert not any(one.record.failed for one in killed.results)
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b") == files_of(tmp_path / "c")
    cases = [sorted(p.name for p in (tmp_path / x / "cases").iterdir()) for x in "abc"]
    assert cases[0] == cases[1] == cases[2] and len(cases[0]) >= 5


def test_an_evaluation_has_the_same_rows_on_a_cluster(address: str) -> None:
    cases = [phantom_case("A"), healthy_case("B"), phantom_case("C")]
    calibration = learned().calibration
    candidates = [Candidate("fakes", partial(load_calibrated, slow_fakes, calibration))]
    protocol = Protocol(parse_strategies(["auto", "box"]))
    alone = evaluate_patients(cases, candidates, protocol)
    shared = evaluate_patients(cases, candidates, protocol, cluster=Cluster(address, "cpu"))
    untimed = {"proposal_seconds": None, "answer_seconds": None}
    for one, other in zip(alone, shared, strict=True):
        rows = [[replace(row, **untimed) for row in each.patients] for each in (one, other)]
        assert rows[0] == rows[1]
        assert {row.calibration_sha256 for row in rows[1]} == {calibration.sha256}
        assert one.slices == other.slices
        assert not other.note


def test_items_are_taken_as_workers_become_free(address: str) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(20):
            taken.append(number)
            yield number

    results = run_on_cluster(square, items(), Cluster(address, "cpu"))
    first = next(results)
    assert first[1][0] == first[0] ** 2  # type: ignore[index]
    assert len(taken) <= 1 + 2 * cluster_module.IN_FLIGHT
    rest = [first, *results]
    assert sorted(item for item, _ in rest) == list(range(20))
    assert os.getpid() not in {result[1] for _, result in rest}  # type: ignore[index]


def test_an_item_that_kills_its_workers_fails_alone(address: str) -> None:
    work = partial(die_on, deadly=2)
    results = dict(run_on_cluster(work, range(6), Cluster(address, "cpu")))
    assert results == {0: 0, 1: 1, 2: Died(), 3: 3, 4: 4, 5: 5}


def test_an_error_of_the_work_is_raised(address: str) -> None:
    with pytest.raises(WeightsError, match="no weights") as caught:
        list(run_on_cluster(refuse, range(3), Cluster(address, "cpu")))
    assert caught.value.path == "some/path"


def test_workers_that_do_not_see_the_files_are_left_out_by_name(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "NO_WORKER_S", 1.0)
    monkeypatch.setattr(cluster_module, "digest_of", lambda _path: "another file")
    said: list[str] = []
    path = tmp_path / "image.dcm"
    path.write_bytes(b"image")
    with pytest.raises(InputError) as caught:
        where = Cluster(address, "cpu", say=said.append)
        list(run_on_cluster(square, range(3), where, lambda _: str(path)))
    assert caught.value.code == "E_INPUT_UNREADABLE"
    assert len(said) == 2
    assert all("W_WORKER_BLIND" in line and "image.dcm" in line for line in said)


def test_workers_of_another_version_are_refused(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "NO_WORKER_S", 1.0)
    other = (("scarseg", "9.9"), *cluster_worker.program_versions()[1:])
    monkeypatch.setattr(cluster_module, "program_versions", lambda: other)
    said: list[str] = []
    with pytest.raises(InputError) as caught:
        list(run_on_cluster(square, range(3), Cluster(address, "cpu", say=said.append)))
    assert caught.value.code == "E_WORKER_VERSION"
    assert "this program 9.9" in said[0]


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cluster_client, "ANSWER_S", 1.0)
    for where in ("127.0.0.1:9", str(tmp_path / "none.json")):
        with pytest.raises(InputError) as caught:
            list(run_on_cluster(square, range(3), Cluster(where, "cpu")))
        assert caught.value.code == "E_SCHEDULER"


def test_extra_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"scarseg\[cluster\]") as caught:
        list(run_on_cluster(square, range(3), Cluster("127.0.0.1:9", "cpu")))
    assert caught.value.code == "E_CLUSTER_MISSING"


def test_weights_are_known_by_their_content() -> None:
    data = os.urandom(64)
    weights = WeightsFile("ours.safetensors", hashlib.sha256(data).hexdigest())
    assert describe([weights], "cpu").missing == (weights,)
    with pytest.raises(WeightsError, match="damaged"):
        receive_weights(weights, data[1:], b"")
    receive_weights(weights, data, b'{"kind": "segmenter"}')
    assert describe([weights], "cpu").missing == ()
    found = cluster_worker._find(weights)
    assert found is not None and found.name == "ours.safetensors"
    assert found.with_suffix(".json").is_file()
