"""Scanning directories into a tree."""
