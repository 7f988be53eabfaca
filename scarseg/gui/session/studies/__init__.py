"""Studies of the list: their series, stored cases, and those that are prepared ahead."""
