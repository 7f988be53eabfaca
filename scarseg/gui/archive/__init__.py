"""Archives in the window: open from one, send to one, receive, and the servers."""
