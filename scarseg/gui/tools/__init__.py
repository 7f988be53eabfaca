"""Mouse tools that make prompts and labels."""
