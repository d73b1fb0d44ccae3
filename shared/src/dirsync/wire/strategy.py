"""How content or a change travels: the ways that a server offers and a client picks from."""

import enum


class Strategy(enum.IntEnum):
    """The numbers are those of the wire."""

    WHOLE = 1
    DELTA = 2
    DEDUP = 3
    RENAME = 4
    METADATA = 5
