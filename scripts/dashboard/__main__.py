"""Write the Grafana dashboard, or check whether what is committed is up to date.

It is committed in two places: a file that the compose profile ``monitoring`` provisions, and a ConfigMap of the
Kubernetes component, with the label that Grafana's sidecar looks for.
"""

import argparse
import json
import sys
from pathlib import Path

from scripts.dashboard.grafana import dashboard

REPOSITORY = Path(__file__).resolve().parents[2]
DASHBOARD = REPOSITORY / "deploy" / "grafana" / "dashboards" / "dirsync.json"
CONFIG_MAP = REPOSITORY / "deploy" / "kubernetes" / "components" / "monitoring" / "dashboard.yaml"


def main() -> int:
    """Exit status 0: written, or fresh; 1: stale."""
    parser = argparse.ArgumentParser(description="Write the Grafana dashboard.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a committed file is stale")
    check = parser.parse_args().check
    stale = [path for path, text in files().items() if not path.is_file() or path.read_text() != text]
    for path in stale:
        if check:
            print(f"{path.relative_to(REPOSITORY)}: stale, run `make dashboard`", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files()[path])
    return 1 if check and stale else 0


def files() -> dict[Path, str]:
    """What each file has to hold."""
    text = json.dumps(dashboard(), indent=1) + "\n"
    indented = "".join(f"    {line}" for line in text.splitlines(keepends=True))
    return {DASHBOARD: text, CONFIG_MAP: _CONFIG_MAP + indented}


_CONFIG_MAP = """\
# For Grafana's sidecar, which loads every ConfigMap with this label. `make dashboard` writes this file.
apiVersion: v1
kind: ConfigMap
metadata:
  name: dirsync-dashboard
  labels: {app.kubernetes.io/part-of: dirsync, grafana_dashboard: "1"}
data:
  dirsync.json: |
"""


if __name__ == "__main__":
    sys.exit(main())
