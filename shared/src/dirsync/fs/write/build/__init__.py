"""Directories that are built in staging with everything in them, and published by one rename."""
