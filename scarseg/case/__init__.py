"""A reading: stack, prompts, labels, status and history of every slice."""
