"""Reading files that others may be writing."""
