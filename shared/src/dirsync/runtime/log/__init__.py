"""The log and the names of its events."""
