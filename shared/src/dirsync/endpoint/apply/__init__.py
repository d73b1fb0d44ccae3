"""Applying operations to a directory, each checked against what its planner saw."""
