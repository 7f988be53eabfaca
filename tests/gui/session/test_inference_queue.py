"""What comes next: the slice in sight, what a reader asked for, then outwards."""

from __future__ import annotations

import pytest

from scarseg.case.prompts import Box
from scarseg.gui.session.inference_queue import InferenceQueue, RequestKind, Task
from scarseg.models import Detection, Structure
from scarseg.segmentation.pipeline import LocatedHeart

HEART = (Detection(Box(1, 1, 9, 9), Structure.LEFT_VENTRICLE, 0.9),)
TWO_HEARTS = (*HEART, Detection(Box(30, 30, 39, 39), Structure.LEFT_VENTRICLE, 0.8))


@pytest.fixture
def queue() -> InferenceQueue:
    return InferenceQueue(5, waiting=set(range(5)), awake=True)


def carry_out(queue: InferenceQueue, here: int, found=HEART) -> list[tuple[Task, int]]:
    """Do one thing after the other, until nothing is left, and tell what."""
    done = []
    while (step := queue.next_task(here)) is not None:
        done.append(step)
        task, k = step
        if task is Task.DETECT:
            queue.found[k] = found
            if None not in queue.found:
                queue.set_located(
                    tuple(LocatedHeart(HEART[0].box, several) for several in queue.found)
                )
        elif task is Task.PROPOSE:
            if not queue.located:
                queue.alone[k] = found[0].box if found else None
            queue.requests.pop(k, None)
            queue.waiting.discard(k)
            queue.unsettled.discard(k)
            queue.embedded.add(k)
        else:
            del queue.asked[k]
        assert len(done) < 50
    return done


def test_the_slice_in_sight_is_proposed_before_the_others_are_looked_at(queue):
    steps = carry_out(queue, 2)
    assert steps[:2] == [(Task.DETECT, 2), (Task.PROPOSE, 2)]
    assert steps[2:6] == [(Task.DETECT, k) for k in (1, 3, 0, 4)]
    assert steps[6:] == [(Task.PROPOSE, k) for k in (1, 3, 0, 4)]


@pytest.mark.parametrize("found", [(), TWO_HEARTS])
def test_where_the_heart_is_not_clear_the_whole_stack_votes_first(queue, found):
    steps = carry_out(queue, 2, found)
    assert [task for task, _ in steps] == [Task.DETECT] * 5 + [Task.PROPOSE] * 5


def test_a_slice_that_was_proposed_by_another_box_is_proposed_again_at_once(queue):
    queue.found[2], queue.alone[2] = HEART, Box(0, 0, 5, 5)
    queue.waiting.discard(2)
    steps = carry_out(queue, 2)
    assert steps[4] == (Task.PROPOSE, 2)
    assert len(steps) == 4 + 1 + 4


def test_it_follows_the_reader(queue):
    assert queue.next_task(4) == (Task.DETECT, 4)
    queue.located = tuple(LocatedHeart(None, ()) for _ in range(5))
    assert queue.next_task(0) == (Task.PROPOSE, 0)
    queue.waiting.discard(0)
    assert queue.next_task(0) == (Task.PROPOSE, 1)
    assert queue.next_task(4) == (Task.PROPOSE, 4)


def test_what_a_reader_asked_for_comes_first_in_sight_before_newest(queue):
    queue.embedded = {0, 1, 2, 3}
    for k in (0, 1, 2):
        queue.ask(k)
    assert queue.next_task(4) == (Task.ANSWER, 2)
    assert queue.next_task(0) == (Task.ANSWER, 0)
    queue.request(1, RequestKind.ASKED)
    assert queue.next_task(1) == (Task.PROPOSE, 1)
    queue.ask(4)
    steps = carry_out(queue, 3)
    assert {(Task.ANSWER, k) for k in (0, 1, 2, 4)} <= set(steps)
    assert steps.index((Task.ANSWER, 4)) < steps.index((Task.DETECT, 3))


def test_a_question_asked_again_is_a_new_one(queue):
    queue.ask(1)
    first = queue.asked[1]
    queue.ask(1)
    assert queue.asked[1] != first and len(queue.asked) == 1


def test_known_slices_need_no_detector_and_read_ones_come_last(queue):
    queue.known, queue.later = set(range(5)), {1, 2}
    steps = carry_out(queue, 2)
    assert steps == [(Task.PROPOSE, k) for k in (2, 3, 0, 4, 1)]


def test_at_rest_only_what_is_asked_for_is_done(queue):
    queue.clear()
    assert queue.next_task(2) is None
    queue.ask(3)
    assert carry_out(queue, 2, ()) == [(Task.DETECT, 3), (Task.PROPOSE, 3), (Task.ANSWER, 3)]
