"""Pseudonyms of patients."""

from __future__ import annotations

import hashlib
import hmac
import os

_PSEUDONYM_KEY = b"scarseg patient pseudonym, version 1"


def pseudonym(patient_id: str) -> str:
    """Give the stable pseudonym of a patient ID: 16 hex digits of its HMAC-SHA256.

    The key is the same everywhere, so that one patient keeps one pseudonym in every export;
    ``SCARSEG_PSEUDONYM_KEY`` in the environment replaces it with a secret of one's own. With
    the public key, who holds a list of IDs can find theirs again: a pseudonym is no
    anonymisation. An empty ID stays empty.
    """
    if not patient_id:
        return ""
    key = os.environ.get("SCARSEG_PSEUDONYM_KEY", "").encode() or _PSEUDONYM_KEY
    return hmac.new(key, patient_id.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[
        :16
    ]
