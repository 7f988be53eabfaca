"""The open document and the background work on it; no widgets."""
