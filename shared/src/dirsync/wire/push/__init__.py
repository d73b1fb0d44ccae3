"""Messages of the push stream, in both directions."""
