"""What changes in a replica, for those who want to know at once: commits, and edits of its files by hand."""
