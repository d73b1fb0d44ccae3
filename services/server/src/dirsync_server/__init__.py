"""The dirsync server: keeps replicas that clients write over gRPC."""
