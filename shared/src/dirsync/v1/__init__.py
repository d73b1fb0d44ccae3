"""The wire format: code generated from ``proto/dirsync/v1`` by ``make proto``, never edited by hand.

Only :mod:`dirsync.wire` imports it; everything else speaks in the values of the domain.
"""
