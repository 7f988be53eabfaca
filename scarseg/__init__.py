"""Measure myocardial scar on late-gadolinium-enhancement (LGE) cardiac MR.

``load``, ``propose``, ``segment``, ``measure``, ``table`` and ``save`` of :mod:`scarseg.api` are
here too, imported when they are first used: ``import scarseg`` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scarseg.api import load, measure, propose, save, segment, table

__version__ = "0.1.0"
__all__ = ["__version__", "load", "measure", "propose", "save", "segment", "table"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("scarseg.api"), name)
    raise AttributeError(f"module 'scarseg' has no attribute {name!r}")
