"""Preparing deltas: what a file can be made from, and what is remembered of it."""
