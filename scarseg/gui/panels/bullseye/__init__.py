"""Bull's-eye panel: 17 segments of scar, transmurality and territories."""
