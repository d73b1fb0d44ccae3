"""Status, metrics and log of a sync."""
