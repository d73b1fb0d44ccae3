"""Reading files that other programs may be writing."""
