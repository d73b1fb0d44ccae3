"""Sending content: the push stream and what prepares it."""
