"""Signatures: the checksums of a basis, made, stored, and received."""
