"""The life of a running client: what its threads do, what stands still, whether it is ready, and how it ends."""
