"""Scanning a directory of ours: the whole in slices, or a replica without holding its readers up."""
