"""New directories that are sent as a whole: reading what is in them, and packing it."""
