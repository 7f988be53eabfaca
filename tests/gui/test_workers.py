"""The lane: one job after the other, answers on the GUI thread, nothing late."""

from __future__ import annotations

import threading

import pytest

from scarseg.errors import Cancelled
from scarseg.gui.workers import Worker


@pytest.fixture
def lane(qtbot):
    lane = Worker("test")
    yield lane
    lane.close()


def test_work_runs_elsewhere_and_the_answer_comes_home(lane, qtbot):
    got = []
    lane.run("a", threading.get_ident, done=lambda v: got.append((v, threading.get_ident())))
    qtbot.waitUntil(lambda: bool(got))
    assert got[0][0] != got[0][1] == threading.get_ident()


def test_a_new_job_replaces_its_waiting_namesake(lane, qtbot):
    gate, got = threading.Event(), []
    lane.run("first", gate.wait, 10)
    for value in (1, 2, 3):
        lane.run("same", int, value, done=got.append)
    lane.run("urgent", int, 9, done=got.append, urgent=True)
    gate.set()
    qtbot.waitUntil(lambda: not lane.busy)
    assert got == [9, 3]


def test_what_is_no_longer_current_is_dropped_and_let_go(lane, qtbot):
    gate, got, dropped, wanted = threading.Event(), [], [], [True]
    lane.run(
        "late",
        lambda: gate.wait(10) and "answer",
        done=got.append,
        dropped=dropped.append,
        current=lambda: wanted[0],
    )
    wanted[0] = False
    gate.set()
    qtbot.waitUntil(lambda: not lane.busy)
    assert got == [] and dropped == ["answer"]


def test_cancel_stops_at_the_next_report(lane, qtbot):
    begun, got, failed = threading.Event(), [], []

    def work(progress):
        while True:
            progress(0.5, "on")
            begun.set()

    lane.run("long", work, done=got.append, failed=failed.append, reports=True)
    assert begun.wait(10)
    lane.forget("long")
    qtbot.waitUntil(lambda: not lane.busy)
    assert got == [] and failed == []


def test_a_failure_is_handed_over_and_the_lane_goes_on(lane, qtbot):
    failed, got = [], []
    lane.run("bad", int, "x", failed=failed.append)
    lane.run("good", int, "7", done=got.append)
    qtbot.waitUntil(lambda: bool(got))
    assert isinstance(failed[0], ValueError) and got == [7]


def test_drain_delivers_everything_at_once(lane):
    got = []
    for value in range(5):
        lane.run(f"job {value}", int, value, done=got.append)
    lane.drain()
    assert got == [0, 1, 2, 3, 4]


def test_a_bug_without_a_listener_reaches_the_excepthook(lane, qtbot):
    def cancelled():
        raise Cancelled

    lane.run("cancelled", cancelled)
    with qtbot.captureExceptions() as exceptions:
        lane.run("bug", int, "x")
        qtbot.waitUntil(lambda: not lane.busy)
    assert [kind for kind, *_ in exceptions] == [ValueError]
