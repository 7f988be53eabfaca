"""Numbers from labels and pixels."""
