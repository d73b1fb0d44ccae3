"""When the threads of a session are started, and what they share."""
