"""Run something with an audit hook that notes every way out of the program.

``python -m tests.reliability.audited WHAT [ARGUMENTS]``. The last line printed is JSON. pytest
must not be loaded: ultralytics keeps silent when it is.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scarseg.case.stack import Stack

WATCHED = (
    "socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo",
    "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo", "socket.gethostname",
    "urllib.Request", "http.client.connect", "http.client.send", "ftplib.connect",
    "smtplib.connect", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn",
    "os.startfile", "pty.spawn", "webbrowser.open",
)  # fmt: skip
noted: list[str] = []


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event in WATCHED and not is_harmless(event, arguments):
        noted.append(f"{event} {arguments!r}"[:300])


def is_harmless(event: str, arguments: tuple[Any, ...]) -> bool:
    """Return what libraries do on import without asking anyone outside.

    urllib3, which pydicom imports where it is installed, binds a socket to the loopback address
    and closes it, to see whether there is IPv6; ctypes asks ldconfig for the path of a library,
    and matplotlib fc-list for those of fonts.
    """
    if event == "socket.bind":
        return arguments[1][:2] == ("::1", 0)
    if event == "subprocess.Popen":
        command = list(arguments[1])
        return command == ["/sbin/ldconfig", "-p"] or command[0] == "fc-list"
    return False


def short_stack() -> Stack:
    """Simulate a stack and keep four slices of its middle."""
    from scarseg.simulate.series import simulate_stack

    stack = simulate_stack(1).stack
    kept = slice(stack.n_slices // 2 - 2, stack.n_slices // 2 + 2)
    return replace(
        stack,
        pixels=stack.pixels[kept],
        origins_mm=stack.origins_mm[kept],
        sources=stack.sources[kept],
    )


def chain() -> dict[str, Any]:
    """Load the default weights and propose a simulated stack."""
    import scarseg.models

    models = scarseg.models.load(device="cpu")
    import torch

    threads = torch.get_num_threads()
    scarseg.models.limit_threads(1)  # what matters is said; be quick on a busy machine

    from scarseg.segmentation import pipeline

    case = pipeline.propose_case(short_stack(), models)
    measured = pipeline.measure(case)
    return {
        "threads": threads,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1,
        "ultralytics": "ultralytics" in sys.modules,
        "detector": case.detector.name,
        "slices": measured.n_slices,
    }


def command_line(*arguments: str) -> dict[str, Any]:
    """Run one scarseg command in this process."""
    from scarseg.cli import main

    return {"status": main(list(arguments))}


def accept_all(study: str, cases: str, models: Any) -> None:
    """Save a case file for every stack of a folder, proposed by the models and accepted."""
    from scarseg.case.history import SliceStatus
    from scarseg.io.casefile import store
    from scarseg.io.dicom import read_stack, scan
    from scarseg.segmentation import pipeline

    for summary in scan([Path(study)]).stacks:
        case = pipeline.propose_case(read_stack(summary), models)
        for k, reading in enumerate(case.readings):
            accepted = replace(reading, status=SliceStatus.ACCEPTED)
            case.apply(case.change(f"accept, slice {k + 1}", k, accepted))
        store.save_case(case, store.case_path(Path(cases), case.stack))


def commands(study: str, cases: str, out: str, *models: str) -> dict[str, Any]:
    """Run every command that works on a site's own readings, in this process.

    ``models`` are ``--segmenter`` and ``--detector`` with their weights, where not the shipped.
    """
    from scarseg import models as loading
    from scarseg.cli import main

    if not any(Path(cases).glob("*.scarseg")):
        accept_all(study, cases, loading.load(device="cpu"))
    loading.limit_threads(1)
    folder = Path(out)
    learning = ["--steps", "1", "--batch", "2", "--threads", "1", "--validation", "0"]
    runs: dict[str, list[str]] = {
        "batch": ["batch", study, "-o", f"{out}/b/scar.csv", "--masks", f"{out}/b", *models],
        "measure": ["measure", f"{out}/b", "--dicom", study, "-o", f"{out}/m/scar.csv"],
        "replay": ["replay", cases, "--dicom", study, "-o", f"{out}/r", *models],
        "evaluate": [
            *("evaluate", cases, "--dicom", study, "-o", f"{out}/e", "--prompts", "auto", "box"),
            *("--patients", "all", *models),
        ],
        "train segmenter": [
            *("train", "segmenter", cases, "--dicom", study, "-o", f"{out}/s"),
            *("--workers", "0", *learning),
        ],
        "train detector": [
            "train",
            "detector",
            cases,
            "--dicom",
            study,
            "-o",
            f"{out}/d",
            *learning,
        ],
    }
    folder.mkdir(exist_ok=True)
    return {name: main(words) for name, words in runs.items()}


def window(study: str) -> dict[str, Any]:
    """Read a study in the window with the default models."""
    from tests.reliability.reading import read

    return read(study, "real")


def connect() -> dict[str, Any]:
    """Do what must be noticed."""
    import contextlib
    import socket
    import subprocess

    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", 9), timeout=0.1)
    with contextlib.suppress(OSError):
        socket.getaddrinfo("localhost", 80)
    subprocess.run([sys.executable, "-c", ""], check=True)
    return {}


WHAT: dict[str, Callable[..., dict[str, Any]]] = {
    "chain": chain,
    "command": command_line,
    "commands": commands,
    "window": window,
    "connect": connect,
}

if __name__ == "__main__":
    sys.addaudithook(watch)
    answer = WHAT[sys.argv[1]](*sys.argv[2:])
    answer["noted"] = list(noted)
    answer["pytest"] = "pytest" in sys.modules
    answer["left"] = sorted(str(each) for each in Path.cwd().rglob("*") if each.is_file())
    sys.stdout.write("\n" + json.dumps(answer) + "\n")
