"""Histogram of the wall: signal, window, threshold and the grams above it."""
