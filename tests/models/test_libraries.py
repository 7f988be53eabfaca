"""Torch's libraries are mapped before its import, which then works as ever."""

from __future__ import annotations

import subprocess
import sys

import pytest

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


def test_without_torch_nothing_happens(monkeypatch):
    from scarseg import models

    monkeypatch.setattr(models, "find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    models._map_libraries()
