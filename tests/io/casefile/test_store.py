"""Cases come back whole, and never in place of somebody else's work."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
import struct
import tracemalloc
import zlib
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scarseg.case.case import Case, ModelIdentity
from scarseg.case.history import (
    Cause,
    DetectorScope,
    ModelRun,
    ReadingRecord,
    SliceReading,
    SliceStatus,
    Step,
)
from scarseg.case.labels import Patch
from scarseg.case.prompts import PROMPT_STRUCTURES, Box, InsertionPoint, Origin, Point, SlicePrompts
from scarseg.case.stack import SliceSource, Stack
from scarseg.errors import StoreError
from scarseg.io.casefile import file_format, lock, store
from tests.conftest import make_phantom_stack, phantom_labels

STACK = make_phantom_stack()
FIELDS = (
    *("readings", "segmenter", "detector", "reader", "interactions", "seconds"),
    *("slice_interactions", "slice_seconds", "proposed", "insertion"),
)


def example_case(mark: int = 0) -> Case:
    """Make a case in which nothing is empty; ``mark`` tells generations apart."""
    case = Case.new(STACK)
    case.labels[:] = phantom_labels()
    case.labels[0, 0, 0] = mark % 5
    case.insertion = InsertionPoint(2, 30.25, 18.5)
    case.readings[1] = SliceReading(
        SlicePrompts(
            boxes=(Box(40.25, 20.5, 48.0, 40.0, Origin.DETECTOR, 0.875), Box(1, 2, 3, 4)),
            points=(Point(44.5, 30.5), Point(1.5, 2.5, False)),
            lv_box=Box(20, 15, 52, 45, Origin.DETECTOR, 0.5),
        ),
        SliceStatus.ACCEPTED,
        edited=True,
    )
    case.readings[4] = SliceReading(
        SlicePrompts(no_scar=True), SliceStatus.NOT_ASSESSABLE, reason="Bewegung – motion ü"
    )
    case.segmenter = ModelIdentity("compact-sam", "ab" * 32, True)
    case.detector = ModelIdentity("yolo", "cd" * 32, False)
    case.reader, case.interactions, case.seconds = "reader one", mark, 61.5
    case.slice_interactions[1], case.slice_seconds[1] = mark, 61.5
    case.proposed[1] = Patch.of(phantom_labels()[1])
    return case


def assert_same(found: Case, expected: Case) -> None:
    assert found.labels.dtype == np.uint8
    assert np.array_equal(found.labels, expected.labels)
    for name in FIELDS:
        assert getattr(found, name) == getattr(expected, name), name
    for one, other in zip(found.record.steps, expected.record.steps, strict=True):
        assert vars(one) == vars(other)
    assert found.record.n_forgotten == expected.record.n_forgotten


numbers = st.floats(-1e6, 1e6, allow_nan=False)
texts = st.text(st.characters(codec=None), max_size=20)
boxes = st.builds(
    lambda c, r, w, h, origin, score: Box(c, r, c + w, r + h, origin, score),
    numbers, numbers, st.floats(0.01, 500), st.floats(0.01, 500),
    st.sampled_from(Origin), st.none() | st.floats(0, 1),
)  # fmt: skip
readings = st.builds(
    SliceReading,
    st.builds(
        SlicePrompts,
        boxes=st.lists(boxes, max_size=3).map(tuple),
        points=st.lists(
            st.builds(Point, numbers, numbers, st.booleans(), st.sampled_from(PROMPT_STRUCTURES)),
            max_size=3,
        ).map(tuple),
        lv_box=st.none() | boxes,
        no_scar=st.booleans(),
        pool_box=st.none() | boxes,
    ),
    st.sampled_from(SliceStatus),
    st.booleans(),
    texts,
)
models = st.builds(ModelIdentity, texts, texts, st.booleans())
patches = st.integers(0, 2**32).map(
    lambda seed: Patch.of(np.random.default_rng(seed).integers(0, 5, (60, 72), np.uint8))
)
looks = st.builds(
    ModelRun, texts, texts, st.none() | boxes, st.none() | boxes, st.sampled_from(DetectorScope)
)
steps = st.builds(
    Step,
    st.integers(0, 2**45),
    st.sampled_from(Cause),
    texts,
    st.integers(0, STACK.n_slices - 1),
    st.none() | readings,
    st.none() | patches,
    st.none() | looks,
    st.none() | patches,
)
cases = st.builds(
    lambda seed, **rest: Case(
        STACK, np.random.default_rng(seed).integers(0, 5, STACK.pixels.shape, np.uint8), **rest
    ),
    st.integers(0, 2**32),
    readings=st.lists(readings, min_size=STACK.n_slices, max_size=STACK.n_slices),
    segmenter=models,
    detector=models,
    reader=texts,
    interactions=st.integers(0, 10**9),
    seconds=st.floats(0, 1e7),
    slice_interactions=st.lists(st.integers(0, 10**6), min_size=5, max_size=5),
    slice_seconds=st.lists(st.floats(0, 1e7), min_size=5, max_size=5),
    proposed=st.lists(st.none() | patches, min_size=5, max_size=5),
    record=st.lists(steps, max_size=5).map(
        lambda made: ReadingRecord(STACK.pixels.shape, steps=made)
    ),
)


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases)
def test_every_case_comes_back_the_same(tmp_path_factory: pytest.TempPathFactory, case: Case):
    path = tmp_path_factory.mktemp("cases") / "case.scarseg"
    store.save_case(case, path)
    assert_same(store.load_case(path, STACK), case)


def test_origin_of_the_numbers_travels_with_the_case(tmp_path: Path):
    path = tmp_path / "case.scarseg"
    stack = replace(STACK, sources=tuple(replace(s, sha256="ef" * 32) for s in STACK.sources))
    store.save_case(Case.new(stack), path)
    document = file_format.parse_case(path.read_bytes()).document
    assert document.source.study_uid == "1.2.3"
    assert [each.sha256 for each in document.source.files] == ["ef" * 32] * 5
    assert document.software.version
    assert document.saved_at_utc.endswith("+00:00")
    assert store.read_case(path, stack).saved_at_utc == document.saved_at_utc


def test_no_patient_in_the_file_or_its_name(tmp_path: Path):
    stack = replace(
        STACK, patient_id="CANARY", patient_name="CANARY^A", description="CANARY", part="CANARY+"
    )
    path = store.case_path(tmp_path, stack)
    store.save_case(Case.new(stack), path)
    document = json.dumps(document_of(file_format.parse_case(path.read_bytes())))
    assert "CANARY" not in path.name
    assert "CANARY^A" not in document
    assert document.count("CANARY") == document.count('"part": "CANARY+"') == 1


@pytest.mark.parametrize(
    "hostile",
    [
        "../../etc/passwd",
        "a/b",
        "..",
        "",
        "CON",
        "1.2/3",
        "1.2\x00",
        "x" * 500,
        "\udcff",
        "1.2 Doe",
    ],
)
def test_names_are_safe(tmp_path: Path, hostile: str):
    for stack in (replace(STACK, series_uid=hostile), replace(STACK, part=hostile or "/")):
        path = store.case_path(tmp_path, stack)
        assert path.parent == tmp_path
        assert path.name.replace("-", "").replace("_", "").replace(".", "").isalnum()
        assert len(path.name) < 150
        store.save_case(Case.new(stack), path)
        assert store.load_case(path, stack)


def test_parts_of_a_series_have_files_of_their_own(tmp_path: Path):
    names = {store.case_path(tmp_path, replace(STACK, part=p)).name for p in ("", "a", "b", "/")}
    assert len(names) == 4
    assert store.case_path(tmp_path, STACK).name == "1.2.3.4.scarseg"


def test_folder_and_files_are_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SCARSEG_HOME", str(tmp_path / "home"))
    folder = store.default_folder()
    assert folder == tmp_path / "home" / "cases"
    assert not folder.exists()
    previous = os.umask(0)
    try:
        for mark in range(2):
            store.save_case(example_case(mark), folder / "case.scarseg")
        with lock.CaseLock().acquire(folder / "case.scarseg"):
            files = [each for each in folder.iterdir() if each.is_file()]
            assert len(files) == 4
            assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}
    finally:
        os.umask(previous)
    for each in (folder, folder.parent):
        assert stat.S_IMODE(each.stat().st_mode) == 0o700


def test_the_default_folder_is_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("SCARSEG_HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    folder = store.default_folder()
    assert folder.parts[-2:] == ("scarseg", "cases")


def other_stacks() -> dict[str, Stack]:
    pixels = STACK.pixels.copy()
    pixels[2, 3, 4] += 1
    source = SliceSource("9.9.9")
    return {
        "series": replace(STACK, series_uid="1.2.9"),
        "part": replace(STACK, part="b"),
        "images": replace(STACK, sources=(source, *STACK.sources[1:])),
        "frames": replace(STACK, sources=tuple(replace(s, frame=1) for s in STACK.sources)),
        "order": replace(STACK, sources=STACK.sources[::-1]),
        "spacing": replace(STACK, pixel_spacing_mm=(1.25, 1.5)),
        "pixels": replace(STACK, pixels=pixels),
        "fewer": replace(
            STACK, pixels=pixels[:4], sources=STACK.sources[:4], origins_mm=STACK.origins_mm[:4]
        ),
    }


@pytest.mark.parametrize("kind", list(other_stacks()))
def test_a_case_of_other_images_is_neither_loaded_nor_overwritten(tmp_path: Path, kind: str):
    path = tmp_path / "case.scarseg"
    store.save_case(example_case(), path)
    before = path.read_bytes()
    stack = other_stacks()[kind]
    with pytest.raises(StoreError) as refusal:
        store.load_case(path, stack)
    assert refusal.value.code == "E_CASE_OTHER_STACK"
    with pytest.raises(StoreError) as refusal:
        store.save_case(Case.new(stack), path)
    assert refusal.value.code == "E_CASE_OTHER_STACK"
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["case.scarseg"]


def test_the_same_files_decoded_to_other_last_digits_are_the_same_stack(tmp_path: Path):
    path = tmp_path / "case.scarseg"
    hashed = tuple(replace(s, sha256=f"{k}" * 64) for k, s in enumerate(STACK.sources))
    first = replace(STACK, sources=hashed)
    case = replace(example_case(), stack=first)
    store.save_case(case, path)
    pixels = np.nextafter(STACK.pixels, np.float32(np.inf))
    assert_same(store.load_case(path, replace(first, pixels=pixels)), case)
    changed = (replace(hashed[0], sha256="f" * 64), *hashed[1:])
    unknown = (replace(hashed[0], sha256=""), *hashed[1:])
    for sources in (changed, unknown):
        with pytest.raises(StoreError, match="E_CASE_OTHER_STACK"):
            store.load_case(path, replace(first, pixels=pixels, sources=sources))
    assert_same(store.load_case(path, replace(first, sources=changed)), case)


def test_another_thickness_from_the_reader_is_the_same_stack(tmp_path: Path):
    path = tmp_path / "case.scarseg"
    store.save_case(example_case(), path)
    stack = replace(STACK, slice_thickness_mm=6.0, thickness_from_user=True)
    found = store.load_case(path, stack)
    assert found.stack is stack
    assert_same(found, example_case())


def sealed(data: bytes) -> bytes:
    """Return a body the checksum it should have."""
    return data + hashlib.sha256(data).digest()


def test_a_newer_format_is_neither_loaded_nor_overwritten(tmp_path: Path):
    path = tmp_path / "case.scarseg"
    newer = sealed(struct.pack("<16sI", file_format.MAGIC, 3) + b"whatever comes")
    path.write_bytes(newer)
    previous = path.with_name(path.name + ".1")
    previous.write_bytes(file_format.encode_case(example_case()))
    for act in (
        lambda: store.load_case(path, STACK),
        lambda: store.save_case(example_case(), path),
    ):
        with pytest.raises(StoreError) as refusal:
            act()
        assert refusal.value.code == "E_CASE_NEWER"
    assert path.read_bytes() == newer


def test_nothing_saved_yet(tmp_path: Path):
    path = tmp_path / "none" / "case.scarseg"
    assert not store.has_case(path)
    with pytest.raises(StoreError) as refusal:
        store.load_case(path, STACK)
    assert refusal.value.code == "E_CASE_MISSING"


def test_a_damaged_newest_gives_the_generation_before_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    path = tmp_path / "case.scarseg"
    store.save_case(example_case(1), path)
    store.save_case(example_case(2), path)
    assert_same(store.load_case(path, STACK), example_case(2))
    damage(path)
    with caplog.at_level(logging.WARNING):
        found = store.read_case(path, STACK)
    assert_same(found.case, example_case(1))
    assert found.path.name == "case.scarseg.1"
    assert "damaged" in found.notes[0]
    assert "case.scarseg" in caplog.text


def test_saving_over_a_damaged_file_keeps_the_good_generation_and_the_damaged_one(tmp_path: Path):
    path = tmp_path / "case.scarseg"
    store.save_case(example_case(1), path)
    store.save_case(example_case(2), path)
    broken = damage(path)
    store.save_case(example_case(3), path)
    assert_same(store.load_case(path, STACK), example_case(3))
    assert path.with_name("case.scarseg.damaged").read_bytes() == broken
    damage(path)
    assert_same(store.load_case(path, STACK), example_case(1))


def test_a_lost_newest_gives_the_generation_before(tmp_path: Path):
    path = tmp_path / "case.scarseg"
    store.save_case(example_case(1), path)
    store.save_case(example_case(2), path)
    path.unlink()
    assert store.has_case(path)
    assert_same(store.load_case(path, STACK), example_case(1))


def test_no_good_generation(tmp_path: Path):
    path = tmp_path / "case.scarseg"
    for mark in range(2):
        store.save_case(example_case(mark), path)
    damage(path)
    damage(path.with_name(path.name + ".1"))
    with pytest.raises(StoreError) as refusal:
        store.load_case(path, STACK)
    assert refusal.value.code == "E_CASE_DAMAGED"


def test_a_case_that_cannot_be_used_is_set_aside_not_deleted(tmp_path: Path):
    path = tmp_path / "case.scarseg"
    for mark in range(2):
        store.save_case(example_case(mark), path)
    kept = path.read_bytes()
    aside = store.set_aside(path)
    assert not store.has_case(path)
    assert aside.read_bytes() == kept
    stack = other_stacks()["pixels"]
    store.save_case(Case.new(stack), path)
    assert store.set_aside(path) != aside
    assert sum(each.is_file() for each in tmp_path.iterdir()) == 3
    assert_same(store.load_case(aside, STACK), example_case(1))


def damage(path: Path) -> bytes:
    """Flip one bit in the middle; give the damaged bytes."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return bytes(data)


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_only_plain_files_are_read(tmp_path: Path, kind: str):
    path, real = tmp_path / "case.scarseg", tmp_path / "elsewhere"
    if kind == "link":
        store.save_case(example_case(), real)
        path.symlink_to(real)
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    with pytest.raises(StoreError) as refusal:
        store.load_case(path, STACK)
    assert refusal.value.code == "E_CASE_DAMAGED"
    store.save_case(example_case(7), path)
    assert not path.is_symlink()
    assert_same(store.load_case(path, STACK), example_case(7))
    if kind == "link":
        assert_same(store.load_case(real, STACK), example_case())


def document_of(content: file_format.CaseContent) -> dict[str, Any]:
    return json.loads(content.records["case"])


def with_document(change: dict[str, object], packed: bytes | None = None, **others: bytes) -> bytes:
    """Forge a case file with right checksums and wrong content."""
    content = file_format.parse_case(file_format.encode_case(example_case()))
    records = {
        "case": json.dumps({**document_of(content), **change}).encode(),
        "labels": content.packed_labels if packed is None else packed,
        **others,
    }
    return file_format.seal(records, version=2)


READING = {"boxes": [], "points": [], "lv_box": None, "no_scar": False, "status": "unseen",
           "edited": False, "reason": ""}  # fmt: skip
NOTHING = b64encode(Patch.at(0, 0, np.zeros((1, 1), np.uint8)).packed).decode()
HEAD = b'{"n_forgotten":0,"start":null}'


def step_line(**change: object) -> bytes:
    step = {"at_ms": 1, "cause": "reader", "name": "accept", "slice": 0, **change}
    return json.dumps(step).encode()


FORGED: dict[str, bytes] = {
    "no readings": with_document({"readings": []}),
    "readings no list": with_document({"readings": 3}),
    "reading null": with_document({"readings": [None] * 5}),
    "status": with_document({"readings": [{**READING, "status": "fine"}] * 5}),
    "flag": with_document({"readings": [{**READING, "edited": "yes"}] * 5}),
    "reason": with_document({"readings": [{**READING, "reason": ["x"]}] * 5}),
    "box inside out": with_document(
        {"readings": [{**READING, "boxes": [[9, 9, 1, 1, "reader", None]]}] * 5}
    ),
    "box huge": with_document(
        {"readings": [{**READING, "boxes": [[0, 0, 10**400, 1, "reader", None]]}] * 5}
    ),
    "box short": with_document({"readings": [{**READING, "boxes": [[1, 2]]}] * 5}),
    "points": with_document({"readings": [{**READING, "points": [1]}] * 5}),
    "model": with_document({"segmenter": "sam"}),
    "interactions": with_document({"interactions": None}),
    "infinite interactions": with_document({"interactions": float("inf")}),
    "seconds": with_document({"seconds": [1]}),
    "seconds of too many slices": with_document({"slice_seconds": [1.0] * 6}),
    "proposal beyond the slice": with_document({"proposed": [[60, 0, 1, 1, NOTHING]] * 5}),
    "proposal of wrong size": with_document({"proposed": [[0, 0, 2, 2, NOTHING]] * 5}),
    "proposal huge": with_document({"proposed": [[0, 0, 10**9, 10**9, NOTHING]] * 5}),
    "proposal no base 64": with_document({"proposed": [[0, 0, 1, 1, "???"]] * 5}),
    "insertion on no slice": with_document(
        {"insertion": {"slice_index": 5, "column": 1.0, "row": 1.0}}
    ),
    "insertion nowhere": with_document(
        {"insertion": {"slice_index": 0, "column": float("nan"), "row": 1.0}}
    ),
    "insertion no point": with_document({"insertion": [1, 2, 3]}),
    "ground short": with_document({}, grounds=zlib.compress(bytes(3))),
    "stack": with_document({"stack": []}),
    "not labels": with_document({}, b"not zlib at all"),
    "labels short": with_document({}, zlib.compress(bytes(10))),
    "labels bomb": with_document({}, zlib.compress(bytes(200_000_000), 9)),
    "labels unknown": with_document({}, zlib.compress(b"\x05" * STACK.pixels.size)),
    "labels trailing": with_document({}, zlib.compress(bytes(STACK.pixels.size)) + b"x"),
    "table deep": sealed(
        struct.pack("<16sII", file_format.MAGIC, 1, 200_000) + b"[" * 100_000 + b"]" * 100_000
    ),
    "table length": sealed(struct.pack("<16sII", file_format.MAGIC, 1, 2**32 - 1) + b"[]"),
    "table null": sealed(struct.pack("<16sII", file_format.MAGIC, 1, 4) + b"null"),
    "empty table": sealed(struct.pack("<16sII", file_format.MAGIC, 1, 2) + b"[]"),
    "negative length": sealed(
        struct.pack("<16sII", file_format.MAGIC, 1, 68)
        + b'[{"name":"case","length":-1,"sha256":"%s"}]' % (b"0" * 27)
    ),
    "head only": sealed(struct.pack("<16sII", file_format.MAGIC, 1, 0)),
    "empty": b"",
    "digest only": bytes(32),
    "version 0": sealed(struct.pack("<16sII", file_format.MAGIC, 0, 2) + b"[]"),
}


FORGED_STEPS: dict[str, bytes] = {
    "no first line of steps": with_document({}, steps=b""),
    "step no JSON": with_document({}, steps=HEAD + b"\nsegment"),
    "step beyond the stack": with_document({}, steps=HEAD + b"\n" + step_line(slice=5)),
    "step of no known cause": with_document({}, steps=HEAD + b"\n" + step_line(cause="fate")),
    "step with a bad patch": with_document(
        {}, steps=HEAD + b"\n" + step_line(patch=[0, 0, 1, 1, ""])
    ),
}


@pytest.mark.parametrize("name", FORGED_STEPS)
def test_forged_steps_with_right_checksums_are_refused(tmp_path: Path, name: str):
    path = tmp_path / "case.scarseg"
    path.write_bytes(FORGED_STEPS[name])
    with pytest.raises(StoreError) as refusal:
        store.load_case(path, STACK)
    assert refusal.value.code == "E_CASE_DAMAGED"
    path.with_name(path.name + ".1").write_bytes(file_format.encode_case(example_case(3)))
    assert_same(store.load_case(path, STACK), example_case(3))


@pytest.mark.parametrize("name", FORGED)
def test_forged_content_with_right_checksums_is_refused(tmp_path: Path, name: str):
    path = tmp_path / "case.scarseg"
    path.write_bytes(FORGED[name])
    with pytest.raises(StoreError) as refusal:
        store.load_case(path, STACK)
    assert refusal.value.code == "E_CASE_DAMAGED"
    good = path.with_name(path.name + ".1")
    good.write_bytes(file_format.encode_case(example_case(3)))
    store.save_case(example_case(4), path)
    assert_same(store.load_case(good, STACK), example_case(3))


@pytest.mark.parametrize(
    "error, reason",
    [
        (MemoryError(), "no memory left"),
        (RecursionError(), r"an error in the program \(RecursionError\)"),
        (ValueError("labels and readings must fit the stack"), r"an error in .* \(ValueError\)"),
        (OSError(28, "No space left on device"), "No space left on device"),
    ],
)
def test_whatever_stops_a_save_is_said_with_a_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
):
    def fail(_: object) -> bytes:
        raise error

    path = tmp_path / "case.scarseg"
    store.save_case(example_case(3), path)
    with monkeypatch.context() as patch:
        patch.setattr(store, "encode_case", fail)
        with pytest.raises(StoreError, match=f"E_CASE_WRITE.*{reason}"):
            store.save_case(example_case(4), path)
    assert_same(store.load_case(path, STACK), example_case(3))


def test_labels_must_fit_the_stack(tmp_path: Path):
    case = example_case()
    case.readings.pop()
    with pytest.raises(StoreError, match="E_CASE_WRITE"):
        store.save_case(case, tmp_path / "case.scarseg")
    assert list(tmp_path.iterdir()) == []


def test_loading_and_saving_need_memory_of_the_size_of_the_file(tmp_path: Path):
    path = tmp_path / "case.scarseg"
    store.save_case(example_case(), path)
    size = path.stat().st_size
    tracemalloc.start()
    try:
        store.load_case(path, STACK)
        store.save_case(example_case(), path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100 * size + 20 * STACK.pixels.nbytes, (peak, size)


def test_a_glance_tells_how_a_reading_stands_without_its_images(tmp_path):
    path = tmp_path / "case.scarseg"
    assert store.read_progress(path) is None
    case = Case.new(STACK)
    case.readings[0] = SliceReading(status=SliceStatus.PROPOSED)
    for k, status in ((1, SliceStatus.NO_SCAR), (2, SliceStatus.ACCEPTED)):
        case.readings[k] = SliceReading(status=status)
    store.save_case(case, path)
    store.save_case(case, path)
    assert store.read_progress(path) == store.ReadingProgress(5, 2, 1)
    path.write_bytes(path.read_bytes()[:-3])
    assert store.read_progress(path) == store.ReadingProgress(5, 2, 1), "the generation before it"
    path.with_name(path.name + ".1").write_bytes(b"SCARSEG?")
    assert store.read_progress(path) is None


def old_file(case: Case) -> bytes:
    """Write a case file as version 1 did: no steps, no proposals, no grounds."""
    content = file_format.parse_case(file_format.encode_case(case))
    later = ("slice_interactions", "slice_seconds", "proposed")
    document = {name: value for name, value in document_of(content).items() if name not in later}
    for reading in document["readings"]:
        del reading["pool_box"]
    document["history"] = ["Propose", "Undo Propose"]
    records = {"case": json.dumps(document).encode(), "labels": content.records["labels"]}
    return file_format.seal(records, version=1)


def test_a_case_of_the_version_before_opens_and_its_record_begins_there(tmp_path: Path):
    path = tmp_path / "case.scarseg"
    expected = example_case(3)
    path.write_bytes(old_file(expected))
    found = store.load_case(path, STACK)
    np.testing.assert_array_equal(found.labels, expected.labels)
    assert (found.readings, found.seconds) == (expected.readings, expected.seconds)
    assert found.slice_seconds == [0.0] * 5 and found.proposed == [None] * 5
    assert found.labels_under_scar is None and found.record.steps == []
    labels, readings = found.record.final_state()
    np.testing.assert_array_equal(labels, expected.labels)
    assert readings == expected.readings
    store.save_case(found, path)
    again = store.load_case(path, STACK).record.final_state()
    np.testing.assert_array_equal(again[0], expected.labels)
    assert again[1] == expected.readings


def test_what_lies_beneath_scar_comes_back(tmp_path: Path):
    path = tmp_path / "case.scarseg"
    case = example_case()
    case.labels_under_scar = np.where(case.labels >= 3, 1, case.labels).astype(np.uint8)
    case.labels_under_scar[1][case.labels[1] >= 3] = 2
    store.save_case(case, path)
    np.testing.assert_array_equal(
        store.load_case(path, STACK).labels_under_scar, case.labels_under_scar
    )
