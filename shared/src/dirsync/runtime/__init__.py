"""What a running service needs around its work: settings, logs, metrics, health, TLS, signals.

Whatever imports this package first decides how two libraries start, so it is decided here: gRPC's C core must not write
lines of its own to stderr (there is one JSON object a line and nothing else), and pydantic need not look through every
installed distribution for plugins that we do not use (16 ms of each start).
"""

import os

os.environ.setdefault("GRPC_VERBOSITY", "NONE")
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
