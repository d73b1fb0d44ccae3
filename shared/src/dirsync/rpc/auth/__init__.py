"""Credentials: bearer tokens, certificates, and limits on failed attempts."""
