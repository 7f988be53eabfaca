"""The only rooms that know file formats."""
