"""Large files on their way, and how an interrupted one goes on."""
