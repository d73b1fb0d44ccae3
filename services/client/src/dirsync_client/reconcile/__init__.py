"""Deciding what happens to each path."""
