"""Two studies of a patient side by side."""
