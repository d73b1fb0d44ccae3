"""The client's commands, one file each."""
