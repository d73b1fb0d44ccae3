"""Messages of ``AgentService``: what a running client says of itself, and commands to it."""
