"""Propose, predict and correct the labels of slices; the interval of the mass."""
