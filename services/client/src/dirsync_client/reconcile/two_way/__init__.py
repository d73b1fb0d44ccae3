"""Decisions of a client that carries changes both ways: which way each difference goes (docs/two-way.md)."""
