"""The schemas of ``/status.json`` as they are published."""

import json
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[3] / "docs"


def schema_of(service: str) -> Any:
    """That of a ``client`` or a ``server``."""
    return json.loads((DOCS / f"status-{service}.schema.json").read_text())
