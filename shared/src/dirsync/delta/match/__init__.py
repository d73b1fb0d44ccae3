"""Matching: finding in a target what the basis has."""
