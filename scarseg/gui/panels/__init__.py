"""The panels around the slice view."""
