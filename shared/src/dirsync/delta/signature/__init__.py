"""Signatures, the checksums of a basis: building, storing and decoding them."""
