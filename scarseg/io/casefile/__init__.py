"""Case files: the saved reading."""
