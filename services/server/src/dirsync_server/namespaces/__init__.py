"""The namespaces of a server: which are open, since when, and what opens and closes them."""
