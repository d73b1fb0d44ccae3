"""The panels in the form in which Grafana reads a dashboard."""

from collections.abc import Iterator
from typing import Any

from scripts.dashboard.panels import ROWS, Panel

WIDTH = 24
"""Columns of Grafana's grid."""
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def dashboard() -> dict[str, Any]:
    """The dashboard in Grafana's own form."""
    return {
        "uid": "dirsync",
        "title": "dirsync",
        "description": "Is it in sync, and if not, why? What is moved and saved? docs/runbook.md explains the alerts.",
        "tags": ["dirsync"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "graphTooltip": 1,
        "templating": {
            "list": [
                {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
                _variable("client", "Client", "dirsync_in_sync"),
                _variable("server", "Server", "dirsync_sessions"),
            ]
        },
        "panels": list(_panels()),
    }


def _variable(name: str, label: str, metric: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": f"label_values({metric}, instance)", "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _panels() -> Iterator[dict[str, Any]]:
    number, top = 1, 0
    for title, panels in ROWS.items():
        yield {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": _place(0, top, WIDTH, 1)}
        number, top, left, height = number + 1, top + 1, 0, 0
        for panel in panels:
            width, tall = (3, 4) if panel.stat else (8, 8)
            if left + width > WIDTH or (height and tall != height):
                top, left = top + height, 0
            yield {"id": number, "gridPos": _place(left, top, width, tall), **_panel(panel)}
            number, left, height = number + 1, left + width, tall
        top += height


def _place(left: int, top: int, width: int, height: int) -> dict[str, int]:
    return {"x": left, "y": top, "w": width, "h": height}


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "type": "stat" if panel.stat else "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": DATASOURCE,
                "expr": target.expr,
                "legendFormat": target.legend,
                "instant": panel.stat,
                "range": not panel.stat,
            }
            for number, target in enumerate(panel.targets)
        ],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _STAT if panel.stat else _LINES,
    }


_STAT = {
    "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    "colorMode": "value",
    "graphMode": "none",
    "textMode": "auto",
}
_LINES = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}


def _defaults(panel: Panel) -> dict[str, Any]:
    made: dict[str, Any] = {"unit": panel.unit}
    if panel.stat:
        made["color"] = {"mode": "thresholds"}
        made["thresholds"] = {"mode": "absolute", "steps": _steps(panel)}
    else:
        made["min"] = 0
        made["custom"] = {"fillOpacity": 10, "stacking": {"mode": "normal" if panel.stacked else "none"}}
    if panel.words:
        shown = {value: {"text": text, "index": index} for index, (value, text) in enumerate(panel.words)}
        made["mappings"] = [{"type": "value", "options": shown}]
    return made


def _steps(panel: Panel) -> list[dict[str, Any]]:
    if panel.bad_from is not None:
        return [{"color": "green", "value": None}, {"color": "red", "value": panel.bad_from}]
    if panel.good_from is not None:
        return [{"color": "red", "value": None}, {"color": "green", "value": panel.good_from}]
    return [{"color": "blue", "value": None}]
