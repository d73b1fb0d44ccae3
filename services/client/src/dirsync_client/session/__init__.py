"""The session with the server: channel, calls, listing."""
