"""dirsync keeps a directory on a server (the replica) equal to a directory next to a client (the source)."""

__version__ = "0.1.0"
