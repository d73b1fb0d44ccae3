"""Staging, publishing and moving files, durably."""
