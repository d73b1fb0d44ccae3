"""Recognising what was renamed."""
