"""New directories that are sent as a whole: which ones, with what in them, and what became of them."""
