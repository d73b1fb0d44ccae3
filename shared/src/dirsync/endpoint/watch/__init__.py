"""Noticing changes: file events, polling, and when to look."""
