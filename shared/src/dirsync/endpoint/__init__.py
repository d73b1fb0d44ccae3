"""One directory of ours: a tree that we know, notice changes of, and may change. Both programs stand on it."""
