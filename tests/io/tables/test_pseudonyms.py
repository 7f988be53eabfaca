"""Pseudonyms are stable, keyed, and text to every program that reads them."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from pathlib import Path

import pytest

from scarseg.io.tables.provenance import render_sidecar
from scarseg.io.tables.pseudonyms import key_name, pseudonym


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SCARSEG_PSEUDONYM_KEY", raising=False)
    monkeypatch.setenv("SCARSEG_HOME", str(tmp_path))


def test_a_patient_keeps_one_pseudonym() -> None:
    digest = hmac.new(b"scarseg patient pseudonym, version 1", b"PAT-1", hashlib.sha256)
    assert pseudonym("PAT-1") == digest.hexdigest()[:16]
    assert pseudonym("PAT-1") != pseudonym("PAT-2")
    assert pseudonym("") == ""


def test_no_pseudonym_looks_like_a_number() -> None:
    changed = 0
    for number in range(20_000):
        one = pseudonym(f"P{number:06d}")
        assert re.fullmatch("p?[0-9a-f]{15,16}", one) and len(one) == 16
        assert not re.fullmatch(r"[0-9]+([ed][0-9]+)?", one)
        with pytest.raises(ValueError, match="could not convert"):
            float(one)
        changed += one.startswith("p")
    assert changed > 20


def test_a_site_has_a_key_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    public = pseudonym("PAT-1")
    assert key_name() == "public"
    (tmp_path / "pseudonym.key").write_text("secret of this hospital\n")
    of_file = pseudonym("PAT-1")
    name = key_name()
    assert of_file != public
    assert name == hashlib.sha256(b"secret of this hospital").hexdigest()[:8]
    monkeypatch.setenv("SCARSEG_PSEUDONYM_KEY", "secret of this hospital")
    assert (pseudonym("PAT-1"), key_name()) == (of_file, name)
    monkeypatch.setenv("SCARSEG_PSEUDONYM_KEY", "another")
    assert pseudonym("PAT-1") not in (public, of_file)


def test_the_sidecar_names_the_key_and_does_not_hold_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCARSEG_PSEUDONYM_KEY", "CANARY")
    data = render_sidecar({}, {}, [])
    assert json.loads(data)["pseudonym_key"] == key_name()
    assert b"CANARY" not in data
