"""Draw slices and take mouse input on them."""
