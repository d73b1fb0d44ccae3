"""The agent: the gRPC service of a running client."""
