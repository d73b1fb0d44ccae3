"""The wire: protobuf messages to domain values and back. Whatever a peer says is validated here, and only here."""
