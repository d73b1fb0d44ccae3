"""Ignore rules in gitignore syntax."""
