"""Where a study came from and what was sent of it stay with the case; old files lack both."""

from __future__ import annotations

from pathlib import Path

from scarseg.case.case import Case, SentInstance
from scarseg.case.stack import Stack
from scarseg.io.casefile.file_format import encode_case
from scarseg.io.casefile.store import load_case

SENT = SentInstance("heart", "2024-01-02T03:04:05+00:00", "SEG", "1.2.3")


def test_they_are_read_back(tmp_path: Path, phantom_stack: Stack) -> None:
    case = Case.new(phantom_stack)
    case.archive, case.sent = "heart", (SENT,)
    path = tmp_path / "a.scarseg"
    path.write_bytes(encode_case(case))
    found = load_case(path, phantom_stack)
    assert (found.archive, found.sent) == ("heart", (SENT,))


def test_a_case_without_them_has_no_new_key(tmp_path: Path, phantom_stack: Stack) -> None:
    data = encode_case(Case.new(phantom_stack))
    assert b'"archive"' not in data
    assert b'"sent"' not in data
    path = tmp_path / "a.scarseg"
    path.write_bytes(data)
    found = load_case(path, phantom_stack)
    assert (found.archive, found.sent) == ("", ())
