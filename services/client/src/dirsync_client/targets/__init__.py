"""Several servers of one source: what each of them sees of it, and how they stand together."""
