"""Settings: their types, their environment variables and their flags."""
