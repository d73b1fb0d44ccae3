"""The process: commands, signals, memory."""
