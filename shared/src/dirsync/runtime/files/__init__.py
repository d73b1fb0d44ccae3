"""Files and directories that settings name."""
