"""Measure myocardial scar on late-gadolinium-enhancement (LGE) cardiac MR."""

__version__ = "0.1.0"
