"""Torch's libraries are mapped before its import, which then works as ever."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scarseg import models

SCRIPT = """
import sys
from scarseg import models
models._map_libraries()
assert "torch" not in sys.modules
mapped = open("/proc/self/maps").read()
assert "libtorch_cpu" in mapped, "not mapped"
import torch
assert float(torch.ones(3).sum()) == 3
models._map_libraries()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what is mapped")
def test_the_libraries_are_there_before_torch_is_imported():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="names of shared objects on Linux")
@pytest.mark.parametrize("installed", [True, False])
def test_libraries_are_opened_only_where_torch_is_installed(monkeypatch, installed):
    opened = []
    spec = models.find_spec("torch")

    class Linker:
        def __init__(self, name):
            self.dlopen = lambda path, mode: opened.append(Path(os.fsdecode(path)).name)

    monkeypatch.setattr(models, "find_spec", lambda name: spec if installed else None)
    monkeypatch.setattr(models.ctypes, "CDLL", Linker)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    models._map_libraries()
    assert ("libtorch_cpu.so" in opened) == installed
    assert bool(opened) == installed
