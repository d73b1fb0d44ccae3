"""What a running service needs around its work: settings, logs, metrics, health, TLS, signals.

The first import decides how two libraries start. gRPC's C core must not write lines of its own to stderr, which carries
one JSON object a line and nothing else. Pydantic need not search all installed distributions for plugins that we do not
use, which takes 16 ms of each start.
"""

import os

os.environ.setdefault("GRPC_VERBOSITY", "NONE")
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
