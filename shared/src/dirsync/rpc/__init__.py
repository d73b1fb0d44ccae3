"""gRPC at both ends: services, channels, statuses, interceptors, credentials, health and reflection.

The first import decides how gRPC's C core starts: it must not write lines of its own to stderr.
"""

import os

os.environ.setdefault("GRPC_VERBOSITY", "NONE")
