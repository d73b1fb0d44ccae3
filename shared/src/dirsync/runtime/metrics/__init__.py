"""Metrics: the catalogue, the values, and their text form."""
