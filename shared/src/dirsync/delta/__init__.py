"""Deltas between two versions of a file: pure functions, bytes in and bytes out."""
