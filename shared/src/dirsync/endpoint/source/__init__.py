"""The source, as the client knows it."""
