"""Commands of the server besides ``serve``; one module for each."""
