"""Bringing to the source what the replica has: content in, staged, proved and published (docs/two-way.md)."""
