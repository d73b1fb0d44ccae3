"""The index: what a root's tree was at the last look, kept across restarts."""
