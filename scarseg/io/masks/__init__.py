"""Label maps made elsewhere."""
