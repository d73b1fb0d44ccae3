"""The status page of a service: its files, the document that it shows, and what is remembered for it."""
