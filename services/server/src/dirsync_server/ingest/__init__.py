"""What comes in on a push stream until it is committed."""
