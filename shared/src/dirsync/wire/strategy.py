"""How content or a change travels: the ways that a server offers and a client picks from."""

import enum


class Strategy(enum.IntEnum):
    """The numbers are those of the wire."""

    WHOLE = 1
    """All of a file's content."""
    DELTA = 2
    """What changed in it: frames with copies of a basis, and signatures."""
    DEDUP = 3
    """Nothing of it: ``CopyContent`` of what the replica has."""
    RENAME = 4
    """Nothing of it: ``Move``."""
    METADATA = 5
    """Mode and mtime only."""
