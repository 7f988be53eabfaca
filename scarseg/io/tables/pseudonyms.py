"""Pseudonyms of patients: keyed hashes of patient IDs.

The key is the first of these that there is: the variable ``SCARSEG_PSEUDONYM_KEY``, the file
``pseudonym.key`` in the data folder of scarseg (``$SCARSEG_HOME`` or the user's), and a key that
everybody knows. With the last, who holds a list of IDs can find theirs again; a site that hands
tables on sets a secret of its own, and sites that follow the same patients share one.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re

from scarseg.io.files import data_folder

KEY_VARIABLE = "SCARSEG_PSEUDONYM_KEY"
KEY_FILE = "pseudonym.key"
_PUBLIC_KEY = b"scarseg patient pseudonym, version 1"
_LENGTH = 16
# A spreadsheet takes 8 or more digits, with an e or d for an exponent between them, for a number
# and writes another text back.
_LIKE_A_NUMBER = re.compile(r"[0-9]+([ed][0-9]+)?")
_MAX_KEY_BYTES = 4096


def pseudonym(patient_id: str) -> str:
    """Return the stable pseudonym of a patient ID: 16 hex digits of its HMAC-SHA256.

    One that looks like a number begins with "p" instead of its first digit. A pseudonym is no
    anonymisation. An empty ID stays empty.
    """
    if not patient_id:
        return ""
    message = patient_id.encode("utf-8", "surrogatepass")
    digest = hmac.new(_key(), message, hashlib.sha256).hexdigest()[:_LENGTH]
    return f"p{digest[1:]}" if _LIKE_A_NUMBER.fullmatch(digest) else digest


def key_name() -> str:
    """Return which key pseudonyms are made with: "public", or 8 digits of its SHA-256.

    Tables whose keys have the same name have the same pseudonyms; the key itself cannot be found.
    """
    key = _key()
    return "public" if key == _PUBLIC_KEY else hashlib.sha256(key).hexdigest()[:8]


def key_text() -> str:
    """Return the key as the variable takes it, for processes on other machines."""
    return _key().decode("utf-8", "surrogateescape")


def _key() -> bytes:
    key = os.environ.get(KEY_VARIABLE, "").encode("utf-8", "surrogateescape")
    if not key:
        try:
            with (data_folder() / KEY_FILE).open("rb") as file:
                key = file.read(_MAX_KEY_BYTES).strip()
        except OSError:  # no such file: the usual case
            key = b""
    return key or _PUBLIC_KEY
