"""What may be applied to a source."""

from dirsync.tree.plan import Delete, MakeDirectory, PutFile, PutSymlink, SetMetadata

SourceOperation = PutFile | PutSymlink | MakeDirectory | SetMetadata | Delete
"""An operation on one path. Moves come as a new path and a removal."""
