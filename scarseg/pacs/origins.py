"""Which server a study came from, so that results go back to the same one. UIDs alone."""

from __future__ import annotations

import contextlib
import json
import os

from scarseg.pacs.addresses import servers_file

_NAME = "origins.json"
_MOST = 2000


def remember(study_uid: str, server: str) -> None:
    """Keep where a study came from; a disk that refuses is no reason to stop."""
    known = _read()
    known.pop(study_uid, None)
    known[study_uid] = server
    kept = dict(list(known.items())[-_MOST:])
    path = servers_file().with_name(_NAME)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = path.with_name(f".{_NAME}.{os.getpid()}")
        temporary.write_text(json.dumps(kept), encoding="ascii")
        temporary.chmod(0o600)
        temporary.replace(path)


def server_of(study_uid: str) -> str:
    """Return the name of the server a study came from, empty where it is not known."""
    return _read().get(study_uid, "")


def _read() -> dict[str, str]:
    try:
        found = json.loads(servers_file().with_name(_NAME).read_text(encoding="ascii"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(uid): str(name) for uid, name in found.items()}
