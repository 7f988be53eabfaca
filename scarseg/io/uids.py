"""UIDs made from names alone: valid, reproducible, carrying nothing of who or when."""

from __future__ import annotations

import hashlib


def derived_uid(*names: object) -> str:
    """Make a valid UID (2.25 and a version-8 UUID as an integer, PS3.5 B.2) from names."""
    digest = hashlib.sha256("/".join(str(name) for name in names).encode()).digest()
    value = int.from_bytes(digest[:16], "big")
    value = value & ~(0xF << 76) | (0x8 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return f"2.25.{value}"
