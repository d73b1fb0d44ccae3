"""Finding what a path or a link leads to."""
