"""Deciding when deletes are probably a mistake and need a person's approval."""
