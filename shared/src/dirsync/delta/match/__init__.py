"""Matching: finding the content of a basis in a target."""
