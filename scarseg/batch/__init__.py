"""Measure many stacks."""
