"""Where and when something was measured: a figure without that says nothing."""

import os
import platform
from datetime import UTC, datetime


def machine() -> str:
    """The day and the machine, as a sentence."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    day = datetime.now(UTC).date().isoformat()
    system = f"Linux {platform.release()}, Python {platform.python_version()}"
    return f"{day}, {os.cpu_count()} processors, {memory} GiB, {system}."
