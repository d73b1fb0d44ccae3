"""The commands that ask the client that runs."""
